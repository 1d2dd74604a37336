//! The data path's threads: each runs its own single-threaded runtime, and a pod with all its
//! connections lives on one of them. Nothing on the path is `Send`; commands come by channel.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use mesh::lifecycle::task;
use tokio::runtime::LocalOptions;
use tokio::sync::{mpsc, oneshot, watch};

use crate::identities;
use crate::netns::Namespace;
use crate::pod::{PodInfo, PodUid, PodView, Shared};
use crate::pod_proxy::{self, DoorSockets, Worker};

/// Commands that may wait for one worker.
const COMMANDS: usize = 64;

/// What a worker is told.
enum Command {
    Start(Box<NewPod>, oneshot::Sender<Result<(), pod_proxy::Error>>),
    Stop(PodUid, oneshot::Sender<()>),
    Show(oneshot::Sender<Vec<PodView>>),
    Drain(Duration, oneshot::Sender<bool>),
}

struct NewPod {
    uid: PodUid,
    info: PodInfo,
    netns: Arc<Namespace>,
    doors: DoorSockets,
}

/// Why a pod could not be started.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its doors could not be opened.
    #[error("cannot open the pod's doors")]
    Doors(#[from] pod_proxy::Error),
    /// Its worker is gone.
    #[error("worker {worker} has ended")]
    WorkerGone {
        /// Which one.
        worker: usize,
    },
}

/// All workers, held by the one task that starts and stops pods.
pub struct Workers {
    posts: Posts,
    shared: Shared,
    pods: BTreeMap<PodUid, (usize, PodInfo)>,
    enrolled: watch::Sender<Arc<[PodInfo]>>,
}

/// The workers' letter boxes: for whoever asks all of them.
#[derive(Clone, Debug)]
pub struct Posts {
    senders: Arc<[mpsc::Sender<Command>]>,
}

/// The threads, to be joined at the end.
#[derive(Debug)]
pub struct Threads {
    handles: Vec<JoinHandle<()>>,
}

/// Starts the worker threads, and on the current runtime what keeps certificates ready for the pods.
///
/// # Errors
/// When a thread or its runtime cannot be made.
pub fn start(shared: &Shared) -> io::Result<(Workers, Threads)> {
    let mut senders = Vec::new();
    let mut handles = Vec::new();
    for index in 0..shared.config.worker_threads {
        let (sender, receiver) = mpsc::channel(COMMANDS);
        let (built, when_built) = std::sync::mpsc::channel();
        let shared = shared.clone();
        let thread = std::thread::Builder::new()
            .name(format!("worker-{index}"))
            .spawn(move || {
                match tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build_local(LocalOptions::default())
                {
                    Ok(runtime) => {
                        let threads = &shared.metrics.runtimes;
                        threads.add(&index.to_string(), runtime.metrics());
                        let _ = built.send(Ok(()));
                        runtime.block_on(work(shared, receiver));
                    }
                    Err(error) => {
                        let _ = built.send(Err(error));
                    }
                }
            })?;
        when_built
            .recv()
            .unwrap_or_else(|_| Err(io::Error::other("worker thread ended")))?;
        senders.push(sender);
        handles.push(thread);
    }
    let posts = Posts {
        senders: senders.into(),
    };
    let workers = Workers {
        posts,
        shared: shared.clone(),
        pods: BTreeMap::new(),
        enrolled: keep_certificates(shared),
    };
    Ok((workers, Threads { handles }))
}

/// Certificates of this node's workloads are kept ready on the current runtime; the answer is told
/// which pods are served.
fn keep_certificates(shared: &Shared) -> watch::Sender<Arc<[PodInfo]>> {
    let (enrolled, pods) = watch::channel(Arc::default());
    let Shared {
        config,
        state,
        certificates,
        ..
    } = shared.clone();
    task::spawn("identities", async move {
        identities::follow(&config.node.name, state, certificates, pods).await;
    });
    enrolled
}

/// A worker's life: carry out commands until drained. Runs on its own thread.
async fn work(shared: Shared, mut commands: mpsc::Receiver<Command>) {
    let mut worker = Worker::new(shared);
    while let Some(command) = commands.recv().await {
        match command {
            Command::Start(new, answer) => {
                let NewPod {
                    uid,
                    info,
                    netns,
                    doors,
                } = *new;
                let _ = answer.send(worker.start(uid, info, netns, doors));
            }
            Command::Stop(uid, answer) => {
                if let Some(proxy) = worker.remove(&uid) {
                    // Other pods' commands need not wait until this one's connections are closed.
                    task::spawn_local("stop pod", async move {
                        proxy.drain(Duration::ZERO).await;
                        let _ = answer.send(());
                    });
                }
            }
            Command::Show(answer) => {
                let _ = answer.send(worker.pods());
            }
            Command::Drain(deadline, answer) => {
                let _ = answer.send(worker.drain(deadline).await);
                return;
            }
        }
    }
}

impl Workers {
    /// Where commands to all workers go.
    pub fn posts(&self) -> Posts {
        self.posts.clone()
    }

    /// Which worker a new pod lives on: the one with the fewest pods. The only place that decides.
    fn assign(&self) -> usize {
        let mut load = vec![0_usize; self.posts.senders.len()];
        for (worker, _) in self.pods.values() {
            if let Some(count) = load.get_mut(*worker) {
                *count += 1;
            }
        }
        load.iter()
            .enumerate()
            .min_by_key(|(_, count)| **count)
            .map_or(0, |(index, _)| index)
    }

    /// Opens a pod's doors: the sockets here, on a thread inside its namespace; the rest on its
    /// worker.
    ///
    /// # Errors
    /// When a listener cannot be made, or the worker is gone.
    pub async fn start(
        &mut self,
        uid: PodUid,
        info: PodInfo,
        netns: Arc<Namespace>,
    ) -> Result<(), Error> {
        let doors = DoorSockets::bind(&netns, &self.shared.config.doors)?;
        let worker = self.assign();
        let (answer, answered) = oneshot::channel();
        let remembered = info.clone();
        let new = Box::new(NewPod {
            uid: Arc::clone(&uid),
            info,
            netns,
            doors,
        });
        let gone = || Error::WorkerGone { worker };
        let sender = self.posts.senders.get(worker).ok_or_else(gone)?;
        sender
            .send(Command::Start(new, answer))
            .await
            .map_err(|_| gone())?;
        answered.await.map_err(|_| gone())??;
        self.pods.insert(uid, (worker, remembered));
        self.tell();
        Ok(())
    }

    /// Closes a pod's doors and its connections, and waits until that is done.
    pub async fn stop(&mut self, uid: &PodUid) {
        let Some((worker, _)) = self.pods.remove(uid) else {
            return;
        };
        let (answer, answered) = oneshot::channel();
        if let Some(sender) = self.posts.senders.get(worker)
            && sender
                .send(Command::Stop(Arc::clone(uid), answer))
                .await
                .is_ok()
        {
            let _ = answered.await;
        }
        self.tell();
    }

    /// Says which pods are served: their certificates are kept ready.
    fn tell(&self) {
        let pods = self.pods.values().map(|(_, info)| info.clone());
        self.enrolled.send_replace(pods.collect());
    }
}

impl Posts {
    /// Every pod of every worker with its live connections.
    pub async fn show(&self) -> Vec<PodView> {
        let mut all = Vec::new();
        for sender in self.senders.iter() {
            let (answer, answered) = oneshot::channel();
            if sender.send(Command::Show(answer)).await.is_ok() {
                all.extend(answered.await.unwrap_or_default());
            }
        }
        all
    }

    /// Tells all workers to finish within `deadline` and waits for them. Answers whether every
    /// connection finished by itself.
    pub async fn drain(&self, deadline: Duration) -> bool {
        let mut answers = Vec::new();
        for sender in self.senders.iter() {
            let (answer, answered) = oneshot::channel();
            if sender.send(Command::Drain(deadline, answer)).await.is_ok() {
                answers.push(answered);
            }
        }
        let mut finished = true;
        for answered in answers {
            finished &= answered.await.unwrap_or(false);
        }
        finished
    }
}

impl Threads {
    /// Waits until all worker threads have ended.
    pub fn join(self) {
        for thread in self.handles {
            let name = thread.thread().name().unwrap_or("worker").to_owned();
            if thread.join().is_err() {
                tracing::error!(thread = name, "worker thread panicked");
            }
        }
    }
}
