//! The tasks that keep pods, one for each pod that is or was enrolled.

use std::collections::HashMap;
use std::sync::Arc;

use super::keep_pod::{Enrolment, Goal, Keeper, Tools, Wanted};

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

    /// Sets the goal for a pod, and starts its task where there is none. `present` is how an agent before has
    /// enrolled it.
    pub(super) fn want(&mut self, uid: &str, goal: Goal, present: Option<Arc<Enrolment>>) {
        let wanted = self.number(goal);
        match self.tasks.get(uid) {
            Some(keeper) => keeper.want(wanted),
            None => {
                let keeper = Keeper::start(self.tools.clone(), present, wanted);
                self.tasks.insert(uid.to_owned(), keeper);
            }
        }
    }

    /// The pod is gone; its task ends when it has cleaned up.
    pub(super) fn retire(&mut self, uid: &str) {
        let wanted = self.number(Goal::Gone);
        if let Some(keeper) = self.tasks.remove(uid) {
            keeper.want(wanted);
        }
    }

    fn number(&mut self, goal: Goal) -> Wanted {
        self.generation += 1;
        Wanted {
            generation: self.generation,
            goal,
        }
    }
}
