//! Everything that stands inside one sandbox, wired together: network, picture, roles, kubelets, programs.

mod requests;
mod settled;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use mesh::lifecycle::task;
use objects::kinds::{Key, Kind};
use objects::sink::directory::DirectorySink;
use objects::watch::directory::DirectorySource;
use tokio::sync::Notify;
use tokio::time::sleep;

use crate::cluster::{Cluster, View, Words};
use crate::kubelet::{self, Context, Pods, TokenFile, name_files};
use crate::launch::Orders;
use crate::network::addresses::{CONTROL_PLANE_V4, NodeAddresses};
use crate::network::namespace::{self, Namespace};
use crate::network::{links, topology};
use crate::node::Node;
use crate::place::Place;
use crate::process::Children;
use crate::programs::{
    self, Program, SYSTEM_NAMESPACE, cluster_objects, controller_folder, node_program_tokens,
    program_pod,
};
use crate::roles::tokens::{self, Bearer, Issuer, LIFE, MESH_AUDIENCE};
use crate::roles::{self, names, service_proxy};

/// Why the sandbox's parts could not be set up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot build the network")]
    Network(#[from] links::Error),
    #[error(transparent)]
    Namespace(#[from] namespace::Error),
    #[error("cannot make the folder {path}")]
    Folder {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("cannot listen for DNS")]
    Names(#[source] std::io::Error),
    #[error("cannot follow the cluster's directory")]
    Source(#[from] objects::watch::Error),
    #[error("cannot write a node's name files")]
    NameFiles(#[from] kubelet::FilesError),
    #[error("cannot issue tokens")]
    Tokens(#[from] tokens::Error),
}

/// One sandbox.
pub(crate) struct World {
    orders: Orders,
    root: Namespace,
    context: Arc<Context>,
    programs: Vec<Arc<Program>>,
    end: Notify,
}

impl World {
    /// Builds the network and opens the cluster's directory; nothing runs yet but the picture.
    pub(crate) fn build(orders: Orders, place: Place) -> Result<Self, Error> {
        let root = Namespace::current()?;
        topology::build_control_plane(&root)?;
        for folder in ["netns", "nodes", "pods", "controller"] {
            make_private_folder(&place.run().join(folder))?;
        }
        let nodes = build_nodes(&place, &root, orders.options.nodes)?;
        let sink = Arc::new(DirectorySink::new(&place.cluster()));
        let source = DirectorySource::open(&place.cluster())?;
        let (cluster, follow) = Cluster::follow(source, sink.clone());
        task::spawn("picture", follow);
        let issuer = Arc::new(Issuer::new()?);
        issuer.write_key_set(&controller_folder(&place).join("jwks.json"))?;
        let programs = if orders.options.mesh {
            let plans = programs::plan(&place, &nodes, &orders.options.program_env);
            plans.into_iter().map(Program::new).collect()
        } else {
            Vec::new()
        };
        let context = Context {
            children: Children::default(),
            cluster,
            sink,
            issuer,
            nodes,
            many_ids: orders.many_ids,
            mesh: orders.options.mesh,
            dual_stack: orders.options.dual_stack && links::has_ipv6(),
            pods: Pods::default(),
            place,
        };
        Ok(Self {
            orders,
            root,
            context: Arc::new(context),
            programs,
            end: Notify::new(),
        })
    }

    pub(crate) fn place(&self) -> &Place {
        &self.context.place
    }

    pub(crate) fn children(&self) -> &Children {
        &self.context.children
    }

    /// Ends the sandbox.
    pub(crate) fn end(&self) {
        self.end.notify_one();
    }

    /// Waits until it shall end.
    pub(crate) async fn ended(&self) {
        self.end.notified().await;
    }

    /// Starts everything that runs, each in a task of its own.
    pub(crate) async fn start(&self) -> Result<(), Error> {
        let context = &self.context;
        let cluster = &context.cluster;
        self.write_first_objects().await;
        for (manager, plan) in roles::PLANNED {
            task::spawn("role", roles::play(cluster.clone(), manager, plan));
        }
        let mut namespaces: Vec<Namespace> = context
            .nodes
            .iter()
            .map(|node| node.namespace.clone())
            .collect();
        namespaces.push(self.root.clone());
        task::spawn(
            "service proxy",
            service_proxy::run(cluster.clone(), namespaces),
        );
        names::serve(names::bind().await.map_err(Error::Names)?, cluster);
        if self.orders.options.mesh {
            self.start_programs()?;
        }
        task::spawn("kubelets", kubelet::run(context.clone()));
        Ok(())
    }

    async fn write_first_objects(&self) {
        let nodes: Vec<&Node> = self.context.nodes.iter().map(|node| &**node).collect();
        let mut writer = self.context.cluster.writer("sandbox");
        let options = &self.orders.options;
        for document in cluster_objects(&nodes, options.mesh, &options.program_env) {
            if let Some(key) = key_of(&document) {
                writer.say(key, Words::Apply(document)).await;
            }
        }
        // Everything else builds on them.
        let last = Key::new(Kind::Namespace, "", SYSTEM_NAMESPACE);
        self.context
            .cluster
            .until(|view| view.get(&last).map(drop))
            .await;
    }

    fn start_programs(&self) -> Result<(), Error> {
        for node in &self.context.nodes {
            let token = TokenFile {
                path: node_program_tokens(node),
                bearer: self.bearer(node),
                audience: MESH_AUDIENCE.to_owned(),
                life: LIFE,
            };
            let context = self.context.clone();
            task::spawn("program token", async move {
                // The uid in the token is that of the pod as everybody sees it.
                let key = Key::new(Kind::Pod, SYSTEM_NAMESPACE, &token.bearer.pod);
                let uid = |view: &View| Some(view.get(&key)?.metadata().uid.clone());
                let Some(uid) = context.cluster.until(uid).await else {
                    return;
                };
                let mut token = token;
                token.bearer.pod_uid = uid;
                loop {
                    if let Err(error) = token.write(&context.issuer, &context.cluster.view()) {
                        tracing::error!(error = %mesh::telemetry::report(&error), "cannot write a program's token");
                    }
                    sleep(LIFE / 3).await;
                }
            });
        }
        for program in &self.programs {
            let (program, children) = (program.clone(), self.context.children.clone());
            task::spawn("program", self.stand_for(&program));
            task::spawn("program", async move { program.keep(&children).await });
        }
        Ok(())
    }

    fn bearer(&self, node: &Node) -> Bearer {
        Bearer {
            namespace: SYSTEM_NAMESPACE.to_owned(),
            service_account: "ztunnel".to_owned(),
            pod: format!("ztunnel-{}", node.name),
            pod_uid: String::new(),
            node: node.name.clone(),
        }
    }

    /// Keeps the pod object that stands for a program true.
    fn stand_for(&self, program: &Arc<Program>) -> impl Future<Output = ()> + use<> {
        let (kind, node) = match program.name().split_once('/') {
            Some((kind, node)) => (kind, self.context.nodes.iter().find(|one| one.name == node)),
            None => (program.name(), None),
        };
        let (account, prefix) = match kind {
            "controller" => ("weft-controller", "weft-controller"),
            "cni-agent" => ("weft-cni", "weft-cni"),
            _ => ("ztunnel", "ztunnel"),
        };
        let name = node.map_or_else(
            || prefix.to_owned(),
            |node| format!("{prefix}-{}", node.name),
        );
        let address: IpAddr = node
            .map_or(CONTROL_PLANE_V4, |node| node.addresses.internal_v4())
            .into();
        let node = node.map(|node| node.name.clone());
        let mut writer = self.context.cluster.writer("programs");
        let mut states = program.watch();
        async move {
            loop {
                let runs = states.borrow_and_update().runs();
                let document = program_pod(&name, account, node.as_deref(), address, runs);
                let key = Key::new(Kind::Pod, SYSTEM_NAMESPACE, &name);
                writer.say(key, Words::Apply(document)).await;
                if states.changed().await.is_err() {
                    return;
                }
            }
        }
    }
}

fn build_nodes(place: &Place, root: &Namespace, count: u16) -> Result<Vec<Arc<Node>>, Error> {
    let mut built: Vec<(NodeAddresses, Namespace)> = Vec::new();
    let mut nodes = Vec::new();
    for number in 1..=count {
        let addresses = NodeAddresses { number };
        let name = Node::name_of(number);
        let path = place.run().join("netns").join(&name);
        let namespace = topology::build_node(root, &path, addresses, &built)?;
        let folder = place.run().join("nodes").join(&name);
        make_private_folder(&folder)?;
        let address = [IpAddr::V4(addresses.internal_v4())];
        let names = name_files(&folder.join("names"), SYSTEM_NAMESPACE, &name, &address)?;
        let node = Node {
            name,
            addresses,
            namespace: namespace.clone(),
            folder,
            names,
        };
        make_private_folder(&node.agent_folder())?;
        built.push((addresses, namespace));
        nodes.push(Arc::new(node));
    }
    Ok(nodes)
}

fn make_private_folder(path: &std::path::Path) -> Result<(), Error> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .mode(0o711)
        .create(path)
        .map_err(|source| Error::Folder {
            path: path.to_owned(),
            source,
        })
}

fn key_of(document: &serde_json::Value) -> Option<Key> {
    let text = |pointer: &str| {
        document
            .pointer(pointer)
            .and_then(serde_json::Value::as_str)
    };
    let word = text("/kind")?;
    let kind = *Kind::ALL.iter().find(|kind| kind.facts().word == word)?;
    Some(Key::new(
        kind,
        text("/metadata/namespace").unwrap_or_default(),
        text("/metadata/name")?,
    ))
}
