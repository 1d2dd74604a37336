//! Pure. Conditions that only a waypoint can evaluate.
//!
//! A condition on something that is not there does not hold, so its negation does.

use super::text::{matches_bytes, matches_host, matches_path, matches_text};
use super::{Unreadable, admits, contains};
use crate::authz::{Facts, HttpFacts};
use crate::model::{ClaimPatterns, NamedPatterns, PathPattern, RequestMatch, StringMatch};

pub(super) fn matches(facts: &Facts<'_>, m: &RequestMatch, unreadable: Unreadable) -> bool {
    // Named one by one, so that a new field cannot be forgotten here.
    let RequestMatch {
        trust_domains,
        not_trust_domains,
        remote_ips,
        not_remote_ips,
        server_names,
        not_server_names,
        hosts,
        not_hosts,
        methods,
        not_methods,
        paths,
        not_paths,
        request_principals,
        not_request_principals,
        headers,
        claims,
    } = m;
    let domain = facts.source_identity.map(|it| it.trust_domain.as_str());
    let domain = |pattern: &StringMatch| domain.is_some_and(|it| matches_text(pattern, it));
    if !admits(trust_domains, not_trust_domains, domain) {
        return false;
    }
    let asks_more = !(remote_ips.is_empty()
        && not_remote_ips.is_empty()
        && server_names.is_empty()
        && not_server_names.is_empty());
    match facts.request {
        None if asks_more => {
            if unreadable == Unreadable::Fails {
                return false;
            }
        }
        None => {}
        Some(request) => {
            let remote = request.remote_ip.to_canonical();
            let name = |it: &StringMatch| request.server_name.is_some_and(|n| matches_host(it, n));
            if !admits(remote_ips, not_remote_ips, |it| contains(*it, remote))
                || !admits(server_names, not_server_names, name)
            {
                return false;
            }
        }
    }
    let asks_http = !(hosts.is_empty()
        && not_hosts.is_empty()
        && methods.is_empty()
        && not_methods.is_empty()
        && paths.is_empty()
        && not_paths.is_empty()
        && request_principals.is_empty()
        && not_request_principals.is_empty()
        && headers.is_empty()
        && claims.is_empty());
    if !asks_http {
        return true;
    }
    let Some(http) = facts.request.and_then(|it| it.http.as_ref()) else {
        return unreadable == Unreadable::Holds;
    };
    let principal = http.token.and_then(|it| it.principal());
    let principal = |it: &StringMatch| principal.is_some_and(|text| matches_text(it, text));
    let path = |it: &PathPattern| matches_path(it, http.path);
    admits(hosts, not_hosts, |it| matches_host(it, http.host))
        && admits(methods, not_methods, |it| matches_text(it, http.method))
        && admits(paths, not_paths, path)
        && admits(request_principals, not_request_principals, principal)
        && headers.iter().all(|it| header(it, http))
        && claims.iter().all(|it| claim(it, http))
}

/// Any of the lines of the header counts.
fn header(wanted: &NamedPatterns, http: &HttpFacts<'_>) -> bool {
    let lines = |pattern: &StringMatch| match &*wanted.name {
        ":authority" | "host" => matches_bytes(pattern, http.host.as_bytes()),
        ":method" => matches_bytes(pattern, http.method.as_bytes()),
        name => {
            let mut lines = http.headers.get_all(name).iter();
            lines.any(|line| matches_bytes(pattern, line.as_bytes()))
        }
    };
    admits(&wanted.values, &wanted.not_values, lines)
}

/// Any of the members of a list counts.
fn claim(wanted: &ClaimPatterns, http: &HttpFacts<'_>) -> bool {
    let texts = |pattern: &StringMatch| {
        let path = || wanted.path.iter().map(|it| &**it);
        http.token.is_some_and(|token| {
            let mut texts = token.texts(path());
            texts.any(|text| matches_text(pattern, text))
        })
    };
    admits(&wanted.values, &wanted.not_values, texts)
}
