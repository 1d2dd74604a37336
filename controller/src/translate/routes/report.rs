//! Pure. What the owner of a route should know, and what its status says of each of its parents.

use mesh::names::NamespacedName;
use objects::gateway_api::ParentRef;
use objects::raw::Path;
use serde_json::{Map, Value, json};

use super::destinations::Destinations;
use super::notes::Notes;
use super::{Surroundings, Written, read};
use crate::translate::Finding;
use crate::translate::rule::Rule;
use crate::translate::status::{Condition, Listed, Spoken, Status};

/// What became of one of a route's references to parents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attachment {
    /// It is none of the mesh's.
    Foreign,
    /// There is no such parent, or it cannot be one.
    Missing(String),
    /// It is attached.
    Attached {
        /// The parent, as messages name it.
        shown: String,
        /// Ports that a route of another kind has, and that route.
        taken: Vec<(u16, String)>,
        /// Whether no port is left to it.
        is_all_taken: bool,
        /// The waypoint that serves the parent.
        waypoint: Option<NamespacedName>,
    },
}

/// What is to be said about a route whose references, in order, became `attachments`.
pub fn report(
    route: Written<'_>,
    around: &dyn Surroundings,
    attachments: &[Attachment],
) -> (Vec<Finding>, Status) {
    let is_foreign = |it: &Attachment| *it == Attachment::Foreign;
    let pairs = || route.parents().iter().zip(attachments).enumerate();
    let mut findings = Vec::new();
    for (index, (_, attachment)) in pairs() {
        let path = Path::of_keys(&["spec", "parentRefs"]).at(index);
        about(attachment, path, &mut findings);
    }
    if attachments.iter().all(is_foreign) {
        return (findings, Status::default());
    }
    let mut notes = Notes::default();
    let read = read::read(route, &mut Destinations::new(around), &mut notes);
    let rules = match &read {
        read::Read::Http(http) => http.rules.len(),
        read::Read::Tls(_) | read::Read::Tcp(_) => usize::MAX,
    };
    let ours = pairs().filter(|(_, (_, attachment))| !is_foreign(attachment));
    let entries = ours.map(|(_, (reference, attachment))| {
        let conditions = conditions(attachment, &notes, rules);
        Spoken::new(reference_of(reference), conditions)
    });
    let status = Status {
        listed: Some(Listed::parents(entries.collect())),
        ..Status::default()
    };
    findings.extend(notes.findings);
    (findings, status)
}

fn about(attachment: &Attachment, path: Path, findings: &mut Vec<Finding>) {
    let mut say = |rule, reason: String| {
        let path = path.clone();
        findings.push(Finding { rule, path, reason });
    };
    match attachment {
        Attachment::Foreign => {
            let reason =
                "routes of services and service entries are the mesh's: this one is left to others";
            say(Rule::ForeignParent, reason.to_owned());
        }
        Attachment::Missing(reason) => say(Rule::ParentMissing, reason.clone()),
        Attachment::Attached {
            shown,
            taken,
            waypoint,
            ..
        } => {
            for (port, by) in taken {
                let reason =
                    format!("port {port} of {shown} has {by}: this route does not count there");
                say(Rule::Conflicted, reason);
            }
            if waypoint.is_none() {
                let reason = format!("{shown} has no waypoint: the route has no effect");
                say(Rule::RouteWithoutWaypoint, reason);
            }
        }
    }
}

/// The reference as the status repeats it.
fn reference_of(reference: &ParentRef) -> Value {
    let mut fields = Map::new();
    fields.insert("group".to_owned(), reference.group.as_str().into());
    fields.insert("kind".to_owned(), reference.kind.as_str().into());
    if let Some(namespace) = &reference.namespace {
        fields.insert("namespace".to_owned(), namespace.as_str().into());
    }
    fields.insert("name".to_owned(), reference.name.as_str().into());
    if let Some(section) = &reference.section_name {
        fields.insert("sectionName".to_owned(), section.as_str().into());
    }
    if let Some(port) = reference.port {
        fields.insert("port".to_owned(), json!(port));
    }
    Value::Object(fields)
}

fn conditions(attachment: &Attachment, notes: &Notes, rules: usize) -> Vec<Condition> {
    let all_broken = notes.broken.len() >= rules;
    let mut conditions = vec![accepted(attachment, notes, all_broken)];
    if !notes.broken.is_empty() && !all_broken {
        let which: Vec<String> = notes.broken.iter().map(ToString::to_string).collect();
        let message = format!("Dropped Rule: {}", which.join(", "));
        conditions.push(Condition {
            kind: "PartiallyInvalid",
            holds: true,
            reason: "UnsupportedValue",
            message: Condition::message(&message, &notes.findings),
        });
    }
    conditions.push(match notes.unresolved.as_slice() {
        [] => Condition {
            kind: "ResolvedRefs",
            holds: true,
            reason: "ResolvedRefs",
            message: "everything it refers to is there".to_owned(),
        },
        [(word, first), rest @ ..] => Condition {
            kind: "ResolvedRefs",
            holds: false,
            reason: word,
            message: match rest.len() {
                0 => first.clone(),
                more => format!("{first}; and {more} more"),
            },
        },
    });
    if let Attachment::Attached {
        shown, waypoint, ..
    } = attachment
    {
        conditions.push(Condition {
            kind: "ResolvedWaypoints",
            holds: true,
            reason: "ResolvedWaypoints",
            message: match waypoint {
                Some(waypoint) => format!("served by waypoint {waypoint}"),
                None => format!("{shown} has no waypoint: the route has no effect"),
            },
        });
    }
    conditions
}

fn accepted(attachment: &Attachment, notes: &Notes, all_broken: bool) -> Condition {
    let (reason, message) = match attachment {
        Attachment::Foreign => ("Accepted", String::new()),
        Attachment::Missing(reason) => ("NoMatchingParent", reason.clone()),
        Attachment::Attached {
            taken,
            is_all_taken: true,
            ..
        } => {
            let by = taken
                .first()
                .map(|(port, by)| format!("port {port} has {by}"));
            ("Conflicted", by.unwrap_or_default())
        }
        Attachment::Attached { shown, .. } if all_broken => {
            let reason = match notes.are_incompatible {
                true => "IncompatibleFilters",
                false => "UnsupportedValue",
            };
            let effect =
                format!("no rule can be honoured; {shown} answers their requests with 500");
            (reason, Condition::message(&effect, &notes.findings))
        }
        Attachment::Attached { shown, .. } => ("Accepted", format!("attached to {shown}")),
    };
    Condition {
        kind: "Accepted",
        holds: reason == "Accepted",
        reason,
        message,
    }
}
