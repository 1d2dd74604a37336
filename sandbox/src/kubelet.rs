//! The kubelet of every node: pods of the picture that are placed on a node live, others go.
//!
//! A pod's way: `wish` (what it asks) -> `place_pod` (network) -> `prepare` (files, mounts) -> `plugin` (CNI) ->
//! `container` (with `ask` and `probe`) -> `status`.

mod pod;
mod place_pod;
mod prepare;
mod container;
mod ask;
mod plugin;
mod files;
pub(crate) mod live;
mod probe;
mod status;
mod wish;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use mesh::lifecycle::task;
use objects::kinds::{Key, Kind};
use objects::object::Object;
use objects::sink::directory::DirectorySink;
use tokio::sync::{mpsc, oneshot};

use crate::cluster::{Cluster, View};
use crate::messages::PodName;
use crate::network::addresses::free_slot;
use crate::node::Node;
use crate::place::Place;
use crate::process::Children;
use crate::programs::PROGRAM_ANNOTATION;
use crate::roles::tokens::Issuer;

pub(crate) use files::{Error as FilesError, TokenFile, name_files};
pub(crate) use live::LivePod;
pub(crate) use prepare::container_log;

/// What the kubelets share.
pub(crate) struct Context {
    pub(crate) place: Place,
    pub(crate) children: Children,
    pub(crate) cluster: Cluster,
    pub(crate) sink: Arc<DirectorySink>,
    pub(crate) issuer: Arc<Issuer>,
    pub(crate) nodes: Vec<Arc<Node>>,
    /// Whether more than one user id is mapped, so that `setuid` works.
    pub(crate) many_ids: bool,
    /// Whether the CNI plugin is called.
    pub(crate) mesh: bool,
    /// Whether pods may have IPv6 addresses.
    pub(crate) dual_stack: bool,
    pub(crate) pods: Pods,
}

/// The pods that live, and the numbers they hold.
#[derive(Default)]
pub(crate) struct Pods {
    live: Mutex<BTreeMap<PodName, Arc<LivePod>>>,
    slots: Mutex<BTreeMap<u16, Slots>>,
}

#[derive(Debug, Default)]
struct Slots {
    taken: BTreeSet<u8>,
    last: u8,
}

impl Pods {
    /// The pod of this name, if it lives.
    pub(crate) fn find(&self, name: &PodName) -> Option<Arc<LivePod>> {
        self.live
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(name)
            .cloned()
    }

    fn enter(&self, pod: &Arc<LivePod>) {
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        live.insert(pod.name.clone(), pod.clone());
    }

    fn leave(&self, name: &PodName) {
        self.live
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(name);
    }

    fn take_slot(&self, node: u16) -> Option<u8> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let slots = slots.entry(node).or_default();
        let slot = free_slot(&slots.taken, slots.last)?;
        slots.taken.insert(slot);
        slots.last = slot;
        Some(slot)
    }

    /// Takes this very number, if it is free.
    fn take_this_slot(&self, node: u16, slot: u8) -> Option<u8> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let is_free = slots.entry(node).or_default().taken.insert(slot);
        is_free.then_some(slot)
    }

    fn give_slot_back(&self, node: u16, slot: u8) {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.entry(node).or_default().taken.remove(&slot);
    }
}

/// A pod that was started, and how to end it.
struct Life {
    uid: String,
    end: Option<oneshot::Sender<()>>,
}

/// Plays the kubelet of all nodes until the picture ends.
pub(crate) async fn run(context: Arc<Context>) {
    let mut views = context.cluster.watch();
    let mut lives: BTreeMap<Key, Life> = BTreeMap::new();
    let (done, mut gone) = mpsc::unbounded_channel();
    loop {
        let view = views.borrow_and_update().clone();
        for (key, life) in &mut lives {
            let stays = view
                .get(key)
                .is_some_and(|object| object.metadata().uid == life.uid);
            if !stays && let Some(end) = life.end.take() {
                let _ = end.send(());
            }
        }
        for (object, node) in placed(&context, &view) {
            let key = object.key().clone();
            if lives.contains_key(&key) {
                continue;
            }
            let (end, ended) = oneshot::channel();
            lives.insert(
                key.clone(),
                Life {
                    uid: object.metadata().uid.clone(),
                    end: Some(end),
                },
            );
            let (context, object, done) = (context.clone(), object.clone(), done.clone());
            task::spawn("pod", async move {
                Box::pin(pod::live(&context, object, node, ended)).await;
                let _ = done.send(key);
            });
        }
        tokio::select! {
            changed = views.changed() => if changed.is_err() { return },
            Some(key) = gone.recv() => { lives.remove(&key); }
        }
    }
}

/// Pods that are ours to run, with their nodes.
fn placed<'v>(
    context: &Context,
    view: &'v View,
) -> impl Iterator<Item = (&'v Arc<Object>, Arc<Node>)> {
    view.of(Kind::Pod).filter_map(|object| {
        let pod = object.pod()?;
        if pod.metadata.annotations.has(PROGRAM_ANNOTATION) {
            return None;
        }
        let node = context
            .nodes
            .iter()
            .find(|node| node.name == pod.spec.node_name)?;
        Some((object, node.clone()))
    })
}
