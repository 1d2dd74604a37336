//! `weft analyze` on a fixed corpus: silent on what is right, exact on every seeded fault, and every rule of the table
//! has a fault that shows it.
//!
//! A fault's file says in its first lines what must be found, one line each, and nothing else may be:
//! `# expect: RULE LINE OBJECT FIELD`, with `-` for an object that cannot be named or a field that is the whole document.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends where it fails"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use controller::translate::rule::{Rule, Severity};
use serde_json::Value;

fn corpus(part: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/analyze/corpus")
        .join(part);
    let mut files: Vec<PathBuf> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{}", folder.display());
    files
}

/// What the command says of one file alone in a directory: findings and exit status.
fn analyze(file: &Path, arguments: &[&str]) -> (Vec<Value>, i32) {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(file, folder.path().join(file.file_name().unwrap())).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_weft"))
        .args(["analyze", "-o", "json", "--dir"])
        .arg(folder.path())
        .args(arguments)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let found = serde_json::from_str(&said);
    let found = found.unwrap_or_else(|error| {
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        panic!("{}: {error}: {said}{complaint}", file.display())
    });
    (found, output.status.code().unwrap())
}

/// A finding in the words of an `expect` line.
fn in_words(found: &Value) -> String {
    let text = |value: &Value| {
        value
            .as_str()
            .filter(|it| !it.is_empty())
            .unwrap_or("-")
            .to_owned()
    };
    let object = match &found["object"] {
        Value::Null => "-".to_owned(),
        object => {
            let parts = ["kind", "namespace", "name"].map(|part| object[part].as_str().unwrap());
            let parts = parts.iter().filter(|part| !part.is_empty());
            parts.copied().collect::<Vec<_>>().join("/")
        }
    };
    let (rule, field) = (text(&found["rule"]), text(&found["field"]));
    format!("{rule} {} {object} {field}", found["line"])
}

fn expected(file: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(file).unwrap();
    let lines = text
        .lines()
        .map_while(|line| line.strip_prefix("# expect: "));
    lines.map(str::to_owned).collect()
}

#[test]
fn is_silent_on_correct_configurations() {
    let mut files = corpus("good");
    files.extend(
        fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples"))
            .unwrap()
            .map(|entry| entry.unwrap().path()),
    );
    for file in files {
        let (found, status) = analyze(&file, &["--failure-threshold", "info"]);
        assert!(found.is_empty(), "{}: {found:#?}", file.display());
        assert_eq!(status, 0);
    }
}

#[test]
fn finds_every_seeded_fault_and_nothing_else() {
    for file in corpus("faults") {
        let expected = expected(&file);
        assert!(!expected.is_empty(), "{} expects nothing", file.display());
        let (found, status) = analyze(&file, &[]);
        let shown: BTreeSet<String> = found.iter().map(in_words).collect();
        assert_eq!(shown, expected, "{}: {found:#?}", file.display());
        let is_error = |found: &Value| found["severity"] == Severity::Error.word();
        assert_eq!(
            status,
            i32::from(found.iter().any(is_error)),
            "{}",
            file.display()
        );
        for one in &found {
            assert!(
                one["reason"].as_str().is_some_and(|it| it.len() > 10),
                "{one}"
            );
            assert!(
                one["remedy"].as_str().is_some_and(|it| it.len() > 5),
                "{one}"
            );
        }
    }
}

#[test]
fn every_rule_has_a_seeded_fault() {
    let seeded: BTreeSet<String> = corpus("faults")
        .iter()
        .flat_map(|file| expected(file))
        .filter_map(|line| line.split(' ').next().map(str::to_owned))
        .collect();
    let rules: BTreeSet<String> = Rule::ALL
        .iter()
        .map(|rule| rule.word().to_owned())
        .collect();
    assert_eq!(seeded, rules);
}

#[test]
fn what_cannot_be_analyzed_has_a_status_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    for (place, words) in [
        (folder.path().join("missing"), "is not a directory"),
        (folder.path().to_owned(), "there is no manifest"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_weft"))
            .args(["analyze", "--dir"])
            .arg(&place)
            .output()
            .unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{complaint}");
        assert!(complaint.contains(words), "{complaint}");
    }
}
