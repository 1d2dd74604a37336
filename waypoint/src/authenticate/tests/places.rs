//! Where tokens are looked for, and what is sent on.

use super::*;

fn head(build: impl FnOnce(::http::request::Builder) -> ::http::request::Builder) -> Asked {
    asked(build(Request::builder()))
}

#[tokio::test]
async fn tokens_are_found_where_the_rule_says_and_taken_away_there() {
    let issuer = Issuer::new("k");
    let token = &issuer.token(&payload());
    let usual = inline(&issuer);
    let mut custom = inline(&issuer);
    custom.headers = vec![
        ("X-Token".into(), "".into()),
        ("x-other".into(), "Weft ".into()),
    ];
    custom.params = vec!["t".into()];
    custom.cookies = vec!["session".into()];
    let with = |name: &str, value: String| head(|it| it.uri("/a").header(name, value));
    for (rule, mut head, is_found) in [
        (
            &usual,
            with("authorization", format!("Bearer {token}")),
            true,
        ),
        (
            &usual,
            with("authorization", format!("bearer {token}")),
            false,
        ),
        (&usual, with("authorization", token.clone()), false),
        (
            &usual,
            head(|it| it.uri(format!("/a?access_token={token}&x=1"))),
            true,
        ),
        (&usual, with("x-token", token.clone()), false),
        (
            &custom,
            with("authorization", format!("Bearer {token}")),
            false,
        ),
        (&custom, with("x-token", token.clone()), true),
        (&custom, with("x-other", format!("Weft {token}")), true),
        (
            &custom,
            head(|it| it.uri(format!("/a?x=1&t={token}"))),
            true,
        ),
        (
            &custom,
            head(|it| it.uri(format!("/a?access_token={token}"))),
            false,
        ),
        (
            &custom,
            with("cookie", format!("a=b; session={token}; c=d")),
            true,
        ),
        (&custom, with("cookie", format!("other={token}")), false),
    ] {
        let before = format!("{head:?}");
        let found = check(std::slice::from_ref(rule), &mut head).await.unwrap();
        assert_eq!(found.is_some(), is_found, "{before}");
        let after = format!("{head:?}");
        assert_eq!(after.contains(token.as_str()), !is_found, "{after}");
        assert_eq!(head.path, "/a");
    }
}

#[tokio::test]
async fn what_stands_beside_a_token_stays() {
    let issuer = Issuer::new("k");
    let token = issuer.token(&payload());
    let mut rule = inline(&issuer);
    rule.params = vec!["t".into()];
    rule.cookies = vec!["session".into()];
    let query = format!("/a?x=1&t={token}&y=2");
    let mut by_query = head(|it| it.uri(query));
    check(std::slice::from_ref(&rule), &mut by_query)
        .await
        .unwrap();
    assert_eq!(by_query.query.as_deref(), Some("x=1&y=2"));
    let mut by_cookie = head(|it| it.header("cookie", format!("a=b; session={token}; c=d")));
    check(&[rule], &mut by_cookie).await.unwrap();
    assert_eq!(by_cookie.headers["cookie"], "a=b; c=d");
}

#[tokio::test]
async fn claims_are_sent_on_in_headers_that_no_client_can_set() {
    let issuer = Issuer::new("k");
    let mut payload = payload();
    let claims = json!({"n": 3, "ok": true, "list": ["a"], "deep": {"x": "y"}, "a.b": "dotted"});
    payload
        .as_object_mut()
        .unwrap()
        .extend(claims.as_object().unwrap().clone());
    let token = issuer.token(&payload);
    let mut rule = inline(&issuer);
    rule.forward = true;
    rule.payload_header = "x-payload".into();
    let wanted = [
        ("x-sub", "sub"),
        ("x-n", "n"),
        ("x-ok", "ok"),
        ("x-list", "list"),
        ("x-deep", "deep.x"),
        ("x-dotted", "a.b"),
        ("x-absent", "nothing"),
    ];
    rule.claim_headers = wanted
        .iter()
        .map(|(h, c)| ((*h).into(), (*c).into()))
        .collect();
    let mut sent = bearer(&token);
    for name in ["x-sub", "x-absent", "x-payload"] {
        sent.headers.insert(name, "forged".parse().unwrap());
    }
    let mut anonymous = head(|it| it);
    for name in ["x-sub", "x-absent", "x-payload"] {
        anonymous.headers.insert(name, "forged".parse().unwrap());
    }
    check(std::slice::from_ref(&rule), &mut sent).await.unwrap();
    let value = |name: &str| sent.headers.get(name).map(|it| it.to_str().unwrap());
    assert_eq!(value("x-sub"), Some("alice"));
    assert_eq!(value("x-n"), Some("3"));
    assert_eq!(value("x-ok"), Some("true"));
    assert_eq!(value("x-list"), Some("WyJhIl0="));
    assert_eq!(value("x-deep"), Some("y"));
    assert_eq!(value("x-dotted"), Some("dotted"));
    assert_eq!(value("x-absent"), None);
    assert_eq!(value("x-payload"), token.split('.').nth(1));
    assert!(value("authorization").is_some(), "it is sent on as asked");
    check(&[rule], &mut anonymous).await.unwrap();
    let left = format!("{:?}", anonymous.headers);
    assert!(!left.contains("forged"), "{left}");
}

#[tokio::test]
async fn a_preflight_needs_no_good_token() {
    let issuer = Issuer::new("k");
    let mut preflight = head(|it| {
        it.method("OPTIONS")
            .header("origin", "https://a")
            .header("access-control-request-method", "GET")
            .header("authorization", "Bearer nonsense")
    });
    let answer = check(&[inline(&issuer)], &mut preflight).await;
    assert!(answer.unwrap().is_none());
}
