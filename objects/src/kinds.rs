//! Pure. The list of kinds Weft reads, and how each is spelled; adding a kind starts with a row here.

use std::fmt;

/// What is known of a kind before any object of it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KindFacts {
    /// The kind these facts are about.
    pub kind: Kind,
    /// API group; empty for the legacy group.
    pub group: &'static str,
    /// Versions accepted in `apiVersion`, preferred one first.
    pub versions: &'static [&'static str],
    /// The word in the `kind` field.
    pub word: &'static str,
    /// Plural in lower case, as in URLs of the API server.
    pub plural: &'static str,
    /// Whether objects of it live in a namespace.
    pub namespaced: bool,
    /// Whether fields that Weft does not read are worth telling the user. False for Kubernetes' own
    /// kinds, most of whose fields are none of a mesh's business; the list itself stays exact.
    pub report_unread: bool,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident {
        $group:literal, $versions:expr, $plural:literal, namespaced: $namespaced:literal,
        report_unread: $report:literal
    })*) => {
        /// A kind of object that Weft reads.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind { $($(#[$doc])* $kind,)* }

        impl Kind {
            /// Every kind, in the order of the table.
            pub const ALL: &'static [Kind] = &[$(Kind::$kind,)*];

            /// What is known of this kind.
            #[must_use]
            pub const fn facts(self) -> &'static KindFacts {
                match self {
                    $(Kind::$kind => &KindFacts {
                        kind: Kind::$kind,
                        group: $group,
                        versions: &$versions,
                        word: stringify!($kind),
                        plural: $plural,
                        namespaced: $namespaced,
                        report_unread: $report,
                    },)*
                }
            }
        }
    };
}

kinds! {
    /// A namespace.
    Namespace { "", ["v1"], "namespaces", namespaced: false, report_unread: false }
    /// A machine.
    Node { "", ["v1"], "nodes", namespaced: false, report_unread: false }
    /// A pod.
    Pod { "", ["v1"], "pods", namespaced: true, report_unread: false }
    /// A service.
    Service { "", ["v1"], "services", namespaced: true, report_unread: false }
    /// Some of the endpoints of a service.
    EndpointSlice { "discovery.k8s.io", ["v1"], "endpointslices", namespaced: true, report_unread: false }
    /// Plain configuration data.
    ConfigMap { "", ["v1"], "configmaps", namespaced: true, report_unread: false }
    /// Data that is never printed.
    Secret { "", ["v1"], "secrets", namespaced: true, report_unread: false }
    /// What a pod runs as.
    ServiceAccount { "", ["v1"], "serviceaccounts", namespaced: true, report_unread: false }
    /// Interchangeable pods.
    Deployment { "apps", ["v1"], "deployments", namespaced: true, report_unread: false }
    /// Pods with stable names.
    StatefulSet { "apps", ["v1"], "statefulsets", namespaced: true, report_unread: false }
    /// A pod on every node.
    DaemonSet { "apps", ["v1"], "daemonsets", namespaced: true, report_unread: false }
    /// What a Deployment makes its pods by.
    ReplicaSet { "apps", ["v1"], "replicasets", namespaced: true, report_unread: false }
    /// How many pods a Deployment has, by load.
    HorizontalPodAutoscaler { "autoscaling", ["v2"], "horizontalpodautoscalers", namespaced: true, report_unread: false }
    /// How many pods may be gone at once, by somebody's wish.
    PodDisruptionBudget { "policy", ["v1"], "poddisruptionbudgets", namespaced: true, report_unread: false }
    /// Jobs by the clock.
    CronJob { "batch", ["v1"], "cronjobs", namespaced: true, report_unread: false }
    /// Pods that run to an end.
    Job { "batch", ["v1"], "jobs", namespaced: true, report_unread: false }
    /// Who may connect to what.
    AuthorizationPolicy { "security.istio.io", ["v1", "v1beta1"], "authorizationpolicies", namespaced: true, report_unread: true }
    /// Which tokens of requests count.
    RequestAuthentication { "security.istio.io", ["v1", "v1beta1"], "requestauthentications", namespaced: true, report_unread: true }
    /// Whether workloads take plain text.
    PeerAuthentication { "security.istio.io", ["v1", "v1beta1"], "peerauthentications", namespaced: true, report_unread: true }
    /// How often requests may come.
    RateLimitPolicy { "policy.weft.dev", ["v1alpha1"], "ratelimitpolicies", namespaced: true, report_unread: true }
    /// A service that Kubernetes does not know.
    ServiceEntry { "networking.istio.io", ["v1", "v1beta1", "v1alpha3"], "serviceentries", namespaced: true, report_unread: true }
    /// A machine that is no pod.
    WorkloadEntry { "networking.istio.io", ["v1", "v1beta1", "v1alpha3"], "workloadentries", namespaced: true, report_unread: true }
    /// Where requests to hosts go.
    VirtualService { "networking.istio.io", ["v1", "v1beta1", "v1alpha3"], "virtualservices", namespaced: true, report_unread: true }
    /// How requests to a service are spread, held back and secured.
    DestinationRule { "networking.istio.io", ["v1", "v1beta1", "v1alpha3"], "destinationrules", namespaced: true, report_unread: true }
    /// What is logged, counted and traced.
    Telemetry { "telemetry.istio.io", ["v1", "v1alpha1"], "telemetries", namespaced: true, report_unread: true }
    /// A door into a mesh, or a waypoint in it.
    Gateway { "gateway.networking.k8s.io", ["v1", "v1beta1"], "gateways", namespaced: true, report_unread: false }
    /// A class of gateways.
    GatewayClass { "gateway.networking.k8s.io", ["v1", "v1beta1"], "gatewayclasses", namespaced: false, report_unread: false }
    /// Where HTTP requests go.
    HTTPRoute { "gateway.networking.k8s.io", ["v1", "v1beta1"], "httproutes", namespaced: true, report_unread: true }
    /// Where gRPC calls go.
    GRPCRoute { "gateway.networking.k8s.io", ["v1", "v1alpha2"], "grpcroutes", namespaced: true, report_unread: true }
    /// Where TLS connections go.
    TLSRoute { "gateway.networking.k8s.io", ["v1", "v1alpha3", "v1alpha2"], "tlsroutes", namespaced: true, report_unread: true }
    /// Where TCP connections go.
    TCPRoute { "gateway.networking.k8s.io", ["v1", "v1alpha2"], "tcproutes", namespaced: true, report_unread: true }
    /// Which references into a namespace are allowed.
    ReferenceGrant { "gateway.networking.k8s.io", ["v1", "v1beta1", "v1alpha2"], "referencegrants", namespaced: true, report_unread: true }
    /// TLS to an application that speaks it itself.
    BackendTLSPolicy { "gateway.networking.k8s.io", ["v1", "v1alpha3"], "backendtlspolicies", namespaced: true, report_unread: true }
}

/// What `apiVersion` and `kind` of a document say about Weft's interest in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recognised {
    /// One of ours in a version we read.
    Known(Kind),
    /// The kind is ours, the version is not.
    OtherVersion(Kind),
    /// Not ours.
    Unknown,
}

impl Kind {
    /// Which kind a document's `apiVersion` and `kind` name.
    #[must_use]
    pub fn recognise(api_version: &str, word: &str) -> Recognised {
        let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
        let mut facts = Kind::ALL.iter().map(|kind| kind.facts());
        match facts.find(|facts| facts.word == word && facts.group == group) {
            Some(facts) if facts.versions.contains(&version) => Recognised::Known(facts.kind),
            Some(facts) => Recognised::OtherVersion(facts.kind),
            None => Recognised::Unknown,
        }
    }

    /// The `apiVersion` Weft writes for this kind.
    #[must_use]
    pub fn api_version(self) -> String {
        let facts = self.facts();
        let version = facts.versions.first().copied().unwrap_or("v1");
        if facts.group.is_empty() {
            version.to_owned()
        } else {
            format!("{}/{version}", facts.group)
        }
    }

    /// `plural` or `plural.group`: the unambiguous name that kubectl takes too.
    #[must_use]
    pub fn resource(self) -> String {
        let facts = self.facts();
        if facts.group.is_empty() {
            facts.plural.to_owned()
        } else {
            format!("{}.{}", facts.plural, facts.group)
        }
    }

    /// The kind whose [`Kind::resource`] this is.
    #[must_use]
    pub fn from_resource(resource: &str) -> Option<Kind> {
        Kind::ALL
            .iter()
            .copied()
            .find(|kind| kind.resource() == resource)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.facts().word)
    }
}

/// Names one object of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace; empty exactly for kinds without one.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl Key {
    /// A key; the namespace is dropped for kinds without one and `default` when it is empty for the others.
    #[must_use]
    pub fn new(kind: Kind, namespace: &str, name: &str) -> Key {
        let namespace = match (kind.facts().namespaced, namespace) {
            (false, _) => "",
            (true, "") => "default",
            (true, given) => given,
        };
        Key {
            kind,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            write!(f, "{} {}", self.kind, self.name)
        } else {
            write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Key, Kind, Recognised};

    #[test]
    fn every_kind_is_recognised_by_its_own_spelling() {
        for kind in Kind::ALL {
            let facts = kind.facts();
            assert_eq!(
                Kind::recognise(&kind.api_version(), facts.word),
                Recognised::Known(*kind)
            );
            assert_eq!(Kind::from_resource(&kind.resource()), Some(*kind));
        }
    }

    #[test]
    fn a_foreign_group_or_version_is_not_ours() {
        assert_eq!(
            Kind::recognise("serving.knative.dev/v1", "Service"),
            Recognised::Unknown
        );
        assert_eq!(
            Kind::recognise("apps/v1beta1", "Deployment"),
            Recognised::OtherVersion(Kind::Deployment)
        );
        assert_eq!(Kind::recognise("", ""), Recognised::Unknown);
    }

    #[test]
    fn the_namespace_of_a_key_follows_its_kind() {
        assert_eq!(Key::new(Kind::Pod, "", "a").to_string(), "Pod default/a");
        assert_eq!(Key::new(Kind::Node, "x", "a").to_string(), "Node a");
    }
}
