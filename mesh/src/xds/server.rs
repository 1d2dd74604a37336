//! A gRPC server of the controller as a proxy's settings name it: discovery, and the certificate service.

use std::path::PathBuf;
use std::time::Duration;

use crate::cert::ca_client::{self, CaClient};
use crate::cert::{self, Keeper, KeeperHandle};
use crate::settings::{Reader, Secret};

use super::{Address, Config, Node, Root};

/// A gRPC server of the controller.
#[derive(Clone, Debug)]
pub struct Server {
    /// Where it is.
    pub address: Address,
    /// Who vouches for it.
    pub root: Root,
    /// One more name its certificate may carry.
    pub alternative_hostname: Option<String>,
    /// Extra headers of every call.
    pub headers: Vec<(String, Secret)>,
    /// File with the service account token, read afresh for every call.
    pub token: PathBuf,
}

/// The variables of one server.
pub struct Names {
    address: &'static str,
    root: &'static str,
    alternative_hostname: &'static str,
    headers: &'static str,
}

const DEFAULT: &str = "https://weft-controller.weft-system.svc:15012";

/// The discovery server's variables.
pub const XDS: Names = Names {
    address: "XDS_ADDRESS",
    root: "XDS_ROOT_CA",
    alternative_hostname: "ALT_XDS_HOSTNAME",
    headers: "XDS_HEADER_",
};

/// The certificate service's variables.
pub const CA: Names = Names {
    address: "CA_ADDRESS",
    root: "CA_ROOT_CA",
    alternative_hostname: "ALT_CA_HOSTNAME",
    headers: "CA_HEADER_",
};

/// Why a server cannot be asked for certificates.
#[derive(Debug, thiserror::Error)]
pub enum BadServer {
    /// The root is text, and the certificate client reads a file.
    #[error("CA_ROOT_CA must name a file")]
    InlineRoot,
    /// A variable `CA_HEADER_*` is not a header.
    #[error("CA_HEADER_{0} is not a header")]
    Header(String),
}

impl Server {
    /// Reads one; the address defaults to the discovery server's.
    pub fn read(r: &mut Reader, names: &Names) -> Self {
        let text = r
            .text(names.address)
            .or_else(|| r.text(XDS.address))
            .unwrap_or(DEFAULT);
        let address = match Address::parse(text).or_else(|error| {
            r.problem(names.address, &error.to_string());
            Address::parse(DEFAULT)
        }) {
            Ok(address) => address,
            Err(_) => unreachable!("the default is an address"),
        };
        let root = r.text_or(names.root, "./var/run/secrets/istio/root-cert.pem");
        let root = Root::parse(&root).unwrap_or_else(|error| {
            r.problem(names.root, &error.to_string());
            Root::Inline(Vec::new())
        });
        let headers = r.with_prefix(names.headers);
        Self {
            address,
            root,
            alternative_hostname: r.text(names.alternative_hostname).map(str::to_owned),
            headers: headers
                .map(|(name, value)| (name.to_owned(), Secret::new(value)))
                .collect(),
            token: r
                .text_or("AUTH_TOKEN", "./var/run/secrets/tokens/istio-token")
                .into(),
        }
    }

    /// Settings of a discovery client that calls as `node`.
    pub fn discovery(&self, cluster: &str, node: Node) -> Config {
        Config {
            address: self.address.clone(),
            alt_hostname: self.alternative_hostname.clone(),
            root: self.root.clone(),
            token: Some(self.token.clone()),
            cluster_id: cluster.to_owned(),
            headers: self.headers.clone(),
            node,
        }
    }

    /// Starts keeping certificates from this server on the current runtime. `impersonate` asks in the
    /// name of others, as node proxies do.
    ///
    /// # Errors
    /// [`BadServer`] when the settings cannot be used for it.
    pub fn certificates(
        &self,
        cluster: &str,
        lifetime: Duration,
        impersonate: bool,
    ) -> Result<KeeperHandle, BadServer> {
        let Root::File(roots) = &self.root else {
            return Err(BadServer::InlineRoot);
        };
        let mut headers = Vec::new();
        for (key, value) in &self.headers {
            let bad = || BadServer::Header(key.clone());
            let name = key.parse().map_err(|_| bad())?;
            let value = value.reveal().parse().map_err(|_| bad())?;
            let mut header: ca_client::Header = (name, value);
            header.1.set_sensitive(true);
            headers.push(header);
        }
        let client = CaClient::new(ca_client::Config {
            address: self.address.to_string().into(),
            server_name: self.alternative_hostname.as_deref().map(Into::into),
            roots: roots.clone(),
            token: self.token.clone(),
            cluster_id: cluster.into(),
            impersonate,
            headers,
        });
        let settings = cert::Settings {
            ttl: lifetime,
            ..cert::Settings::default()
        };
        Ok(Keeper::start(client, settings, cert::system_clock()))
    }
}
