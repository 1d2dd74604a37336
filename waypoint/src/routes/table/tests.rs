//! Every kind of match by itself, and that the index finds what trying all would.

use http::{HeaderMap, HeaderValue, Method};
use mesh::model::http::{HttpMatch, NamedMatch, TextMatch};
use proptest::prelude::*;

use super::*;

fn exact(path: &str) -> HttpMatch {
    HttpMatch {
        path: Some(PathMatch::Exact(path.into())),
        ..HttpMatch::default()
    }
}

fn elements(path: &str) -> HttpMatch {
    HttpMatch {
        path: Some(PathMatch::Elements(path.into())),
        ..HttpMatch::default()
    }
}

fn named(name: &str, value: TextMatch) -> NamedMatch {
    NamedMatch {
        name: name.into(),
        value,
        negated: false,
    }
}

fn table(matches: &[HttpMatch]) -> Table {
    let entries: Vec<_> = (0..)
        .zip(matches)
        .map(|(rule, matches)| HttpEntry {
            matches: matches.clone(),
            rule,
        })
        .collect();
    Table::new(&entries).unwrap()
}

/// Which rule a request like `GET /path?query` with headers is for.
fn find(table: &Table, target: &str, headers: &[(&'static str, &str)]) -> Option<u32> {
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(*name, HeaderValue::from_str(value).unwrap());
    }
    table.find(&Facts {
        path,
        query,
        method: &Method::GET,
        scheme: "http",
        authority: "shop:80",
        headers: &map,
        claim: &|_| Vec::new(),
    })
}

#[test]
fn paths_match_whole_by_elements_by_letters_and_by_expression() {
    let of = |path| HttpMatch {
        path: Some(path),
        ..HttpMatch::default()
    };
    for (matches, target, expected) in [
        (exact("/one"), "/one", true),
        (exact("/one"), "/one/", false),
        (exact("/one"), "/one?x=1", true),
        (elements("/v2"), "/v2", true),
        (elements("/v2"), "/v2/", true),
        (elements("/v2"), "/v2/x", true),
        (elements("/v2"), "/v2example", false),
        (elements("/v2"), "/V2", false),
        (elements(""), "/anything", true),
        (elements("/a/b"), "/a", false),
        (elements("/a/b"), "/a/b/c/d", true),
        (of(PathMatch::Prefix("/v2".into())), "/v2example", true),
        (of(PathMatch::Prefix("/v2".into())), "/v1", false),
        (of(PathMatch::Regex("/a.c".into())), "/abc", true),
        (of(PathMatch::Regex("/a.c".into())), "/abcd", false),
        (of(PathMatch::Regex("/a|/b".into())), "/bx", false),
    ] {
        assert_eq!(
            find(&table(std::slice::from_ref(&matches)), target, &[]).is_some(),
            expected,
            "{matches:?} {target}"
        );
    }
    let shouted = HttpMatch {
        ignore_path_case: true,
        ..elements("/Shop")
    };
    assert_eq!(find(&table(&[shouted]), "/sHOP/x", &[]), Some(0));
}

#[test]
fn query_parameters_count_once_and_are_not_decoded() {
    let asks = |value| HttpMatch {
        query: vec![named("animal", value)],
        ..HttpMatch::default()
    };
    let exactly = |text: &str| asks(TextMatch::Exact(text.into()));
    for (matches, target, expected) in [
        (exactly("whale"), "/?animal=whale", true),
        (exactly("whale"), "/?name=x&animal=whale&y", true),
        (exactly("whale"), "/?animal=dolphin&animal=whale", false),
        (exactly("whale"), "/?Animal=whale", false),
        (exactly("whale"), "/?animal=wh%61le", false),
        (exactly(""), "/?animal", true),
        (exactly("whale"), "/", false),
        (asks(TextMatch::Present), "/?animal", true),
        (asks(TextMatch::Present), "/?anima", false),
        (
            asks(TextMatch::Regex("wh.*".into())),
            "/?animal=whale",
            true,
        ),
    ] {
        assert_eq!(
            find(&table(std::slice::from_ref(&matches)), target, &[]).is_some(),
            expected,
            "{matches:?} {target}"
        );
    }
}

#[test]
fn lines_of_a_header_are_tried_one_by_one() {
    let asks = |negated, value| HttpMatch {
        headers: vec![NamedMatch {
            name: "version".into(),
            value,
            negated,
        }],
        ..HttpMatch::default()
    };
    let two = TextMatch::Exact("two".into());
    let one = table(&[asks(false, two.clone())]);
    assert_eq!(
        find(&one, "/", &[("version", "one"), ("version", " two ")]),
        Some(0)
    );
    assert_eq!(find(&one, "/", &[("version", "one,two")]), None);
    assert_eq!(find(&one, "/", &[("version", "Two")]), None);
    let not = table(&[asks(true, two)]);
    assert_eq!(find(&not, "/", &[("version", "two")]), None);
    assert_eq!(find(&not, "/", &[]), Some(0));
}

#[test]
fn a_half_of_an_expression_cannot_break_out_of_its_place() {
    let entry = HttpEntry {
        matches: HttpMatch {
            path: Some(PathMatch::Regex("/a)|(?:/b".into())),
            ..HttpMatch::default()
        },
        rule: 0,
    };
    let error = Table::new(&[entry]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "\"/a)|(?:/b\" is not a regular expression that can be used"
    );
}

fn any_match() -> impl Strategy<Value = HttpMatch> {
    let path = prop_oneof![
        Just(None),
        "(/[ab]){0,3}".prop_map(|p| Some(PathMatch::Elements(p.into()))),
        "(/[ab]){1,3}/?".prop_map(|p| Some(PathMatch::Exact(p.into()))),
        "/[ab]?".prop_map(|p| Some(PathMatch::Prefix(p.into()))),
        "/[ab]\\.\\*".prop_map(|p| Some(PathMatch::Regex(p.into()))),
    ];
    (path, any::<bool>(), any::<bool>()).prop_map(|(path, case, header)| HttpMatch {
        path,
        ignore_path_case: case,
        headers: match header {
            true => vec![named("x", TextMatch::Present)],
            false => Vec::new(),
        },
        ..HttpMatch::default()
    })
}

proptest! {
    #[test]
    fn finds_what_trying_all_in_order_would(
        matches in prop::collection::vec(any_match(), 0..20),
        path in "(/[abAB]){0,4}/?",
        header in any::<bool>(),
    ) {
        let headers: &[_] = if header { &[("x", "y")] } else { &[] };
        let path = if path.is_empty() { "/" } else { &path };
        let indexed = find(&table(&matches), path, headers);
        let in_order = (0..).zip(&matches).find(|(_, one)| {
            find(&table(&[(*one).clone()]), path, headers).is_some()
        });
        prop_assert_eq!(indexed, in_order.map(|(number, _)| number));
    }
}
