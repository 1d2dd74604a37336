//! Everything that stands inside one sandbox.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use tokio::sync::Notify;

use crate::exec::Spec;
use crate::launch::Orders;
use crate::messages::{Answer, Request, Target};
use crate::network::addresses::NodeAddresses;
use crate::network::namespace::{self, Namespace};
use crate::network::{links, topology};
use crate::place::Place;
use crate::process::{Children, Streams};

/// Why the sandbox's parts could not be set up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot build the network")]
    Network(#[from] links::Error),
    #[error(transparent)]
    Namespace(#[from] namespace::Error),
    #[error("cannot {operation}")]
    System { operation: &'static str, source: std::io::Error },
}

/// One node.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) addresses: NodeAddresses,
    pub(crate) namespace: Namespace,
}

pub(crate) struct World {
    orders: Orders,
    place: Place,
    children: Children,
    nodes: Vec<Node>,
    end: Notify,
}

type Outcome = Result<(Answer, Option<OwnedFd>), String>;

impl World {
    pub(crate) async fn build(orders: Orders, place: Place) -> Result<Self, Error> {
        let exe = orders.options.exe.clone().unwrap_or_else(|| "/proc/self/exe".into());
        let root = Namespace::current()?;
        topology::build_control_plane(&root)?;
        let run = place.run();
        for folder in ["nodes", "pods"] {
            std::fs::create_dir(run.join(folder))
                .map_err(|source| Error::System { operation: "make the run folders", source })?;
        }
        let mut built: Vec<(NodeAddresses, Namespace)> = Vec::new();
        for number in 1..=orders.options.nodes {
            let node = NodeAddresses { number };
            let path = run.join("nodes").join(format!("node-{number}"));
            let namespace = topology::build_node(&root, &path, node, &built)?;
            built.push((node, namespace));
        }
        let nodes = built
            .into_iter()
            .map(|(addresses, namespace)| Node {
                name: format!("node-{}", addresses.number),
                addresses,
                namespace,
            })
            .collect();
        Ok(Self { children: Children::new(&exe), orders, place, nodes, end: Notify::new() })
    }

    pub(crate) fn place(&self) -> &Place {
        &self.place
    }
    pub(crate) fn children(&self) -> &Children {
        &self.children
    }
    pub(crate) fn end(&self) {
        self.end.notify_one();
    }
    pub(crate) async fn ended(&self) {
        self.end.notified().await;
    }
    pub(crate) async fn start(self: &Arc<Self>) -> Result<(), Error> {
        Ok(())
    }

    pub(crate) async fn carry_out(&self, request: Request, fds: Vec<OwnedFd>) -> Outcome {
        match request {
            Request::Exec { target, command, environment } => {
                let streams: [OwnedFd; 3] =
                    fds.try_into().map_err(|_| "exec needs three descriptors".to_owned())?;
                let network = match target {
                    Target::Node(name) => {
                        let node = self.nodes.iter().find(|node| node.name == name);
                        Some(node.ok_or("no such node")?.namespace.path().to_owned())
                    }
                    _ => None,
                };
                let spec = Spec { network, command, ..Spec::default() };
                let process = self
                    .children
                    .start(&spec, &environment, Streams::Given(streams))
                    .map_err(|error| error.to_string())?;
                let guard = KillOnDrop(process.clone());
                let exit = process.wait().await;
                drop(guard);
                Ok((Answer::Exited(exit), None))
            }
            Request::Down => Ok((Answer::Done(Vec::new()), None)),
            _ => Err("not yet".to_owned()),
        }
    }
}

struct KillOnDrop(crate::process::Process);
impl Drop for KillOnDrop {
    fn drop(&mut self) {
        self.0.signal_group(nix::sys::signal::Signal::SIGKILL);
    }
}
