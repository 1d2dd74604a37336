//! Looking at what the mesh says of itself, and waiting for what takes its time.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use sandbox::Sandbox;

/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(20);
/// Longest time a log line may take to be written.
const LINE: Duration = Duration::from_secs(5);

/// Looks again and again until there is an answer.
///
/// # Errors
/// Says what was waited for when the deadline is over, with the last failure if there was one.
pub(super) fn wait_until<T>(
    what: &str,
    deadline: Duration,
    mut look: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let begun = Instant::now();
    let mut last = None;
    while begun.elapsed() < deadline {
        match look() {
            Ok(Some(answer)) => return Ok(answer),
            Ok(None) => {}
            Err(error) => last = Some(error),
        }
        std::thread::sleep(PAUSE);
    }
    let waited = anyhow!("waited {} s until {what}", deadline.as_secs());
    Err(match last {
        Some(error) => error.context(waited.to_string()),
        None => waited,
    })
}

/// The logs of the mesh's programs.
pub(super) struct Logs {
    files: Vec<(String, PathBuf)>,
}

impl Logs {
    /// Where they are now.
    pub(super) fn of(sandbox: &Sandbox) -> Result<Self> {
        let programs = sandbox.status()?.programs;
        Ok(Self {
            files: programs.into_iter().map(|p| (p.name, p.log)).collect(),
        })
    }

    /// A field of a proxy's last access log line about a tunnel to `authority`.
    pub(super) fn field(
        &self,
        program: &str,
        direction: &str,
        authority: &str,
        field: &str,
    ) -> Result<String> {
        let file = self.file(program)?;
        wait_until(
            &format!("{program} logs an {direction} connection"),
            LINE,
            || {
                let text = std::fs::read_to_string(file).context(file.display().to_string())?;
                let line = text.lines().rev().find(|l| {
                    value(l, "dst.hbone_addr") == Some(authority)
                        && value(l, "direction") == Some(direction)
                });
                Ok(line.and_then(|l| value(l, field)).map(str::to_owned))
            },
        )
    }
}

impl Logs {
    /// A program's last line with all these words, once there is one.
    pub(super) fn line(&self, program: &str, words: &[&str]) -> Result<String> {
        wait_until(&format!("{program} logs {words:?}"), LINE, || {
            self.present(program, words)
        })
    }

    /// A program's last line with all these words, if there is one.
    pub(super) fn present(&self, program: &str, words: &[&str]) -> Result<Option<String>> {
        let file = self.file(program)?;
        let text = std::fs::read_to_string(file).context(file.display().to_string())?;
        let mut lines = text.lines().rev();
        let has_all = |line: &&str| words.iter().all(|word| line.contains(word));
        Ok(lines.find(has_all).map(str::to_owned))
    }

    /// The value of a field of a line.
    pub(super) fn value<'a>(line: &'a str, key: &str) -> Option<&'a str> {
        let quoted = line.split_once(&format!("{key}=\""));
        match quoted {
            Some((_, rest)) => rest.split('"').next(),
            None => value(line, key),
        }
    }

    fn file(&self, program: &str) -> Result<&PathBuf> {
        let found = self.files.iter().find(|(name, _)| name == program);
        found
            .map(|(_, file)| file)
            .ok_or_else(|| anyhow!("there is no program {program}"))
    }
}

/// The value of `key=value` or `key="value"` in a log line.
fn value<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    line.split_whitespace().find_map(|word| {
        let text = word.strip_prefix(key)?.strip_prefix('=')?;
        Some(text.trim_matches('"'))
    })
}

#[cfg(test)]
mod tests {
    use super::value;

    #[test]
    fn reads_fields_with_and_without_quotes() {
        let line = r#"x	info	access	connection complete	direction="inbound" src.identity="spiffe://td/ns/a/sa/b" bytes_sent=1"#;
        assert_eq!(value(line, "direction"), Some("inbound"));
        assert_eq!(value(line, "src.identity"), Some("spiffe://td/ns/a/sa/b"));
        assert_eq!(value(line, "identity"), None);
    }
}
