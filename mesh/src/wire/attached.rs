//! Policies of waypoints, both ways.

mod access;
mod limit;
mod token;

use bytes::Bytes;
use prost::Message;
use proto::waypoint as pb;
use proto::waypoint::policy::Body;

use super::field::{Subject, all, origin_message, origin_of};
use super::{Error, Problem};
use crate::model::attached::{AttachedPolicy, PolicyBody, Target};
use crate::names::NamespacedHostname;

/// Type URL of these resources.
pub const TYPE_URL: &str = proto::type_urls::ROUTE_POLICY;

/// Reads the bytes of one `weft.waypoint.v1.Policy`.
///
/// # Errors
/// Names the policy, the field and the problem. Nothing is guessed: a guess could admit what the policy forbids.
pub fn decode(bytes: &[u8]) -> Result<AttachedPolicy, Error> {
    let kind = "attached policy";
    let nameless = Subject { kind, name: "" };
    let message = pb::Policy::decode(bytes)
        .map_err(|error| nameless.error("bytes", Problem::Malformed(error)))?;
    let origin = origin_of(nameless.required("origin", message.origin)?);
    let name = format!("{}/{}/{}", origin.kind, origin.namespace, origin.name);
    let subject = Subject { kind, name: &name };
    let body = match subject.required("body", message.body)? {
        Body::Authorization(it) => PolicyBody::Authorization(access::authorization(subject, it)?),
        Body::Authentication(it) => {
            PolicyBody::Authentication(all(it.rules, |it| token::rule(subject, it))?)
        }
        Body::RateLimits(it) => {
            PolicyBody::RateLimit(all(it.limits, |it| limit::limit(subject, it))?)
        }
    };
    Ok(AttachedPolicy {
        origin,
        targets: all(message.targets, |it| target(subject, it))?,
        body,
    })
}

/// Bytes of the resource; equal values give equal bytes.
pub fn encode(policy: &AttachedPolicy) -> Bytes {
    let AttachedPolicy {
        origin,
        targets,
        body,
    } = policy;
    let body = match body {
        PolicyBody::Authorization(it) => Body::Authorization(access::authorization_message(it)),
        PolicyBody::Authentication(rules) => Body::Authentication(pb::Authentication {
            rules: rules.iter().map(token::rule_message).collect(),
        }),
        PolicyBody::RateLimit(limits) => Body::RateLimits(pb::RateLimits {
            limits: limits.iter().map(limit::limit_message).collect(),
        }),
    };
    let message = pb::Policy {
        origin: Some(origin_message(origin)),
        targets: targets.iter().map(target_message).collect(),
        body: Some(body),
    };
    message.encode_to_vec().into()
}

fn target(subject: Subject<'_>, message: pb::Target) -> Result<Target, Error> {
    use pb::target::Kind;
    let field = "targets";
    Ok(match subject.required(field, message.kind)? {
        Kind::Gateway(it) => Target::Gateway(subject.object(field, &it.namespace, &it.name)?),
        Kind::Service(it) => {
            Target::Service(subject.service(field, &it.namespace, &it.hostname)?)
        }
        Kind::Route(origin) => Target::Route(origin_of(origin)),
    })
}

fn target_message(target: &Target) -> pb::Target {
    use pb::target::Kind;
    let kind = match target {
        Target::Gateway(name) => Kind::Gateway(pb::Name {
            namespace: name.namespace.to_string(),
            name: name.name.to_string(),
        }),
        Target::Service(NamespacedHostname {
            namespace,
            hostname,
        }) => Kind::Service(pb::ServiceName {
            namespace: namespace.to_string(),
            hostname: hostname.to_string(),
        }),
        Target::Route(origin) => Kind::Route(origin_message(origin)),
    };
    pb::Target { kind: Some(kind) }
}
