//! Prints findings, for people and for programs.

use anyhow::Result;
use controller::problems::Found;
use controller::translate::rule::Severity;
use serde_json::{Value, json};

use crate::args::Output;
use crate::print;

/// Prints all of them.
///
/// # Errors
/// When they cannot be written as JSON.
pub(super) fn all(found: &[Found], output: Output) -> Result<()> {
    match output {
        Output::Json => {
            let shown: Vec<Value> = found.iter().map(json).collect();
            print::line(&serde_json::to_string_pretty(&shown)?);
        }
        Output::Table => {
            for one in found {
                let severity = one.rule.severity().word();
                print::line(&format!("{severity} [{}] {}", one.rule.word(), one.problem));
                print::line(&format!("    remedy: {}", one.rule.remedy()));
            }
            print::line(&summary(found));
        }
    }
    Ok(())
}

fn json(found: &Found) -> Value {
    let problem = &found.problem;
    let object = problem.key.as_ref().map(
        |key| json!({"kind": key.kind.to_string(), "namespace": key.namespace, "name": key.name}),
    );
    json!({
        "severity": found.rule.severity().word(),
        "rule": found.rule.word(),
        "file": problem.file.display().to_string(),
        "line": problem.line,
        "object": object,
        "field": problem.field,
        "reason": problem.reason,
        "remedy": found.rule.remedy(),
    })
}

fn summary(found: &[Found]) -> String {
    let count = |severity| {
        let same = found.iter().filter(|one| one.rule.severity() == severity);
        same.count()
    };
    let [errors, warnings, infos] = [Severity::Error, Severity::Warning, Severity::Info].map(count);
    match found.is_empty() {
        true => "nothing found".to_owned(),
        false => format!("{errors} errors, {warnings} warnings, {infos} infos"),
    }
}
