//! An authorization server over gRPC: tonic reads what we write, and we read what tonic writes.

use std::sync::{Arc, Mutex};

use ::http::Response;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use proto::external_auth as pb;
use proto::external_auth::authorization_server::{Authorization as Service, AuthorizationServer};
use tonic::codegen::Service as _;

use super::super::external::{AnswerBody, Cause};
use super::*;

type Answer = Result<pb::CheckResponse, tonic::Status>;

/// Answers the same to everybody, and remembers the last question.
#[derive(Clone)]
struct Server {
    answer: Arc<dyn Fn() -> Answer + Send + Sync>,
    last: Arc<Mutex<Option<pb::CheckRequest>>>,
}

impl Server {
    fn new(answer: impl Fn() -> Answer + Send + Sync + 'static) -> Self {
        Self {
            answer: Arc::new(answer),
            last: Arc::default(),
        }
    }
}

#[tonic::async_trait]
impl Service for Server {
    async fn check(
        &self,
        request: tonic::Request<pb::CheckRequest>,
    ) -> Result<tonic::Response<pb::CheckResponse>, tonic::Status> {
        *self.last.lock().unwrap() = Some(request.into_inner());
        (self.answer)().map(tonic::Response::new)
    }
}

impl Transport for Server {
    async fn send(
        &self,
        _: &ProviderAddress,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<AnswerBody>, Cause> {
        let request = request.map(tonic::body::Body::new);
        let response = AuthorizationServer::new(self.clone()).call(request).await?;
        Ok(response.map(|it| it.map_err(Cause::from).boxed_unsync()))
    }
}

fn header(key: &str, value: &str) -> pb::HeaderValueOption {
    pb::HeaderValueOption {
        header: Some(pb::HeaderValue {
            key: key.to_owned(),
            value: value.to_owned(),
            raw_value: Bytes::new(),
        }),
        append: None,
        append_action: 0,
    }
}

fn status(code: i32) -> Option<pb::Status> {
    let message = String::new();
    Some(pb::Status { code, message })
}

async fn over_grpc(server: &Server, head: &mut Asked) -> Result<Additions, Refusal> {
    let authorizer = authorizer("grpc", AuthorizerProtocol::Grpc);
    asked(&authorizer, head, server).await
}

#[tokio::test]
async fn the_question_says_who_asks_for_what() {
    let server = Server::new(|| Ok(pb::CheckResponse::default()));
    over_grpc(&server, &mut head()).await.unwrap();
    let question = server.last.lock().unwrap().take().unwrap();
    let attributes = question.attributes.unwrap();
    let source = attributes.source.unwrap();
    assert_eq!(source.principal, "spiffe://cluster.local/ns/shop/sa/web");
    assert!(format!("{:?}", source.address).contains("10.0.0.1"));
    let request = attributes.request.unwrap();
    assert_eq!(request.time.unwrap().seconds, 7);
    let http = request.http.unwrap();
    assert_eq!((&*http.method, &*http.path), ("POST", "/books?page=2"));
    assert_eq!(
        (&*http.host, &*http.scheme, &*http.id),
        ("books.shop", "http", "id-1")
    );
    assert_eq!((http.size, &*http.protocol), (9, "HTTP/1.1"));
    assert_eq!(http.headers["x-team"], "red,blue");
    assert_eq!(http.headers[":path"], "/books?page=2");
}

#[tokio::test]
async fn an_admitting_answer_changes_headers_and_query_but_nothing_that_frames_messages() {
    let server = Server::new(|| {
        let added = pb::HeaderValueOption {
            append: Some(true),
            ..header("x-team", "green")
        };
        let absent = pb::HeaderValueOption {
            append_action: 1,
            ..header("cookie", "changed")
        };
        let ok = pb::OkHttpResponse {
            headers: vec![
                header("x-user", "alice"),
                added,
                absent,
                header("content-length", "0"),
            ],
            headers_to_remove: vec!["x-request-id".to_owned(), "content-length".to_owned()],
            response_headers_to_add: vec![header("x-seen", "yes")],
            query_parameters_to_set: vec![pb::QueryParameter {
                key: "by".to_owned(),
                value: "alice".to_owned(),
            }],
            query_parameters_to_remove: vec!["page".to_owned()],
        };
        Ok(pb::CheckResponse {
            status: status(0),
            http_response: Some(pb::check_response::HttpResponse::OkResponse(ok)),
        })
    });
    let mut head = head();
    let additions = over_grpc(&server, &mut head).await.unwrap();
    assert_eq!(head.headers["x-user"], "alice");
    assert_eq!(head.headers.get_all("x-team").iter().count(), 3);
    assert_eq!(head.headers["cookie"], "a=b");
    assert_eq!(head.headers["content-length"], "9");
    assert!(!head.headers.contains_key("x-request-id"));
    assert_eq!(head.query.as_deref(), Some("by=alice"));
    let mut response = ::http::HeaderMap::new();
    additions.to_response(&mut response);
    assert_eq!(response["x-seen"], "yes");
}

#[tokio::test]
async fn refusals_have_the_answers_status_or_403() {
    let refused = |code: i32, http: Option<i32>| {
        let denied = http.map(|code| {
            pb::check_response::HttpResponse::DeniedResponse(pb::DeniedHttpResponse {
                status: Some(pb::HttpStatus { code }),
                headers: vec![header("x-why", "no"), header("connection", "close")],
                body: "no".to_owned(),
            })
        });
        Server::new(move || {
            Ok(pb::CheckResponse {
                status: status(code),
                http_response: denied.clone(),
            })
        })
    };
    for (server, expected, body) in [
        (refused(7, None), 403, ""),
        (refused(7, Some(401)), 401, "no"),
        (refused(7, Some(0)), 403, "no"),
        // One that contradicts itself admits nobody.
        (refused(0, Some(401)), 401, "no"),
    ] {
        let refusal = over_grpc(&server, &mut head()).await.unwrap_err();
        let reply = refusal.reply();
        assert_eq!(
            (reply.status().as_u16(), &reply.body.as_ref().unwrap()[..]),
            (expected, body.as_bytes())
        );
        assert!(!reply.headers.contains_key("connection"));
    }
}

#[tokio::test]
async fn a_call_that_fails_is_no_decision() {
    let server = Server::new(|| Err(tonic::Status::unavailable("away")));
    let refusal = over_grpc(&server, &mut head()).await.unwrap_err();
    assert_eq!(refusal.reply().status(), 503);
    assert!(matches!(refusal, Refusal::Unanswered { .. }));
}
