//! Pure. Probes: how the kubelet asks a container whether it is well.

use serde::Deserialize;

use super::IntOrString;

/// `readinessProbe`, `livenessProbe` or `startupProbe`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Probe {
    /// Ask over HTTP.
    pub http_get: Option<HttpGet>,
    /// Open a connection.
    pub tcp_socket: Option<TcpSocket>,
    /// Run a program in the container.
    pub exec: Option<Exec>,
    /// Seconds before the first attempt.
    pub initial_delay_seconds: u32,
    /// Seconds between attempts; Kubernetes' default is 10.
    pub period_seconds: Option<u32>,
    /// Seconds one attempt may take; Kubernetes' default is 1.
    pub timeout_seconds: Option<u32>,
    /// Successes in a row that count; Kubernetes' default is 1.
    pub success_threshold: Option<u32>,
    /// Failures in a row that count; Kubernetes' default is 3.
    pub failure_threshold: Option<u32>,
}

/// An HTTP probe.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpGet {
    /// The port, by number or by a container port's name.
    pub port: IntOrString,
    /// The path; `/` when empty.
    #[serde(default)]
    pub path: String,
    /// Address to ask; the pod's when absent.
    #[serde(default)]
    pub host: Option<String>,
    /// `HTTP` (default) or `HTTPS`.
    #[serde(default)]
    pub scheme: Option<String>,
    /// Headers to send.
    #[serde(default)]
    pub http_headers: Vec<HttpHeader>,
}

/// A header of an HTTP probe.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct HttpHeader {
    /// Its name.
    pub name: String,
    /// Its value.
    #[serde(default)]
    pub value: String,
}

/// A TCP probe.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct TcpSocket {
    /// The port, by number or by a container port's name.
    pub port: IntOrString,
    /// Address to connect to; the pod's when absent.
    #[serde(default)]
    pub host: Option<String>,
}

/// A probe that runs a program.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Exec {
    /// Program and arguments, no shell.
    pub command: Vec<String>,
}
