//! Pure. What a service port speaks, from `appProtocol` or else the prefix of its name.

use mesh::model::AppProtocol;
use objects::kubernetes::service::ServicePort;

/// The declared protocol; unknown when nothing recognisable is declared.
pub(super) fn of(port: &ServicePort) -> AppProtocol {
    let word = match port.app_protocol.as_deref().filter(|text| !text.is_empty()) {
        Some(declared) => declared.to_ascii_lowercase(),
        None => prefix(&port.name.to_ascii_lowercase()).to_owned(),
    };
    match word.as_str() {
        "http" | "kubernetes.io/ws" => AppProtocol::Http11,
        "http2" | "kubernetes.io/h2c" => AppProtocol::Http2,
        "grpc" => AppProtocol::Grpc,
        "tcp" => AppProtocol::Tcp,
        "tls" | "https" | "kubernetes.io/wss" => AppProtocol::Tls,
        _ => AppProtocol::Unknown,
    }
}

/// The part of a port name that says the protocol: `http-metrics` is `http`, `grpc-web` is its own.
fn prefix(name: &str) -> &str {
    if name == "grpc-web" || name.starts_with("grpc-web-") {
        return "grpc-web";
    }
    name.split_once('-').map_or(name, |(prefix, _)| prefix)
}
