//! Pure. A rule of an HTTPRoute or a GRPCRoute as it is written.

use mesh::model::Origin;
use mesh::model::http::{Fault, HeaderChanges, HttpAction, HttpRule, Rewrite};
use objects::gateway_api::BackendRef;
use objects::gateway_api::filter::Filter;
use objects::raw::Path;

/// A rule as it is written.
pub(super) struct Parts<'a> {
    /// Which rule of which object.
    pub(super) origin: Origin,
    /// Namespace of the route.
    pub(super) namespace: &'a str,
    /// Its place among the route's rules.
    pub(super) index: usize,
    /// Its path.
    pub(super) path: &'a Path,
    /// What is done to requests.
    pub(super) filters: &'a [Filter],
    /// Where they go.
    pub(super) backends: &'a [BackendRef],
    /// The prefix that all of its requests have, when that is its only match.
    pub(super) prefix: Option<&'a str>,
    /// Whether it is about gRPC calls.
    pub(super) is_grpc: bool,
}

impl Parts<'_> {
    /// The rule that answers with 500.
    pub(super) fn refused(&self) -> HttpRule {
        HttpRule {
            origin: self.origin.clone(),
            action: HttpAction::Forward(Vec::new()),
            request_headers: HeaderChanges::default(),
            response_headers: HeaderChanges::default(),
            rewrite: Rewrite::default(),
            mirrors: Vec::new(),
            cors: None,
            fault: Fault::default(),
            timeout: None,
            retry: None,
            session: None,
        }
    }
}
