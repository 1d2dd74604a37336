//! `weft analyze`: what the mesh would make of the manifests in a directory, without a mesh.
//!
//! Recipe: read the directory as the controller does, let the controller translate, let the agent's rule say who would
//! be enrolled, print what they find. The same code decides traffic; nothing is judged twice.

mod read;
mod pods;
mod enrolment;
mod show;

use std::process::ExitCode;

use anyhow::Result;
use controller::problems::Found;
use controller::translate::rule::Severity;

use crate::args::{AnalyzeOptions, Threshold};
use crate::print;

/// The exit status when there are findings at the threshold.
const FOUND: u8 = 1;
/// The exit status when nothing could be analyzed.
const NOT_ANALYZED: u8 = 2;

/// Carries out `weft analyze`.
///
/// # Errors
/// When what was found cannot be printed.
pub(crate) fn main(options: &AnalyzeOptions) -> Result<ExitCode> {
    let found = match findings(options) {
        Ok(found) => found,
        Err(error) => {
            print::failure(&format!("{error:#}"));
            return Ok(ExitCode::from(NOT_ANALYZED));
        }
    };
    show::all(&found, options.output)?;
    let counts = |found: &Found| found.rule.severity() >= severity(options.failure_threshold);
    Ok(match found.iter().any(counts) {
        true => ExitCode::from(FOUND),
        false => ExitCode::SUCCESS,
    })
}

/// Everything there is to say, worst first, then by place.
fn findings(options: &AnalyzeOptions) -> Result<Vec<Found>> {
    let manifests = read::directory(&options.dir, &options.system_namespace)?;
    let mut found = manifests.found;
    found.extend(enrolment::findings(
        &manifests.objects,
        &options.system_namespace,
    ));
    manifests.owners.restore(&mut found);
    found.sort_by(|one, two| {
        let worst_first = two.rule.severity().cmp(&one.rule.severity());
        worst_first.then_with(|| one.problem.cmp(&two.problem))
    });
    Ok(found)
}

fn severity(threshold: Threshold) -> Severity {
    match threshold {
        Threshold::Info => Severity::Info,
        Threshold::Warning => Severity::Warning,
        Threshold::Error => Severity::Error,
    }
}
