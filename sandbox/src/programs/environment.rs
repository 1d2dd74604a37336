//! Pure. What each of the mesh's programs is told: network, mounts, environment, log.

use crate::mesh_names::{CLUSTER_DOMAIN, CLUSTER_ID, CONTROLLER_ADDRESS};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Plan;
use crate::exec::Spec;
use crate::node::Node;
use crate::place::Place;
use crate::roles::tokens::{ISSUER, MESH_AUDIENCE};

/// Where the mesh's own objects live.
pub(crate) const SYSTEM_NAMESPACE: &str = "weft-system";
/// The controller's folder: the authority's key, its public root, the token issuer's public keys.
pub(crate) fn controller_folder(place: &Place) -> PathBuf {
    place.run().join("controller")
}

/// The file with the authority's public root, which the controller writes.
fn root_certificate(place: &Place) -> PathBuf {
    controller_folder(place).join("root-cert.pem")
}

/// The token file of a node's proxy.
pub(crate) fn node_program_tokens(node: &Node) -> PathBuf {
    node.folder.join("istio-token")
}

/// All programs of a sandbox; `extra` goes on top of every environment.
pub(crate) fn plan(place: &Place, nodes: &[Arc<Node>], extra: &[(String, String)]) -> Vec<Plan> {
    let mut plans = vec![controller(place, extra)];
    for node in nodes {
        plans.push(agent(place, node, extra));
        plans.push(proxy(place, node, extra));
    }
    plans
}

fn controller(place: &Place, extra: &[(String, String)]) -> Plan {
    let folder = controller_folder(place);
    let environment = [
        ("WEFT_OBJECTS_DIR", text(&place.cluster())),
        ("WEFT_STATE_DIR", text(&folder)),
        ("WEFT_JWKS", text(&folder.join("jwks.json"))),
        ("WEFT_TOKEN_ISSUER", ISSUER.to_owned()),
        ("TOKEN_AUDIENCES", MESH_AUDIENCE.to_owned()),
        ("WEFT_GRPC_ADDRESS", "[::]:15012".to_owned()),
        ("WEFT_ADMIN_ADDRESS", "127.0.0.1:15014".to_owned()),
        ("CLUSTER_ID", CLUSTER_ID.to_owned()),
        ("CLUSTER_DOMAIN", CLUSTER_DOMAIN.to_owned()),
        ("POD_NAME", "weft-controller".to_owned()),
        ("POD_NAMESPACE", SYSTEM_NAMESPACE.to_owned()),
    ];
    let spec = spec("controller", Spec::default());
    program(
        place,
        "controller".to_owned(),
        spec,
        owned(environment),
        extra,
    )
}

fn agent(place: &Place, node: &Node, extra: &[(String, String)]) -> Plan {
    let mut environment = node.agent_environment(&place.cluster());
    environment.extend(owned([
        ("POD_NAME", format!("cni-agent-{}", node.name)),
        ("POD_NAMESPACE", SYSTEM_NAMESPACE.to_owned()),
    ]));
    let spec = spec("cni-agent", node.spec());
    program(
        place,
        format!("cni-agent/{}", node.name),
        spec,
        environment,
        extra,
    )
}

fn proxy(place: &Place, node: &Node, extra: &[(String, String)]) -> Plan {
    let root = text(&root_certificate(place));
    let environment = owned([
        ("NODE_NAME", node.name.clone()),
        ("POD_NAME", format!("ztunnel-{}", node.name)),
        ("POD_NAMESPACE", SYSTEM_NAMESPACE.to_owned()),
        ("SERVICE_ACCOUNT", "ztunnel".to_owned()),
        ("INSTANCE_IP", node.addresses.internal_v4().to_string()),
        ("INPOD_UDS", text(&node.hand_over_socket())),
        ("XDS_ADDRESS", CONTROLLER_ADDRESS.to_owned()),
        ("CA_ADDRESS", CONTROLLER_ADDRESS.to_owned()),
        ("XDS_ROOT_CA", root.clone()),
        ("CA_ROOT_CA", root.clone()),
        ("AUTH_TOKEN", text(&node_program_tokens(node))),
        ("CLUSTER_ID", CLUSTER_ID.to_owned()),
        ("CLUSTER_DOMAIN", CLUSTER_DOMAIN.to_owned()),
        ("NETWORK", String::new()),
        // The machine is shared by all nodes; a node's usual share of it would be too much.
        ("ZTUNNEL_WORKER_THREADS", "1".to_owned()),
        ("ISTIO_META_DNS_CAPTURE", "false".to_owned()),
    ]);
    let spec = spec("ztunnel", node.spec());
    let needs = Some(PathBuf::from(root));
    let plan = program(
        place,
        format!("ztunnel/{}", node.name),
        spec,
        environment,
        extra,
    );
    Plan { needs, ..plan }
}

fn program(
    place: &Place,
    name: String,
    spec: Spec,
    mut environment: Vec<(String, String)>,
    extra: &[(String, String)],
) -> Plan {
    environment.extend(extra.iter().cloned());
    let log = place.logs().join(format!("{}.log", name.replace('/', "_")));
    Plan {
        name,
        spec,
        environment,
        log,
        needs: None,
    }
}

fn spec(program: &str, place: Spec) -> Spec {
    Spec {
        command: ["/proc/self/exe", "run", program].map(str::to_owned).into(),
        name: Some("weft".to_owned()),
        ..place
    }
}

fn owned<const N: usize>(pairs: [(&str, String); N]) -> Vec<(String, String)> {
    pairs.map(|(name, value)| (name.to_owned(), value)).into()
}

fn text(path: &Path) -> String {
    path.display().to_string()
}
