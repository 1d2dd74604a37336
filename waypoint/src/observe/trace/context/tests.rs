//! Contexts that are read, those that are as absent, and what is passed on.

use super::*;

const TRACE: u128 = 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736;
const SPAN: u64 = 0x00f0_67aa_0ba9_02b7;

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        let name: HeaderName = name.parse().unwrap();
        headers.append(name, value.parse().unwrap());
    }
    headers
}

fn read(pairs: &[(&str, &str)], b3: bool) -> (bool, Option<bool>, Form) {
    let incoming = Incoming::read(&headers(pairs), b3);
    if let Some(parent) = incoming.parent {
        assert_eq!((parent.trace, parent.span), (TRACE, SPAN));
    }
    (incoming.parent.is_some(), incoming.sampled, incoming.form)
}

#[test]
fn traceparent_is_read_as_its_specification_says() {
    for (value, expected) in [
        (
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            Some(true),
        ),
        (
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00",
            Some(false),
        ),
        (
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03",
            Some(true),
        ),
        // A later version may have more behind the flags, this one may not.
        (
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            Some(true),
        ),
        (
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            None,
        ),
        (
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            None,
        ),
        (
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            None,
        ),
        (
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            None,
        ),
        (
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            None,
        ),
        (
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            None,
        ),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7", None),
        ("", None),
        (
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            None,
        ),
    ] {
        let read = read(&[("traceparent", value)], false);
        assert_eq!(read, (expected.is_some(), expected, Form::W3c), "{value}");
    }
    let valid = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let twice = read(&[("traceparent", valid), ("traceparent", valid)], false);
    assert_eq!(twice, (false, None, Form::W3c));
}

#[test]
fn b3_is_read_in_one_header_and_in_several() {
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let span = "00f067aa0ba902b7";
    for (value, has_parent, sampled) in [
        (
            format!("{trace}-{span}-1-05e3ac9a4f6e3b90"),
            true,
            Some(true),
        ),
        (format!("{trace}-{span}-d"), true, Some(true)),
        (format!("{trace}-{span}-0"), true, Some(false)),
        (format!("{trace}-{span}"), true, None),
        ("0".to_owned(), false, Some(false)),
        ("1".to_owned(), false, Some(true)),
    ] {
        let read = read(&[("b3", &value)], true);
        assert_eq!(read, (has_parent, sampled, Form::B3Single), "{value}");
    }
    for broken in ["x", "4bf9-1-1", "--", &format!("{trace}-{span}-7")] {
        let read = read(&[("b3", broken)], true);
        assert_eq!(read, (false, None, Form::B3Multi), "{broken}");
    }
    let ids = [("x-b3-traceid", trace), ("x-b3-spanid", span)];
    let [first, second] = ids;
    for (more, sampled) in [
        (("x-b3-sampled", "1"), Some(true)),
        (("x-b3-sampled", "false"), Some(false)),
        (("x-b3-flags", "1"), Some(true)),
        (("x-b3-parentspanid", span), None),
    ] {
        let read = read(&[first, second, more], true);
        assert_eq!(read, (true, sampled, Form::B3Multi), "{more:?}");
    }
    let short = Incoming::read(&headers(&[("x-b3-traceid", span), second]), true);
    assert_eq!(short.parent.unwrap().trace, u128::from(SPAN));
    // One provider's headers are not the other's, but a W3C context beats none.
    assert_eq!(read(&ids, false), (false, None, Form::W3c));
    let parent = format!("00-{trace}-{span}-01");
    assert_eq!(
        read(&[("traceparent", &parent)], true),
        (true, Some(true), Form::W3c)
    );
}

#[test]
fn what_is_written_is_read_again() {
    for form in [Form::W3c, Form::B3Single, Form::B3Multi] {
        for sampled in [false, true] {
            let outgoing = Outgoing {
                trace: TRACE,
                span: SPAN,
                parent: 7,
                sampled,
                form,
            };
            let mut headers = headers(&[("tracestate", "a=b"), ("x-b3-parentspanid", "x")]);
            outgoing.write(&mut headers);
            let incoming = Incoming::read(&headers, form != Form::W3c);
            let expected = Incoming {
                parent: Some(Parent {
                    trace: TRACE,
                    span: SPAN,
                }),
                sampled: Some(sampled),
                form,
            };
            assert_eq!(incoming, expected);
            // A state without a context of its own is nobody's.
            assert_eq!(headers.contains_key("tracestate"), form != Form::W3c);
        }
    }
    let valid = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let mut headers = headers(&[("traceparent", valid), ("tracestate", "a=b")]);
    let outgoing = Outgoing {
        trace: TRACE,
        span: 9,
        parent: SPAN,
        sampled: true,
        form: Form::W3c,
    };
    outgoing.write(&mut headers);
    assert_eq!(headers["tracestate"], "a=b");
    assert_eq!(
        headers["traceparent"],
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000009-01"
    );
}
