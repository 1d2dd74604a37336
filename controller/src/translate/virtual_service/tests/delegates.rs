//! Delegates: both must match, the delegate's fields come first, one level only.

use mesh::model::http::{HttpAction, PathMatch};

use super::{WORLD, World, read, with_spec};
use crate::translate::rule::Rule;

const DELEGATE: &str = "\
metadata: {name: d, namespace: team}
spec:
  http:
    - name: near
      match: [{uri: {prefix: /a/b}}, {uri: {exact: /a}}, {uri: {prefix: /z}}]
      route: [{destination: {host: own}}]
      timeout: 1s
    - match: [{uri: {prefix: /z}}]
      route: [{destination: {host: own}}]
    - route: [{destination: {host: own}}]
";

const ROOT: &str = "{hosts: [web], http: [{match: [{uri: {prefix: /a}, headers: {x: {exact: y}}}], \
     delegate: {name: d, namespace: team}, timeout: 5s, mirror: {host: copy}}]}";

#[test]
fn both_must_match_and_the_delegates_fields_come_first() {
    let delegates = read(DELEGATE);
    let world = World {
        others: &delegates,
        ..WORLD
    };
    let (routes, names) = world.routes(&with_spec(ROOT), 80);
    let paths: Vec<&PathMatch> = routes
        .http
        .iter()
        .filter_map(|it| it.matches.path.as_ref())
        .collect();
    let prefix = |text: &str| PathMatch::Prefix(text.into());
    assert_eq!(
        paths,
        [
            &prefix("/a/b"),
            &PathMatch::Exact("/a".into()),
            &prefix("/a")
        ]
    );
    assert!(routes.http.iter().all(|it| it.matches.headers.len() == 1));
    let seconds: Vec<_> = routes
        .rules
        .iter()
        .map(|it| it.timeout.unwrap().as_secs())
        .collect();
    assert_eq!(seconds, [1, 5]);
    let origins: Vec<String> = routes
        .rules
        .iter()
        .map(|it| it.origin.to_string())
        .collect();
    let expected = ["near", "2"].map(|it| format!("VirtualService team/d rule {it}"));
    assert_eq!(origins, expected);
    let expected = [
        "own.team.svc.cluster.local of team",
        "copy.shop.svc.cluster.local of team",
    ];
    assert_eq!(names, expected);
    assert!(
        routes
            .rules
            .iter()
            .all(|it| matches!(it.action, HttpAction::Forward(_)))
    );
    // The second route of the delegate has nothing in common with the root's.
    let told = world.told(&with_spec(ROOT));
    assert_eq!(told, [(Rule::NeverMatches, "spec.http[0]".to_owned())]);
}

#[test]
fn a_delegate_that_is_missing_hidden_or_none_has_no_effect() {
    for (delegate, expected) in [
        ("{}", Some(Rule::DestinationMissing)),
        (
            "metadata: {name: d, namespace: team}\nspec: {hosts: [a], http: [{}]}",
            Some(Rule::DestinationMissing),
        ),
        (
            "metadata: {name: d, namespace: team}\nspec: {exportTo: ['.'], http: [{}]}",
            Some(Rule::DestinationMissing),
        ),
        (
            "metadata: {name: d, namespace: team}\nspec: {exportTo: [shop], http: [{}]}",
            None,
        ),
    ] {
        let delegates = read(delegate);
        let world = World {
            others: &delegates,
            ..WORLD
        };
        let told = world.told(&with_spec(ROOT));
        let path = "spec.http[0].delegate".to_owned();
        let expected: Vec<_> = expected
            .into_iter()
            .map(|rule| (rule, path.clone()))
            .collect();
        assert_eq!(told, expected, "{delegate}");
        let (routes, _) = world.routes(&with_spec(ROOT), 80);
        assert_eq!(routes.http.is_empty(), !expected.is_empty(), "{delegate}");
    }
}

#[test]
fn one_level_only() {
    let delegates = read(
        "metadata: {name: d, namespace: team}\nspec: {http: [{delegate: {name: e}}]}\n---\n\
         metadata: {name: e, namespace: team}\nspec: {http: [{route: [{destination: {host: own}}]}]}",
    );
    let world = World {
        others: &delegates,
        ..WORLD
    };
    assert_eq!(world.routes(&with_spec(ROOT), 80).0.http, []);
    let expected = (Rule::InvalidValue, "spec.http[0].delegate".to_owned());
    assert_eq!(world.told(&delegates[0]), [expected]);
}

#[test]
fn joined_conditions() {
    let table = [
        ("{method: {exact: GET}}", "{method: {exact: GET}}", 1),
        ("{method: {exact: GET}}", "{method: {exact: PUT}}", 0),
        ("{method: {exact: GET}}", "{}", 1),
        (
            "{headers: {a: {prefix: b}}}",
            "{headers: {a: {exact: bc}}}",
            1,
        ),
        (
            "{headers: {a: {prefix: b}}}",
            "{headers: {a: {exact: c}}}",
            0,
        ),
        (
            "{headers: {a: {regex: b}}}",
            "{headers: {a: {regex: c}}}",
            0,
        ),
        ("{headers: {a: {}}}", "{headers: {a: {regex: c}}}", 1),
        (
            "{uri: {prefix: /A}, ignoreUriCase: true}",
            "{uri: {prefix: /A}}",
            0,
        ),
        ("{uri: {prefix: /a/b}}", "{uri: {prefix: /a}}", 0),
        ("{port: 80}", "{port: 81}", 0),
        ("{port: 80}", "{}", 1),
        (
            "{queryParams: {a: {exact: b}}}",
            "{queryParams: {c: {exact: d}}}",
            1,
        ),
        ("{sourceLabels: {a: b}}", "{}", 0),
        ("{gateways: [a]}", "{}", 0),
        (
            "{withoutHeaders: {a: {}}}",
            "{withoutHeaders: {a: {exact: b}}}",
            0,
        ),
    ];
    for (root, leaf, expected) in table {
        let delegates = read(&format!(
            "metadata: {{name: d, namespace: shop}}\nspec: {{http: [{{match: [{leaf}], \
             route: [{{destination: {{host: web}}}}]}}]}}"
        ));
        let world = World {
            others: &delegates,
            ..WORLD
        };
        let root_of =
            format!("{{hosts: [web], http: [{{match: [{root}], delegate: {{name: d}}}}]}}");
        let (routes, _) = world.routes(&with_spec(&root_of), 80);
        assert_eq!(routes.http.len(), expected, "{root} {leaf}");
    }
}
