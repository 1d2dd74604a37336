//! What the demo prints: one line pair or one JSON object per step.

use std::time::Duration;

use serde::Serialize;

use super::cluster::Cluster;
use crate::print;

/// One finished step; with `--json` exactly this object is printed.
#[derive(Debug, Serialize)]
pub(crate) struct Step {
    /// Short name.
    pub name: &'static str,
    /// What should happen.
    pub expected: &'static str,
    /// What happened.
    pub observed: String,
    /// Whether they agree.
    pub ok: bool,
    /// How long it took, in milliseconds.
    pub ms: u128,
}

/// Prints steps as they come and remembers whether all went well.
pub(crate) struct Report {
    json: bool,
    steps: usize,
    failures: usize,
}

impl Report {
    pub(crate) fn new(json: bool) -> Self {
        Self {
            json,
            steps: 0,
            failures: 0,
        }
    }

    /// Says what is about to be shown.
    pub(crate) fn opening(&self, cluster: &Cluster) {
        if !self.json {
            print::line(&format!(
                "web server: {}   client: {}",
                cluster.server(),
                cluster.client()
            ));
        }
    }

    /// Prints one step.
    pub(crate) fn step(&mut self, step: Step) {
        self.steps += 1;
        self.failures += usize::from(!step.ok);
        if self.json {
            print::line(&serde_json::to_string(&step).unwrap_or_default());
        } else {
            let mark = if step.ok { "ok  " } else { "FAIL" };
            print::line(&format!(
                "{mark} {:<16} {:>6} ms  {}",
                step.name, step.ms, step.expected
            ));
            for line in step.observed.lines() {
                print::line(&format!("                              {line}"));
            }
        }
    }

    /// Whether every step was as expected (and there was one).
    pub(crate) fn all_well(&self) -> bool {
        self.steps > 0 && self.failures == 0
    }

    /// Sums up.
    pub(crate) fn closing(&self, cluster: &Cluster, took: Duration, keep: bool) {
        if self.json {
            return;
        }
        let good = self.steps - self.failures;
        print::line(&format!(
            "{good} of {} steps ok in {:.1} s",
            self.steps,
            took.as_secs_f64()
        ));
        if keep {
            let name = cluster.name();
            print::line("the cluster stays; look around with:");
            print::line(&format!("  weft sandbox status --name {name}"));
            print::line(&format!(
                "  weft sandbox exec --name {name} shop/customer -- CMD"
            ));
            print::line(&format!("  weft sandbox down --name {name}"));
        }
    }
}
