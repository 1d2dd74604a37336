//! Pure. RequestAuthentication.

use std::fmt;

use serde::Deserialize;

use super::authorization_policy::TargetRef;
use super::{Span, WorkloadSelector};
use crate::meta::Metadata;

/// Which tokens of requests count.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct RequestAuthentication {
    /// Name and age.
    pub metadata: Metadata,
    /// What was asked for.
    pub spec: RequestAuthenticationSpec,
}

/// `spec` of a RequestAuthentication.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct RequestAuthenticationSpec {
    /// The workloads it is about; no waypoint looks at these.
    pub selector: Option<WorkloadSelector>,
    /// One thing whose waypoint enforces it, the older spelling of `targetRefs`.
    pub target_ref: Option<TargetRef>,
    /// Things whose waypoints enforce it.
    pub target_refs: Vec<TargetRef>,
    /// Rules, one for each issuer.
    pub jwt_rules: Vec<JwtRule>,
}

/// Which tokens of one issuer count.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct JwtRule {
    /// `iss`.
    pub issuer: String,
    /// `aud`, any of them; none for any.
    pub audiences: Vec<String>,
    /// Where the keys are fetched.
    #[serde(alias = "jwks_uri")]
    pub jwks_uri: Option<String>,
    /// The keys themselves.
    pub jwks: Option<Jwks>,
    /// Headers that tokens may be in.
    pub from_headers: Vec<JwtHeader>,
    /// Query parameters that tokens may be in.
    pub from_params: Vec<String>,
    /// Cookies that tokens may be in.
    pub from_cookies: Vec<String>,
    /// Header that the payload is sent on in.
    pub output_payload_to_header: Option<String>,
    /// Headers that claims are sent on in.
    pub output_claim_to_headers: Vec<ClaimToHeader>,
    /// Whether the token is sent on.
    pub forward_original_token: bool,
    /// How long fetching keys may take.
    pub timeout: Option<Span>,
    /// Claims that are lists separated by spaces.
    pub space_delimited_claims: Vec<String>,
}

/// Keys in the object itself. Public ones, but nobody should rely on that: not shown by `Debug`.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Jwks(pub String);

impl fmt::Debug for Jwks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Jwks({} bytes)", self.0.len())
    }
}

/// A header that tokens may be in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct JwtHeader {
    /// Name.
    pub name: String,
    /// What stands before the token.
    pub prefix: String,
}

/// A header that a claim is sent on in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ClaimToHeader {
    /// Name of the header.
    pub header: String,
    /// Claim, with dots between the parts of its path.
    pub claim: String,
}
