//! Pure. RequestAuthentication to the rules by which waypoints verify tokens. Source: docs/compat.md#jwt.
//!
//! A rule that cannot be read is left out: tokens of its issuer are refused then, and requests without a token are a
//! matter of authorization as ever.

use std::sync::Arc;
use std::time::Duration;

use mesh::model::attached::{JwtKeys, JwtRule};
use objects::istio::RequestAuthentication;
use objects::istio::authorization_policy::TargetRef;
use objects::istio::request_authentication as written;
use objects::raw::Path;

use super::Finding;
use super::attachment::{self, Place};
use super::remarks::Remarks;
use super::rule::Rule;
use super::status::Status;

/// How long fetching keys may take where nobody says.
const TIMEOUT: Duration = Duration::from_secs(5);

/// What a RequestAuthentication comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Translated {
    /// Rules in order.
    pub rules: Vec<JwtRule>,
    /// What it is attached to, and where each of them is written.
    pub targets: Vec<(TargetRef, Path)>,
    /// What its owner should know.
    pub findings: Vec<Finding>,
    /// Whether a value in it cannot be read: its last good version stays in force where there is one.
    pub is_rejected: bool,
}

/// Translates an object; `root` is the namespace whose policies may be for whole classes.
pub fn translate(root: &str, object: &RequestAuthentication) -> Translated {
    let mut remarks = Remarks::default();
    let spec = &object.spec;
    let targets = attachment::references(spec.target_ref.as_ref(), &spec.target_refs);
    let targets: Vec<_> = targets.map(|(it, path)| (it.clone(), path)).collect();
    for (target, path) in &targets {
        let complaint = attachment::complaint(root, &object.metadata.namespace, target);
        if let Some((key, reason)) = complaint {
            remarks.invalid(path.clone().key(key), reason);
        }
    }
    if targets.is_empty() {
        let reason = "only waypoints read tokens, and they look at what targetRefs name: nothing of this is enforced";
        remarks.add(
            Rule::PolicyWithoutWaypoint,
            Path::of_keys(&["spec"]),
            reason,
        );
    } else if spec.selector.is_some() {
        let path = Path::of_keys(&["spec", "selector"]);
        remarks.invalid(path, "it has a selector or targetRefs, not both");
    }
    let path = Path::of_keys(&["spec", "jwtRules"]);
    let rules = spec.jwt_rules.iter().enumerate();
    let rules = rules.filter_map(|(index, one)| rule(one, &path.clone().at(index), &mut remarks));
    Translated {
        rules: rules.collect(),
        targets,
        is_rejected: remarks.is_rejected(),
        findings: remarks.into_findings(),
    }
}

/// Findings and status of an object as it is written now.
pub fn report(
    written: &Translated,
    places: &[Place],
    has_last_good: bool,
) -> (Vec<Finding>, Status) {
    let mut findings = written.findings.clone();
    let references = written.targets.iter().map(|(it, path)| (it, path.clone()));
    findings.extend(attachment::findings(references, places));
    let is_bound = |it: &Place| matches!(it, Place::Bound { .. });
    let effect = match (written.is_rejected, has_last_good) {
        _ if !places.iter().any(is_bound) => "not in force",
        (true, true) => "rejected: its last good version stays in force",
        (true, false) => "rejected: tokens of rules that cannot be read are refused",
        (false, _) => "in force at the waypoints of its targets",
    };
    let condition = attachment::waypoint_accepted(&findings, places, written.is_rejected, effect);
    let status = Status {
        conditions: vec![condition],
        ..Status::default()
    };
    (findings, status)
}

/// Where the keys of a rule come from; `bad` hears of what is wrong with that. Nothing when two places are named.
fn keys(
    written: &written::JwtRule,
    path: &Path,
    bad: &mut impl FnMut(Path, String),
) -> Option<JwtKeys> {
    let at = |key: &str| path.clone().key(key);
    Some(match (&written.jwks, &written.jwks_uri) {
        (Some(_), Some(_)) => {
            let reason = "keys come from jwks or from jwksUri, not both";
            bad(at("jwksUri"), reason.to_owned());
            return None;
        }
        (Some(keys), None) => {
            if serde_json::from_str::<serde_json::Value>(&keys.0).is_err() {
                bad(at("jwks"), "not a JSON key set".to_owned());
            }
            JwtKeys::Inline(keys.0.as_str().into())
        }
        (None, Some(url)) => {
            if !is_url(url) {
                let reason = format!("{url:?} is not an http or https URL");
                bad(at("jwksUri"), reason);
            }
            JwtKeys::Url(url.as_str().into())
        }
        (None, None) => {
            if !is_url(&written.issuer) {
                let reason =
                    "without jwks and jwksUri the issuer is a URL, where its discovery document is";
                bad(at("issuer"), reason.to_owned());
            }
            JwtKeys::Discovery
        }
    })
}

fn rule(written: &written::JwtRule, path: &Path, remarks: &mut Remarks) -> Option<JwtRule> {
    let at = |key: &str| path.clone().key(key);
    let mut is_good = true;
    let mut bad = |path: Path, reason: String| {
        is_good = false;
        remarks.invalid(path, reason);
    };
    if written.issuer.is_empty() {
        bad(at("issuer"), "a rule is for an issuer".to_owned());
    }
    let keys = keys(written, path, &mut bad)?;
    for (index, one) in written.from_headers.iter().enumerate() {
        if !is_header(&one.name) {
            let path = at("fromHeaders").at(index).key("name");
            bad(path, format!("{:?} is not the name of a header", one.name));
        }
    }
    let payload = written
        .output_payload_to_header
        .as_deref()
        .unwrap_or_default();
    if !payload.is_empty() && !is_header(payload) {
        let reason = format!("{payload:?} is not the name of a header");
        bad(at("outputPayloadToHeader"), reason);
    }
    for (index, one) in written.output_claim_to_headers.iter().enumerate() {
        let path = at("outputClaimToHeaders").at(index);
        if !is_header(&one.header) {
            bad(
                path.clone().key("header"),
                format!("{:?} is not the name of a header", one.header),
            );
        }
        if one.claim.is_empty() {
            bad(path.key("claim"), "a claim has a name".to_owned());
        }
    }
    is_good.then(|| good(written, keys, payload))
}

fn good(written: &written::JwtRule, keys: JwtKeys, payload: &str) -> JwtRule {
    let texts =
        |all: &[String]| -> Vec<Arc<str>> { all.iter().map(|it| it.as_str().into()).collect() };
    let lower = |text: &str| -> Arc<str> { text.to_ascii_lowercase().into() };
    let headers = written.from_headers.iter();
    let claims = written.output_claim_to_headers.iter();
    let mut rule = JwtRule {
        issuer: written.issuer.as_str().into(),
        audiences: texts(&written.audiences),
        keys,
        headers: headers
            .map(|it| (lower(&it.name), it.prefix.as_str().into()))
            .collect(),
        params: texts(&written.from_params),
        cookies: texts(&written.from_cookies),
        payload_header: lower(payload),
        claim_headers: claims
            .map(|it| (lower(&it.header), it.claim.as_str().into()))
            .collect(),
        forward: written.forward_original_token,
        fetch_timeout: written.timeout.map_or(TIMEOUT, |it| it.0),
        space_delimited: texts(&written.space_delimited_claims),
    };
    if rule.headers.is_empty() && rule.params.is_empty() && rule.cookies.is_empty() {
        rule.headers = vec![("authorization".into(), "Bearer ".into())];
        rule.params = vec!["access_token".into()];
    }
    rule
}

fn is_url(text: &str) -> bool {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|it| {
        !it.is_empty() && !it.starts_with('/') && !it.contains(char::is_whitespace)
    })
}

fn is_header(text: &str) -> bool {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_token)
}

#[cfg(test)]
mod tests;
