//! Pure. Conditions that only a waypoint can evaluate.
//!
//! A condition on something that is not there does not hold, so its negation does.

use super::text::{matches_bytes, matches_host, matches_path, matches_text};
use super::{Unreadable, admits, contains};
use crate::authz::{Facts, HttpFacts, RequestFacts};
use crate::model::{ClaimPatterns, IpRange, NamedPatterns, RequestMatch, StringMatch};

pub(super) fn matches(facts: &Facts<'_>, m: &RequestMatch, unreadable: Unreadable) -> bool {
    let domain = facts.source_identity.map(|it| it.trust_domain.as_str());
    let domain = |pattern: &StringMatch| domain.is_some_and(|it| matches_text(pattern, it));
    admits(&m.trust_domains, &m.not_trust_domains, domain)
        && of_connection(facts.request, m, unreadable)
        && of_request(facts.request.and_then(|it| it.http.as_ref()), m, unreadable)
}

/// What is known of opaque bytes too.
fn of_connection(
    facts: Option<&RequestFacts<'_>>,
    m: &RequestMatch,
    unreadable: Unreadable,
) -> bool {
    let Some(facts) = facts else {
        let asks = !(m.remote_ips.is_empty()
            && m.not_remote_ips.is_empty()
            && m.server_names.is_empty()
            && m.not_server_names.is_empty());
        return !asks || unreadable == Unreadable::Holds;
    };
    let remote = facts.remote_ip.to_canonical();
    let remote = |it: &IpRange| contains(*it, remote);
    let name = |it: &StringMatch| facts.server_name.is_some_and(|name| matches_host(it, name));
    admits(&m.remote_ips, &m.not_remote_ips, remote)
        && admits(&m.server_names, &m.not_server_names, name)
}

fn of_request(http: Option<&HttpFacts<'_>>, m: &RequestMatch, unreadable: Unreadable) -> bool {
    // Named one by one, so that a new field cannot be forgotten here.
    let RequestMatch {
        trust_domains: _,
        not_trust_domains: _,
        remote_ips: _,
        not_remote_ips: _,
        server_names: _,
        not_server_names: _,
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
    let Some(http) = http else {
        let asks = !(hosts.is_empty()
            && not_hosts.is_empty()
            && methods.is_empty()
            && not_methods.is_empty()
            && paths.is_empty()
            && not_paths.is_empty()
            && request_principals.is_empty()
            && not_request_principals.is_empty()
            && headers.is_empty()
            && claims.is_empty());
        return !asks || unreadable == Unreadable::Holds;
    };
    let principal = http.token.and_then(|it| it.principal());
    let principal = |it: &StringMatch| principal.is_some_and(|text| matches_text(it, text));
    admits(hosts, not_hosts, |it| matches_host(it, http.host))
        && admits(methods, not_methods, |it| matches_text(it, http.method))
        && admits(paths, not_paths, |it| matches_path(it, http.path))
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
