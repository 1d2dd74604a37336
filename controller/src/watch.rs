//! Every object the controller needs as one stream of batches, from a source that may have to be
//! opened again. Next hop: `index`.

use std::collections::{BTreeSet, HashSet};
use std::path::PathBuf;
use std::time::Duration;

use mesh::telemetry::report;
use objects::api::Api;
use objects::change::{Batch, Change, Problem};
use objects::kinds::{Key, Kind};
use objects::watch::api_server::{ApiServerSource, Watched};
use objects::watch::directory::DirectorySource;
use objects::watch::{Error, Source};

/// Pause before a broken source is opened again.
const PAUSE: Duration = Duration::from_secs(1);

/// Where the objects are.
#[derive(Clone, Debug)]
pub enum Origin {
    /// In a directory of files.
    Directory(PathBuf),
    /// With an API server.
    ApiServer(Api),
}

/// Kinds that say nothing to the controller.
const OTHERS: &[Kind] = &[
    Kind::Secret,
    Kind::StatefulSet,
    Kind::DaemonSet,
    Kind::ReplicaSet,
    Kind::CronJob,
    Kind::Job,
];

/// Kinds of which names, labels, annotations and generations say enough.
const BY_METADATA: &[Kind] = &[
    Kind::Namespace,
    Kind::Node,
    Kind::ServiceAccount,
    Kind::Deployment,
    Kind::HorizontalPodAutoscaler,
    Kind::PodDisruptionBudget,
];

/// What the controller follows at an API server.
pub fn watched() -> Vec<Watched> {
    let kinds = Kind::ALL.iter().filter(|kind| !OTHERS.contains(kind));
    let one = |kind: &Kind| match BY_METADATA.contains(kind) {
        true => Watched::metadata(*kind),
        false => Watched::whole(*kind),
    };
    kinds.map(one).collect()
}

impl Origin {
    fn open(&self) -> Result<Box<dyn Source>, Error> {
        Ok(match self {
            Self::Directory(directory) => Box::new(DirectorySource::open(directory)?),
            Self::ApiServer(api) => Box::new(ApiServerSource::open(api, watched())),
        })
    }
}

/// Batches of a source, for as long as the controller runs.
pub struct Feed {
    origin: Origin,
    source: Option<Box<dyn Source>>,
    known: HashSet<Key>,
    problems: BTreeSet<Problem>,
}

impl Feed {
    /// Opens the source for the first time.
    ///
    /// # Errors
    /// When a directory does not exist or cannot be watched. An API server may be away: it is waited for.
    pub fn open(origin: Origin) -> Result<Self, Error> {
        let source = Some(origin.open()?);
        Ok(Self {
            origin,
            source,
            known: HashSet::new(),
            problems: BTreeSet::new(),
        })
    }

    /// The next batch. While the source is broken, what it said so far stays as it is.
    pub async fn next(&mut self) -> Batch {
        loop {
            let failed = match &mut self.source {
                Some(source) => match source.next().await {
                    Ok(batch) => return self.note(batch),
                    Err(error) => error,
                },
                None => match self.reopen().await {
                    Ok(batch) => return batch,
                    Err(error) => error,
                },
            };
            tracing::error!(
                error = report(&failed),
                "cannot follow the objects, trying again"
            );
            self.source = None;
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Opens the source again and waits for its whole snapshot, in which what is not mentioned is gone.
    async fn reopen(&mut self) -> Result<Batch, Error> {
        let mut source = self.origin.open()?;
        let mut whole = source.next().await?;
        while !whole.synced {
            let mut more = source.next().await?;
            whole.changes.append(&mut more.changes);
            whole.problems.append(&mut more.problems);
            whole.synced = more.synced;
        }
        self.source = Some(source);
        let mentioned: HashSet<&Key> = whole.changes.iter().map(|change| &change.key).collect();
        let broken: HashSet<&Key> = whole
            .problems
            .iter()
            .filter_map(|it| it.key.as_ref())
            .collect();
        // An object that cannot be read just now keeps its last good version.
        let is_gone = |key: &&Key| !mentioned.contains(key) && !broken.contains(key);
        let gone: Vec<Key> = self.known.iter().filter(is_gone).cloned().collect();
        whole
            .changes
            .extend(gone.into_iter().map(|key| Change { key, object: None }));
        let still: BTreeSet<Problem> = whole.problems.iter().cloned().collect();
        whole
            .resolved
            .extend(self.problems.difference(&still).cloned());
        Ok(self.note(whole))
    }

    fn note(&mut self, batch: Batch) -> Batch {
        for change in &batch.changes {
            match change.object {
                Some(_) => self.known.insert(change.key.clone()),
                None => self.known.remove(&change.key),
            };
        }
        for problem in &batch.resolved {
            self.problems.remove(problem);
        }
        self.problems.extend(batch.problems.iter().cloned());
        batch
    }
}
