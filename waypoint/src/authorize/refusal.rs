//! Pure. What a client hears whose request is not admitted.

use ::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use mesh::authz::Denial;

use super::external;
use crate::ending::Ending;
use crate::reply::Reply;

/// Why a request is not admitted.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// A policy says so, or none admits it.
    #[error("{0}")]
    Denied(Box<Denial>),
    /// An external authorization server says so.
    #[error("refused by the authorization server of {}", name(by))]
    External {
        /// The policy that had it asked.
        by: Box<Denial>,
        /// What it wants the client to hear.
        said: Box<Said>,
    },
    /// It could not be asked.
    #[error("the authorization server of {} cannot be asked", name(by))]
    Unanswered {
        /// The policy that had it asked.
        by: Box<Denial>,
        /// Status of the answer.
        status: u16,
        /// What went wrong.
        source: external::Error,
    },
}

/// What an authorization server wants a client to hear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
}

impl Refusal {
    /// The answer.
    pub fn reply(&self) -> Reply {
        let mut reply = Reply::from(self.ending());
        reply.details = Some(self.code_detail());
        match self {
            Self::Denied(_) => {}
            Self::External { said, .. } => {
                reply.status = Some(said.status);
                reply.headers = said.headers.clone();
                reply.body = Some(said.body.clone());
            }
            Self::Unanswered { status, .. } => reply.status = StatusCode::from_u16(*status).ok(),
        }
        reply
    }

    /// How it ends.
    pub fn ending(&self) -> Ending {
        match self {
            Self::Denied(_) => Ending::Denied,
            Self::External { .. } => Ending::ExternallyDenied,
            Self::Unanswered { .. } => Ending::ExternalFailed,
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
}

fn name(by: &Denial) -> String {
    by.rule_behind()
        .map_or_else(|| "a policy".to_owned(), |it| it.to_string())
}
