//! Servers beside the data path, both ways.

use proto::waypoint as pb;

use super::Error;
use super::field::{
    Subject, address_bytes, duration_message, pairs, pairs_message, texts, texts_message,
};
use crate::model::provider::{
    AuthorizerBody, AuthorizerProtocol, ExternalAuthorizer, ProviderAddress, ProviderHost,
};

pub(super) fn address(
    subject: Subject<'_>,
    field: &'static str,
    message: Option<pb::ProviderAddress>,
) -> Result<ProviderAddress, Error> {
    use pb::provider_address::Host;
    let message = subject.required(field, message)?;
    let host = match subject.required(field, message.host)? {
        Host::Service(it) => {
            ProviderHost::Service(subject.service(field, &it.namespace, &it.hostname)?)
        }
        Host::Name(name) => ProviderHost::Name(name.into()),
        Host::Address(bytes) => ProviderHost::Address(subject.address(field, &bytes)?),
    };
    let port = subject.port(field, message.port)?;
    Ok(ProviderAddress { host, port })
}

pub(super) fn address_message(address: &ProviderAddress) -> pb::ProviderAddress {
    use pb::provider_address::Host;
    let host = match &address.host {
        ProviderHost::Service(key) => Host::Service(pb::ProviderService {
            namespace: key.namespace.to_string(),
            hostname: key.hostname.to_string(),
        }),
        ProviderHost::Name(name) => Host::Name(name.to_string()),
        ProviderHost::Address(address) => Host::Address(address_bytes(*address)),
    };
    pb::ProviderAddress {
        host: Some(host),
        port: address.port.into(),
    }
}

pub(super) fn authorizer(
    subject: Subject<'_>,
    message: pb::ExternalAuthorizer,
) -> Result<ExternalAuthorizer, Error> {
    use pb::external_authorizer::Protocol;
    let protocol = match subject.required("authorizers.protocol", message.protocol)? {
        Protocol::Grpc(pb::GrpcAuthorizer {}) => AuthorizerProtocol::Grpc,
        Protocol::Http(it) => AuthorizerProtocol::Http {
            path_prefix: it.path_prefix.into(),
            forwarded: texts(it.forwarded),
            added: pairs(it.added),
            to_upstream: texts(it.to_upstream),
            to_client_on_deny: texts(it.to_client_on_deny),
            to_client_on_allow: texts(it.to_client_on_allow),
        },
    };
    let status = message.status_on_error;
    Ok(ExternalAuthorizer {
        name: message.name.into(),
        server: address(subject, "authorizers.server", message.server)?,
        protocol,
        timeout: subject.needed_duration("authorizers.timeout", message.timeout)?,
        fail_open: message.fail_open,
        status_on_error: subject.status("authorizers.status_on_error", status)?,
        body: message.body.map(|it| AuthorizerBody {
            max_bytes: it.max_bytes,
            allow_partial: it.allow_partial,
            pack_as_bytes: it.pack_as_bytes,
        }),
    })
}

pub(super) fn authorizer_message(authorizer: &ExternalAuthorizer) -> pb::ExternalAuthorizer {
    use pb::external_authorizer::Protocol;
    let ExternalAuthorizer {
        name,
        server,
        protocol,
        timeout,
        fail_open,
        status_on_error,
        body,
    } = authorizer;
    let protocol = match protocol {
        AuthorizerProtocol::Grpc => Protocol::Grpc(pb::GrpcAuthorizer {}),
        AuthorizerProtocol::Http {
            path_prefix,
            forwarded,
            added,
            to_upstream,
            to_client_on_deny,
            to_client_on_allow,
        } => Protocol::Http(pb::HttpAuthorizer {
            path_prefix: path_prefix.to_string(),
            forwarded: texts_message(forwarded),
            added: pairs_message(added),
            to_upstream: texts_message(to_upstream),
            to_client_on_deny: texts_message(to_client_on_deny),
            to_client_on_allow: texts_message(to_client_on_allow),
        }),
    };
    pb::ExternalAuthorizer {
        name: name.to_string(),
        server: Some(address_message(server)),
        protocol: Some(protocol),
        timeout: Some(duration_message(*timeout)),
        fail_open: *fail_open,
        status_on_error: (*status_on_error).into(),
        body: body.map(|it| pb::AuthorizerBody {
            max_bytes: it.max_bytes,
            allow_partial: it.allow_partial,
            pack_as_bytes: it.pack_as_bytes,
        }),
    }
}
