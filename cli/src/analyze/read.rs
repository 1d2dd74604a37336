//! Reads a directory of manifests as the controller does, and lets it translate.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use controller::index::allocator::Prefixes;
use controller::index::{Index, Settings};
use controller::metrics::Metrics;
use controller::problems::{Found, Problems};
use objects::change::Batch;
use objects::object::Object;
use objects::watch::Source;
use objects::watch::directory::DirectorySource;

use super::pods::{self, Owners};

/// What was read.
pub(super) struct Manifests {
    /// Every object that could be read.
    pub(super) objects: Vec<Arc<Object>>,
    /// What source and translation found.
    pub(super) found: Vec<Found>,
    /// Whose template each imagined pod is.
    pub(super) owners: Owners,
}

/// Reads `directory` once.
pub(super) fn directory(directory: &Path, system_namespace: &str) -> Result<Manifests> {
    let shown = directory.display();
    if !directory.is_dir() {
        bail!("{shown} is not a directory");
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let batch = runtime.block_on(snapshot(directory));
    let batch = batch.with_context(|| format!("cannot read {shown}"))?;
    if batch.changes.is_empty() && batch.problems.is_empty() {
        bail!("there is no manifest in {shown}");
    }
    let problems = Arc::new(Problems::default());
    let settings = Settings {
        cluster: "Kubernetes".into(),
        domain: "cluster.local".into(),
        system_namespace: system_namespace.into(),
        prefixes: Prefixes::default(),
    };
    let mut index = Index::new(settings, Arc::clone(&problems), Metrics::default());
    let (batch, owners) = pods::imagine(batch);
    let objects = batch.changes.iter();
    let objects = objects.filter_map(|change| change.object.clone()).collect();
    index.apply(batch);
    Ok(Manifests {
        objects,
        found: problems.all(),
        owners,
    })
}

async fn snapshot(directory: &Path) -> Result<Batch, objects::watch::Error> {
    let mut source = DirectorySource::open(directory)?;
    let mut whole = source.next().await?;
    while !whole.synced {
        let mut more = source.next().await?;
        whole.changes.append(&mut more.changes);
        whole.problems.append(&mut more.problems);
        whole.synced = more.synced;
    }
    Ok(whole)
}
