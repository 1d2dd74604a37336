//! One gRPC stream to the controller: connect, authenticate, send, receive.
//!
//! Trust root and token are read anew for every stream, so that both may be rotated in place.
//! Source: contract, docs/compat.md#xds-client.

use std::path::PathBuf;
use std::time::Duration;

use proto::discovery::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient;
use proto::discovery::{DeltaDiscoveryRequest, DeltaDiscoveryResponse};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::{Ascii, MetadataKey, MetadataValue};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Streaming};

use super::Config;
use super::address::{Root, RootError};

/// Largest response that is read; large meshes come in one message from some controllers.
const LARGEST_MESSAGE: usize = 200 * 1024 * 1024;
/// Requests that may wait to be written.
const QUEUE: usize = 64;
/// How long a request may wait there before the stream counts as dead.
const SEND_WITHIN: Duration = Duration::from_secs(30);
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
const KEEPALIVE_IDLE: Duration = Duration::from_secs(300);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(75);
const KEEPALIVE_PROBES: u32 = 9;
const PING_EVERY: Duration = Duration::from_secs(30);
const PING_WITHIN: Duration = Duration::from_secs(10);

/// Why there is no stream, or no longer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The trust root is of no use.
    #[error("no trust root for the controller")]
    Root(#[from] RootError),
    /// The token cannot be read.
    #[error("cannot read the token file {}", path.display())]
    Token {
        /// The token file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A header's name or value cannot be sent.
    #[error("header {name} holds characters that cannot be sent")]
    Header {
        /// Name of the header.
        name: String,
    },
    /// The connection was not made: unreachable, or TLS failed.
    #[error("cannot connect to {address}")]
    Connect {
        /// The controller's address.
        address: String,
        /// Why.
        #[source]
        source: tonic::transport::Error,
    },
    /// The stream was refused or broke.
    #[error("stream ended with {:?}: {}", .0.code(), .0.message())]
    Status(Box<tonic::Status>),
    /// The controller does not read what we send.
    #[error("the controller did not read a request for {} s", SEND_WITHIN.as_secs())]
    Stuck,
}

impl Error {
    /// Whether this is how streams end in ordinary life: a proxy or the controller recycling connections.
    pub fn is_ordinary(&self) -> bool {
        let Self::Status(status) = self else {
            return false;
        };
        match status.code() {
            Code::Unknown | Code::Cancelled | Code::DeadlineExceeded => true,
            Code::Unavailable => {
                let message = status.message().to_ascii_lowercase();
                [
                    "transport is closing",
                    "goaway",
                    "go away",
                    "connection error",
                    "h2 protocol error",
                ]
                .iter()
                .any(|text| message.contains(text))
            }
            _ => false,
        }
    }
}

/// An open stream.
pub(super) struct Stream {
    requests: mpsc::Sender<DeltaDiscoveryRequest>,
    responses: Streaming<DeltaDiscoveryResponse>,
}

impl Stream {
    /// Connects and sends `first`.
    pub(super) async fn open(
        config: &Config,
        first: Vec<DeltaDiscoveryRequest>,
    ) -> Result<Self, Error> {
        let channel = connect(config).await?;
        let (requests, queue) = mpsc::channel(QUEUE.max(first.len()));
        for request in first {
            // There is room for all of them.
            let _ = requests.try_send(request);
        }
        let mut call = tonic::Request::new(ReceiverStream::new(queue));
        authenticate(config, call.metadata_mut()).await?;
        let mut client = AggregatedDiscoveryServiceClient::new(channel)
            .max_decoding_message_size(LARGEST_MESSAGE);
        let answer = client.delta_aggregated_resources(call).await;
        let responses = answer
            .map_err(|status| Error::Status(Box::new(status)))?
            .into_inner();
        Ok(Self {
            requests,
            responses,
        })
    }

    /// Queues a request.
    pub(super) async fn send(&self, request: DeltaDiscoveryRequest) -> Result<(), Error> {
        match tokio::time::timeout(SEND_WITHIN, self.requests.send(request)).await {
            // A closed queue means that the stream has ended: the next receive says how.
            Ok(Ok(()) | Err(_)) => Ok(()),
            Err(_) => Err(Error::Stuck),
        }
    }

    /// The next response; `None` when the controller closed the stream.
    pub(super) async fn receive(&mut self) -> Result<Option<DeltaDiscoveryResponse>, Error> {
        self.responses
            .message()
            .await
            .map_err(|status| Error::Status(Box::new(status)))
    }
}

async fn connect(config: &Config) -> Result<Channel, Error> {
    let roots = read_root(&config.root).await?;
    let first = connect_as(config, &roots, config.address.host()).await;
    match (&config.alt_hostname, first) {
        (Some(other), Err(error)) => {
            tracing::debug!(error = %crate::telemetry::report(&error), name = %other, "trying the other server name");
            connect_as(config, &roots, other).await
        }
        (_, result) => result,
    }
}

/// Connects, expecting a certificate for `name`.
async fn connect_as(config: &Config, roots: &[u8], name: &str) -> Result<Channel, Error> {
    let tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(roots))
        .domain_name(name)
        .timeout(CONNECT_WITHIN);
    let failed = |source| Error::Connect {
        address: config.address.to_string(),
        source,
    };
    let endpoint = Endpoint::from_shared(config.address.to_string()).map_err(failed)?;
    endpoint
        .tls_config(tls)
        .map_err(failed)?
        .connect_timeout(CONNECT_WITHIN)
        .tcp_nodelay(true)
        .tcp_keepalive(Some(KEEPALIVE_IDLE))
        .tcp_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .tcp_keepalive_retries(Some(KEEPALIVE_PROBES))
        .http2_keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_WITHIN)
        .keep_alive_while_idle(true)
        .connect()
        .await
        .map_err(failed)
}

async fn read_root(root: &Root) -> Result<Vec<u8>, RootError> {
    match root {
        Root::Inline(pem) => Ok(pem.clone()),
        Root::File(path) => {
            let pem = tokio::fs::read(path)
                .await
                .map_err(|source| RootError::Read {
                    path: path.clone(),
                    source,
                })?;
            if !super::address::holds_certificate(&pem) {
                return Err(RootError::Empty { path: path.clone() });
            }
            Ok(pem)
        }
    }
}

/// Puts the token and the extra headers on the call.
async fn authenticate(
    config: &Config,
    metadata: &mut tonic::metadata::MetadataMap,
) -> Result<(), Error> {
    if let Some(path) = &config.token {
        let text = tokio::fs::read_to_string(path)
            .await
            .map_err(|source| Error::Token {
                path: path.clone(),
                source,
            })?;
        let mut value = header_value("authorization", &format!("Bearer {}", text.trim()))?;
        value.set_sensitive(true);
        metadata.insert("authorization", value);
    }
    metadata.insert("clusterid", header_value("clusterid", &config.cluster_id)?);
    for (name, value) in &config.headers {
        let key: MetadataKey<Ascii> = name
            .to_ascii_lowercase()
            .parse()
            .map_err(|_| Error::Header { name: name.clone() })?;
        let mut value = header_value(name, value.reveal())?;
        value.set_sensitive(true);
        metadata.insert(key, value);
    }
    Ok(())
}

fn header_value(name: &str, value: &str) -> Result<MetadataValue<Ascii>, Error> {
    value.parse().map_err(|_| Error::Header {
        name: name.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_ordinary_ends_from_failures() {
        let ended = |code, text: &str| {
            Error::Status(Box::new(tonic::Status::new(code, text))).is_ordinary()
        };
        assert!(ended(Code::Unknown, ""));
        assert!(ended(Code::Cancelled, ""));
        assert!(ended(Code::DeadlineExceeded, ""));
        assert!(ended(Code::Unavailable, "transport is closing"));
        assert!(ended(Code::Unavailable, "received GOAWAY"));
        assert!(!ended(Code::Unavailable, "try later"));
        assert!(!ended(Code::Unauthenticated, ""));
        assert!(!ended(Code::PermissionDenied, ""));
        assert!(!Error::Stuck.is_ordinary());
    }
}
