//! The certificate service over gRPC. Source: docs/compat.md#certificate-service.
//!
//! What goes wrong is told in full to the log and the counters; callers hear only which kind of
//! thing went wrong.

use std::sync::Arc;

use mesh::telemetry::report;
use prost_types::value::Kind;
use proto::auth::istio_certificate_service_server::{
    IstioCertificateService, IstioCertificateServiceServer,
};
use proto::auth::{IstioCertificateRequest, IstioCertificateResponse};
use tonic::metadata::MetadataMap;
use tonic::{Code, Request, Response, Status};

use super::{Authority, IssueError, Order};

/// Largest request that is read, in bytes.
const LARGEST_REQUEST: usize = 64 * 1024;
/// Metadata key of the identity that a node proxy asks for.
const IMPERSONATED_IDENTITY: &str = "ImpersonatedIdentity";

/// The gRPC face of an [`Authority`]; cheap to clone.
#[derive(Clone)]
pub struct Service {
    authority: Arc<Authority>,
}

impl Service {
    /// Serves certificates of `authority`.
    pub fn new(authority: Arc<Authority>) -> Self {
        Self { authority }
    }

    /// To be added to a tonic server or router.
    pub fn into_server(self) -> IstioCertificateServiceServer<Self> {
        IstioCertificateServiceServer::new(self).max_decoding_message_size(LARGEST_REQUEST)
    }
}

#[tonic::async_trait]
impl IstioCertificateService for Service {
    async fn create_certificate(
        &self,
        request: Request<IstioCertificateRequest>,
    ) -> Result<Response<IstioCertificateResponse>, Status> {
        let bearer = bearer(request.metadata()).to_owned();
        let message = request.into_inner();
        let wanted = impersonated(&message);
        let order = Order {
            wanted: wanted.as_deref(),
            request: &message.csr,
            life: message.validity_duration,
        };
        match self.authority.issue(&bearer, order).await {
            Ok(signed) => Ok(Response::new(IstioCertificateResponse {
                cert_chain: signed.chain,
            })),
            Err(error) => {
                let caller = error.caller().map(ToString::to_string).unwrap_or_default();
                let wanted: String = wanted.iter().flat_map(|w| w.chars()).take(256).collect();
                let reason = report(&error);
                tracing::warn!(caller, wanted, reason, "certificate request is refused");
                Err(status(&error))
            }
        }
    }
}

/// What the caller hears.
fn status(error: &IssueError) -> Status {
    let (code, message) = match error {
        IssueError::NotReady => (Code::Unavailable, "not ready yet"),
        IssueError::Unauthenticated(_) => (Code::Unauthenticated, "authentication failed"),
        IssueError::TooOften { .. } => (Code::ResourceExhausted, "too many requests"),
        IssueError::Refused { .. } => (Code::PermissionDenied, "not allowed"),
        IssueError::Sign { source, .. } if source.is_callers_fault() => {
            (Code::InvalidArgument, "signing request is not acceptable")
        }
        IssueError::Sign { .. } => (Code::Internal, "cannot sign"),
    };
    Status::new(code, message)
}

fn bearer(metadata: &MetadataMap) -> &str {
    let header = metadata
        .get("authorization")
        .and_then(|value| value.to_str().ok());
    header
        .and_then(|text| text.strip_prefix("Bearer "))
        .unwrap_or_default()
        .trim()
}

/// The identity asked for beside the caller's own. A value that is no text counts as asked for, and
/// is refused as unreadable, so that nobody gets another certificate than the one that was meant.
fn impersonated(message: &IstioCertificateRequest) -> Option<String> {
    let value = message
        .metadata
        .as_ref()?
        .fields
        .get(IMPERSONATED_IDENTITY)?;
    match &value.kind {
        Some(Kind::StringValue(text)) => Some(text.clone()),
        _ => Some(String::new()),
    }
}
