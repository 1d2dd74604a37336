//! Pure. What a pod's specification asks of the kubelet, beyond what `objects` reads; and what is refused.

use crate::mesh_names::WAYPOINT_IMAGE;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use objects::kubernetes::{Container, Pod};
use objects::object::Object;
use serde::Deserialize;
use serde_json::Value;

/// The image of an application that is built in, without tag.
pub(crate) const ECHO_IMAGE: &str = "weft.dev/echo";
/// Kubernetes' default grace for a pod that is deleted.
const GRACE: Duration = Duration::from_secs(30);
/// As long as the node agent takes them.
const LONGEST_UID: usize = 128;
/// A DNS label.
const LONGEST_NAME: usize = 63;

/// Why a container cannot run here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error(
        "container {container}: image {image} cannot be pulled in a sandbox; give the container a `command` \
         (it runs from this machine's files) or use the built-in image {ECHO_IMAGE}"
    )]
    Image { container: String, image: String },
    #[error("the field {field} cannot be read: {reason}")]
    Field { field: String, reason: String },
}

/// The part of a pod's specification that only a kubelet reads.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct PodWish {
    pub(crate) hostname: Option<String>,
    pub(crate) termination_grace_period_seconds: Option<u64>,
    pub(crate) security_context: SecurityContext,
    pub(crate) volumes: Vec<Volume>,
    pub(crate) containers: Vec<ContainerWish>,
    pub(crate) init_containers: Vec<ContainerWish>,
}

/// The same of a container.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct ContainerWish {
    pub(crate) name: String,
    pub(crate) working_dir: Option<PathBuf>,
    pub(crate) security_context: SecurityContext,
    pub(crate) env: Vec<Variable>,
    pub(crate) env_from: Vec<Value>,
    pub(crate) volume_mounts: Vec<VolumeMount>,
}

/// As whom a program runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct SecurityContext {
    pub(crate) run_as_user: Option<u32>,
    pub(crate) run_as_group: Option<u32>,
    pub(crate) privileged: Option<bool>,
}

/// An environment variable.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Variable {
    pub(crate) name: String,
    pub(crate) value: String,
    pub(crate) value_from: Option<ValueFrom>,
}

/// Where a variable's value comes from; only fields of the pod itself.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct ValueFrom {
    pub(crate) field_ref: Option<FieldRef>,
}

/// A field of the pod.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct FieldRef {
    pub(crate) field_path: String,
}

/// Where a volume appears.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct VolumeMount {
    pub(crate) name: String,
    pub(crate) mount_path: PathBuf,
    pub(crate) sub_path: Option<PathBuf>,
}

/// A volume: exactly one of its sources is there.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Volume {
    pub(crate) name: String,
    pub(crate) empty_dir: Option<Value>,
    pub(crate) host_path: Option<HostPath>,
    pub(crate) config_map: Option<ConfigMapSource>,
    pub(crate) secret: Option<SecretSource>,
    pub(crate) projected: Option<Projected>,
}

/// A folder of the machine.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct HostPath {
    pub(crate) path: PathBuf,
}

/// The entries of a ConfigMap as files.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct ConfigMapSource {
    pub(crate) name: String,
    pub(crate) optional: bool,
}

/// The entries of a Secret as files.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct SecretSource {
    pub(crate) secret_name: String,
    pub(crate) optional: bool,
}

/// Several sources in one folder.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Projected {
    pub(crate) sources: Vec<Projection>,
}

/// One of them.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Projection {
    pub(crate) service_account_token: Option<TokenSource>,
    pub(crate) config_map: Option<ConfigMapSource>,
}

/// A token for an audience.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct TokenSource {
    pub(crate) audience: Option<String>,
    pub(crate) expiration_seconds: Option<u64>,
    pub(crate) path: PathBuf,
}

/// Reads the wish from a pod's raw document. What becomes part of a path is looked at here, before there is a path.
pub(crate) fn read(object: &Object) -> Result<PodWish, Refusal> {
    let raw = object.raw();
    let spec = raw
        .get("spec")
        .cloned()
        .unwrap_or_else(|| Value::Object(serde_json::Map::new()));
    let wish = PodWish::deserialize(spec).map_err(|error| refusal("spec", &error.to_string()))?;
    if !is_plain(&object.metadata().uid, LONGEST_UID) {
        return Err(refusal("metadata.uid", "letters, digits and '-' only"));
    }
    for container in wish.containers.iter().chain(&wish.init_containers) {
        container.check()?;
    }
    Ok(wish)
}

fn refusal(field: &str, reason: &str) -> Refusal {
    let (field, reason) = (field.to_owned(), reason.to_owned());
    Refusal::Field { field, reason }
}

fn is_plain(text: &str, longest: usize) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    (1..=longest).contains(&text.len()) && text.bytes().all(plain)
}

impl ContainerWish {
    /// What would name a file elsewhere, or be silently left out.
    fn check(&self) -> Result<(), Refusal> {
        let name = &self.name;
        if !is_plain(name, LONGEST_NAME) {
            let reason = format!("{name:?} is no name: letters, digits and '-' only");
            return Err(refusal("spec.containers.name", &reason));
        }
        let of_this = |what: &str| format!("spec.containers[{name}].{what}");
        if !self.env_from.is_empty() {
            return Err(refusal(&of_this("envFrom"), "not known in a sandbox"));
        }
        let unknown = self.env.iter().find(|one| {
            let from = one.value_from.as_ref();
            from.is_some_and(|from| from.field_ref.is_none())
        });
        match unknown {
            None => Ok(()),
            Some(one) => Err(refusal(
                &of_this(&format!("env[{}].valueFrom", one.name)),
                "only fieldRef is known in a sandbox",
            )),
        }
    }
}

impl PodWish {
    /// How long programs may take to end.
    pub(crate) fn grace(&self) -> Duration {
        self.termination_grace_period_seconds
            .map_or(GRACE, Duration::from_secs)
    }

    /// The wish of one container.
    pub(crate) fn container(&self, name: &str) -> ContainerWish {
        let mut all = self.containers.iter().chain(&self.init_containers);
        all.find(|one| one.name == name)
            .cloned()
            .unwrap_or_default()
    }
}

/// What a container runs: its own command, or the built-in image's.
pub(crate) fn command(container: &Container) -> Result<Vec<String>, Refusal> {
    let mut command = container.command.clone();
    if command.is_empty() {
        let image = container.image.split(['@']).next().unwrap_or_default();
        let untagged = image.rsplit_once(':').map_or(image, |(name, _)| name);
        let program = match untagged {
            ECHO_IMAGE => "echo",
            WAYPOINT_IMAGE => "waypoint",
            _ => {
                let (container, image) = (container.name.clone(), container.image.clone());
                return Err(Refusal::Image { container, image });
            }
        };
        command = ["/proc/self/exe", "run", program].map(str::to_owned).into();
    }
    command.extend(container.args.iter().cloned());
    Ok(command)
}

/// The environment of a container: the pod's own facts, then what it asks for (which wins).
pub(crate) fn environment(pod: &Pod, wish: &ContainerWish) -> Vec<(String, String)> {
    let mut environment = BTreeMap::new();
    for (name, field) in [
        ("POD_NAME", "metadata.name"),
        ("POD_NAMESPACE", "metadata.namespace"),
        ("POD_IP", "status.podIP"),
        ("NODE_NAME", "spec.nodeName"),
        ("HOSTNAME", "metadata.name"),
    ] {
        environment.insert(name.to_owned(), field_of(pod, field));
    }
    environment.insert("HOME".to_owned(), "/".to_owned());
    let mut own = Vec::new();
    for variable in &wish.env {
        let field = variable
            .value_from
            .as_ref()
            .and_then(|from| from.field_ref.as_ref());
        let value = field.map_or_else(
            || variable.value.clone(),
            |field| field_of(pod, &field.field_path),
        );
        environment.remove(&variable.name);
        own.push((variable.name.clone(), value));
    }
    environment.into_iter().chain(own).collect()
}

/// The downward API; an unknown field is empty.
fn field_of(pod: &Pod, path: &str) -> String {
    let quoted = |prefix: &str| {
        let rest = path.strip_prefix(prefix)?.strip_prefix("['")?;
        rest.strip_suffix("']").map(str::to_owned)
    };
    let text = match path {
        "metadata.name" => pod.metadata.name.clone(),
        "metadata.namespace" => pod.metadata.namespace.clone(),
        "metadata.uid" => pod.metadata.uid.clone(),
        "spec.nodeName" => pod.spec.node_name.clone(),
        "spec.serviceAccountName" => pod.spec.service_account().to_owned(),
        "status.podIP" => pod
            .addresses()
            .first()
            .map(ToString::to_string)
            .unwrap_or_default(),
        "status.podIPs" => {
            let all: Vec<String> = pod.addresses().iter().map(ToString::to_string).collect();
            all.join(",")
        }
        _ => String::new(),
    };
    if let Some(label) = quoted("metadata.labels") {
        return pod
            .metadata
            .labels
            .get(&label)
            .unwrap_or_default()
            .to_owned();
    }
    if let Some(annotation) = quoted("metadata.annotations") {
        return pod
            .metadata
            .annotations
            .get(&annotation)
            .unwrap_or_default()
            .to_owned();
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn container(image: &str, command: &[&str]) -> Container {
        let command = command.iter().map(|&part| part.to_owned()).collect();
        Container {
            name: "c".to_owned(),
            image: image.to_owned(),
            command,
            ..Container::default()
        }
    }

    /// What is wrong with a pod of this uid and container.
    fn refused(uid: &str, container: Value) -> Option<String> {
        let mut view = crate::cluster::View::default();
        view.see(
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "uid": uid},
            "spec": {"containers": [container]}}),
        );
        let object = view.of(objects::kinds::Kind::Pod).next().unwrap().clone();
        read(&object).err().map(|refusal| refusal.to_string())
    }

    #[test]
    fn nothing_that_leads_elsewhere_becomes_part_of_a_path() {
        let good = json!({"name": "main"});
        assert_eq!(refused("", good.clone()), None, "one is derived");
        assert_eq!(refused("0a-B", good.clone()), None);
        for uid in ["/home/somebody", "../..", "a/b", "a b", &"a".repeat(129)] {
            let why = refused(uid, good.clone()).unwrap();
            assert!(why.contains("metadata.uid"), "{uid}: {why}");
        }
        for name in ["", "../x", "/x", "a_b"] {
            let why = refused("u", json!({"name": name})).unwrap();
            assert!(why.contains("spec.containers.name"), "{name}: {why}");
        }
    }

    #[test]
    fn variables_that_a_sandbox_cannot_give_are_refused_by_name() {
        let field = json!({"fieldRef": {"fieldPath": "metadata.name"}});
        let secret = json!({"secretKeyRef": {"name": "s", "key": "k"}});
        let env = |from| json!({"name": "main", "env": [{"name": "V", "valueFrom": from}]});
        assert_eq!(refused("u", env(field)), None);
        let why = refused("u", env(secret)).unwrap();
        assert!(
            why.contains("spec.containers[main].env[V].valueFrom"),
            "{why}"
        );
        let all = json!({"name": "main", "envFrom": [{"secretRef": {"name": "s"}}]});
        let why = refused("u", all).unwrap();
        assert!(why.contains("spec.containers[main].envFrom"), "{why}");
    }

    #[test]
    fn only_built_in_images_run_without_a_command() {
        for image in [
            "weft.dev/echo",
            "weft.dev/echo:v1",
            "weft.dev/echo@sha256:00",
            WAYPOINT_IMAGE,
        ] {
            assert!(command(&container(image, &[])).is_ok(), "{image}");
        }
        for image in ["nginx", "registry:5000/weft.dev/echo", "weft.dev/echoes"] {
            let refusal = command(&container(image, &[])).unwrap_err();
            assert!(refusal.to_string().contains(image), "{refusal}");
        }
        assert_eq!(
            command(&container("nginx", &["nginx", "-g"])).unwrap(),
            ["nginx", "-g"]
        );
    }

    #[test]
    fn a_pods_own_variables_win() {
        let mut pod = Pod::default();
        pod.metadata.name = "p".to_owned();
        let field_ref = Some(FieldRef {
            field_path: "metadata.name".to_owned(),
        });
        let from = Variable {
            name: "ME".to_owned(),
            value_from: Some(ValueFrom { field_ref }),
            ..Variable::default()
        };
        let own = Variable {
            name: "POD_NAME".to_owned(),
            value: "mine".to_owned(),
            value_from: None,
        };
        let wish = ContainerWish {
            env: vec![from, own],
            ..ContainerWish::default()
        };
        let environment = environment(&pod, &wish);
        assert!(environment.contains(&("ME".to_owned(), "p".to_owned())));
        assert!(environment.contains(&("POD_NAME".to_owned(), "mine".to_owned())));
        assert_eq!(
            environment
                .iter()
                .filter(|(name, _)| name == "POD_NAME")
                .count(),
            1
        );
    }
}
