//! What the program is told at start, cut into one small struct per part.

pub mod env;

use std::net::SocketAddr;
use std::path::PathBuf;

use mesh::telemetry::log::Format;
use objects::api::Access;

use crate::ca::authenticate::Expected;
use crate::{ca, deploy, index};

/// Everything the program is told at start.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where it listens.
    pub listen: Listen,
    /// Where the objects are.
    pub objects: Objects,
    /// Where it reads and keeps things.
    pub files: Files,
    /// Whose tokens it accepts.
    pub tokens: Tokens,
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
    /// Its own state: the signing root.
    pub state: PathBuf,
    /// A signing certificate of the operator, instead of the program's own root.
    pub plugged_in: Option<PathBuf>,
}

/// Where the objects are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Objects {
    /// In a directory of files.
    Directory(PathBuf),
    /// With an API server.
    ApiServer {
        /// Where it is, and who we are.
        access: Access,
        /// What this process is called in the election of the replica that writes.
        me: String,
    },
}

/// How tokens are checked.
#[derive(Clone, Debug)]
pub enum Tokens {
    /// By the issuer's public keys, in a file.
    Keys {
        /// The file.
        jwks: PathBuf,
        /// What they must say beside being signed.
        expected: Expected,
    },
    /// By the API server, for these audiences.
    Review(Vec<String>),
}

/// The program's log.
#[derive(Clone, Debug)]
pub struct Log {
    /// How lines look.
    pub format: Format,
    /// What is logged.
    pub filter: String,
}
