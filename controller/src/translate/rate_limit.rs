//! Pure. RateLimitPolicy to the limits that waypoints count by. Source: docs/compat.md#rate-limits.
//!
//! A policy that cannot be read limits nothing by itself: its last good version stays in force where there is one.

use std::sync::Arc;
use std::time::Duration;

use mesh::model::attached::{LimitBy, RateLimit};
use mesh::model::http::{HttpMatch, NamedMatch, PathMatch, TextMatch};
use objects::gateway_api::http_route as route;
use objects::istio::authorization_policy::TargetRef;
use objects::raw::Path;
use objects::weft::rate_limit_policy::{By, Limit, LimitTarget, RateLimitPolicy};

use super::Finding;
use super::attachment::{self, Place};
use super::remarks::Remarks;
use super::rule::Rule;
use super::status::Status;

/// The period where none is said.
const PERIOD: Duration = Duration::from_secs(1);
/// Kinds that limits can be attached to, with their groups.
const TARGETS: [(&str, &str); 3] = [
    ("Service", ""),
    ("Gateway", "gateway.networking.k8s.io"),
    ("HTTPRoute", "gateway.networking.k8s.io"),
];

/// What a RateLimitPolicy comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Translated {
    /// Limits in order; none when the policy is rejected.
    pub limits: Vec<RateLimit>,
    /// What it is attached to, and where each of them is written.
    pub targets: Vec<(LimitTarget, Path)>,
    /// What its owner should know.
    pub findings: Vec<Finding>,
    /// Whether a value in it cannot be read.
    pub is_rejected: bool,
}

/// Translates a policy.
pub fn translate(object: &RateLimitPolicy) -> Translated {
    let mut remarks = Remarks::default();
    let spec = &object.spec;
    let path = Path::of_keys(&["spec", "targetRefs"]);
    let targets = spec.target_refs.iter().enumerate();
    let targets: Vec<_> = targets
        .map(|(index, it)| (it.clone(), path.clone().at(index)))
        .collect();
    if targets.is_empty() {
        remarks.invalid(
            path,
            "limits hold for something: a Service, a Gateway or an HTTPRoute",
        );
    }
    for (target, path) in &targets {
        let known = TARGETS.iter().find(|(kind, _)| *kind == target.kind);
        match known {
            None => remarks.invalid(
                path.clone().key("kind"),
                "nothing that limits can be attached to",
            ),
            Some((_, group)) if *group != target.group => {
                remarks.invalid(path.clone().key("group"), "not the group of this kind");
            }
            Some(("HTTPRoute", _)) => {}
            Some(_) if target.section_name.is_some() => {
                let reason = "only routes have rules that can be named";
                remarks.invalid(path.clone().key("sectionName"), reason);
            }
            Some(_) => {}
        }
    }
    let path = Path::of_keys(&["spec", "limits"]);
    if spec.limits.is_empty() {
        let reason = "without limits it limits nothing";
        remarks.add(Rule::PolicyWithoutEffect, path.clone(), reason);
    }
    let limits = spec.limits.iter().enumerate();
    let limits: Vec<_> = limits
        .map(|(index, one)| limit(index, one, &path.clone().at(index), &mut remarks))
        .collect();
    let is_rejected = remarks.is_rejected();
    Translated {
        limits: if is_rejected { Vec::new() } else { limits },
        targets,
        is_rejected,
        findings: remarks.into_findings(),
    }
}

/// Findings and status of a policy as it is written now.
pub fn report(
    written: &Translated,
    places: &[Place],
    has_last_good: bool,
) -> (Vec<Finding>, Status) {
    let mut findings = written.findings.clone();
    let references: Vec<_> = written
        .targets
        .iter()
        .map(|(it, path)| (reference(it), path))
        .collect();
    let references = references.iter().map(|(it, path)| (it, (*path).clone()));
    findings.extend(attachment::findings(references, places));
    let is_bound = |it: &Place| matches!(it, Place::Bound { .. });
    let effect = match (written.is_rejected, has_last_good) {
        _ if !places.iter().any(is_bound) => "not in force",
        (true, true) => "rejected: its last good version stays in force",
        (true, false) => "rejected: nothing is limited by it",
        (false, _) => "in force at the waypoints of its targets",
    };
    let condition = attachment::waypoint_accepted(&findings, places, written.is_rejected, effect);
    let status = Status {
        conditions: vec![condition],
        ..Status::default()
    };
    (findings, status)
}

/// A target as policies of other kinds have it.
pub fn reference(target: &LimitTarget) -> TargetRef {
    TargetRef {
        group: target.group.clone(),
        kind: target.kind.clone(),
        name: target.name.clone(),
        namespace: None,
    }
}

fn limit(index: usize, written: &Limit, path: &Path, remarks: &mut Remarks) -> RateLimit {
    let per = written.per.map_or(PERIOD, |it| it.0);
    if per.is_zero() {
        remarks.invalid(path.clone().key("per"), "a period has a length");
    }
    if written.burst == Some(0) {
        let reason =
            "no request at once is no request at all: leave it out for as many as per period";
        remarks.invalid(path.clone().key("burst"), reason);
    }
    let matches = written.matches.iter().enumerate();
    let matches =
        matches.map(|(index, one)| condition(one, &path.clone().key("matches").at(index), remarks));
    let matches = matches.collect();
    let by = written.by.iter().enumerate();
    let by =
        by.filter_map(|(index, one)| attribute(one, &path.clone().key("by").at(index), remarks));
    RateLimit {
        name: match &written.name {
            Some(name) => name.as_str().into(),
            None => index.to_string().into(),
        },
        matches,
        by: by.collect(),
        principals: principals(written, path, remarks),
        requests: written.requests,
        per,
        burst: written.burst.unwrap_or_default(),
    }
}

fn principals(written: &Limit, path: &Path, remarks: &mut Remarks) -> Vec<TextMatch> {
    let mut found = Vec::new();
    for (index, text) in written.principals.iter().enumerate() {
        let (rest, pattern) = match text.strip_suffix('*') {
            Some(prefix) => (prefix, TextMatch::Prefix(prefix.into())),
            None => (text.as_str(), TextMatch::Exact(text.as_str().into())),
        };
        if text.starts_with("spiffe://") || rest.contains('*') || text.is_empty() {
            let reason = format!(
                "{text:?}: identities are written without `spiffe://`, with `*` at the end only"
            );
            remarks.invalid(path.clone().key("principals").at(index), reason);
        }
        found.push(pattern);
    }
    found
}

fn attribute(written: &By, path: &Path, remarks: &mut Remarks) -> Option<LimitBy> {
    let By {
        header,
        query_param,
        claim,
        source,
    } = written;
    let text = |it: &Option<String>| {
        it.as_deref()
            .filter(|it| !it.is_empty())
            .map(Arc::<str>::from)
    };
    let by = match (
        text(header),
        text(query_param),
        text(claim),
        source.as_deref(),
    ) {
        (Some(name), None, None, None) => Some(LimitBy::Header(name.to_ascii_lowercase().into())),
        (None, Some(name), None, None) => Some(LimitBy::Query(name)),
        (None, None, Some(path), None) => Some(LimitBy::Claim(path.replace('.', "\u{1f}").into())),
        (None, None, None, Some("Principal")) => Some(LimitBy::Principal),
        (None, None, None, Some("Address")) => Some(LimitBy::SourceIp),
        _ => None,
    };
    if by.is_none() {
        let reason = "exactly one of header, queryParam, claim and source (Principal or Address)";
        remarks.invalid(path.clone(), reason);
    }
    by
}

/// The matches of an HTTPRoute.
fn condition(written: &route::HttpMatch, path: &Path, remarks: &mut Remarks) -> HttpMatch {
    let at = path.clone().key("path");
    let wanted = written.path.as_ref().map(|it| {
        let value = it.value.as_deref().unwrap_or("/");
        match it.r#type.as_deref() {
            Some("Exact") => PathMatch::Exact(value.into()),
            None | Some("PathPrefix") => PathMatch::Elements(value.trim_end_matches('/').into()),
            Some("RegularExpression") => PathMatch::Regex(value.into()),
            Some(other) => {
                let reason = format!("{other:?} is none of Exact, PathPrefix, RegularExpression");
                remarks.invalid(at.key("type"), reason);
                PathMatch::Exact(value.into())
            }
        }
    });
    let mut named = |all: &[route::NamedMatch], key: &str, lower: bool| -> Vec<NamedMatch> {
        let all = all.iter().enumerate();
        let one = |(index, it): (usize, &route::NamedMatch)| NamedMatch {
            name: match lower {
                true => it.name.to_ascii_lowercase().into(),
                false => it.name.as_str().into(),
            },
            value: match it.r#type.as_deref() {
                None | Some("Exact") => TextMatch::Exact(it.value.as_str().into()),
                Some("RegularExpression") => TextMatch::Regex(it.value.as_str().into()),
                Some(other) => {
                    let path = path.clone().key(key).at(index).key("type");
                    let reason = format!("{other:?} is none of Exact, RegularExpression");
                    remarks.invalid(path, reason);
                    TextMatch::Exact(it.value.as_str().into())
                }
            },
            negated: false,
        };
        all.map(one).collect()
    };
    HttpMatch {
        path: wanted,
        method: written
            .method
            .as_deref()
            .map(|it| TextMatch::Exact(it.into())),
        headers: named(&written.headers, "headers", true),
        query: named(&written.query_params, "queryParams", false),
        ..HttpMatch::default()
    }
}

#[cfg(test)]
mod tests;
