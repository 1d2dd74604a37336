//! Which expressions hold, and what is said of those that are refused.

use super::*;

/// A request that failed.
struct Failed;

impl Facts for Failed {
    fn get(&self, attribute: Attribute) -> Option<Term<'_>> {
        Some(match attribute {
            Attribute::Code => Term::Number(503),
            Attribute::Path => Term::Text("/v1beta3/x?y=1".into()),
            Attribute::Method => Term::Text("GET".into()),
            Attribute::MutualTls => Term::Bool(true),
            Attribute::Duration => Term::Number(1_500_000_000),
            // The first header that is named is there.
            Attribute::RequestHeader(0) => Term::Text("curl/8".into()),
            _ => return None,
        })
    }
}

#[test]
fn expressions_hold_as_in_cel() {
    for (text, expected) in [
        ("", true),
        ("response.code >= 400", true),
        ("response.code < 400 || response.code == 503", true),
        ("connection.mtls && request.path.contains('v1beta3')", true),
        ("!connection.mtls", false),
        ("request.method in ['POST', \"GET\"]", true),
        ("request.method in []", false),
        ("request.headers['user-agent'].startsWith('curl')", true),
        ("request.useragent.matches('^curl/[0-9]+$')", true),
        ("'User-Agent' in request.headers", true),
        ("has(request.headers['user-agent'])", true),
        ("has(request.query)", false),
        ("request.duration > duration('1s')", true),
        ("request.duration > duration(\"2s\")", false),
        // What is absent is an error, which the other side can absorb.
        ("response.grpc_status == 14", false),
        ("!(response.grpc_status == 14)", false),
        ("response.grpc_status == 14 || response.code == 503", true),
        ("response.grpc_status == 14 && response.code == 200", false),
        // Values of different kinds do not compare.
        ("response.code == '503'", false),
        ("response.code", false),
        ("true && (false || !false)", true),
        ("response.code != -1", true),
        ("request.path.endsWith('\\'')", false),
    ] {
        let filter = Filter::parse(text).unwrap();
        assert_eq!(filter.holds(&Failed), expected, "{text}");
    }
}

#[test]
fn refusals_say_what_is_wrong() {
    let deep = format!("{}true{}", "(".repeat(200), ")".repeat(200));
    let bangs = format!("{}true", "!".repeat(200));
    let chain = "true||".repeat(600) + "true";
    for (text, said) in [
        ("response.code >=", "not understood"),
        ("response.code >= 400 400", "not understood at \"400\""),
        ("wasm.x == 1", "wasm.x is not supported"),
        ("request.nothing", "request.nothing is not supported"),
        ("request.path.size()", "function size is not supported"),
        ("request.path.matches('(')", "regular expression"),
        ("'a", "not understood at \"'a\""),
        ("a # b", "not understood"),
        ("duration('1w') == 1", "duration \"1w\" is not supported"),
        (&deep, "nested"),
        (&bangs, "nested"),
        (&chain, "nested"),
        (&"x".repeat(5000), "longer than"),
    ] {
        let error = Filter::parse(text).unwrap_err().to_string();
        assert!(error.contains(said), "{text}: {error}");
    }
}
