//! A node: its name, its addresses, its network namespace, and where its programs keep their sockets.

use std::path::{Path, PathBuf};

use crate::exec::{Mount, Spec};
use crate::network::addresses::NodeAddresses;
use crate::network::namespace::Namespace;

/// One node.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    /// `node-N`.
    pub(crate) name: String,
    pub(crate) addresses: NodeAddresses,
    pub(crate) namespace: Namespace,
    /// Sockets, tokens and name files of the node's programs, in the run directory.
    pub(crate) folder: PathBuf,
    /// How the node's name files are mounted.
    pub(crate) names: Vec<Mount>,
}

impl Node {
    /// Name of the node with this number.
    pub(crate) fn name_of(number: u16) -> String {
        format!("node-{number}")
    }

    /// How something runs on the node: in its network, with its names.
    pub(crate) fn spec(&self) -> Spec {
        Spec {
            network: Some(self.namespace.path().to_owned()),
            mounts: self.names.clone(),
            hostname: Some(self.name.clone()),
            ..Spec::default()
        }
    }

    /// The agent's run directory.
    pub(crate) fn agent_folder(&self) -> PathBuf {
        self.folder.join("cni")
    }

    /// The socket over which the agent hands pods to the proxy.
    pub(crate) fn hand_over_socket(&self) -> PathBuf {
        self.folder.join("ztunnel.sock")
    }

    /// The socket over which the plugin asks the agent.
    pub(crate) fn plugin_socket(&self) -> PathBuf {
        self.agent_folder().join("pluginevent.sock")
    }

    /// What the agent and the plugin are told about where they meet.
    pub(crate) fn agent_environment(&self, objects: &Path) -> Vec<(String, String)> {
        [
            ("NODE_NAME", self.name.clone()),
            ("WEFT_OBJECTS_DIR", objects.display().to_string()),
            ("INPOD_UDS", self.hand_over_socket().display().to_string()),
            (
                "WEFT_CNI_PLUGIN_SOCKET",
                self.plugin_socket().display().to_string(),
            ),
            (
                "WEFT_CNI_RUN_DIR",
                self.agent_folder().display().to_string(),
            ),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }
}
