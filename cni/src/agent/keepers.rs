//! The tasks that keep pods, one for each pod that is or was enrolled.

use std::collections::HashMap;

use super::keep_pod::{Goal, Keeper, Present, Tools, Wanted};

/// All tasks, by the uid of the pod.
#[derive(Debug)]
pub(super) struct Keepers {
    tools: Tools,
    tasks: HashMap<String, Keeper>,
    generation: u64,
}

impl Keepers {
    pub(super) fn new(tools: Tools) -> Self {
        Keepers {
            tools,
            tasks: HashMap::new(),
            generation: 0,
        }
    }

    pub(super) fn get(&self, uid: &str) -> Option<&Keeper> {
        self.tasks.get(uid)
    }

    /// Sets the goal for a pod, and starts its task where there is none. `present` is what an agent
    /// before has done.
    pub(super) fn want(&mut self, uid: &str, goal: Goal, present: Option<Present>) {
        let wanted = self.number(goal);
        match self.tasks.get(uid) {
            Some(keeper) => keeper.want(wanted),
            None => {
                let keeper = Keeper::start(self.tools.clone(), present, wanted);
                self.tasks.insert(uid.to_owned(), keeper);
            }
        }
    }

    /// Somebody waits for the pod: if its rules were refused, they are tried again at once.
    pub(super) fn retry(&mut self, uid: &str) {
        self.generation += 1;
        if let Some(keeper) = self.tasks.get(uid) {
            keeper.retry(self.generation);
        }
    }

    /// The pod is gone; its task ends when it has cleaned up. `false` when it has no task.
    pub(super) fn retire(&mut self, uid: &str) -> bool {
        let wanted = self.number(Goal::Gone);
        let keeper = self.tasks.remove(uid);
        if let Some(keeper) = &keeper {
            keeper.want(wanted);
        }
        keeper.is_some()
    }

    fn number(&mut self, goal: Goal) -> Wanted {
        self.generation += 1;
        Wanted {
            generation: self.generation,
            goal,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::sync::Arc;
    use std::time::Duration;

    use mesh::zds::PodInfo;
    use objects::kinds::{Key, Kind};
    use objects::sink::directory::DirectorySink;

    use super::*;
    use crate::agent::guard::Attention;
    use crate::agent::handover::Handover;
    use crate::agent::keep_pod::{Enrolment, State};
    use crate::agent::mark::Marker;
    use crate::agent::probes::Probes;
    use crate::metrics::Metrics;
    use crate::rules::{PodSettings, Settings, redirection};

    /// The namespace of this pod is an ordinary file: no rules can be made in it.
    #[tokio::test]
    async fn a_pod_whose_rules_were_refused_is_tried_again_when_somebody_asks() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("no-namespace");
        let settings = Settings::default();
        let enrolment = Enrolment {
            key: Key::new(Kind::Pod, "shop", "web"),
            uid: "u1".into(),
            info: PodInfo {
                name: "web".into(),
                namespace: "shop".into(),
                service_account: "seller".into(),
            },
            netns: Arc::new(File::create(&file).unwrap().into()),
            addresses: Vec::new(),
            redirection: redirection(&settings, &PodSettings::default()),
            odd: Vec::new(),
        };
        let mut keepers = Keepers::new(Tools {
            handover: Handover::new(Metrics::default()),
            marker: Marker::new(Arc::new(DirectorySink::new(directory.path()))),
            probes: Probes::new(Arc::new(settings), 0, Metrics::default()),
            attention: Attention {
                interval: Duration::from_secs(3600),
            },
            metrics: Metrics::default(),
        });
        let goal = Goal::Enrolled(Arc::new(enrolment));
        for generation in 1..=3 {
            keepers.want("u1", goal.clone(), None);
            keepers.retry("u1");
            let mut progress = keepers.get("u1").unwrap().progress();
            let limit = Duration::from_secs(10);
            let has_failed = progress.wait_for(|progress| {
                matches!(progress.state, State::Failed(_)) && progress.generation >= generation
            });
            tokio::time::timeout(limit, has_failed)
                .await
                .unwrap()
                .unwrap();
        }
    }
}
