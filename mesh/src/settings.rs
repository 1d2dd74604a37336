//! Reads settings from text and reports every bad value at once.
//!
//! A program's `config/env.rs` asks for each variable by name; nothing else reads the environment.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::{self, Display};
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

/// What a reference page says of a variable: name (`*` stands for any ending), default as text, meaning.
pub type Variable = (&'static str, &'static str, &'static str);

/// One value that could not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Variable.
    pub name: &'static str,
    /// What is wrong with it; never its value, which may be a secret.
    pub reason: String,
}

/// All values that could not be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("bad settings: {}", problems.iter().map(|p| format!("{}: {}", p.name, p.reason)).collect::<Vec<_>>().join("; "))]
pub struct BadSettings {
    /// Each of them.
    pub problems: Vec<Problem>,
}

/// A value that may be a secret: used, never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps `value` from being printed.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value, for its use.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// Where values come from, and what was wrong with those asked for so far.
#[derive(Clone, Default)]
pub struct Reader {
    values: BTreeMap<String, String>,
    problems: Vec<Problem>,
}

/// Names only: among the values are secrets.
impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("names", &self.values.keys())
            .field("problems", &self.problems)
            .finish_non_exhaustive()
    }
}

impl Reader {
    /// The variables of this process. What is not UTF-8 is read with replacement characters: a stranger's variable must
    /// not keep a program from starting, and one of ours will not parse or will be named with its path.
    pub fn from_env() -> Self {
        Self::from_os(std::env::vars_os())
    }

    fn from_os(values: impl Iterator<Item = (OsString, OsString)>) -> Self {
        let text = |value: OsString| value.to_string_lossy().into_owned();
        Self::from_values(values.map(|(name, value)| (text(name), text(value))))
    }

    /// Variables given as values, for tests and for programs started in-process.
    pub fn from_values<K: Into<String>, V: Into<String>>(
        values: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        Self {
            values: values
                .into_iter()
                .map(|(k, v)| (k.into(), v.into()))
                .collect(),
            problems: Vec::new(),
        }
    }

    /// The text of `name`, if it is set and not empty.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.values
            .get(name)
            .map(String::as_str)
            .filter(|v| !v.is_empty())
    }

    /// The text of `name`, or `default`.
    pub fn text_or(&self, name: &str, default: &str) -> String {
        self.text(name).unwrap_or(default).to_owned()
    }

    /// The text of `name`; a problem when it is not set.
    pub fn required(&mut self, name: &'static str) -> String {
        match self.text(name).map(str::to_owned) {
            Some(text) => text,
            None => {
                self.problem(name, "must be set");
                String::new()
            }
        }
    }

    /// The parsed value of `name`, or `default` when it is not set or not understood (a problem).
    pub fn parse<T>(&mut self, name: &'static str, default: T) -> T
    where
        T: FromStr,
        T::Err: Display,
    {
        self.parse_optional(name).unwrap_or(default)
    }

    /// The parsed value of `name`, if it is set and understood.
    pub fn parse_optional<T>(&mut self, name: &'static str) -> Option<T>
    where
        T: FromStr,
        T::Err: Display,
    {
        let text = self.text(name)?.to_owned();
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.problem(name, &error.to_string());
                None
            }
        }
    }

    /// A duration such as `500ms`, `5s`, `5m` or `24h`; a bare number counts seconds.
    pub fn duration(&mut self, name: &'static str, default: Duration) -> Duration {
        let Some(text) = self.text(name).map(str::to_owned) else {
            return default;
        };
        match parse_duration(&text) {
            Some(duration) => duration,
            None => {
                self.problem(name, "is not a duration such as 500ms, 5s, 5m or 24h");
                default
            }
        }
    }

    /// The number of `name` if it lies in `range`, or `default` when it is not set or something else (a problem).
    pub fn within<T>(&mut self, name: &'static str, default: T, range: RangeInclusive<T>) -> T
    where
        T: FromStr + PartialOrd + Display,
    {
        let Some(text) = self.text(name) else {
            return default;
        };
        if let Some(value) = text.parse().ok().filter(|value| range.contains(value)) {
            return value;
        }
        let (first, last) = range.into_inner();
        self.problem(name, &format!("must be a number from {first} to {last}"));
        default
    }

    /// As [`Reader::duration`], if it lies in `range`.
    pub fn duration_within(
        &mut self,
        name: &'static str,
        default: Duration,
        range: RangeInclusive<Duration>,
    ) -> Duration {
        let duration = self.duration(name, default);
        if range.contains(&duration) {
            return duration;
        }
        let (first, last) = range.into_inner();
        let (first, last) = (duration_text(first), duration_text(last));
        self.problem(name, &format!("must be a duration from {first} to {last}"));
        default
    }

    /// Every value whose name starts with `prefix`, by the rest of its name.
    pub fn with_prefix<'a>(
        &'a self,
        prefix: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a str)> + 'a {
        self.values
            .iter()
            .filter_map(move |(k, v)| Some((k.strip_prefix(prefix)?, v.as_str())))
    }

    /// Notes a problem with the value of `name`.
    pub fn problem(&mut self, name: &'static str, reason: &str) {
        self.problems.push(Problem {
            name,
            reason: reason.to_owned(),
        });
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// All problems met, at once.
    pub fn finish(self) -> Result<(), BadSettings> {
        if self.problems.is_empty() {
            Ok(())
        } else {
            Err(BadSettings {
                problems: self.problems,
            })
        }
    }
}

fn parse_duration(text: &str) -> Option<Duration> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    match unit {
        "ms" => Some(Duration::from_millis(number)),
        "" | "s" => Some(Duration::from_secs(number)),
        "m" => number.checked_mul(60).map(Duration::from_secs),
        "h" => number.checked_mul(3600).map(Duration::from_secs),
        _ => None,
    }
}

/// As [`parse_duration`] reads it.
fn duration_text(duration: Duration) -> String {
    match duration.as_secs() {
        seconds if duration.subsec_millis() > 0 => {
            format!("{}ms", seconds * 1000 + u64::from(duration.subsec_millis()))
        }
        seconds if seconds > 0 && seconds.is_multiple_of(3600) => format!("{}h", seconds / 3600),
        seconds => format!("{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_every_bad_value_at_once_and_never_prints_it() {
        let mut reader = Reader::from_values([("A", "secret"), ("B", "5x"), ("D", "7")]);
        assert_eq!(reader.parse("A", 1u16), 1);
        assert_eq!(
            reader.duration("B", Duration::from_secs(9)),
            Duration::from_secs(9)
        );
        reader.required("C");
        assert_eq!(reader.parse("D", 1u16), 7);
        let error = reader.finish().unwrap_err();
        assert_eq!(
            error.problems.iter().map(|p| p.name).collect::<Vec<_>>(),
            ["A", "B", "C"]
        );
        assert!(!error.to_string().contains("secret"));
    }

    #[test]
    fn what_may_be_a_secret_is_used_and_never_printed() {
        let reader = Reader::from_values([("NAME", "hush")]);
        let secret = Secret::new("hush");
        assert_eq!(secret.reveal(), "hush");
        let printed = format!("{reader:?} {secret:?}");
        assert!(
            printed.contains("NAME") && !printed.contains("hush"),
            "{printed}"
        );
    }

    #[test]
    fn a_variable_that_is_no_text_disturbs_nobody() {
        use std::os::unix::ffi::OsStringExt;
        let strange = (OsString::from("X"), OsString::from_vec(vec![0xff, b'7']));
        let fine = (OsString::from("A"), OsString::from("7"));
        let mut reader = Reader::from_os([strange, fine].into_iter());
        assert_eq!(reader.parse("A", 1u16), 7);
        assert_eq!(reader.parse("X", 1u16), 1);
        assert_eq!(reader.finish().unwrap_err().problems[0].name, "X");
    }

    #[test]
    fn what_lies_outside_of_its_range_is_refused_with_the_range() {
        let day = Duration::from_secs(86_400);
        let (second, none) = (Duration::from_secs(1), Duration::from_millis(1500));
        for (text, number, duration) in [
            ("1", Ok(1), Ok(second)),
            ("0", Err("from 1 to 255"), Err("from 1s to 24h")),
            ("256", Err("from 1 to 255"), Ok(Duration::from_secs(256))),
            ("86401", Err("from 1 to 255"), Err("from 1s to 24h")),
            ("x", Err("from 1 to 255"), Err("is not a duration")),
        ] {
            let mut reader = Reader::from_values([("A", text)]);
            let outcome = |reader: Reader| reader.finish().map_err(|it| it.to_string());
            let says =
                |outcome: Result<(), String>, words: &str| outcome.unwrap_err().contains(words);
            let value = reader.clone().within("A", 7u8, 1..=255);
            match number {
                Ok(expected) => assert_eq!(value, expected, "{text}"),
                Err(words) => {
                    assert_eq!(reader.within("A", 7u8, 1..=255), 7);
                    assert!(says(outcome(reader), words), "{text}");
                }
            }
            let mut reader = Reader::from_values([("A", text)]);
            let value = reader.duration_within("A", none, second..=day);
            match duration {
                Ok(expected) => assert_eq!(value, expected, "{text}"),
                Err(words) => {
                    assert_eq!(value, none);
                    assert!(says(outcome(reader), words), "{text}");
                }
            }
        }
        assert_eq!(duration_text(none), "1500ms");
    }

    #[test]
    fn reads_durations() {
        for (text, expected) in [
            ("500ms", Some(Duration::from_millis(500))),
            ("5", Some(Duration::from_secs(5))),
            ("5m", Some(Duration::from_secs(300))),
            ("24h", Some(Duration::from_secs(86_400))),
            ("-1s", None),
            ("s", None),
            ("99999999999999999999s", None),
        ] {
            assert_eq!(parse_duration(text), expected, "{text}");
        }
    }
}
