//! What a match asks of a request.

use mesh::model::http::{HttpMatch, NamedMatch, PathMatch, TextMatch};

use super::condition;

fn exact(text: &str) -> TextMatch {
    TextMatch::Exact(text.into())
}

fn named(name: &str, value: TextMatch) -> NamedMatch {
    NamedMatch {
        name: name.into(),
        value,
        negated: false,
    }
}

#[test]
fn paths_are_compared_as_texts() {
    let path = |path, ignore_path_case| HttpMatch {
        path: Some(path),
        ignore_path_case,
        ..HttpMatch::default()
    };
    for (written, expected) in [
        ("{}", HttpMatch::default()),
        ("{uri: {}}", HttpMatch::default()),
        ("{uri: {prefix: ''}}", HttpMatch::default()),
        ("{uri: {regex: '*'}}", HttpMatch::default()),
        (
            "{uri: {exact: /a}}",
            path(PathMatch::Exact("/a".into()), false),
        ),
        (
            "{uri: {prefix: /a}}",
            path(PathMatch::Prefix("/a".into()), false),
        ),
        (
            "{uri: {regex: '/a|/b'}}",
            path(PathMatch::Regex("/a|/b".into()), false),
        ),
        (
            "{uri: {prefix: /A}, ignoreUriCase: true}",
            path(PathMatch::Prefix("/A".into()), true),
        ),
    ] {
        assert_eq!(condition(written), expected, "{written}");
    }
}

#[test]
fn method_scheme_and_host() {
    let read = condition(
        "{method: {exact: GET}, scheme: {exact: http}, authority: {prefix: web.}, name: n, port: 80}",
    );
    let expected = HttpMatch {
        method: Some(exact("GET")),
        scheme: Some(exact("http")),
        authority: Some(TextMatch::Prefix("web.".into())),
        ..HttpMatch::default()
    };
    assert_eq!(read, expected);
}

#[test]
fn headers_by_lower_case_name_present_or_like_this_or_not() {
    for (written, expected) in [
        ("{headers: {X-A: {exact: b}}}", named("x-a", exact("b"))),
        ("{headers: {x: {exact: ''}}}", named("x", exact(""))),
        (
            "{headers: {x: {prefix: b}}}",
            named("x", TextMatch::Prefix("b".into())),
        ),
        (
            "{headers: {x: {regex: b+}}}",
            named("x", TextMatch::Regex("b+".into())),
        ),
        ("{headers: {x: {}}}", named("x", TextMatch::Present)),
        (
            "{headers: {x: {regex: '*'}}}",
            named("x", TextMatch::Present),
        ),
        (
            "{headers: {x: {prefix: ''}}}",
            named("x", TextMatch::Present),
        ),
        (
            "{withoutHeaders: {x: {}}}",
            NamedMatch {
                negated: true,
                ..named("x", TextMatch::Present)
            },
        ),
    ] {
        assert_eq!(condition(written).headers, [expected], "{written}");
    }
}

#[test]
fn query_parameters_keep_their_case() {
    for (written, expected) in [
        ("{exact: ''}", exact("")),
        ("{exact: b}", exact("b")),
        ("{}", TextMatch::Present),
        ("{regex: '*'}", TextMatch::Present),
    ] {
        let read = condition(&format!("{{queryParams: {{Q: {written}}}}}"));
        assert_eq!(read.query, [named("Q", expected)], "{written}");
    }
}

#[test]
fn claims_are_no_headers() {
    let read = condition(
        "{headers: {'@request.auth.claims.groups': {exact: a}, '@request.auth.claims[k][l]': {}}, \
          withoutHeaders: {'@request.auth.claims.sub': {exact: x}}}",
    );
    let expected = [
        named("groups", exact("a")),
        named("k\u{1f}l", TextMatch::Present),
        NamedMatch {
            negated: true,
            ..named("sub", exact("x"))
        },
    ];
    assert_eq!(read.claims, expected);
    assert_eq!(read.headers, []);
}
