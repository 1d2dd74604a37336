//! Tables of events and what follows from them.

use super::*;

const ADDRESS: &str = "t/Address";
const POLICY: &str = "t/Policy";

fn wildcard() -> Session {
    Session::new([
        Subscription {
            type_url: ADDRESS,
            mode: Mode::Wildcard,
        },
        Subscription {
            type_url: POLICY,
            mode: Mode::Wildcard,
        },
    ])
}

fn on_demand() -> Session {
    Session::new([Subscription {
        type_url: ADDRESS,
        mode: Mode::OnDemand,
    }])
}

fn resource(name: &str, version: &str) -> Resource {
    Resource {
        name: name.into(),
        version: version.into(),
        aliases: Vec::new(),
        content: Some((ADDRESS.into(), Bytes::from_static(b"x"))),
    }
}

fn response(nonce: &str, resources: Vec<Resource>, removed: &[&str]) -> Response {
    Response {
        type_url: ADDRESS.into(),
        nonce: nonce.into(),
        version: "1".into(),
        resources,
        removed: removed.iter().map(|s| (*s).to_owned()).collect(),
    }
}

/// Takes a response and refuses `refused`.
fn settle(session: &mut Session, response: Response, refused: &[(&str, &str)]) -> Settled {
    let Taken::Apply(delivery) = session.take(response) else {
        panic!("not a known type")
    };
    let refused = refused
        .iter()
        .map(|(n, r)| ((*n).to_owned(), (*r).to_owned()))
        .collect();
    session.settle(delivery.receipt, refused).unwrap()
}

fn versions(session: &Session) -> Vec<(String, String)> {
    session
        .connect()
        .swap_remove(0)
        .initial_versions
        .into_iter()
        .collect()
}

fn pair(name: &str, version: &str) -> (String, String) {
    (name.into(), version.into())
}

#[test]
fn asks_for_everything_with_an_empty_list() {
    let first = wildcard().connect();
    assert_eq!(first.len(), 2);
    for (request, type_url) in first.iter().zip([ADDRESS, POLICY]) {
        let expected = Request {
            type_url: type_url.into(),
            is_first: true,
            ..Request::default()
        };
        assert_eq!(*request, expected);
    }
}

#[test]
fn asks_for_nothing_on_demand_by_taking_and_leaving_the_star() {
    let first = on_demand().connect();
    assert_eq!(first[0].subscribe, ["*"]);
    assert_eq!(first[0].unsubscribe, ["*"]);
}

#[test]
fn acks_with_type_and_nonce_only() {
    let mut session = wildcard();
    let settled = settle(
        &mut session,
        response("n1", vec![resource("a", "1")], &[]),
        &[],
    );
    let ack = Request {
        type_url: ADDRESS.into(),
        nonce: "n1".into(),
        ..Request::default()
    };
    assert_eq!(settled.request, ack);
    assert_eq!(settled.answered, ["a"]);
}

#[test]
fn names_what_was_refused_and_why() {
    let mut session = wildcard();
    let mut strange = resource("c", "1");
    strange.content = Some(("t/Other".into(), Bytes::new()));
    let mut empty = resource("d", "1");
    empty.content = None;
    let resources = vec![resource("a", "1"), resource("b", "1"), strange, empty];
    let settled = settle(
        &mut session,
        response("n1", resources, &[]),
        &[("b", "bad port")],
    );
    let text = "c: content is a t/Other; d: resource has no content; b: bad port";
    assert_eq!(settled.request.refusal.as_deref(), Some(text));
    assert_eq!(settled.request.nonce, "n1");
    let [b, c, d] = ["b", "c", "d"].map(|name| pair(name, REFUSED));
    assert_eq!(
        versions(&session),
        [pair("a", "1"), b, c, d],
        "the next stream must tell us when they are gone"
    );
    let better = response("n2", vec![resource("b", "2")], &["c", "d"]);
    settle(&mut session, better, &[]);
    assert_eq!(versions(&session), [pair("a", "1"), pair("b", "2")]);
}

#[test]
fn bounds_the_reasons_it_names() {
    let mut session = wildcard();
    let names: Vec<String> = (0..100).map(|n| format!("r{n}")).collect();
    let refused: Vec<(&str, &str)> = names.iter().map(|n| (n.as_str(), "no")).collect();
    let resources = names.iter().map(|n| resource(n, "1")).collect();
    let settled = settle(&mut session, response("n", resources, &[]), &refused);
    let text = settled.request.refusal.unwrap();
    assert!(text.ends_with("r63: no; and 36 more"), "{text}");
}

#[test]
fn says_what_it_holds_when_it_connects_again() {
    let mut session = wildcard();
    let all = vec![
        resource("a", "00000000000000ff"),
        resource("b", "FF"),
        resource("c", ""),
    ];
    settle(&mut session, response("n1", all, &[]), &[]);
    settle(
        &mut session,
        response("n2", vec![resource("b", "g2")], &["c", "unknown"]),
        &[],
    );
    assert_eq!(
        versions(&session),
        [pair("a", "00000000000000ff"), pair("b", "g2")]
    );
}

#[test]
fn keeps_the_version_it_holds_when_a_newer_one_is_refused() {
    let mut session = wildcard();
    settle(
        &mut session,
        response("n1", vec![resource("a", "1")], &[]),
        &[],
    );
    settle(
        &mut session,
        response("n2", vec![resource("a", "2")], &[]),
        &[("a", "no")],
    );
    assert_eq!(versions(&session), [pair("a", "1")]);
}

#[test]
fn a_name_that_comes_and_goes_in_one_response_has_come() {
    let mut session = wildcard();
    let both = response("n", vec![resource("a", "1")], &["a", "b"]);
    let Taken::Apply(delivery) = session.take(both.clone()) else {
        panic!()
    };
    assert_eq!(delivery.removed, ["b"]);
    settle(&mut session, both, &[]);
    assert_eq!(versions(&session), [pair("a", "1")]);
}

#[test]
fn acks_and_ignores_types_nobody_asked_for() {
    let other = Response {
        type_url: "t/Else".into(),
        nonce: "n".into(),
        ..Response::default()
    };
    let ack = Request {
        type_url: "t/Else".into(),
        nonce: "n".into(),
        ..Request::default()
    };
    assert_eq!(wildcard().take(other), Taken::Ignored(ack));
}

#[test]
fn is_ready_when_every_wildcard_type_has_come_in_full() {
    let mut session = wildcard();
    let mut page = response("n1", vec![resource("a", "1")], &[]);
    page.version = format!("7{MORE_FOLLOWS}");
    settle(&mut session, page, &[]);
    let policies = Response {
        type_url: POLICY.into(),
        ..Response::default()
    };
    settle(&mut session, policies, &[]);
    assert!(!session.is_ready(), "the first page is not the whole");
    settle(&mut session, response("n2", Vec::new(), &[]), &[]);
    assert!(session.is_ready());
    assert!(on_demand().is_ready(), "nothing to wait for on demand");
}

#[test]
fn asks_once_for_a_name_that_many_want() {
    let mut session = on_demand();
    let Asked::Send(request) = session.ask(ADDRESS, "/10.0.0.1") else {
        panic!()
    };
    assert_eq!(request.subscribe, ["/10.0.0.1"]);
    assert_eq!(request.nonce, "");
    assert_eq!(session.ask(ADDRESS, "/10.0.0.1"), Asked::Wait);
    assert_eq!(
        versions(&session),
        [pair("/10.0.0.1", "")],
        "sent again after a reconnect"
    );

    let mut found = resource("uid", "1");
    found.aliases = vec!["/10.0.0.1".into(), "/10.0.0.2".into()];
    let settled = settle(&mut session, response("n", vec![found], &[]), &[]);
    assert_eq!(settled.answered, ["/10.0.0.1", "/10.0.0.2", "uid"]);
    assert_eq!(session.ask(ADDRESS, "/10.0.0.1"), Asked::Answered);
    assert_eq!(session.ask(ADDRESS, "uid"), Asked::Answered);
    let both = [pair("/10.0.0.1", "1"), pair("uid", "1")];
    assert_eq!(versions(&session), both, "the alias stays subscribed to");
}

#[test]
fn asks_again_by_alias_once_the_holder_is_gone() {
    let mut session = on_demand();
    session.ask(ADDRESS, "/10.0.0.1");
    let mut found = resource("uid", "1");
    found.aliases = vec!["/10.0.0.1".into()];
    settle(&mut session, response("n", vec![found], &[]), &[]);
    settle(&mut session, response("n2", Vec::new(), &["uid"]), &[]);
    assert!(matches!(session.ask(ADDRESS, "/10.0.0.1"), Asked::Send(_)));
}

#[test]
fn remembers_that_there_is_none_and_keeps_listening() {
    let mut session = on_demand();
    session.ask(ADDRESS, "ns/none");
    let settled = settle(&mut session, response("n", Vec::new(), &["ns/none"]), &[]);
    assert_eq!(settled.answered, ["ns/none"]);
    assert_eq!(session.ask(ADDRESS, "ns/none"), Asked::Answered);
    assert_eq!(versions(&session), [pair("ns/none", "")]);
    settle(
        &mut session,
        response("n2", vec![resource("ns/none", "5")], &[]),
        &[],
    );
    assert_eq!(versions(&session), [pair("ns/none", "5")]);
}

#[test]
fn gives_up_the_oldest_absent_names_beyond_the_bound() {
    let mut session = on_demand();
    let names: Vec<String> = (0..ABSENT_NAMES + 2).map(|n| format!("n{n}")).collect();
    for name in &names {
        session.ask(ADDRESS, name);
    }
    let removed: Vec<&str> = names.iter().map(String::as_str).collect();
    let settled = settle(&mut session, response("n", Vec::new(), &removed), &[]);
    assert_eq!(settled.request.unsubscribe, ["n0", "n1"]);
    assert!(matches!(session.ask(ADDRESS, "n0"), Asked::Send(_)));
}

#[test]
fn gives_up_the_oldest_addresses_found_in_a_range_beyond_the_bound() {
    let mut session = on_demand();
    let names: Vec<String> = (0..FOUND_NAMES + 2).map(|n| format!("/n{n}")).collect();
    for name in &names {
        session.ask(ADDRESS, name);
    }
    let mut range = resource("ns/range", "1");
    range.aliases.clone_from(&names);
    range.aliases.push("/10.0.0.0/8".into());
    let settled = settle(&mut session, response("n", vec![range], &[]), &[]);
    assert_eq!(settled.request.unsubscribe, ["/n0", "/n1"]);
    assert_eq!(session.ask(ADDRESS, "/n2"), Asked::Answered);
    assert!(matches!(session.ask(ADDRESS, "/n0"), Asked::Send(_)));
}

#[test]
fn refuses_names_of_types_it_does_not_have_and_beyond_the_bound() {
    let mut session = on_demand();
    assert_eq!(session.ask("t/Else", "a"), Asked::Refused);
    for n in 0..PENDING_NAMES {
        session.ask(ADDRESS, &format!("n{n}"));
    }
    assert_eq!(session.ask(ADDRESS, "one more"), Asked::Refused);
    assert_eq!(wildcard().ask(ADDRESS, "a"), Asked::Answered);
}
