//! One pod's doors bundled: outbound, inbound and plaintext start together and drain together.
//! Next hops of the path: `outbound` and `inbound`.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use mesh::flow::Reason;
use mesh::hbone::Pool;
use mesh::lifecycle::{drain, task};
use mesh::net::listen;
use mesh::relay::Buffers;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::config::Doors;
use crate::inbound::{self, reconsider};
use crate::netns::Namespace;
use crate::outbound;
use crate::places::{Places, SharedPlaces};
use crate::pod::{LAST_WORDS, Pod, PodInfo, PodUid, PodView, Shared};

/// Why a pod's doors could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The namespace could not be entered.
    #[error("cannot enter the pod's network namespace")]
    Namespace(#[source] io::Error),
    /// A port could not be listened on.
    #[error("cannot listen on port {port}")]
    Listen {
        /// Which one.
        port: u16,
        /// Why not.
        source: io::Error,
    },
    /// The runtime could not watch a listener.
    #[error("cannot watch a listener")]
    Watch(#[source] io::Error),
}

/// The listening sockets of one pod, made inside its namespace.
#[derive(Debug)]
pub struct DoorSockets {
    outbound: std::net::TcpListener,
    plaintext: std::net::TcpListener,
    tunnel: std::net::TcpListener,
}

impl DoorSockets {
    /// Listens on all ports inside `netns`, from a short-lived thread.
    ///
    /// # Errors
    /// When the namespace cannot be entered or a port cannot be listened on.
    pub fn bind(netns: &Namespace, doors: &Doors) -> Result<Self, Error> {
        netns
            .on_thread(|| {
                Ok(Self {
                    outbound: listen_on(doors.outbound_port, doors)?,
                    plaintext: listen_on(doors.plaintext_port, doors)?,
                    tunnel: listen_on(doors.tunnel_port, doors)?,
                })
            })
            .map_err(Error::Namespace)?
    }
}

/// On `[::]` for both families; on `0.0.0.0` where the pod has no IPv6. Transparent where allowed,
/// so that connections to addresses that are not the pod's own can be taken too.
fn listen_on(port: u16, doors: &Doors) -> Result<std::net::TcpListener, Error> {
    let both = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port);
    let ipv4 = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port);
    let addresses: &[SocketAddr] = if doors.ipv6 { &[both, ipv4] } else { &[ipv4] };
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in addresses {
        for transparent in [true, false] {
            let options = listen::SocketOptions {
                mark: Some(doors.mark),
                transparent,
                reuse_port: doors.reuse_port,
                ..listen::SocketOptions::default()
            };
            match listen::bind(*address, &options) {
                Ok(listener) => return Ok(listener),
                Err(error) => last = error,
            }
        }
    }
    Err(Error::Listen { port, source: last })
}

/// The pods of one worker thread.
pub struct Worker {
    shared: Shared,
    buffers: Rc<Buffers>,
    pods: HashMap<PodUid, PodProxy, foldhash::fast::RandomState>,
}

/// One pod with its doors open.
pub struct PodProxy {
    pod: Rc<Pod>,
    trigger: drain::Trigger,
    /// Decides again when policies change.
    policies: JoinHandle<Option<()>>,
}

impl Worker {
    /// No pods yet. Must be called on the worker's own thread, inside its runtime.
    pub fn new(shared: Shared) -> Self {
        Self {
            shared: Shared {
                metrics: shared.metrics.for_worker(),
                ..shared
            },
            buffers: Rc::new(Buffers::new()),
            pods: HashMap::default(),
        }
    }

    /// This worker's pods with their live connections.
    pub fn pods(&self) -> Vec<PodView> {
        let view = |proxy: &PodProxy| PodView {
            uid: Arc::clone(&proxy.pod.uid),
            info: proxy.pod.info.clone(),
            netns: proxy.pod.netns.id().inode,
            connections: proxy.pod.connections.views(),
        };
        self.pods.values().map(view).collect()
    }

    /// Opens a pod's doors.
    ///
    /// # Errors
    /// When the runtime cannot watch the sockets.
    pub fn start(
        &mut self,
        uid: PodUid,
        info: PodInfo,
        netns: Arc<Namespace>,
        sockets: DoorSockets,
    ) -> Result<(), Error> {
        let pod = Rc::new(Pod {
            uid: Arc::clone(&uid),
            info,
            netns,
            pool: Pool::new(self.shared.tunnels.clone()),
            shared: self.shared.clone(),
            buffers: Rc::clone(&self.buffers),
            connections: Rc::default(),
            waiting: Places::new(self.shared.config.limits.waiting),
            handshakes: SharedPlaces::new(self.shared.config.limits.handshakes),
        });
        let watch = |socket| TcpListener::from_std(socket).map_err(Error::Watch);
        let (outbound, plaintext, tunnel) = (
            watch(sockets.outbound)?,
            watch(sockets.plaintext)?,
            watch(sockets.tunnel)?,
        );
        let (trigger, drain) = drain::channel();
        let policies = task::spawn_local("policies", reconsider::follow_policies(Rc::clone(&pod)));
        task::spawn_local(
            "outbound",
            outbound::serve(Rc::clone(&pod), outbound, drain.clone()),
        );
        task::spawn_local(
            "plaintext",
            inbound::serve_plain(Rc::clone(&pod), plaintext, drain.clone()),
        );
        task::spawn_local(
            "tunnel",
            inbound::serve_tunnels(Rc::clone(&pod), tunnel, drain),
        );
        self.pods.insert(
            uid,
            PodProxy {
                pod,
                trigger,
                policies,
            },
        );
        Ok(())
    }

    /// Takes a pod out, to be drained.
    pub fn remove(&mut self, uid: &PodUid) -> Option<PodProxy> {
        self.pods.remove(uid)
    }

    /// Drains all pods at once. Answers whether every connection finished by itself.
    pub async fn drain(&mut self, deadline: Duration) -> bool {
        let proxies: Vec<_> = self.pods.drain().map(|(_, proxy)| proxy).collect();
        let drains: Vec<_> = proxies
            .into_iter()
            .map(|proxy| task::spawn_local("drain pod", async move { proxy.drain(deadline).await }))
            .collect();
        let mut finished = true;
        for drained in drains {
            finished &= drained.await.ok().flatten().unwrap_or(false);
        }
        finished
    }
}

impl PodProxy {
    /// Closes the doors, lets connections finish for up to `deadline`, then closes the rest.
    /// Answers whether all finished by themselves.
    pub async fn drain(self, deadline: Duration) -> bool {
        // Who was accepted before may still need a tunnel, so the pool is closed last.
        let finished = self.trigger.drain(deadline).await;
        self.pod.pool.drain();
        self.policies.abort();
        if finished {
            return true;
        }
        self.pod.connections.shut(Reason::Drained);
        let emptied = self.pod.connections.emptied();
        let _ = tokio::time::timeout(LAST_WORDS, emptied).await;
        false
    }
}
