//! What every source file owes its reader: a first sentence, purity where it promises it, a bounded size.

use std::fs;
use std::path::Path;

use anyhow::Result;

use crate::sources;

/// Lines of production code above which a file must have been cut.
const MOST_LINES: usize = 600;

/// File names that say nothing.
const DRAWERS: [&str; 9] = [
    "util", "utils", "common", "helpers", "helper", "misc", "types", "manager", "base",
];

/// What a file that promises to be pure may not mention.
const IMPURE: [&str; 17] = [
    "async fn",
    ".await",
    "Mutex",
    "RwLock",
    "OnceLock",
    "LazyLock",
    "Instant::now",
    "SystemTime::now",
    ".elapsed()",
    "std::env",
    "std::fs",
    "std::process",
    "std::thread",
    "tokio::fs",
    "tokio::net",
    "tokio::spawn",
    "rand::",
];

/// Looks at every file of every crate.
///
/// # Errors
/// When a file cannot be read.
pub fn files(root: &Path) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    for member in sources::members(root)? {
        for file in sources::rust_files(&root.join(member))? {
            let text = fs::read_to_string(&file)?;
            let path = file.strip_prefix(root)?.display().to_string();
            let stem = file.file_stem().unwrap_or_default().to_string_lossy();
            findings.extend(look(&path, &stem, &text));
        }
    }
    Ok(findings)
}

fn look(path: &str, stem: &str, text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    if !text.starts_with("//! ") {
        findings.push(format!(
            "{path}: does not open with a sentence on what it is"
        ));
    }
    if DRAWERS.contains(&stem) || stem == "mod" {
        findings.push(format!("{path}: a file name that says nothing"));
    }
    let code = sources::production(text);
    let lines = code.lines().count();
    if lines > MOST_LINES {
        findings.push(format!("{path}: {lines} lines, {MOST_LINES} at most"));
    }
    let header: String = text.lines().take_while(|l| l.starts_with("//!")).collect();
    if header.contains("Pure.") {
        for word in IMPURE {
            let used = code
                .lines()
                .any(|l| !l.trim_start().starts_with("//") && l.contains(word));
            if used {
                findings.push(format!("{path}: promises to be pure, but mentions {word}"));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pure_file_may_not_read_the_clock() {
        let text = "//! Decides. Pure.\nfn f() { Instant::now(); }\n";
        assert_eq!(look("a.rs", "a", text).len(), 1);
        assert!(
            look(
                "a.rs",
                "a",
                "//! Decides. Pure.\n// Instant::now is forbidden\n"
            )
            .is_empty()
        );
    }

    #[test]
    fn every_file_opens_with_a_sentence() {
        assert_eq!(look("a.rs", "a", "use std::fs;\n").len(), 1);
    }
}
