//! Pure. A Gateway as something to deploy: the names of its parts, and of what marks them.
//! Source: docs/compat.md#waypoint-deployment.

use objects::gateway_api::Gateway;
use objects::gateway_api::gateway::ParametersRef;
use objects::kinds::{Key, Kind};

/// The class whose Gateways are waypoints, whether an object describes it or not.
pub(super) const CLASS: &str = "istio-waypoint";
/// Who says that a class, and what is deployed for it, is its own.
pub(super) const CONTROLLER: &str = "istio.io/mesh-controller";
/// Which Gateway a part belongs to.
pub(super) const GATEWAY_NAME: &str = "gateway.networking.k8s.io/gateway-name";
/// Of which class that is.
pub(super) const CLASS_NAME: &str = "gateway.networking.k8s.io/gateway-class-name";
/// Marks parts by who made them.
pub(super) const MANAGED: &str = "gateway.istio.io/managed";
/// The controller's name; a label's value has no slash.
pub(super) const MANAGED_BY: &str = "istio.io-mesh-controller";
/// Which generation of controllers made a part: one leaves alone what a later one made.
pub(super) const VERSION: &str = "gateway.istio.io/controller-version";
/// This generation.
pub(super) const OUR_VERSION: u32 = 5;
/// On a Gateway: another name for its parts.
const NAME_OVERRIDE: &str = "gateway.istio.io/name-override";
/// On a Gateway: another service account than the one that is made for it.
const ACCOUNT_OVERRIDE: &str = "gateway.istio.io/service-account";

/// A Gateway and the names of what is deployed for it.
#[derive(Clone, Copy)]
pub(super) struct Waypoint<'a> {
    pub(super) gateway: &'a Gateway,
    /// Of all parts but the service account.
    pub(super) name: &'a str,
    pub(super) account: &'a str,
}

impl<'a> Waypoint<'a> {
    pub(super) fn of(gateway: &'a Gateway) -> Self {
        let meta = &gateway.metadata;
        let name = meta.annotations.get(NAME_OVERRIDE).unwrap_or(&meta.name);
        let account = meta.annotations.get(ACCOUNT_OVERRIDE).unwrap_or(name);
        Self {
            gateway,
            name,
            account,
        }
    }

    pub(super) fn namespace(&self) -> &'a str {
        &self.gateway.metadata.namespace
    }

    pub(super) fn key(&self, kind: Kind) -> Key {
        Key::new(kind, self.namespace(), self.name)
    }

    /// Whether the service account is made for it, and not somebody else's.
    pub(super) fn has_own_account(&self) -> bool {
        let annotations = &self.gateway.metadata.annotations;
        annotations.get(ACCOUNT_OVERRIDE).is_none()
    }

    /// The name under which its service is reached.
    pub(super) fn host(&self, domain: &str) -> String {
        format!("{}.{}.svc.{domain}", self.name, self.namespace())
    }
}

/// Where a Gateway says more about its deployment.
pub(super) fn parameters(gateway: &Gateway) -> impl Iterator<Item = &ParametersRef> {
    let infrastructure = gateway.spec.infrastructure.as_ref();
    infrastructure
        .and_then(|it| it.parameters_ref.as_ref())
        .into_iter()
}
