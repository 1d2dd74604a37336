//! Pure. What a client hears whose request is not admitted.

use ::http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use ::http::{Response, StatusCode};
use bytes::Bytes;
use mesh::authz::Denial;

use super::external;

/// Body of refusals by policy.
const DENIED: &str = "RBAC: access denied";

/// Why a request is not admitted.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// A policy says so, or none admits it.
    #[error("{0}")]
    Denied(Denial),
    /// An external authorization server says so.
    #[error("refused by the authorization server of {}", name(by))]
    External {
        /// The policy that had it asked.
        by: Denial,
        /// What it wants the client to hear.
        reply: Reply,
    },
    /// It could not be asked.
    #[error("the authorization server of {} cannot be asked", name(by))]
    Unanswered {
        /// The policy that had it asked.
        by: Denial,
        /// Status of the answer.
        status: u16,
        /// What went wrong.
        source: external::Error,
    },
}

/// An answer in full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
}

impl Refusal {
    /// The answer, as HTTP; to be turned into gRPC's form by whoever sends it.
    pub fn reply(&self) -> Response<Bytes> {
        match self {
            Self::Denied(_) => plain(StatusCode::FORBIDDEN, DENIED),
            Self::External { reply, .. } => {
                let mut response = Response::new(reply.body.clone());
                *response.status_mut() = reply.status;
                *response.headers_mut() = reply.headers.clone();
                response
            }
            Self::Unanswered { status, .. } => {
                let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::FORBIDDEN);
                plain(status, "")
            }
        }
    }

    /// The policy's rule behind it.
    pub fn by(&self) -> &Denial {
        match self {
            Self::Denied(by) | Self::External { by, .. } | Self::Unanswered { by, .. } => by,
        }
    }

    /// The detail of the answer's code in access logs.
    pub fn code_detail(&self) -> String {
        match self {
            Self::Denied(by) => by.code_detail(),
            Self::External { .. } => "ext_authz_denied".to_owned(),
            Self::Unanswered { .. } => "ext_authz_error".to_owned(),
        }
    }

    /// Whether an external authorization server is the cause: such answers have the flag `UAEX`.
    pub fn is_external(&self) -> bool {
        !matches!(self, Self::Denied(_))
    }
}

fn plain(status: StatusCode, body: &'static str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from_static(body.as_bytes()));
    *response.status_mut() = status;
    if !body.is_empty() {
        let text = HeaderValue::from_static("text/plain");
        response.headers_mut().insert(CONTENT_TYPE, text);
    }
    response
}

fn name(by: &Denial) -> String {
    by.rule_behind()
        .map_or_else(|| "a policy".to_owned(), |it| it.to_string())
}
