//! What the program is told at start, cut into one small struct per part.

pub mod env;

use std::net::SocketAddr;
use std::path::PathBuf;

use mesh::telemetry::log::Format;

use crate::ca::authenticate::Expected;
use crate::{ca, deploy, index};

/// Everything the program is told at start.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where it listens.
    pub listen: Listen,
    /// Where it reads and keeps things.
    pub files: Files,
    /// Whose tokens it accepts.
    pub tokens: Expected,
    /// Names of the cluster.
    pub cluster: index::Settings,
    /// How certificates are signed.
    pub authority: ca::Settings,
    /// What is made for Gateways.
    pub deployment: deploy::Settings,
    /// DNS names of its own certificate.
    pub server_names: Vec<String>,
    /// Its log.
    pub log: Log,
}

/// Where the program listens.
#[derive(Clone, Copy, Debug)]
pub struct Listen {
    /// Discovery and certificates, TLS.
    pub grpc: SocketAddr,
    /// Admin pages, plain HTTP.
    pub admin: SocketAddr,
}

/// Where the program reads and keeps things.
#[derive(Clone, Debug)]
pub struct Files {
    /// The directory of objects.
    pub objects: PathBuf,
    /// Its own state: the signing root.
    pub state: PathBuf,
    /// A signing certificate of the operator, instead of the program's own root.
    pub plugged_in: Option<PathBuf>,
    /// The token issuer's public keys.
    pub jwks: PathBuf,
}

/// The program's log.
#[derive(Clone, Debug)]
pub struct Log {
    /// How lines look.
    pub format: Format,
    /// What is logged.
    pub filter: String,
}
