//! Whatever a client sends as a token, nothing panics, and only what the issuer has signed is taken.

use mesh::testing::fuzz::{Target, drive};

use super::*;
use crate::authenticate::key_set::KeySet;
use crate::authenticate::{token, verify};

/// A token that is taken says what the issuer has signed; how its base64 is written does not count.
fn takes_only_what_is_signed(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Ok(unverified) = token::parse(text) else {
        return;
    };
    // The key is none that has signed the seeds.
    let keys = KeySet::parse(Issuer::new("k").set().as_bytes()).unwrap();
    assert!(verify::signature(&keys, &unverified).is_err());
    let now = UNIX_EPOCH + Duration::from_secs(NOW);
    let _ = verify::claims(&rule(JwtKeys::Discovery), &unverified, now);
}

/// A request's header with anything in it: what is found is a part of it, and taking it away leaves a header.
fn finds_parts_of_what_was_sent(data: &[u8]) {
    let Ok(value) = ::http::HeaderValue::from_bytes(data) else {
        return;
    };
    let mut rule = rule(JwtKeys::Discovery);
    rule.headers = vec![("x-token".into(), "Weft ".into())];
    rule.cookies = vec!["session".into()];
    for name in ["x-token", "cookie"] {
        let request = Request::get("/").header(name, value.clone());
        let asked = asked(request);
        for found in super::super::locate::tokens([&rule].into_iter(), &asked) {
            assert!(String::from_utf8_lossy(data).contains(&found.text));
        }
    }
}

fn tokens() -> Vec<Vec<u8>> {
    let token = Issuer::new("k").token(&payload());
    vec![token.into_bytes()]
}

fn headers() -> Vec<Vec<u8>> {
    let texts = [
        "Weft a.b.c",
        "a=b; session=a.b.c; c=d",
        "session=;session=x",
    ];
    texts.map(|it| it.as_bytes().to_vec()).into()
}

#[test]
fn a_token_of_any_bytes_is_refused_unless_it_is_signed() {
    drive(&Target::new("token", takes_only_what_is_signed, tokens));
}

#[test]
fn a_header_of_any_bytes_holds_at_most_tokens_that_were_sent() {
    drive(&Target::new(
        "token_header",
        finds_parts_of_what_was_sent,
        headers,
    ));
}
