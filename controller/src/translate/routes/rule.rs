//! Pure. What one rule of an HTTPRoute or a GRPCRoute does.

use mesh::model::http::{HttpAction, HttpRule};

use super::backends::{self, Wanted};
use super::destinations::Destinations;
use super::filters::{self, Filters};
use super::notes::Notes;
use super::parts::Parts;
use crate::translate::rule::Rule;

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
