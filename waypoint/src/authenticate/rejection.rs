//! Pure. Why a token is not taken, and what its sender hears. Source: docs/compat.md#jwt.

use ::http::StatusCode;
use ::http::header::{HeaderValue, WWW_AUTHENTICATE};

use crate::asked::Asked;
use crate::ending::Ending;
use crate::reply::Reply;

/// Why a token is not taken. Displayed in the words that the client gets as body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Rejection {
    /// Not three parts.
    #[error("Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections")]
    Form,
    /// Its header cannot be read.
    #[error("Jwt header is an invalid JSON")]
    Header,
    /// It is signed in a way that is not taken, `none` among them.
    #[error("Jwt header [alg] is not supported")]
    Algorithm,
    /// It must not be taken without understanding an extension that is not understood.
    #[error("Jwt header [crit] is not supported")]
    Critical,
    /// Its payload cannot be read.
    #[error("Jwt payload is an invalid JSON")]
    Payload,
    /// `exp` or `nbf` is no number.
    #[error("Jwt payload [exp] or [nbf] field is not a number")]
    Times,
    /// Its signature is not base64.
    #[error("Jwt signature is an invalid Base64")]
    SignatureForm,
    /// No rule is for its issuer, or none looks for its tokens in this place.
    #[error("Jwt issuer is not configured")]
    UnknownIssuer,
    /// `exp` is over.
    #[error("Jwt is expired")]
    Expired,
    /// `nbf` is to come.
    #[error("Jwt not yet valid")]
    NotYetValid,
    /// It is meant for somebody else.
    #[error("Audiences in Jwt are not allowed")]
    Audience,
    /// The issuer's keys could not be fetched.
    #[error("Jwks remote fetch is failed")]
    KeysMissing,
    /// The issuer has no such key.
    #[error("Jwks doesn't have key to match kid or alg from Jwt")]
    UnknownKey,
    /// Nobody with the issuer's key has signed this.
    #[error("Jwt verification fails")]
    Signature,
}

impl Rejection {
    /// Status of the answer.
    pub fn status(self) -> StatusCode {
        match self {
            Self::Audience => StatusCode::FORBIDDEN,
            _ => StatusCode::UNAUTHORIZED,
        }
    }

    /// Body of the answer, plain text.
    pub fn body(self) -> String {
        self.to_string()
    }

    /// The answer to a request.
    pub fn reply(self, asked: &Asked) -> Reply {
        let mut reply = Reply::from(Ending::Unauthenticated)
            .with_status(self.status())
            .with_body(self.body());
        let challenge = self.www_authenticate(asked.scheme(), asked.host(), &asked.path);
        if let Ok(challenge) = HeaderValue::try_from(challenge) {
            reply.headers.insert(WWW_AUTHENTICATE, challenge);
        }
        reply
    }

    /// Value of `www-authenticate`. What the client sent is kept only where it can stand in quotes.
    pub fn www_authenticate(self, scheme: &str, host: &str, path: &str) -> String {
        let can_be_quoted = |it: char| it.is_ascii_graphic() && it != '"' && it != '\\';
        let address = [scheme, "://", host, path];
        let realm: String = address
            .iter()
            .flat_map(|it| it.chars())
            .filter(|it| can_be_quoted(*it))
            .collect();
        format!("Bearer realm=\"{realm}\", error=\"invalid_token\"")
    }
}
