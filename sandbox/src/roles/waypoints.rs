//! Pure. The waypoints that Gateways ask for: the objects that deploy one, and what its Gateway's status says.
//!
//! Names, labels and ports are those of the public contract (docs/compat.md#waypoint-selection), so that whoever looks
//! for the parts of a waypoint finds them as in a cluster with a real deployer.

mod parts;
mod status;

use objects::gateway_api::Gateway;
use objects::kinds::{Key, Kind};
use objects::kubernetes::Pod;
use objects::object::{Object, Typed};

use crate::cluster::{View, Wanted, Words};

/// The class whose Gateways are deployed here.
pub(crate) const CLASS: &str = "istio-waypoint";
/// Who says that a class, and what is deployed for it, is its own.
pub(crate) const CONTROLLER: &str = "istio.io/mesh-controller";
/// Marks what was deployed for a Gateway. A label's value has no slash.
const MANAGED: (&str, &str) = ("gateway.istio.io/managed", "istio.io-mesh-controller");
/// On a Gateway: another name for what is deployed for it.
const NAME_OVERRIDE: &str = "gateway.istio.io/name-override";
/// On a Gateway: another service account than the one that is made for it.
const ACCOUNT_OVERRIDE: &str = "gateway.istio.io/service-account";

/// Name of the container in a waypoint's pod.
pub(crate) const CONTAINER: &str = "istio-proxy";
/// Which Gateway a pod, a service, a deployment belongs to.
const GATEWAY_NAME: &str = "gateway.networking.k8s.io/gateway-name";

/// What every waypoint of this cluster is told.
#[derive(Debug, Clone)]
pub(crate) struct Deployer {
    /// The authority's public root, PEM.
    pub(crate) root: String,
    /// Environment on top of what the sandbox sets.
    pub(crate) environment: Vec<(String, String)>,
}

impl Deployer {
    /// Everything that should exist because of a Gateway, and what the Gateways' status says.
    pub(crate) fn plan(&self, view: &View, before: &Wanted) -> Wanted {
        let mut wanted = Wanted::new();
        for object in view.of(Kind::Gateway) {
            let Typed::Gateway(gateway) = object.typed() else {
                continue;
            };
            if gateway.spec.gateway_class_name != CLASS {
                continue;
            }
            let raw = object.raw();
            let waypoint = Waypoint::of(gateway);
            let documents = self.documents(&waypoint, &raw);
            let strangers: Vec<Key> = documents
                .iter()
                .filter(|(key, _)| is_of_somebody_else(view, before, key))
                .map(|(key, _)| key.clone())
                .collect();
            let fields = status::fields(view, &waypoint, &strangers);
            if strangers.is_empty() {
                let documents = documents.into_iter();
                wanted.extend(documents.map(|(key, it)| (key, Words::Apply(it))));
            }
            let uid = gateway.metadata.uid.clone();
            wanted.insert(object.key().clone(), Words::Patch { uid, fields });
        }
        wanted
    }
}

/// Whether this object is a Gateway that is deployed here and has no waypoint yet. Without a mesh nobody has the class.
pub(crate) fn is_awaited(view: &View, object: &Object) -> bool {
    let Typed::Gateway(gateway) = object.typed() else {
        return false;
    };
    let is_ours = gateway.spec.gateway_class_name == CLASS
        && view.get(&Key::new(Kind::GatewayClass, "", CLASS)).is_some();
    is_ours && gateway.status.addresses.is_empty()
}

/// Every Gateway that is deployed here: its address, and the pods that are its waypoint now.
pub(crate) fn deployed(view: &View) -> impl Iterator<Item = (&Gateway, Vec<&Pod>)> {
    view.of(Kind::Gateway).filter_map(|object| {
        let Typed::Gateway(gateway) = object.typed() else {
            return None;
        };
        let is_ours = gateway.spec.gateway_class_name == CLASS;
        is_ours.then(|| (gateway, status::pods(view, &Waypoint::of(gateway))))
    })
}

/// A Gateway and the names of what is deployed for it.
struct Waypoint<'a> {
    gateway: &'a Gateway,
    /// Of Deployment and Service.
    name: &'a str,
    account: &'a str,
}

impl<'a> Waypoint<'a> {
    fn of(gateway: &'a Gateway) -> Self {
        let meta = &gateway.metadata;
        let name = meta.annotations.get(NAME_OVERRIDE).unwrap_or(&meta.name);
        let account = meta.annotations.get(ACCOUNT_OVERRIDE).unwrap_or(name);
        Self {
            gateway,
            name,
            account,
        }
    }

    fn namespace(&self) -> &'a str {
        &self.gateway.metadata.namespace
    }

    fn key(&self, kind: Kind) -> Key {
        Key::new(kind, self.namespace(), self.name)
    }

    /// Whether the service account is one that somebody else made.
    fn has_own_account(&self) -> bool {
        let annotations = &self.gateway.metadata.annotations;
        annotations.get(ACCOUNT_OVERRIDE).is_none()
    }
}

/// Whether an object of this name is there that was not deployed for a Gateway: it is left alone.
fn is_of_somebody_else(view: &View, before: &Wanted, key: &Key) -> bool {
    // Every waypoint of a namespace wants the root, and who else writes it writes the same.
    if key.kind == Kind::ConfigMap || before.contains_key(key) {
        return false;
    }
    let labels = view.get(key).map(|object| &object.metadata().labels);
    labels.is_some_and(|labels| !labels.is(MANAGED.0, MANAGED.1))
}

#[cfg(test)]
mod tests;
