//! The certificate authority over gRPC: token read for every call, roots read again when they change.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use proto::auth::IstioCertificateRequest;
use proto::auth::istio_certificate_service_client::IstioCertificateServiceClient;
use tonic::Request;
use tonic::metadata::{Ascii, MetadataKey, MetadataMap, MetadataValue};
use tonic::transport::{Channel, Endpoint};

use super::{CertificateAuthority, SignError};
use crate::identity::Identity;
use crate::tls::foreign;

/// A header of a call; one that may be a secret is marked as sensitive, and then not printed.
pub type Header = (MetadataKey<Ascii>, MetadataValue<Ascii>);

/// Where the authority is and how to speak to it (contract: docs/compat.md#certificate-service).
#[derive(Clone, Debug)]
pub struct Config {
    /// `https://host:port`.
    pub address: Box<str>,
    /// Name to expect in its certificate, when it is not the address's host.
    pub server_name: Option<Box<str>>,
    /// File with the roots that its certificate must lead to.
    pub roots: PathBuf,
    /// File with our token, read again for every call.
    pub token: PathBuf,
    /// Which cluster's tokens ours belongs to.
    pub cluster_id: Box<str>,
    /// Name the workload in the request: a node proxy asks for others.
    pub impersonate: bool,
    /// Headers to add to every call.
    pub headers: Vec<Header>,
}

/// Time to connect.
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
/// Time for one whole call.
const CALL_DEADLINE: Duration = Duration::from_secs(20);

/// Asks an `IstioCertificateService`.
pub struct CaClient {
    config: Config,
    /// The connection and the roots it was made with. Control runtime only, never held across a wait.
    channel: Mutex<Option<(String, Channel)>>,
}

impl CaClient {
    /// A client; connects when it is first used.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            channel: Mutex::new(None),
        }
    }

    async fn channel(&self) -> Result<Channel, SignError> {
        let path = &self.config.roots;
        let roots = tokio::fs::read_to_string(path)
            .await
            .map_err(|source| SignError::Roots {
                path: path.clone(),
                source,
            })?;
        let mut kept = self
            .channel
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some((with, channel)) = &*kept
            && *with == roots
        {
            return Ok(channel.clone());
        }
        let channel = connect(&self.config, &roots).map_err(|source| SignError::Transport {
            address: self.config.address.clone(),
            source,
        })?;
        *kept = Some((roots, channel.clone()));
        Ok(channel)
    }

    async fn authorize(&self, metadata: &mut MetadataMap) -> Result<(), SignError> {
        let path = &self.config.token;
        let token = tokio::fs::read_to_string(path)
            .await
            .map_err(|source| SignError::Token {
                path: path.clone(),
                source,
            })?;
        let bad = || SignError::BadToken { path: path.clone() };
        let mut bearer: MetadataValue<Ascii> = format!("Bearer {}", token.trim())
            .parse()
            .map_err(|_| bad())?;
        bearer.set_sensitive(true);
        metadata.insert("authorization", bearer);
        if let Ok(cluster) = self.config.cluster_id.parse() {
            metadata.insert("clusterid", cluster);
        }
        for (key, value) in &self.config.headers {
            metadata.insert(key.clone(), value.clone());
        }
        Ok(())
    }
}

impl CertificateAuthority for CaClient {
    async fn sign(
        &self,
        identity: &Identity,
        csr_pem: String,
        ttl: Duration,
    ) -> Result<Vec<String>, SignError> {
        let channel = self.channel().await?;
        let mut request = Request::new(IstioCertificateRequest {
            csr: csr_pem,
            validity_duration: i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX),
            metadata: self.config.impersonate.then(|| impersonation(identity)),
        });
        self.authorize(request.metadata_mut()).await?;
        let answer = IstioCertificateServiceClient::new(channel)
            .create_certificate(request)
            .await;
        let answer = answer.map_err(|status| SignError::Status {
            code: status.code(),
            message: status.message().into(),
        })?;
        Ok(answer.into_inner().cert_chain)
    }
}

fn connect(config: &Config, roots: &str) -> Result<Channel, tonic::transport::Error> {
    let endpoint = Endpoint::from_shared(config.address.to_string())?;
    let host = endpoint
        .uri()
        .host()
        .unwrap_or_default()
        .trim_matches(['[', ']'])
        .to_owned();
    let name = config.server_name.as_deref().unwrap_or(&host);
    let endpoint = endpoint
        .tls_config(foreign::client(name, roots))?
        .connect_timeout(CONNECT_DEADLINE)
        .timeout(CALL_DEADLINE)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(10));
    Ok(endpoint.connect_lazy())
}

fn impersonation(identity: &Identity) -> prost_types::Struct {
    let kind = Some(prost_types::value::Kind::StringValue(identity.to_string()));
    let value = prost_types::Value { kind };
    prost_types::Struct {
        fields: BTreeMap::from([("ImpersonatedIdentity".to_owned(), value)]),
    }
}
