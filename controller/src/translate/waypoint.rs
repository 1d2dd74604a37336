//! Pure. Which waypoint stands in front of an object: what its labels ask for, against what the gateway allows.
//! Source: docs/compat.md#waypoint-selection.
//!
//! The address is known before the waypoint is: `<gateway>.<namespace>.svc.<domain>`, port 15008. It is published
//! from the moment the label exists, so that no proxy ever takes the way around.

pub mod required;
pub mod bind;
pub mod canary;
pub mod refusal;
pub mod settings;
pub mod gateway;

use mesh::names::NamespacedName;
use objects::labels::Labels;
use objects::meta::Metadata;

/// Port of a waypoint's tunnels.
pub const HBONE_PORT: u16 = 15008;
/// Names the waypoint; `none` opts out.
pub const USE_WAYPOINT: &str = "istio.io/use-waypoint";
/// Namespace of the waypoint, when it is another than the object's.
pub const USE_WAYPOINT_NAMESPACE: &str = "istio.io/use-waypoint-namespace";
/// Names a second waypoint, for a share of the traffic.
pub const CANARY: &str = "istio.io/use-waypoint-canary";
/// Its namespace, when it is another than the object's.
pub const CANARY_NAMESPACE: &str = "istio.io/use-waypoint-canary-namespace";
/// The share of the second waypoint, in percent.
pub const CANARY_WEIGHT: &str = "istio.io/use-waypoint-canary-weight";
/// `open` lets traffic pass while there is no waypoint.
pub const FAILURE_MODE: &str = "weft.dev/waypoint-failure-mode";
/// Who deployed an object that is part of a waypoint.
const MANAGED: &str = "gateway.istio.io/managed";
const MANAGED_WAYPOINT: &[&str] = &["istio.io-mesh-controller", "istio.io-eastwest-controller"];

/// What decides, of an object and of its namespace.
#[derive(Clone, Copy, Debug)]
pub struct Wish<'a> {
    /// Labels of the object.
    pub labels: &'a Labels,
    /// Annotations of the object.
    pub annotations: &'a Labels,
    /// Its namespace; `None` when that is not known (yet).
    pub namespace: Option<&'a Metadata>,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked<'a> {
    /// The waypoint.
    pub gateway: NamespacedName,
    /// A second one.
    pub canary: Option<NamespacedName>,
    /// The share of the second one, as written.
    pub weight: Option<&'a str>,
    /// Whether the object says so itself, and not its namespace.
    pub is_own: bool,
}

impl<'a> Wish<'a> {
    /// What an object in `namespace` asks for. Its own label stands against its namespace's entirely.
    pub fn asked(&self, namespace: &str) -> Option<Asked<'a>> {
        let is_own = self.labels.has(USE_WAYPOINT);
        let (labels, annotations) = match (is_own, self.namespace) {
            (true, _) => (self.labels, self.annotations),
            (false, Some(metadata)) => (&metadata.labels, &metadata.annotations),
            (false, None) => return None,
        };
        let name = |label: &str, elsewhere: &str| {
            let gateway = labels
                .get(label)
                .filter(|it| !it.is_empty() && *it != "none")?;
            let namespace = labels.get(elsewhere).unwrap_or(namespace);
            Some(NamespacedName::new(namespace, gateway))
        };
        Some(Asked {
            gateway: name(USE_WAYPOINT, USE_WAYPOINT_NAMESPACE)?,
            canary: name(CANARY, CANARY_NAMESPACE),
            weight: annotations.get(CANARY_WEIGHT),
            is_own,
        })
    }

    /// Whether traffic passes while there is no waypoint.
    pub fn fails_open(&self) -> bool {
        let mode = self.labels.get(FAILURE_MODE);
        mode.or_else(|| self.namespace?.labels.get(FAILURE_MODE)) == Some("open")
    }
}

/// Whether an object was deployed as part of a waypoint: such a one never has a waypoint itself.
pub fn is_managed(labels: &Labels) -> bool {
    let by = labels.get(MANAGED);
    by.is_some_and(|by| MANAGED_WAYPOINT.contains(&by))
}

/// What of a namespace the waypoints of its objects depend on, beside whether a gateway admits it.
pub fn inherited(namespace: Option<&Metadata>) -> [Option<&str>; 6] {
    let label = |key| namespace?.labels.get(key);
    [
        label(USE_WAYPOINT),
        label(USE_WAYPOINT_NAMESPACE),
        label(CANARY),
        label(CANARY_NAMESPACE),
        label(FAILURE_MODE),
        namespace.and_then(|it| it.annotations.get(CANARY_WEIGHT)),
    ]
}
