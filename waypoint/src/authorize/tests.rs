//! Policies against requests, and authorization servers in memory: one over gRPC by tonic, one over plain HTTP.

mod over_grpc;
mod over_http;

use std::net::SocketAddr;
use std::time::{Duration, UNIX_EPOCH};

use ::http::Request;
use mesh::authz::{Denial, RequestFacts};
use mesh::identity::Identity;
use mesh::model::attached::RequestAction;
use mesh::model::provider::{AuthorizerProtocol, ProviderAddress, ProviderHost};
use mesh::model::{Match, RequestMatch, Rule, StringMatch};
use mesh::names::NamespacedName;

use super::*;

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn caller() -> Identity {
    Identity::parse("spiffe://cluster.local/ns/shop/sa/web").unwrap()
}

fn origin(name: &str) -> Origin {
    Origin::object("AuthorizationPolicy", "shop", name)
}

fn about_method(method: &str) -> Vec<Rule> {
    let request = RequestMatch {
        methods: vec![StringMatch::Exact(method.into())],
        ..RequestMatch::default()
    };
    let m = Match {
        request: Some(Box::new(request)),
        ..Match::default()
    };
    let clauses = vec![mesh::model::Clause { matches: vec![m] }];
    vec![Rule { clauses }]
}

fn policy(name: &str, action: RequestAction, method: &str) -> (Origin, RequestAuthorization) {
    let policy = RequestAuthorization {
        action,
        rules: about_method(method),
        dry_run: false,
    };
    (origin(name), policy)
}

fn head() -> Asked {
    let request = Request::post("/books?page=2")
        .header("x-user", "forged")
        .header("x-team", "red")
        .header("x-team", "blue")
        .header("cookie", "a=b")
        .header("content-length", "9")
        .header("x-request-id", "id-1");
    let parts = request
        .header("host", "books.shop")
        .body(())
        .unwrap()
        .into_parts()
        .0;
    let id = || ::http::HeaderValue::from_static("id");
    Asked::new(parts, Default::default(), id).unwrap()
}

fn with_facts<R>(head: &Asked, run: impl FnOnce(&Facts<'_>) -> R) -> R {
    let identity = caller();
    let request = RequestFacts {
        remote_ip: address("10.0.0.1:1").ip(),
        server_name: None,
        http: Some(facts_of(head, None)),
    };
    run(&Facts {
        source_identity: Some(&identity),
        source_ip: address("10.0.0.1:1").ip(),
        destination_ip: address("10.0.0.2:1").ip(),
        destination_port: 80,
        request: Some(&request),
    })
}

fn authorizer(name: &str, protocol: AuthorizerProtocol) -> ExternalAuthorizer {
    ExternalAuthorizer {
        name: name.into(),
        server: ProviderAddress {
            host: ProviderHost::Name("authz.example".into()),
            port: 9000,
        },
        protocol,
        timeout: Duration::from_secs(1),
        fail_open: false,
        status_on_error: 503,
        body: None,
    }
}

fn by() -> Denial {
    Denial {
        policy: Some(NamespacedName::new("shop", "ask")),
        rule: Some(0),
        origin: Some(origin("ask")),
    }
}

fn question(identity: &Identity) -> external::Request<'_> {
    external::Request {
        source_identity: Some(identity),
        source: address("10.0.0.1:4000"),
        destination: address("10.0.0.2:80"),
        time: UNIX_EPOCH + Duration::from_secs(7),
        length: Some(9),
        body: None,
    }
}

async fn asked<T: Transport>(
    authorizer: &ExternalAuthorizer,
    head: &mut Asked,
    transport: &T,
) -> Result<Additions, Refusal> {
    let whom = Whom {
        authorizer,
        by: Box::new(by()),
    };
    ask(whom, question(&caller()), head, transport).await
}

#[test]
fn a_denied_request_hears_the_contracts_words_and_the_log_names_policy_and_rule() {
    let authorization = Authorization::new([policy("deny", RequestAction::Deny, "POST")]);
    let refusal = with_facts(&head(), |facts| authorization.decide(facts)).unwrap_err();
    let reply = refusal.reply();
    assert_eq!(reply.status(), 403);
    assert_eq!(reply.ending.body(false), "RBAC: access denied");
    let detail = "rbac_access_denied_matched_policy[ns[shop]-policy[deny]-rule[0]]";
    assert_eq!(refusal.code_detail(), detail);
    let elsewhere = Authorization::new([policy("deny", RequestAction::Deny, "GET")]);
    assert!(with_facts(&head(), |facts| elsewhere.decide(facts)).is_ok());
    assert!(with_facts(&head(), |facts| Authorization::default().decide(facts)).is_ok());
}

#[test]
fn who_is_asked_follows_from_the_policies_and_is_refused_when_that_is_unclear() {
    let custom = |name: &str, method| {
        let action = RequestAction::Custom(name.into());
        policy(name, action, method)
    };
    let known = [
        authorizer("one", AuthorizerProtocol::Grpc),
        authorizer("two", AuthorizerProtocol::Grpc),
    ];
    let whom = |policies: Vec<_>| {
        let authorization = Authorization::new(policies);
        let asked = with_facts(&head(), |facts| authorization.whom_to_ask(facts, &known));
        match asked {
            Ok(asked) => Ok(asked.map(|it| it.authorizer.name.to_string())),
            Err(refusal) => Err(refusal.reply().status().as_u16()),
        }
    };
    assert_eq!(whom(vec![]), Ok(None));
    assert_eq!(whom(vec![custom("one", "GET")]), Ok(None));
    assert_eq!(
        whom(vec![custom("one", "POST")]),
        Ok(Some("one".to_owned()))
    );
    assert_eq!(whom(vec![custom("unknown", "POST")]), Err(403));
    assert_eq!(
        whom(vec![custom("one", "POST"), custom("two", "GET")]),
        Err(403)
    );
}

#[test]
fn audits_and_dry_runs_are_marked_whatever_is_decided() {
    let mut dry = policy("dry", RequestAction::Deny, "POST");
    dry.1.dry_run = true;
    let mut missed = policy("missed", RequestAction::Allow, "GET");
    missed.1.dry_run = true;
    let audit = policy("audit", RequestAction::Audit, "POST");
    let authorization = Authorization::new([dry, missed, audit]);
    let head = head();
    assert!(with_facts(&head, |facts| authorization.decide(facts)).is_ok());
    let marks = with_facts(&head, |facts| authorization.marks(facts));
    let marks: Vec<_> = marks
        .iter()
        .map(|it| (&*it.policy.name, it.rule, it.is_dry_run))
        .collect();
    let expected = [
        ("audit", Some(0), false),
        ("dry", Some(0), true),
        ("missed", None, true),
    ];
    assert_eq!(marks, expected);
}
