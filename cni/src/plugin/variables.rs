//! Pure. What the runtime's variables say of the pod, each held against the CNI specification.

use super::reply::Failure;
use crate::config::Call;

/// A pod and its namespace, as a call for one pod names them.
#[derive(Debug)]
pub(super) struct Attachment {
    /// The path of the network namespace.
    pub(super) netns: String,
    /// The pod's namespace, as Kubernetes means it.
    pub(super) namespace: String,
    /// The pod's name.
    pub(super) name: String,
    /// The pod's uid, where the runtime says it.
    pub(super) uid: Option<String>,
}

impl Attachment {
    /// Reads the variables of ADD and CHECK; the failure names every one that is missing or wrong.
    pub(super) fn of(call: &Call) -> Result<Self, Failure> {
        let mut wrong = Vec::new();
        if !is_container(&call.container) {
            wrong.push("CNI_CONTAINERID");
        }
        if call.netns.is_empty() {
            wrong.push("CNI_NETNS");
        }
        if !is_interface(&call.interface) {
            wrong.push("CNI_IFNAME");
        }
        if !wrong.is_empty() {
            let command = &call.command;
            let message = format!("missing or invalid for {command}: {}", wrong.join(", "));
            return Err(Failure::environment(&message));
        }
        let (Some(namespace), Some(name)) = (
            argument(&call.arguments, "K8S_POD_NAMESPACE"),
            argument(&call.arguments, "K8S_POD_NAME"),
        ) else {
            return Err(Failure::environment(
                "CNI_ARGS must name K8S_POD_NAMESPACE and K8S_POD_NAME",
            ));
        };
        Ok(Attachment {
            netns: call.netns.clone(),
            namespace,
            name,
            uid: argument(&call.arguments, "K8S_POD_UID"),
        })
    }
}

/// One value of `KEY=value` pairs with semicolons between them.
fn argument(arguments: &str, key: &str) -> Option<String> {
    let mut pairs = arguments.split(';').filter_map(|pair| pair.split_once('='));
    let found = pairs.find(|(name, value)| *name == key && !value.is_empty());
    found.map(|(_, value)| value.to_owned())
}

/// Letters, digits and `_`, `.`, `-`; one of the first two at the start.
fn is_container(id: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    id.bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_alphanumeric())
        && id.bytes().all(is_inner)
}

/// A name that Linux takes for an interface.
fn is_interface(name: &str) -> bool {
    let is_plain = |letter: char| !letter.is_whitespace() && letter != '/' && letter != ':';
    !name.is_empty() && name.len() < 16 && name != "." && name != ".." && name.chars().all(is_plain)
}
