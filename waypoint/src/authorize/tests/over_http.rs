//! An authorization server over plain HTTP.

use std::cell::RefCell;

use ::http::Response;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use mesh::model::provider::AuthorizerBody;

use super::super::external::{AnswerBody, Cause};
use super::*;

/// Answers the same to everybody, and remembers the last question.
struct Server<F> {
    answer: F,
    last: RefCell<Option<Request<Bytes>>>,
}

impl<F: Fn() -> Response<&'static str>> Server<F> {
    fn new(answer: F) -> Self {
        let last = RefCell::default();
        Self { answer, last }
    }

    fn last(&self) -> Request<Bytes> {
        self.last.take().unwrap()
    }
}

impl<F: Fn() -> Response<&'static str>> Transport for Server<F> {
    async fn send(
        &self,
        server: &ProviderAddress,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<AnswerBody>, Cause> {
        assert_eq!(server.port, 9000);
        let (head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        self.last.replace(Some(Request::from_parts(head, body)));
        let body = |text: &'static str| Full::new(Bytes::from(text)).map_err(|it| match it {});
        Ok((self.answer)().map(|it| body(it).boxed_unsync()))
    }
}

/// Never answers.
struct Silence;

impl Transport for Silence {
    async fn send(
        &self,
        _: &ProviderAddress,
        _: Request<Full<Bytes>>,
    ) -> Result<Response<AnswerBody>, Cause> {
        std::future::pending().await
    }
}

fn over_http() -> ExternalAuthorizer {
    let names = |all: &[&str]| all.iter().map(|it| (*it).into()).collect();
    let protocol = AuthorizerProtocol::Http {
        path_prefix: "/check".into(),
        forwarded: names(&["cookie", "x-t*", "content-length"]),
        added: vec![("x-asker".into(), "weft".into())],
        to_upstream: names(&["x-user", "host", "transfer-encoding"]),
        to_client_on_deny: names(&["x-why"]),
        to_client_on_allow: names(&["x-seen"]),
    };
    authorizer("http", protocol)
}

#[tokio::test]
async fn the_question_has_method_path_host_and_the_chosen_headers() {
    let server = Server::new(|| Response::new(""));
    asked(&over_http(), &mut head(), &server).await.unwrap();
    let question = server.last();
    assert_eq!(
        (question.method().as_str(), question.uri().to_string()),
        ("POST", "/check/books?page=2".to_owned())
    );
    let value = |name: &str| question.headers().get(name).map(|it| it.to_str().unwrap());
    assert_eq!(value("host"), Some("books.shop"));
    assert_eq!(value("cookie"), Some("a=b"));
    assert_eq!(value("x-asker"), Some("weft"));
    assert_eq!(
        value("content-length"),
        Some("0"),
        "that of the question, not of the request"
    );
    assert_eq!(value("x-user"), None);
    assert_eq!(question.headers().get_all("x-team").iter().count(), 2);
}

#[tokio::test]
async fn a_body_is_sent_along_as_it_was_given() {
    let server = Server::new(|| Response::new(""));
    let mut authorizer = over_http();
    let settings = AuthorizerBody {
        max_bytes: 4,
        allow_partial: true,
        pack_as_bytes: false,
    };
    authorizer.body = Some(settings);
    let read = Bytes::from_static(b"123456789");
    let body = external::part(settings, &read, true).unwrap();
    let caller = caller();
    let question = external::Request {
        body,
        ..question(&caller)
    };
    let whom = Whom {
        authorizer: &authorizer,
        by: Box::new(by()),
    };
    ask(whom, question, &mut head(), &server).await.unwrap();
    let question = server.last();
    assert_eq!(question.body(), "1234");
    assert_eq!(question.headers()["x-envoy-auth-partial-body"], "true");
    assert_eq!(question.headers()["content-length"], "4");
}

#[tokio::test]
async fn an_admitting_answer_changes_what_it_may_and_nothing_that_frames_messages() {
    let server = Server::new(|| {
        Response::builder()
            .header("x-user", "alice")
            .header("x-user", "admin")
            .header("x-other", "ignored")
            .header("host", "evil")
            .header("transfer-encoding", "chunked")
            .header("x-seen", "yes")
            .header("x-envoy-auth-headers-to-remove", "cookie, content-length")
            .body("")
            .unwrap()
    });
    let mut head = head();
    let additions = asked(&over_http(), &mut head, &server).await.unwrap();
    let users: Vec<_> = head.headers.get_all("x-user").iter().collect();
    assert_eq!(users, ["alice", "admin"], "what the client said is gone");
    for absent in ["x-other", "host", "transfer-encoding", "cookie"] {
        assert!(!head.headers.contains_key(absent), "{absent}");
    }
    assert_eq!(head.headers["content-length"], "9");
    let mut response = ::http::HeaderMap::new();
    additions.to_response(&mut response);
    assert_eq!(response["x-seen"], "yes");
    assert_eq!(response.len(), 1);
}

#[tokio::test]
async fn a_refusing_answer_reaches_the_client() {
    let server = Server::new(|| {
        Response::builder()
            .status(401)
            .header("x-why", "no ticket")
            .header("x-internal", "secret")
            .header("www-authenticate", "Basic")
            .header("connection", "close")
            .body("buy a ticket")
            .unwrap()
    });
    let refusal = asked(&over_http(), &mut head(), &server).await.unwrap_err();
    let reply = refusal.reply();
    assert_eq!(
        (reply.status().as_u16(), &reply.body.as_ref().unwrap()[..]),
        (401, &b"buy a ticket"[..])
    );
    let names: Vec<_> = reply.headers.keys().map(|it| it.as_str()).collect();
    assert_eq!(names, ["x-why", "www-authenticate"]);
    assert_eq!(refusal.code_detail(), "ext_authz_denied");
    assert_eq!(reply.ending.flag(), "UAEX");
}

#[tokio::test(start_paused = true)]
async fn without_a_decision_the_provider_says_whether_requests_pass() {
    let broken = Server::new(|| Response::builder().status(500).body("").unwrap());
    let mut open = over_http();
    open.fail_open = true;
    for (name, refusal) in [
        ("500", asked(&over_http(), &mut head(), &broken).await),
        ("silence", asked(&over_http(), &mut head(), &Silence).await),
    ] {
        let refusal = refusal.unwrap_err();
        assert_eq!(refusal.reply().status(), 503, "{name}");
        assert_eq!(refusal.code_detail(), "ext_authz_error", "{name}");
    }
    assert!(asked(&open, &mut head(), &broken).await.is_ok());
    assert!(asked(&open, &mut head(), &Silence).await.is_ok());
}
