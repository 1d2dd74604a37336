//! Pure. What one rule of an HTTPRoute or a GRPCRoute does.

use mesh::model::Origin;
use mesh::model::http::{Fault, HttpAction, HttpRule, Rewrite};
use objects::gateway_api::BackendRef;
use objects::gateway_api::filter::Filter;
use objects::raw::Path;

use super::backends::{self, Wanted};
use super::destinations::Destinations;
use super::filters::{self, Filters};
use super::headers;
use super::notes::Notes;
use crate::translate::rule::Rule;

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
            request_headers: headers::none(),
            response_headers: headers::none(),
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

/// Filters that cannot be honoured are never skipped: the rule then answers with 500.
pub(super) fn rule(parts: &Parts<'_>, to: &mut Destinations<'_>, notes: &mut Notes) -> HttpRule {
    let Some(filters) = filters::read(parts, to, notes) else {
        return parts.refused();
    };
    let Filters {
        request_headers,
        response_headers,
        rewrite,
        redirect,
        mirrors,
        cors,
    } = filters;
    let wanted = Wanted {
        namespace: parts.namespace,
        path: parts.path,
        effect: "its share of the requests is answered with 500",
    };
    let action = match redirect {
        Some(redirect) => {
            if !parts.backends.is_empty() {
                let path = parts.path.clone().key("backendRefs");
                let reason = "the rule redirects: nothing is sent there";
                notes.say(Rule::NotHonoured, path, reason);
            }
            HttpAction::Redirect(redirect)
        }
        None => HttpAction::Forward(backends::read(parts.backends, &wanted, to, notes)),
    };
    HttpRule {
        action,
        request_headers,
        response_headers,
        rewrite,
        mirrors,
        cors,
        ..parts.refused()
    }
}
