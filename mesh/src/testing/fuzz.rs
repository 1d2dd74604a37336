//! What must hold of every parser of network input, whatever the bytes. The fuzz targets in `mesh/fuzz` and a
//! test call the same functions; a finding is a panic.

mod drive;
mod seeds;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request};

use super::ca::{Ca, Leaf, identity};
use crate::hbone::{Authority, Baggage, ConnectHead, Forwarded, Traceparent};
use crate::identity::Identity;
use crate::wire::{self, Update};
use crate::{tls, zds};

pub use drive::{drive, names, targets_in};

/// A parser under test.
pub struct Target {
    /// Name of the fuzz target.
    pub name: &'static str,
    /// Fails when something does not hold.
    pub run: fn(&[u8]),
    /// Inputs that are read without an error, to be changed from there.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

impl Target {
    /// One of a table.
    pub const fn new(name: &'static str, run: fn(&[u8]), seeds: fn() -> Vec<Vec<u8>>) -> Self {
        Self { name, run, seeds }
    }
}

/// All of them.
pub const TARGETS: [Target; 11] = [
    Target::new("connect_head", connect_head, head_seeds),
    Target::new("baggage", baggage, || texts(&[BAGGAGE])),
    Target::new("forwarded", forwarded, || {
        texts(&[FORWARDED, QUOTED, TRACEPARENT])
    }),
    Target::new("identity", spiffe_id, || texts(&[WEB])),
    Target::new("wire_address", wire_address, seeds::addresses),
    Target::new("wire_policy", wire_policy, seeds::policies),
    Target::new("wire_routes", wire_routes, seeds::routes),
    Target::new("wire_attached", wire_attached, seeds::attached),
    Target::new("wire_waypoint", wire_waypoint, seeds::waypoints),
    Target::new("zds_message", zds_message, zds_seeds),
    Target::new("certificate", certificate, certificate_seeds),
];

const BAGGAGE: &str = "k8s.cluster.name=c,k8s.namespace.name=shop,k8s.deployment.name=web,\
                       service.name=web,service.version=v1,cloud.region=r%201,cloud.availability_zone=z";
const FORWARDED: &str = "for=\"[fd00::1]:40000\";host=web.shop.svc.cluster.local";
const QUOTED: &str = "For = \"10.0.0.1:40000\" ; host = \" web\"";
const TRACEPARENT: &str = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01";
const WEB: &str = "spiffe://cluster.local/ns/shop/sa/web";

fn texts(all: &[&str]) -> Vec<Vec<u8>> {
    all.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// A CONNECT: the first line is the authority, each later one a header. What is read and can be
/// written is read as the same again.
pub fn connect_head(data: &[u8]) {
    let mut lines = data.split(|byte| *byte == b'\n');
    let authority = lines.next().unwrap_or_default();
    let Ok(uri) = http::Uri::try_from(authority) else {
        return;
    };
    let mut request = Request::new(());
    *request.method_mut() = Method::CONNECT;
    *request.uri_mut() = uri;
    for line in lines {
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let (name, value) = (parts.next(), parts.next().unwrap_or_default());
        let name = HeaderName::from_bytes(name.unwrap_or_default());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value)) {
            request.headers_mut().append(name, value);
        }
    }
    let Ok(mut head) = ConnectHead::read(&request) else {
        return;
    };
    // nothing said is not written at all
    head.baggage = head.baggage.filter(|it| *it != Baggage::default());
    if let Ok(written) = head.write() {
        assert_eq!(ConnectHead::read(&written).as_ref(), Ok(&head));
    }
}

fn head_seeds() -> Vec<Vec<u8>> {
    let full = format!(
        "10.0.0.1:80\nbaggage:{BAGGAGE}\nforwarded:{FORWARDED}\ntraceparent:{TRACEPARENT}\n\
         x-forwarded-network:other"
    );
    texts(&[&full, "[fd00::1]:80", "web.shop.svc.cluster.local:443"])
}

/// A `baggage` header: what is read is read as the same after it was written.
pub fn baggage(data: &[u8]) {
    let read = Baggage::parse(data);
    let written = read.to_string();
    if written.len() <= crate::hbone::baggage::LIMIT {
        assert_eq!(Baggage::parse(written.as_bytes()), read);
    }
}

/// `forwarded` and `traceparent` headers, and authorities: what is read is read as the same after
/// it was written.
pub fn forwarded(data: &[u8]) {
    if let Some(read) = Forwarded::parse(data) {
        let again = Forwarded::parse(read.to_string().as_bytes());
        assert_eq!(again, Some(read));
    }
    if let Some(read) = Traceparent::parse(data) {
        let again = Traceparent::parse(read.to_string().as_bytes());
        assert_eq!(again, Some(read));
    }
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(read) = Authority::parse(text)
    {
        assert_eq!(Authority::parse(&read.to_string()), Ok(read));
    }
}

/// A SPIFFE id: what is read is written as it was.
pub fn spiffe_id(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(read) = Identity::parse(text)
    {
        assert_eq!(read.to_string(), text);
    }
}

/// An Address resource: what is read is read as the same after it was written, and an error is one
/// line.
pub fn wire_address(data: &[u8]) {
    match wire::address::decode(data) {
        Ok(update) => {
            let bytes = encode(&update);
            assert_eq!(wire::address::decode(&bytes).unwrap(), update);
        }
        Err(error) => is_one_line(&error),
    }
}

fn encode(update: &Update) -> Bytes {
    match update {
        Update::Workload(workload) => wire::address::encode_workload(workload),
        Update::Service(service) => wire::address::encode_service(service),
        Update::Policy(policy) => wire::policy::encode(policy),
    }
}

/// An Authorization resource: the same, and whom it may reach can be told in any case.
pub fn wire_policy(data: &[u8]) {
    let _ = wire::policy::reach("shop/web", data, "weft-system");
    match wire::policy::decode(data) {
        Ok(policy) => {
            let bytes = wire::policy::encode(&policy);
            assert_eq!(wire::policy::decode(&bytes).unwrap(), policy);
        }
        Err(error) => is_one_line(&error),
    }
}

/// Routes of a service: what is read is read as the same after it was written, and an error is one line.
pub fn wire_routes(data: &[u8]) {
    match wire::routes::decode(data) {
        Ok(routes) => {
            let bytes = wire::routes::encode(&routes);
            assert_eq!(wire::routes::decode(&bytes).unwrap(), routes);
        }
        Err(error) => is_one_line(&error),
    }
}

/// A policy of waypoints: the same.
pub fn wire_attached(data: &[u8]) {
    match wire::attached::decode(data) {
        Ok(policy) => {
            let bytes = wire::attached::encode(&policy);
            assert_eq!(wire::attached::decode(&bytes).unwrap(), policy);
        }
        Err(error) => is_one_line(&error),
    }
}

/// A waypoint's own settings: the same.
pub fn wire_waypoint(data: &[u8]) {
    match wire::waypoint::decode(data) {
        Ok(waypoint) => {
            let bytes = wire::waypoint::encode(&waypoint);
            assert_eq!(wire::waypoint::decode(&bytes).unwrap(), waypoint);
        }
        Err(error) => is_one_line(&error),
    }
}

fn is_one_line(error: &wire::Error) {
    let text = crate::telemetry::report(error);
    assert!(!text.contains('\n'), "{text}");
}

/// A packet of the node socket, either way.
pub fn zds_message(data: &[u8]) {
    if let Ok(request) = zds::Request::decode(data) {
        assert_eq!(zds::Request::decode(&request.encode()), Ok(request));
    }
    if let Ok(ack) = zds::Ack::decode(data) {
        let bytes = ack.encode();
        assert!(bytes.len() <= zds::MAX_PACKET);
        assert!(zds::Ack::decode(&bytes).is_ok());
    }
}

fn zds_seeds() -> Vec<Vec<u8>> {
    let info = zds::PodInfo {
        name: "web-0".into(),
        namespace: "shop".into(),
        service_account: "web".into(),
    };
    let add = zds::Request::Add {
        uid: "u1".into(),
        info: Some(info),
    };
    let ack = zds::Ack {
        error: Some("port is taken".into()),
    };
    vec![
        add.encode(),
        zds::Request::Delete { uid: "u1".into() }.encode(),
        zds::Request::SnapshotSent.encode(),
        ack.encode(),
    ]
}

/// A certificate, or a chain in PEM: nobody is taken for somebody by a chain that leads nowhere.
pub fn certificate(data: &[u8]) {
    let _ = tls::leaf_identity(data);
    let der = rustls::pki_types::CertificateDer::from(data.to_vec());
    let now = std::time::SystemTime::now();
    assert!(tls::check_chain(std::slice::from_ref(&der), &[], now).is_err());
    let _ = tls::check_chain(std::slice::from_ref(&der), std::slice::from_ref(&der), now);
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(chain) = tls::certificates("chain", text)
    {
        assert!(tls::check_chain(&chain, &[], now).is_err());
        let _ = tls::check_chain(&chain, &chain, now);
    }
}

fn certificate_seeds() -> Vec<Vec<u8>> {
    let ca = Ca::new().intermediate("cluster");
    let (chain, _) = ca.issue_pem(&Leaf::of(&identity("shop", "web")));
    let ders = tls::certificates("chain", &chain).unwrap();
    let mut seeds: Vec<Vec<u8>> = ders.iter().map(|der| der.to_vec()).collect();
    seeds.push(chain.into_bytes());
    seeds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_parser_of_network_input_keeps_its_promises_whatever_the_bytes() {
        for target in &TARGETS {
            drive(target);
        }
    }

    #[test]
    fn seeds_are_read_without_an_error() {
        for bytes in seeds::addresses() {
            wire::address::decode(&bytes).unwrap();
        }
        for bytes in seeds::policies() {
            wire::policy::decode(&bytes).unwrap();
        }
        for bytes in seeds::routes() {
            wire::routes::decode(&bytes).unwrap();
        }
        for bytes in seeds::attached() {
            wire::attached::decode(&bytes).unwrap();
        }
        for bytes in seeds::waypoints() {
            wire::waypoint::decode(&bytes).unwrap();
        }
        for bytes in zds_seeds() {
            assert!(zds::Request::decode(&bytes).is_ok() || zds::Ack::decode(&bytes).is_ok());
        }
    }

    #[test]
    fn every_parser_has_a_fuzz_target_and_every_fuzz_target_a_parser() {
        assert_eq!(targets_in(env!("CARGO_MANIFEST_DIR")), names(&TARGETS));
    }
}
