//! The node agent, as a recipe: a change of an object, or a call of the plugin -> eligible? -> where is its namespace? ->
//! rules, hand-over and mark by the pod's own task (contract: pod hand-over, docs/compat.md#pod-hand-over).
//!
//! One task owns the picture of the node's pods and decides; it never waits for a pod. Pods that an agent before has
//! enrolled are in the first snapshot for ztunnel, because the sockets open only when the picture is whole.
//! Next hop of the path: `ztunnel/pods`.

pub mod serve_plugin;
mod questions;
mod keepers;
mod keep_pod;
mod probes;
mod guard;
pub mod handover;
mod networks;
pub mod find_netns;
pub mod mark;
mod cluster;
pub mod eligible;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mesh::lifecycle::ready::Gate;
use mesh::lifecycle::task;
use mesh::telemetry::report;
use mesh::zds::{self, Listener, PodInfo};
use objects::change::Batch;
use objects::kinds::{Key, Kind};
use objects::kubernetes::{Pod, PodPhase};
use objects::sink::Sink;
use objects::watch::{self, Source};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::config::Config;
use crate::metrics::Metrics;
use crate::rules;
use cluster::Cluster;
use eligible::NotEnrolled;
use guard::Attention;
use handover::Handover;
use keep_pod::{Enrolment, Goal, Present, Tools};
use keepers::Keepers;
use mark::{ANNOTATION, Marker};
use networks::{Network, Networks};
use probes::Probes;
use questions::{Expected, Waiting, confirmed, is_meant, reply};
use serve_plugin::{Asked, No, Question};

/// Why the agent cannot run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Objects cannot be watched.
    #[error("cannot follow the objects")]
    Source(#[from] watch::Error),
    /// The rules of the node are refused.
    #[error(transparent)]
    Host(#[from] HostError),
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

/// Why the node's own rules could not be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot install the node's own rules")]
pub struct HostError(#[from] probes::Error);

/// Where objects come from, and where marks go.
pub struct Objects {
    /// The objects.
    pub source: Box<dyn Source>,
    /// Takes marks.
    pub sink: Arc<dyn Sink>,
}

/// Runs the agent until `stop` resolves. What is in place then stays: rules, marks, memory; the next agent goes on.
/// `ready` is done when it serves ztunnel and the plugin.
///
/// # Errors
/// When it cannot start, or cannot follow the objects any more.
pub async fn run(
    config: Config,
    objects: Objects,
    metrics: Metrics,
    ready: Gate,
    stop: impl Future<Output = ()>,
) -> Result<(), Error> {
    let Objects { mut source, sink } = objects;
    let mut agent = Agent::new(config, sink, metrics)?;
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
    agent.tools.handover.close();
    result
}

/// The picture of the node's pods, and what is done about each.
struct Agent {
    config: Config,
    tools: Tools,
    cluster: Cluster,
    networks: Networks,
    keepers: Keepers,
    /// By key, the pod that was last seen there.
    uids: HashMap<Key, String>,
    /// Pods of an agent before that are not among the objects, as long as they may be in a document that cannot be read.
    orphans: BTreeSet<String>,
    /// Calls of the plugin for pods that are not known yet.
    waiting: Waiting,
}

impl Agent {
    fn new(config: Config, sink: Arc<dyn Sink>, metrics: Metrics) -> Result<Self, Error> {
        let interval = config.check_interval;
        let tools = Tools {
            handover: Handover::new(metrics.clone()),
            marker: Marker::new(sink),
            probes: Probes::new(
                Arc::new(config.rules.clone()),
                config.kubelet_user,
                metrics.clone(),
            ),
            attention: Attention { interval },
            metrics,
        };
        Ok(Agent {
            cluster: Cluster::new(&config.node_name),
            networks: Networks::in_directory(&config.paths.run_directory)?,
            keepers: Keepers::new(tools.clone()),
            tools,
            config,
            uids: HashMap::new(),
            orphans: BTreeSet::new(),
            waiting: Waiting::default(),
        })
    }

    /// Waits for the whole picture, and makes the node's rules and the first snapshot from it.
    async fn take_over(&mut self, source: &mut dyn Source) -> Result<(), Error> {
        let mut touched = BTreeSet::new();
        loop {
            let batch = source.next().await?;
            tell_problems(&batch);
            let is_whole = batch.synced;
            touched.extend(self.cluster.apply(batch));
            if is_whole {
                break;
            }
        }
        let (mut probed, mut known) = (BTreeMap::new(), BTreeSet::new());
        for key in &touched {
            let Some(pod) = self.cluster.pod(key).cloned() else {
                continue;
            };
            let uid = &pod.metadata.uid;
            known.insert(uid.clone());
            let network = self.networks.find(uid);
            if !self.is_ours(&pod) {
                // Also where an agent ended before it could mark what it did.
                if network.as_ref().is_some_and(Network::is_redirected) {
                    let present = present(&pod, network.as_ref());
                    self.keepers.want(uid, Goal::Out, Some(present));
                }
            } else if network.is_some() || is_marked(&pod) {
                let netns = network.as_ref().map(|n| Arc::clone(&n.netns));
                let info = Some(info(&pod));
                self.tools
                    .handover
                    .register(uid, handover::Pod { info, netns });
                probed.insert(uid.clone(), addresses(&pod, network.as_ref()));
            }
        }
        for uid in self.networks.remembered()? {
            if !known.contains(&uid) {
                self.adopt(uid, &mut probed);
            }
        }
        let installed = self.tools.probes.install(probed).await;
        installed.map_err(HostError)?;
        for key in touched {
            self.reconcile(&key);
        }
        Ok(())
    }

    /// What becomes of a pod that an agent before has noted, and that is not among the objects: it is gone, unless it may
    /// be in a document that cannot be read; then it stays as it is.
    fn adopt(&mut self, uid: String, probed: &mut BTreeMap<String, Vec<IpAddr>>) {
        let network = self.networks.find(&uid);
        let network = network.filter(|_| self.cluster.may_hide_pods());
        let Some(network) = network.filter(Network::is_redirected) else {
            return self.networks.forget(&uid);
        };
        tracing::warn!(
            uid,
            "a pod that is enrolled is not among the objects that can be read; it stays"
        );
        let (info, netns) = (None, None);
        self.tools
            .handover
            .register(&uid, handover::Pod { info, netns });
        probed.insert(uid.clone(), network.addresses);
        self.orphans.insert(uid);
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
        let tools = &self.tools;
        let guarded = tools.probes.clone().guard(tools.attention);
        Ok(vec![
            task::spawn("ztunnels", tools.handover.clone().serve(ztunnels)),
            task::spawn("plugins", plugins.serve(asked)),
            task::spawn("node-rules", guarded),
        ])
    }

    fn follow(&mut self, batch: Batch) {
        tell_problems(&batch);
        let is_clearer = !batch.resolved.is_empty();
        let mut touched = self.cluster.apply(batch);
        if is_clearer {
            // What was left as it is for want of something that could not be read is decided now.
            touched.extend(self.cluster.pods());
        }
        for key in touched {
            self.reconcile(&key);
        }
        self.let_go_of_orphans();
        for (deadline, question) in self.waiting.take() {
            self.consider(deadline, question);
        }
    }

    fn let_go_of_orphans(&mut self) {
        for uid in self.uids.values() {
            self.orphans.remove(uid);
        }
        if self.cluster.may_hide_pods() {
            return;
        }
        for uid in std::mem::take(&mut self.orphans) {
            self.retire(&uid);
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
        match (self.is_ours(&pod), network) {
            (true, Some(network)) => {
                let goal = Goal::Enrolled(self.enrolment(&pod, &network));
                // Until a proxy has connected its mark stays as it is: the one that serves the pod may live.
                let before = pod.metadata.annotations.is(ANNOTATION, "enabled");
                let before = before.then(|| present(&pod, Some(&network)));
                self.keepers.want(&uid, goal, before);
            }
            // As it is with every new pod until its CNI call.
            (true, None) if pod.status.phase == PodPhase::Pending => {}
            (true, None) => tracing::warn!(pod = %key, "the namespace of the pod is not known"),
            (false, network) => self.let_go(&pod, network.as_ref()),
        }
    }

    /// Takes a pod out that is enrolled now, or was by an agent before.
    fn let_go(&mut self, pod: &Pod, network: Option<&Network>) {
        let uid = &pod.metadata.uid;
        if self.keepers.get(uid).is_some() {
            self.keepers.want(uid, Goal::Out, None);
        } else if is_marked(pod) {
            let present = present(pod, network);
            self.keepers.want(uid, Goal::Out, Some(present));
        }
        if pod.has_ended() {
            self.networks.forget(uid);
        }
    }

    /// The pod is gone.
    fn retire(&mut self, uid: &str) {
        self.networks.forget(uid);
        if self.keepers.retire(uid) {
            return;
        }
        // It has no task if only an agent before has enrolled it, and where it was is not known.
        let (uid, tools) = (uid.to_owned(), self.tools.clone());
        task::spawn("retire", async move {
            if let Err(error) = tools.probes.remove(&uid).await {
                tracing::warn!(uid, error = report(&error), "the pod's address stays");
            }
            tools.handover.delete(&uid).await;
        });
    }

    fn hear(&mut self, question: Asked) {
        match question.question {
            Question::MayStart => {
                self.consider(Instant::now() + self.config.patience.look_up, question);
            }
            Question::IsWell => self.examine(question),
        }
    }

    /// Answers whether a pod may start, now or when the pod's object has arrived or its task is done.
    fn consider(&mut self, deadline: Instant, question: Asked) {
        let event = &question.event;
        let key = Key::new(Kind::Pod, &event.pod_namespace, &event.pod_name);
        let found = self.cluster.pod(&key);
        let found = found.filter(|pod| is_meant(pod, event) && is_starting(pod));
        let Some(pod) = found.cloned() else {
            self.waiting.add(deadline, question);
            return;
        };
        let uid = pod.metadata.uid.clone();
        // Also for pods outside the mesh: they may be labelled later.
        let noted = self
            .networks
            .note(&uid, Path::new(&event.netns), event.addresses());
        if let Err(error) = noted {
            return reply(question, Err(No::NotNow(report(&error))));
        }
        self.reconcile(&key);
        if !self.is_ours(&pod) {
            return reply(question, Ok(()));
        }
        self.keepers.retry(&uid);
        match self.keepers.get(&uid) {
            Some(keeper) => {
                let (progress, generation) = (keeper.progress(), keeper.generation());
                let limit = self.config.patience.confirmation;
                task::spawn("confirm", async move {
                    let result = confirmed(progress, generation, limit).await;
                    reply(question, result);
                });
            }
            None => {
                let words = "the agent does not keep the pod".to_owned();
                reply(question, Err(No::NotNow(words)));
            }
        }
    }

    /// Answers whether a pod is as it should be.
    fn examine(&mut self, question: Asked) {
        let event = &question.event;
        let key = Key::new(Kind::Pod, &event.pod_namespace, &event.pod_name);
        let found = self.cluster.pod(&key).filter(|pod| is_meant(pod, event));
        let Some(pod) = found.cloned() else {
            let no = questions::unknown(event, &self.config.node_name);
            return reply(question, Err(no));
        };
        let uid = &pod.metadata.uid;
        let network = self.networks.find(uid);
        let keeper = self.keepers.get(uid).filter(|_| self.is_ours(&pod));
        let enrolled = keeper.zip(network.as_ref()).map(|(keeper, network)| {
            let enrolment = self.enrolment(&pod, network);
            (enrolment, keeper.state())
        });
        let expected = Expected {
            netns: PathBuf::from(&event.netns),
            network,
            enrolled,
            handover: self.tools.handover.clone(),
            probes: self.tools.probes.clone(),
        };
        task::spawn("examine", async move {
            let result = expected.examine().await;
            reply(question, result);
        });
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.waiting.next_deadline()
    }

    fn give_up(&mut self) {
        self.waiting.give_up(&self.config.node_name);
    }

    /// Whether the pod is to be enrolled. One that is stays so while the labels that it may owe it to cannot be read.
    fn is_ours(&self, pod: &Pod) -> bool {
        let name = &pod.metadata.namespace;
        let namespace = self.cluster.namespace(name);
        match eligible::eligible(pod, namespace, &self.config.exclusions) {
            Ok(()) => true,
            Err(NotEnrolled::NotAsked) => {
                namespace.is_none() && is_marked(pod) && self.cluster.may_hide_namespace(name)
            }
            Err(_) => false,
        }
    }

    fn enrolment(&self, pod: &Pod, network: &Network) -> Arc<Enrolment> {
        let metadata = &pod.metadata;
        let (settings, odd) = eligible::settings(&metadata.annotations);
        Arc::new(Enrolment {
            key: key_of(pod),
            uid: metadata.uid.clone(),
            info: info(pod),
            netns: Arc::clone(&network.netns),
            addresses: addresses(pod, Some(network)),
            redirection: rules::redirection(&self.config.rules, &settings),
            odd,
        })
    }
}

fn is_starting(pod: &Pod) -> bool {
    !pod.has_ended() && !pod.metadata.is_being_deleted()
}

/// What is to be undone of a pod that an agent before has enrolled.
fn present(pod: &Pod, network: Option<&Network>) -> Present {
    Present {
        key: key_of(pod),
        uid: pod.metadata.uid.clone(),
        netns: network.map(|network| Arc::clone(&network.netns)),
    }
}

fn key_of(pod: &Pod) -> Key {
    Key::new(Kind::Pod, &pod.metadata.namespace, &pod.metadata.name)
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
