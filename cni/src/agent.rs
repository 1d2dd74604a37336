//! The node agent, as a recipe: a change of an object, or a call of the plugin -> eligible? -> where is its namespace? ->
//! rules, hand-over and mark by the pod's own task (contract: pod hand-over, docs/compat.md#pod-hand-over).
//!
//! One task owns the picture of the node's pods and decides; it never waits for a pod. Pods that an agent before has
//! enrolled are in the first snapshot for ztunnel, because the sockets open only when the picture is whole.
//! Next hop of the path: `ztunnel/pods`.

pub mod serve_plugin;
mod keepers;
mod keep_pod;
pub mod handover;
mod networks;
pub mod find_netns;
pub mod mark;
mod cluster;
pub mod eligible;

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mesh::lifecycle::ready::Gate;
use mesh::lifecycle::task;
use mesh::telemetry::report;
use mesh::zds::{self, Listener, PodInfo};
use objects::change::Batch;
use objects::kinds::{Key, Kind};
use objects::kubernetes::Pod;
use objects::sink::Sink;
use objects::watch::{self, Source};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use crate::add_event::AddEvent;
use crate::config::Config;
use crate::host;
use crate::nft::{self, Element};
use crate::rules;
use cluster::Cluster;
use handover::Handover;
use keep_pod::{Enrolment, Goal, State, Tools};
use keepers::Keepers;
use mark::{ANNOTATION, Marker};
use networks::{Network, Networks};
use serve_plugin::Asked;

/// Why the agent cannot run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Objects cannot be watched.
    #[error("cannot follow the objects")]
    Source(#[from] watch::Error),
    /// The rules of the node are refused.
    #[error("cannot install the node's own rules")]
    Host(#[from] nft::Error),
    /// What an agent before remembered cannot be reached.
    #[error("cannot use the run directory")]
    Memory(#[from] find_netns::Error),
    /// A folder for a socket cannot be made, or the plugin's socket cannot be bound.
    #[error("cannot listen at {}", path.display())]
    Listen {
        /// Which socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The node socket cannot be bound.
    #[error("cannot serve ztunnel")]
    NodeSocket(#[from] zds::Error),
}

/// Runs the agent until `stop` resolves. What is in place then stays: rules, marks, memory; the next agent goes on.
/// `ready` is done when it serves ztunnel and the plugin.
///
/// # Errors
/// When it cannot start, or cannot follow the objects any more.
pub async fn run(
    config: Config,
    mut source: Box<dyn Source>,
    sink: Arc<dyn Sink>,
    ready: Gate,
    stop: impl Future<Output = ()>,
) -> Result<(), Error> {
    let mut agent = Agent::new(config, sink)?;
    agent.take_over(source.as_mut()).await?;
    let (asked, mut questions) = mpsc::channel(64);
    let servers = agent.open(asked)?;
    ready.done();
    let mut stop = std::pin::pin!(stop);
    let result = loop {
        let next_deadline = agent.next_deadline();
        tokio::select! {
            batch = source.next() => match batch {
                Ok(batch) => agent.follow(batch),
                Err(error) => break Err(error.into()),
            },
            Some(question) = questions.recv() => agent.hear(question),
            () = sleep_until(next_deadline.unwrap_or_else(Instant::now)),
                if next_deadline.is_some() => agent.give_up(),
            () = &mut stop => break Ok(()),
        }
    };
    servers.iter().for_each(tokio::task::JoinHandle::abort);
    agent.handover.close();
    result
}

/// The picture of the node's pods, and what is done about each.
struct Agent {
    config: Config,
    handover: Handover,
    cluster: Cluster,
    networks: Networks,
    keepers: Keepers,
    /// By key, the pod that was last seen there.
    uids: HashMap<Key, String>,
    /// Calls of the plugin for pods that are not known yet.
    waiting: Vec<(Instant, Asked)>,
}

impl Agent {
    fn new(config: Config, sink: Arc<dyn Sink>) -> Result<Self, Error> {
        let tools = Tools {
            handover: Handover::default(),
            marker: Marker::new(sink),
            settings: Arc::new(config.rules.clone()),
        };
        Ok(Agent {
            cluster: Cluster::new(&config.node_name),
            networks: Networks::in_directory(&config.paths.run_directory)?,
            handover: tools.handover.clone(),
            keepers: Keepers::new(tools),
            config,
            uids: HashMap::new(),
            waiting: Vec::new(),
        })
    }

    /// Waits for the whole picture, and makes the node's rules and the first snapshot from it.
    async fn take_over(&mut self, source: &mut dyn Source) -> Result<(), Error> {
        let mut touched = std::collections::BTreeSet::new();
        loop {
            let batch = source.next().await?;
            tell_problems(&batch);
            let is_whole = batch.synced;
            touched.extend(self.cluster.apply(batch));
            if is_whole {
                break;
            }
        }
        let mut probed = Vec::new();
        for key in &touched {
            let Some(pod) = self.cluster.pod(key).cloned() else {
                continue;
            };
            let uid = &pod.metadata.uid;
            let network = self.networks.find(uid);
            if self.is_eligible(&pod) && (network.is_some() || is_marked(&pod)) {
                let (info, netns) = (info(&pod), network.as_ref().map(|n| Arc::clone(&n.netns)));
                self.handover.register(uid, handover::Pod { info, netns });
                let addresses = addresses(&pod, network.as_ref());
                probed.extend(
                    addresses
                        .iter()
                        .map(|address| Element::new(*address, uid.as_str())),
                );
            }
        }
        let config = &self.config;
        host::install(host::ruleset(&config.rules, config.kubelet_user, &probed))?;
        for key in touched {
            self.reconcile(&key);
        }
        Ok(())
    }

    /// Opens both sockets.
    fn open(
        &self,
        asked: mpsc::Sender<Asked>,
    ) -> Result<Vec<tokio::task::JoinHandle<Option<()>>>, Error> {
        let paths = &self.config.paths;
        make_room(&paths.node_socket)?;
        make_room(&paths.plugin_socket)?;
        let ztunnels = Listener::bind(&paths.node_socket)?;
        let plugins =
            serve_plugin::listen(&paths.plugin_socket).map_err(|source| Error::Listen {
                path: paths.plugin_socket.clone(),
                source,
            })?;
        tracing::info!(
            node = self.config.node_name,
            ztunnel = %paths.node_socket.display(),
            plugin = %paths.plugin_socket.display(),
            "agent is ready"
        );
        Ok(vec![
            task::spawn("ztunnels", self.handover.clone().serve(ztunnels)),
            task::spawn("plugins", plugins.serve(asked)),
        ])
    }

    fn follow(&mut self, batch: Batch) {
        tell_problems(&batch);
        for key in self.cluster.apply(batch) {
            self.reconcile(&key);
        }
        for (deadline, question) in std::mem::take(&mut self.waiting) {
            self.consider(deadline, question);
        }
    }

    /// Brings what is done about a pod in line with what is known of it now.
    fn reconcile(&mut self, key: &Key) {
        let pod = self.cluster.pod(key).cloned();
        let uid = pod.as_ref().map(|pod| pod.metadata.uid.clone());
        let before = match &uid {
            Some(uid) => self.uids.insert(key.clone(), uid.clone()),
            None => self.uids.remove(key),
        };
        if let Some(before) = before.filter(|before| Some(before) != uid.as_ref()) {
            self.retire(&before);
        }
        let (Some(pod), Some(uid)) = (pod, uid) else {
            return;
        };
        let network = self.networks.find(&uid);
        match (self.is_eligible(&pod), network) {
            (true, Some(network)) => {
                let goal = Goal::Enrolled(self.enrolment(&pod, &network));
                self.keepers.want(&uid, goal, None);
            }
            (true, None) => tracing::warn!(pod = %key, "the namespace of the pod is not known"),
            (false, network) => self.let_go(&pod, network.as_ref()),
        }
    }

    /// Takes a pod out that is enrolled now, or was by an agent before.
    fn let_go(&mut self, pod: &Pod, network: Option<&Network>) {
        let uid = &pod.metadata.uid;
        if self.keepers.get(uid).is_some() {
            self.keepers.want(uid, Goal::Out, None);
        } else if let (true, Some(network)) = (is_marked(pod), network) {
            let present = self.enrolment(pod, network);
            self.keepers.want(uid, Goal::Out, Some(present));
        }
        if pod.has_ended() {
            self.networks.forget(uid);
        }
    }

    fn retire(&mut self, uid: &str) {
        self.keepers.retire(uid);
        self.networks.forget(uid);
    }

    fn hear(&mut self, question: Asked) {
        self.consider(Instant::now() + self.config.patience.look_up, question);
    }

    /// Answers the plugin, now or when the pod's object has arrived or its task is done.
    fn consider(&mut self, deadline: Instant, question: Asked) {
        let event = &question.event;
        let key = Key::new(Kind::Pod, &event.pod_namespace, &event.pod_name);
        let found = self.cluster.pod(&key).filter(|pod| is_starting(pod, event));
        let Some(pod) = found.cloned() else {
            self.waiting.push((deadline, question));
            return;
        };
        let uid = pod.metadata.uid.clone();
        // Also for pods outside the mesh: they may be labelled later.
        let noted = self
            .networks
            .note(&uid, Path::new(&event.netns), event.addresses());
        if let Err(error) = noted {
            return reply(question, Err(report(&error)));
        }
        self.reconcile(&key);
        if !self.is_eligible(&pod) {
            return reply(question, Ok(()));
        }
        match self.keepers.get(&uid) {
            Some(keeper) => {
                let (progress, generation) = (keeper.progress(), keeper.generation());
                let limit = self.config.patience.confirmation;
                task::spawn("confirm", async move {
                    let result = confirmed(progress, generation, limit).await;
                    reply(question, result);
                });
            }
            None => reply(question, Err("the agent does not keep the pod".into())),
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.waiting.iter().map(|(deadline, _)| *deadline).min()
    }

    fn give_up(&mut self) {
        let now = Instant::now();
        for (_, question) in self
            .waiting
            .extract_if(.., |(deadline, _)| *deadline <= now)
        {
            let event = &question.event;
            let words = format!(
                "pod {}/{} is not among the pods of node {}",
                event.pod_namespace, event.pod_name, self.config.node_name
            );
            reply(question, Err(words));
        }
    }

    fn is_eligible(&self, pod: &Pod) -> bool {
        let namespace = self.cluster.namespace(&pod.metadata.namespace);
        eligible::eligible(pod, namespace, &self.config.exclusions).is_ok()
    }

    fn enrolment(&self, pod: &Pod, network: &Network) -> Arc<Enrolment> {
        let metadata = &pod.metadata;
        let settings = eligible::settings(&metadata.annotations);
        Arc::new(Enrolment {
            key: Key::new(Kind::Pod, &metadata.namespace, &metadata.name),
            uid: metadata.uid.clone(),
            info: info(pod),
            netns: Arc::clone(&network.netns),
            addresses: addresses(pod, Some(network)),
            redirection: rules::redirection(&self.config.rules, &settings),
        })
    }
}

/// Whether this is the pod that the plugin means, and not an earlier one of the same name. The uid of a pod that the
/// kubelet starts by itself is another than that of its mirror among the objects.
fn is_starting(pod: &Pod, event: &AddEvent) -> bool {
    let metadata = &pod.metadata;
    let is_mirror = metadata.annotations.has("kubernetes.io/config.mirror");
    let is_same = event
        .pod_uid
        .as_ref()
        .is_none_or(|uid| *uid == metadata.uid);
    !pod.has_ended() && !metadata.is_being_deleted() && (is_same || is_mirror)
}

async fn confirmed(
    mut progress: tokio::sync::watch::Receiver<keep_pod::Progress>,
    generation: u64,
    limit: Duration,
) -> Result<(), String> {
    let is_final = |progress: &keep_pod::Progress| {
        progress.generation >= generation && !matches!(progress.state, State::Trying(_))
    };
    let ended = timeout(limit, progress.wait_for(is_final))
        .await
        .map(|ended| ended.map(|progress| progress.state.clone()).map_err(|_| ()));
    match ended {
        Ok(Ok(State::Failed(words))) => Err(words),
        Ok(Ok(_)) => Ok(()),
        Ok(Err(())) => Err("the pod is gone".into()),
        Err(_) => match &progress.borrow().state {
            State::Trying(Some(words)) => Err(words.clone()),
            _ => Err("ztunnel has not confirmed the pod in time".into()),
        },
    }
}

fn reply(question: Asked, result: Result<(), String>) {
    // The plugin may have given up, and the runtime will call it again.
    let _ = question.answer.send(result);
}

fn info(pod: &Pod) -> PodInfo {
    PodInfo {
        name: pod.metadata.name.clone(),
        namespace: pod.metadata.namespace.clone(),
        service_account: pod.spec.service_account().to_owned(),
    }
}

/// What the object says, or what the CNI call said while the object does not say anything yet.
fn addresses(pod: &Pod, network: Option<&Network>) -> Vec<IpAddr> {
    let said = pod.addresses();
    match network {
        Some(network) if said.is_empty() => network.addresses.clone(),
        _ => said,
    }
}

/// Whether an agent has enrolled the pod, wholly or in part.
fn is_marked(pod: &Pod) -> bool {
    pod.metadata.annotations.has(ANNOTATION)
}

fn tell_problems(batch: &Batch) {
    for problem in &batch.problems {
        tracing::warn!(%problem, "an object cannot be read");
    }
}

fn make_room(socket: &Path) -> Result<(), Error> {
    let Some(folder) = socket.parent() else {
        return Ok(());
    };
    std::fs::create_dir_all(folder).map_err(|source| Error::Listen {
        path: socket.to_owned(),
        source,
    })
}
