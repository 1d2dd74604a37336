//! An external authorization server: it admits requests by one header, and says so in another.

use proto::external_auth::authorization_server::{Authorization, AuthorizationServer};
use proto::external_auth::check_response::HttpResponse;
use proto::external_auth::{
    CheckRequest, CheckResponse, DeniedHttpResponse, HeaderValue, HeaderValueOption, HttpStatus,
    OkHttpResponse, Status as Verdict,
};
use tonic::{Code, Request, Response, Status};

use super::{CHECKED, LET, LET_IN};

/// Status of what is refused: one that no default has.
const REFUSED: i32 = 402;

/// The server.
pub(super) fn server() -> AuthorizationServer<Judge> {
    AuthorizationServer::new(Judge)
}

/// Whoever decides.
pub(super) struct Judge;

#[tonic::async_trait]
impl Authorization for Judge {
    async fn check(&self, asked: Request<CheckRequest>) -> Result<Response<CheckResponse>, Status> {
        let attributes = asked.into_inner().attributes.unwrap_or_default();
        let caller = attributes.source.unwrap_or_default().principal;
        let http = attributes.request.unwrap_or_default().http;
        let headers = http.unwrap_or_default().headers;
        let is_in = headers.get(LET).is_some_and(|it| it == LET_IN);
        Ok(Response::new(if is_in {
            admitted(caller)
        } else {
            refused()
        }))
    }
}

/// Admitted, and the application learns who was seen to ask.
fn admitted(caller: String) -> CheckResponse {
    let header = HeaderValue {
        key: CHECKED.to_owned(),
        value: caller,
        ..HeaderValue::default()
    };
    let headers = vec![HeaderValueOption {
        header: Some(header),
        ..HeaderValueOption::default()
    }];
    CheckResponse {
        status: Some(Verdict::default()),
        http_response: Some(HttpResponse::OkResponse(OkHttpResponse {
            headers,
            ..OkHttpResponse::default()
        })),
    }
}

fn refused() -> CheckResponse {
    CheckResponse {
        status: Some(Verdict {
            code: Code::PermissionDenied.into(),
            message: "not let in".to_owned(),
        }),
        http_response: Some(HttpResponse::DeniedResponse(DeniedHttpResponse {
            status: Some(HttpStatus { code: REFUSED }),
            body: "not let in".to_owned(),
            ..DeniedHttpResponse::default()
        })),
    }
}
