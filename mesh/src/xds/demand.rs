//! Ask for one name now and wait for it with a deadline.

use std::collections::HashMap;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

/// Askers that may wait for one name at a time, and names that may be waited for.
const WAITERS: usize = 65_536;
/// Questions that may be on their way to the client's task.
const QUEUE: usize = 1_024;

/// Why a name did not become known.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The controller did not answer in time. It will be asked again by whoever asks next.
    #[error("no answer about {name} from the controller within {within:?}")]
    Deadline {
        /// The name.
        name: Box<str>,
        /// How long was waited.
        within: Duration,
    },
    /// Too many names are being waited for.
    #[error("too many names are being asked for, {name} is not")]
    Overloaded {
        /// The name.
        name: Box<str>,
    },
    /// The xDS client is not running.
    #[error("the xDS client has stopped, nobody can be asked about {name}")]
    Stopped {
        /// The name.
        name: Box<str>,
    },
}

/// A question on its way to the client's task.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) type_url: &'static str,
    pub(super) name: Box<str>,
    /// Who waits for the answer; nobody for a name that was only mentioned.
    pub(super) answer: Option<oneshot::Sender<bool>>,
}

impl Ask {
    /// Whoever asked has left.
    pub(super) fn is_abandoned(&self) -> bool {
        self.answer.as_ref().is_some_and(oneshot::Sender::is_closed)
    }

    /// Answers it. The asker may have left; then nobody needs the answer.
    pub(super) fn answer(self, answer: bool) {
        if let Some(asker) = self.answer {
            let _ = asker.send(answer);
        }
    }
}

/// The asking end; cheap to clone.
#[derive(Clone, Debug)]
pub struct Demand {
    asks: mpsc::Sender<Ask>,
}

impl Demand {
    pub(super) fn new() -> (Self, mpsc::Receiver<Ask>) {
        let (asks, queue) = mpsc::channel(QUEUE);
        (Self { asks }, queue)
    }

    /// Returns when the controller has answered about `name`, be it with a resource or with "there is
    /// none": look it up again. Dropping the future gives up.
    ///
    /// # Errors
    /// [`Error::Deadline`] after `within`; also when the controller is away.
    pub async fn fetch(
        &self,
        type_url: &'static str,
        name: &str,
        within: Duration,
    ) -> Result<(), Error> {
        let asking = async {
            let (answer, answered) = oneshot::channel();
            let ask = Ask {
                type_url,
                name: name.into(),
                answer: Some(answer),
            };
            let stopped = || Error::Stopped { name: name.into() };
            self.asks.send(ask).await.map_err(|_| stopped())?;
            match answered.await {
                Ok(true) => Ok(()),
                Ok(false) => Err(Error::Overloaded { name: name.into() }),
                Err(_) => Err(stopped()),
            }
        };
        match tokio::time::timeout(within, asking).await {
            Ok(result) => result,
            Err(_) => Err(Error::Deadline {
                name: name.into(),
                within,
            }),
        }
    }
}

impl Demand {
    /// Has the controller asked about `name`, and waits for nothing: for what would only be nice to
    /// know. Let go when too much is being asked already.
    pub fn mention(&self, type_url: &'static str, name: &str) {
        let ask = Ask {
            type_url,
            name: name.into(),
            answer: None,
        };
        let _ = self.asks.try_send(ask);
    }
}

/// Who waits for which name; kept across streams.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    by_name: HashMap<(&'static str, Box<str>), Vec<oneshot::Sender<bool>>>,
    count: usize,
}

impl Waiters {
    /// Lets `ask` wait; says no at once when there are too many.
    pub(super) fn add(&mut self, ask: Ask) {
        if self.count >= WAITERS {
            self.sweep();
        }
        if self.count >= WAITERS {
            return ask.answer(false);
        }
        let Some(answer) = ask.answer else {
            return;
        };
        self.by_name
            .entry((ask.type_url, ask.name))
            .or_default()
            .push(answer);
        self.count += 1;
    }

    /// Tells everyone who waits for one of `names`.
    pub(super) fn release(&mut self, type_url: &'static str, names: Vec<String>) {
        if self.count == 0 {
            return;
        }
        for name in names {
            let waiting = self.by_name.remove(&(type_url, name.into_boxed_str()));
            for answer in waiting.unwrap_or_default() {
                self.count -= 1;
                let _ = answer.send(true);
            }
        }
    }

    /// Forgets those who gave up.
    fn sweep(&mut self) {
        self.by_name.retain(|_, waiting| {
            waiting.retain(|answer| !answer.is_closed());
            !waiting.is_empty()
        });
        self.count = self.by_name.values().map(Vec::len).sum();
    }
}
