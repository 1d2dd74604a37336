//! Pure. A route of any kind, as far as it does not matter which.

use super::filter::Filter;
use super::{BackendRef, GrpcRoute, HttpRoute, ParentRef, TcpRoute, TlsRoute};
use crate::kinds::Kind;
use crate::meta::Metadata;

/// A route as its owner wrote it. In the order in which kinds give way to one another: the first one has a port, whatever
/// routes of the others say.
#[derive(Clone, Copy, Debug)]
pub enum Written<'a> {
    /// Of gRPC calls.
    Grpc(&'a GrpcRoute),
    /// Of HTTP requests.
    Http(&'a HttpRoute),
    /// Of TLS connections.
    Tls(&'a TlsRoute),
    /// Of TCP connections.
    Tcp(&'a TcpRoute),
}

impl<'a> Written<'a> {
    /// Its kind.
    #[must_use]
    pub fn kind(self) -> Kind {
        match self {
            Self::Grpc(_) => Kind::GRPCRoute,
            Self::Http(_) => Kind::HTTPRoute,
            Self::Tls(_) => Kind::TLSRoute,
            Self::Tcp(_) => Kind::TCPRoute,
        }
    }

    /// The place of its kind among the kinds: that with the smallest has a port for itself.
    #[must_use]
    pub fn rank(self) -> u8 {
        match self {
            Self::Grpc(_) => 0,
            Self::Http(_) => 1,
            Self::Tls(_) => 2,
            Self::Tcp(_) => 3,
        }
    }

    /// Its metadata.
    #[must_use]
    pub fn metadata(self) -> &'a Metadata {
        match self {
            Self::Grpc(route) => &route.metadata,
            Self::Http(route) => &route.metadata,
            Self::Tls(route) => &route.metadata,
            Self::Tcp(route) => &route.metadata,
        }
    }

    /// What it is attached to.
    #[must_use]
    pub fn parents(self) -> &'a [ParentRef] {
        match self {
            Self::Grpc(route) => &route.spec.parent_refs,
            Self::Http(route) => &route.spec.parent_refs,
            Self::Tls(route) => &route.spec.parent_refs,
            Self::Tcp(route) => &route.spec.parent_refs,
        }
    }

    /// Everything that it refers to as a place to send to, copies of requests included.
    #[must_use]
    pub fn backends(self) -> Vec<&'a BackendRef> {
        let copies = |filters: &'a [Filter]| {
            let mirrors = filters.iter().filter_map(|it| it.request_mirror.as_deref());
            mirrors.map(|it| &it.backend_ref)
        };
        match self {
            Self::Grpc(route) => {
                let rules = route.spec.rules.iter();
                let all = rules.flat_map(|it| it.backend_refs.iter().chain(copies(&it.filters)));
                all.collect()
            }
            Self::Http(route) => {
                let rules = route.spec.rules.iter();
                let all = rules.flat_map(|it| it.backend_refs.iter().chain(copies(&it.filters)));
                all.collect()
            }
            Self::Tls(route) => {
                let rules = route.spec.rules.iter();
                rules.flat_map(|it| &it.backend_refs).collect()
            }
            Self::Tcp(route) => {
                let rules = route.spec.rules.iter();
                rules.flat_map(|it| &it.backend_refs).collect()
            }
        }
    }
}
