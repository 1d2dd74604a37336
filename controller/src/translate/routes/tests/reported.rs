//! What the status of a route says.

use mesh::names::NamespacedName;

use super::{Shop, http, objects};
use crate::translate::routes::report::{Attachment, report};
use crate::translate::rule::Rule;

pub(super) fn attached() -> Attachment {
    Attachment::Attached {
        shown: "Service shop/web".to_owned(),
        taken: Vec::new(),
        is_all_taken: false,
        waypoint: Some(NamespacedName::new("shop", "gate")),
    }
}

/// The conditions of a route's only parent: kind, whether it holds, reason.
fn conditions(
    text: &str,
    attachment: Attachment,
) -> Vec<(&'static str, bool, &'static str, String)> {
    let objects = objects(text);
    let route = objects[0].route().unwrap();
    let (_, status) = report(route, &Shop, &[attachment]);
    let Some(listed) = status.listed else {
        return Vec::new();
    };
    let [entry] = listed.entries.as_slice() else {
        unreachable!()
    };
    let conditions = entry.conditions.iter();
    conditions
        .map(|it| (it.kind, it.holds, it.reason, it.message.clone()))
        .collect()
}

fn shown(text: &str, attachment: Attachment) -> String {
    let conditions = conditions(text, attachment).into_iter();
    let one = |(kind, holds, reason, _): (&str, bool, &str, String)| {
        let sign = if holds { "+" } else { "-" };
        format!("{sign}{kind} {reason}")
    };
    conditions.map(one).collect::<Vec<_>>().join(", ")
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn every_parent_has_its_conditions() {
    let good = "backendRefs: [{name: v1, port: 80}]";
    let missing = Attachment::Missing("there is no Service shop/web".to_owned());
    let taken = |is_all_taken| Attachment::Attached {
        shown: "Service shop/web".to_owned(),
        taken: vec![(80, "GRPCRoute shop/g".to_owned())],
        is_all_taken,
        waypoint: None,
    };
    let waypoints = "+ResolvedWaypoints ResolvedWaypoints";
    for (rules, attachment, expected) in [
        (
            format!("[{{{good}}}]"),
            attached(),
            format!("+Accepted Accepted, +ResolvedRefs ResolvedRefs, {waypoints}"),
        ),
        (
            "[{backendRefs: []}]".to_owned(),
            attached(),
            format!("+Accepted Accepted, +ResolvedRefs ResolvedRefs, {waypoints}"),
        ),
        (
            "[{backendRefs: [{name: gone, port: 80}]}]".to_owned(),
            attached(),
            format!("+Accepted Accepted, -ResolvedRefs BackendNotFound, {waypoints}"),
        ),
        (
            "[{backendRefs: [{name: v1, port: 80, kind: Pod}]}]".to_owned(),
            attached(),
            format!("+Accepted Accepted, -ResolvedRefs InvalidKind, {waypoints}"),
        ),
        (
            "[{filters: [{type: ExtensionRef}]}]".to_owned(),
            attached(),
            format!("-Accepted UnsupportedValue, -ResolvedRefs InvalidFilter, {waypoints}"),
        ),
        (
            "[{filters: [{type: RequestRedirect, requestRedirect: {}}, {type: URLRewrite, urlRewrite: {}}]}]".to_owned(),
            attached(),
            format!("-Accepted IncompatibleFilters, +ResolvedRefs ResolvedRefs, {waypoints}"),
        ),
        (
            format!("[{{{good}}}, {{timeouts: {{request: x}}}}]"),
            attached(),
            format!("+Accepted Accepted, +PartiallyInvalid UnsupportedValue, +ResolvedRefs ResolvedRefs, {waypoints}"),
        ),
        (
            format!("[{{{good}}}]"),
            missing,
            "-Accepted NoMatchingParent, +ResolvedRefs ResolvedRefs".to_owned(),
        ),
        (
            format!("[{{{good}}}]"),
            taken(true),
            format!("-Accepted Conflicted, +ResolvedRefs ResolvedRefs, {waypoints}"),
        ),
        (
            format!("[{{{good}}}]"),
            taken(false),
            format!("+Accepted Accepted, +ResolvedRefs ResolvedRefs, {waypoints}"),
        ),
        (format!("[{{{good}}}]"), Attachment::Foreign, String::new()),
    ] {
        assert_eq!(shown(&http("r", &rules), attachment), expected, "{rules}");
    }
}

#[test]
fn a_partly_invalid_route_says_which_rules_are_dropped() {
    let text = http(
        "r",
        "[{}, {matches: [{method: x}]}, {filters: [{type: Wasm}]}]",
    );
    let conditions = conditions(&text, attached());
    let partly = conditions.iter().find(|it| it.0 == "PartiallyInvalid");
    let message = &partly.unwrap().3;
    assert!(message.starts_with("Dropped Rule: 1, 2"), "{message}");
}

#[test]
fn the_reference_is_repeated_as_it_is_written() {
    let text = http("r", "[{}]").replace("namespace: shop}]", "namespace: shop, port: 80}]");
    let objects = objects(&text);
    let (_, status) = report(objects[0].route().unwrap(), &Shop, &[attached()]);
    let about = &status.listed.unwrap().entries[0].about;
    let expected = serde_json::json!({
        "group": "", "kind": "Service", "namespace": "shop", "name": "web", "port": 80,
    });
    assert_eq!(*about, expected);
}

#[test]
fn owners_hear_of_parents_that_do_not_serve_them() {
    let text = http("r", "[{backendRefs: [{name: v1, port: 80}]}]");
    let objects = objects(&text);
    let route = objects[0].route().unwrap();
    let unserved = Attachment::Attached {
        shown: "Service shop/web".to_owned(),
        taken: vec![(80, "GRPCRoute shop/g".to_owned())],
        is_all_taken: false,
        waypoint: None,
    };
    for (attachment, expected) in [
        (attached(), vec![]),
        (Attachment::Foreign, vec![Rule::ForeignParent]),
        (
            Attachment::Missing("none".to_owned()),
            vec![Rule::ParentMissing],
        ),
        (unserved, vec![Rule::Conflicted, Rule::RouteWithoutWaypoint]),
    ] {
        let (findings, _) = report(route, &Shop, &[attachment]);
        let rules: Vec<Rule> = findings.iter().map(|it| it.rule).collect();
        assert_eq!(rules, expected);
        assert!(
            findings
                .iter()
                .all(|it| it.path.to_string() == "spec.parentRefs[0]")
        );
    }
}
