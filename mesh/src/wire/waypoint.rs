//! What one waypoint is told about itself, both ways.

use bytes::Bytes;
use prost::Message;
use proto::waypoint as pb;

use super::field::{Subject, all, duration_message, some_unless_default};
use super::{Error, Problem, observe, provider, retry};
use crate::identity::TrustDomain;
use crate::model::waypoint::{PathNormalization, Waypoint, WaypointFor};

/// Type URL of these resources.
pub const TYPE_URL: &str = proto::type_urls::WAYPOINT;

/// Reads the bytes of one `weft.waypoint.v1.Waypoint`.
///
/// # Errors
/// Names the waypoint, the field and the problem; nothing is guessed.
pub fn decode(bytes: &[u8]) -> Result<Waypoint, Error> {
    let kind = "waypoint";
    let nameless = Subject { kind, name: "" };
    let message = pb::Waypoint::decode(bytes)
        .map_err(|error| nameless.error("bytes", Problem::Malformed(error)))?;
    let name = format!("{}/{}", message.namespace, message.name);
    let subject = Subject { kind, name: &name };
    let trust_domain = TrustDomain::parse(&message.trust_domain)
        .map_err(|error| subject.error("trust_domain", Problem::TrustDomain(error)))?;
    let telemetry = message.telemetry.unwrap_or_default();
    Ok(Waypoint {
        key: subject.object("name", &message.namespace, &message.name)?,
        serves: match subject.known("serves", message.serves)? {
            pb::WaypointFor::Services => WaypointFor::Service,
            pb::WaypointFor::Workloads => WaypointFor::Workload,
            pb::WaypointFor::All => WaypointFor::All,
            pb::WaypointFor::None => WaypointFor::None,
        },
        trust_domain,
        path_normalization: match subject.known("path_normalization", message.path_normalization)? {
            pb::PathNormalization::Base => PathNormalization::Base,
            pb::PathNormalization::AsSent => PathNormalization::None,
            pb::PathNormalization::MergeSlashes => PathNormalization::MergeSlashes,
            pb::PathNormalization::DecodeAndMergeSlashes => {
                PathNormalization::DecodeAndMergeSlashes
            }
        },
        default_retry: retry::retry(subject, message.default_retry.unwrap_or_default())?,
        connect_timeout: subject.needed_duration("connect_timeout", message.connect_timeout)?,
        authorizers: all(message.authorizers, |it| provider::authorizer(subject, it))?,
        telemetry: observe::telemetry(subject, telemetry)?,
    })
}

/// Bytes of the resource; equal values give equal bytes.
pub fn encode(waypoint: &Waypoint) -> Bytes {
    let Waypoint {
        key,
        serves,
        trust_domain,
        path_normalization,
        default_retry,
        connect_timeout,
        authorizers,
        telemetry,
    } = waypoint;
    let serves = match serves {
        WaypointFor::Service => pb::WaypointFor::Services,
        WaypointFor::Workload => pb::WaypointFor::Workloads,
        WaypointFor::All => pb::WaypointFor::All,
        WaypointFor::None => pb::WaypointFor::None,
    };
    let path_normalization = match path_normalization {
        PathNormalization::Base => pb::PathNormalization::Base,
        PathNormalization::None => pb::PathNormalization::AsSent,
        PathNormalization::MergeSlashes => pb::PathNormalization::MergeSlashes,
        PathNormalization::DecodeAndMergeSlashes => pb::PathNormalization::DecodeAndMergeSlashes,
    };
    let authorizers = authorizers.iter();
    let message = pb::Waypoint {
        namespace: key.namespace.to_string(),
        name: key.name.to_string(),
        serves: serves.into(),
        trust_domain: trust_domain.to_string(),
        path_normalization: path_normalization.into(),
        default_retry: some_unless_default(retry::retry_message(default_retry)),
        connect_timeout: Some(duration_message(*connect_timeout)),
        authorizers: authorizers.map(provider::authorizer_message).collect(),
        telemetry: some_unless_default(observe::telemetry_message(telemetry)),
    };
    message.encode_to_vec().into()
}
