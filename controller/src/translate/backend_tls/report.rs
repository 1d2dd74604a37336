//! Pure. What the owner of a BackendTLSPolicy should know, and what its status says of each of its targets.

use objects::gateway_api::BackendTlsPolicy;
use objects::gateway_api::backend_tls_policy::TargetRef;
use objects::raw::Path;
use serde_json::{Map, Value};

use super::{Maps, Origination, originate};
use crate::translate::Finding;
use crate::translate::rule::Rule;
use crate::translate::status::{Condition, Listed, Spoken, Status};

/// What became of one of a policy's targets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    /// The policy holds for it.
    Yes,
    /// It is not there, or nothing that TLS is spoken to.
    Missing(String),
    /// Another policy holds for it.
    Taken(String),
}

/// What is to be said about a policy whose targets, in order, became `held`.
pub fn report(policy: &BackendTlsPolicy, maps: Maps<'_>, held: &[Held]) -> (Vec<Finding>, Status) {
    let made = originate(policy, maps);
    let mut findings = Vec::new();
    let mut entries = Vec::new();
    for (index, (target, held)) in policy.spec.target_refs.iter().zip(held).enumerate() {
        let path = Path::of_keys(&["spec", "targetRefs"]).at(index);
        let told = match held {
            Held::Yes => None,
            Held::Missing(reason) => Some((Rule::ParentMissing, reason)),
            Held::Taken(reason) => Some((Rule::Conflicted, reason)),
        };
        findings.extend(told.map(|(rule, reason)| Finding {
            rule,
            path,
            reason: reason.clone(),
        }));
        let conditions = conditions(held, &made);
        entries.push(Spoken::new(reference_of(target), conditions));
    }
    findings.extend(made.findings);
    let status = Status {
        listed: Some(Listed::ancestors(entries)),
        ..Status::default()
    };
    (findings, status)
}

fn reference_of(target: &TargetRef) -> Value {
    let mut fields = Map::new();
    fields.insert("group".to_owned(), target.group.as_str().into());
    fields.insert("kind".to_owned(), target.kind.as_str().into());
    fields.insert("name".to_owned(), target.name.as_str().into());
    if let Some(section) = &target.section_name {
        fields.insert("sectionName".to_owned(), section.as_str().into());
    }
    Value::Object(fields)
}

fn conditions(held: &Held, made: &Origination) -> Vec<Condition> {
    let (reason, message) = match (held, &made.refused) {
        (Held::Missing(reason), _) => ("TargetNotFound", reason.clone()),
        (Held::Taken(reason), _) => ("Conflicted", reason.clone()),
        (Held::Yes, Some((word, reason))) => (*word, format!("{reason}: connections are refused")),
        (Held::Yes, None) => ("Accepted", "TLS is spoken to it".to_owned()),
    };
    let accepted = Condition {
        kind: "Accepted",
        holds: reason == "Accepted",
        reason,
        message,
    };
    let (reason, message) = match &made.unresolved {
        None => (
            "ResolvedRefs",
            "everything it refers to is there".to_owned(),
        ),
        Some((word, reason)) => (*word, reason.clone()),
    };
    let resolved = Condition {
        kind: "ResolvedRefs",
        holds: made.unresolved.is_none(),
        reason,
        message,
    };
    vec![accepted, resolved]
}
