//! Which formats are taken, what they are made of, and what is said of those that are refused.

use super::super::{Operator, Value};
use super::*;

#[test]
fn standard_formats_are_taken() {
    let text = Format::text("").unwrap();
    let asked: Vec<&str> = text.request.iter().map(|name| &**name).collect();
    assert_eq!(
        asked,
        [
            "x-envoy-original-path",
            "x-forwarded-for",
            "user-agent",
            "x-request-id"
        ]
    );
    assert_eq!(text.response.len(), 1);
    assert_eq!(text.pieces.last(), Some(&Piece::Literal("\n".into())));
    let json = Format::json("").unwrap();
    assert!(matches!(&json.pieces[0], Piece::Literal(it) if &**it == "{\"start_time\":"));
    let numbers = json.pieces.iter().filter(|piece| {
        matches!(piece, Piece::Value(Field { operator: Operator::Value(it), .. }, Form::JsonValue) if it.is_number())
    });
    assert_eq!(numbers.count(), 4);
}

#[test]
fn every_operator_is_taken() {
    for value in Value::ALL {
        assert!(Format::text(&format!("%{}%", value.word())).is_ok());
    }
    for format in [
        "%REQ(X?Y):10%",
        "%REQ_WITHOUT_QUERY(:path)%",
        "%RESP(server)%",
        "%TRAILER(grpc-message)%",
        "%START_TIME(%Y/%m/%dT%H:%M:%S%z %s %3f)%",
        "%ENVIRONMENT(HOME)%",
        "100%% of %RESPONSE_CODE:3%",
        "%GRPC_STATUS(NUMBER)%",
    ] {
        assert!(Format::text(format).is_ok(), "{format}");
    }
}

#[test]
fn refusals_name_the_operator() {
    for (format, said) in [
        (
            "%FILTER_STATE(x)%",
            "operator %FILTER_STATE(x)% is not supported",
        ),
        ("%NOTHING%", "operator %NOTHING% is not supported"),
        ("a %DURATION", "no second one after \"a \""),
        ("%REQ%", "operator %REQ%: its argument is missing"),
        ("%REQ(a b)%", "not the name of a header"),
        ("%REQ(:x)%", "no such pseudo header"),
        ("%REQ(a%", "no second one"),
        ("%DURATION(x)%", "takes no argument"),
        ("%DURATION:x%", "its length is not a number"),
        ("%REQ(a)x%", "something stands behind"),
        ("%START_TIME(%Q)%", "operator %START_TIME%: of time only"),
        ("%%%", "no second one"),
    ] {
        let error = Format::text(format).unwrap_err().to_string();
        assert!(error.contains(said), "{format}: {error}");
    }
    for (format, said) in [
        ("[]", "not a JSON object"),
        ("{", "not a JSON object"),
        (r#"{"a":{"b":"%NO%"}}"#, "operator %NO% is not supported"),
    ] {
        let error = Format::json(format).unwrap_err().to_string();
        assert!(error.contains(said), "{format}: {error}");
    }
    let deep = format!("{}1{}", "{\"a\":".repeat(20), "}".repeat(20));
    assert!(matches!(Format::json(&deep), Err(Error::Deep)));
}

#[test]
fn strings_of_a_json_format_are_templates() {
    let format =
        Format::json(r#"{"n":1,"c":"%RESPONSE_CODE%","t":"<%PROTOCOL%\">","l":["x"],"o":{}}"#);
    let pieces = format.unwrap().pieces;
    let shape: Vec<String> = pieces
        .iter()
        .map(|piece| match piece {
            Piece::Literal(text) => text.to_string(),
            Piece::Value(_, form) => format!("{form:?}"),
        })
        .collect();
    assert_eq!(
        shape,
        [
            "{\"n\":1,\"c\":",
            "JsonValue",
            ",\"t\":\"<",
            "JsonPart",
            "\\\">\",\"l\":[\"x\"],\"o\":{}}\n"
        ]
    );
}
