//! Pure. The typed form of every kind; adding a kind ends with a row here.

use serde::{Deserialize, Deserializer};

use super::Object;
use crate::istio::Refused;
use crate::kinds::Kind;
use crate::meta::Metadata;
use crate::{gateway_api, istio, kubernetes, weft};

macro_rules! typed {
    ($($kind:ident, $accessor:ident, $shape:ty;)*) => {
        /// What Weft reads of an object.
        #[derive(Debug, Clone, PartialEq, Eq)]
        #[expect(missing_docs, reason = "the variants are the kinds, documented at Kind")]
        pub enum Typed { $($kind($shape),)* }

        impl Typed {
            /// Reads a document of this kind.
            pub(super) fn read<'de, D: Deserializer<'de>>(kind: Kind, reader: D) -> Result<Typed, D::Error> {
                match kind { $(Kind::$kind => <$shape>::deserialize(reader).map(Typed::$kind),)* }
            }

            /// Its metadata.
            #[must_use]
            pub fn metadata(&self) -> &Metadata {
                match self { $(Typed::$kind(shape) => &shape.metadata,)* }
            }

            pub(super) fn metadata_mut(&mut self) -> &mut Metadata {
                match self { $(Typed::$kind(shape) => &mut shape.metadata,)* }
            }
        }

        impl Object {
            $(
                #[doc = concat!("The object as a ", stringify!($kind), ", if it is one.")]
                #[must_use]
                pub fn $accessor(&self) -> Option<&$shape> {
                    match self.typed() { Typed::$kind(shape) => Some(shape), _ => None }
                }
            )*
        }
    };
}

typed! {
    Namespace, namespace, kubernetes::Namespace;
    Node, node, kubernetes::Node;
    Pod, pod, kubernetes::Pod;
    Service, service, kubernetes::Service;
    EndpointSlice, endpoint_slice, kubernetes::EndpointSlice;
    ConfigMap, config_map, kubernetes::ConfigMap;
    Secret, secret, kubernetes::Secret;
    ServiceAccount, service_account, kubernetes::ServiceAccount;
    Deployment, deployment, kubernetes::Deployment;
    StatefulSet, stateful_set, kubernetes::StatefulSet;
    DaemonSet, daemon_set, kubernetes::DaemonSet;
    ReplicaSet, replica_set, kubernetes::ReplicaSet;
    HorizontalPodAutoscaler, horizontal_pod_autoscaler, kubernetes::HorizontalPodAutoscaler;
    PodDisruptionBudget, pod_disruption_budget, kubernetes::PodDisruptionBudget;
    CronJob, cron_job, kubernetes::CronJob;
    Job, job, kubernetes::Job;
    AuthorizationPolicy, authorization_policy, istio::AuthorizationPolicy;
    RequestAuthentication, request_authentication, istio::RequestAuthentication;
    PeerAuthentication, peer_authentication, istio::PeerAuthentication;
    RateLimitPolicy, rate_limit_policy, weft::RateLimitPolicy;
    ServiceEntry, service_entry, istio::ServiceEntry;
    WorkloadEntry, workload_entry, istio::WorkloadEntry;
    VirtualService, virtual_service, istio::VirtualService;
    DestinationRule, destination_rule, istio::DestinationRule;
    Telemetry, telemetry, istio::Telemetry;
    Gateway, gateway, gateway_api::Gateway;
    GatewayClass, gateway_class, gateway_api::GatewayClass;
    HTTPRoute, http_route, gateway_api::HttpRoute;
    GRPCRoute, grpc_route, gateway_api::GrpcRoute;
    TLSRoute, tls_route, gateway_api::TlsRoute;
    TCPRoute, tcp_route, gateway_api::TcpRoute;
    ReferenceGrant, reference_grant, gateway_api::ReferenceGrant;
    BackendTLSPolicy, backend_tls_policy, gateway_api::BackendTlsPolicy;
}

impl Typed {
    /// Whether what was read can be meant.
    pub(super) fn check(&self) -> Result<(), Refused> {
        match self {
            Typed::ServiceEntry(entry) => entry.check(),
            Typed::WorkloadEntry(entry) => entry.check(),
            _ => Ok(()),
        }
    }
}

impl Object {
    /// The object as a route of any kind, if it is one.
    #[must_use]
    pub fn route(&self) -> Option<gateway_api::Written<'_>> {
        use gateway_api::Written;
        match self.typed() {
            Typed::GRPCRoute(route) => Some(Written::Grpc(route)),
            Typed::HTTPRoute(route) => Some(Written::Http(route)),
            Typed::TLSRoute(route) => Some(Written::Tls(route)),
            Typed::TCPRoute(route) => Some(Written::Tcp(route)),
            _ => None,
        }
    }
}
