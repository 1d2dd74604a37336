//! Heads against what the contract says, written out by hand, and against noise.

use http::{Method, Request};
use proptest::prelude::*;

use super::super::{Baggage, Forwarded, Traceparent};
use super::{Authority, BadHead, ConnectHead};
use crate::model::WorkloadKind;

fn request(authority: &str, headers: &[(&str, &str)]) -> Request<()> {
    let mut request = Request::builder().method(Method::CONNECT).uri(authority);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap()
}

fn header<'a>(request: &'a Request<()>, name: &str) -> Option<&'a str> {
    request
        .headers()
        .get(name)
        .map(|value| value.to_str().unwrap())
}

#[test]
fn authorities_are_read_and_written_as_the_contract_has_them() {
    for text in [
        "10.244.1.7:8080",
        "[fd00::17]:80",
        "web.default.svc.cluster.local:443",
        "a_b:1",
    ] {
        let authority = Authority::parse(text).unwrap();
        assert_eq!(authority.to_string(), text);
        assert_eq!(
            authority.port(),
            text.rsplit(':').next().unwrap().parse::<u16>().unwrap()
        );
    }
    let upper = Authority::parse("Web.Default:80").unwrap();
    assert_eq!(upper, Authority::Host("web.default".into(), 80));
}

#[test]
fn anything_but_an_address_or_hostname_with_a_port_is_no_authority() {
    let long = format!("{}:80", "a.".repeat(130));
    for text in [
        "",
        ":",
        "10.0.0.1",
        "10.0.0.1:",
        "10.0.0.1:0",
        "10.0.0.1:65536",
        "10.0.0.1:+80",
        "10.0.0.1:80:80",
        "fd00::17:80",
        "[fd00::17]",
        "[10.0.0.1]:80",
        "[fd00::17:80",
        "10.0.0.256:80",
        "1.2.3:80",
        ":80",
        "a b:80",
        "user@host:80",
        "..:80",
        "a..b:80",
        "ä:80",
        long.as_str(),
    ] {
        assert_eq!(Authority::parse(text), Err(BadHead::Authority), "{text}");
    }
}

#[test]
fn a_full_head_is_read_as_the_contract_writes_it() {
    let read = ConnectHead::read(&request(
        "10.244.1.7:8080",
        &[
            (
                "baggage",
                "k8s.cluster.name=Kubernetes,k8s.namespace.name=default,k8s.deployment.name=web,\
             service.name=web,service.version=v1,cloud.region=r1,cloud.availability_zone=z1",
            ),
            (
                "forwarded",
                "for=\"10.244.0.9:41000\";host=web.default.svc.cluster.local",
            ),
            (
                "traceparent",
                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
            ),
            ("x-forwarded-network", "network-a"),
            ("authorization", "ignored"),
        ],
    ))
    .unwrap();
    let text = |text: &str| Some(Box::<str>::from(text));
    let baggage = Baggage {
        cluster: text("Kubernetes"),
        namespace: text("default"),
        workload: Some((WorkloadKind::Deployment, "web".into())),
        service_name: text("web"),
        service_version: text("v1"),
        region: text("r1"),
        zone: text("z1"),
    };
    let source = "10.244.0.9:41000".parse().unwrap();
    let trace_id = 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c;
    assert_eq!(
        read,
        ConnectHead {
            authority: Authority::Ip("10.244.1.7:8080".parse().unwrap()),
            baggage: Some(baggage),
            forwarded: Some(Forwarded {
                source,
                host: text("web.default.svc.cluster.local")
            }),
            traceparent: Some(Traceparent {
                trace_id,
                span_id: 0xb7ad_6b71_6920_3331,
                flags: 0
            }),
            forwarded_network: text("network-a"),
        }
    );
}

#[test]
fn a_head_is_written_as_the_contract_has_it() {
    let mut head = ConnectHead::new(Authority::parse("[fd00::2]:80").unwrap());
    head.baggage = Some(Baggage {
        namespace: Some("default".into()),
        workload: Some((WorkloadKind::Pod, "client".into())),
        service_version: Some("".into()),
        ..Baggage::default()
    });
    let source = "[fd00::1]:4000".parse().unwrap();
    head.forwarded = Some(Forwarded { source, host: None });
    head.traceparent = Some(Traceparent::fresh(0xabc, 0));
    let written = head.write().unwrap();
    assert_eq!(written.method(), Method::CONNECT);
    assert_eq!(written.uri().authority().unwrap().as_str(), "[fd00::2]:80");
    assert_eq!(
        (written.uri().scheme(), written.uri().path_and_query()),
        (None, None)
    );
    let baggage = "k8s.namespace.name=default,k8s.pod.name=client";
    assert_eq!(header(&written, "baggage"), Some(baggage));
    assert_eq!(
        header(&written, "forwarded"),
        Some("for=\"[fd00::1]:4000\"")
    );
    let traceparent = "00-00000000000000000000000000000abc-0000000000000001-00";
    assert_eq!(header(&written, "traceparent"), Some(traceparent));
    assert_eq!(written.headers().len(), 3);
}

#[test]
fn requests_that_are_no_connect_are_refused_by_name() {
    let get = Request::get("http://10.0.0.1:80/").body(()).unwrap();
    assert_eq!(ConnectHead::read(&get), Err(BadHead::Method(Method::GET)));
    let mut websocket = request("10.0.0.1:80", &[]);
    websocket
        .extensions_mut()
        .insert(h2::ext::Protocol::from_static("websocket"));
    assert_eq!(ConnectHead::read(&websocket), Err(BadHead::ExtendedConnect));
}

#[test]
fn optional_headers_that_cannot_be_read_count_as_absent() {
    let long = "k8s.namespace.name=x,".repeat(1000);
    let read = ConnectHead::read(&request(
        "10.0.0.1:80",
        &[
            ("baggage", long.as_str()),
            ("forwarded", "for=unknown"),
            (
                "traceparent",
                "00-00000000000000000000000000000000-b7ad6b7169203331-00",
            ),
        ],
    ))
    .unwrap();
    assert_eq!(read.baggage, Some(Baggage::default()));
    assert_eq!((read.forwarded, read.traceparent), (None, None));
}

#[test]
fn values_that_baggage_cannot_hold_survive_the_way() {
    let baggage = Baggage {
        region: Some("a,b;c=d \"ä\" 100%".into()),
        ..Baggage::default()
    };
    let text = baggage.to_string();
    assert_eq!(text, "cloud.region=a%2Cb%3Bc=d%20%22%C3%A4%22%20100%25");
    assert_eq!(Baggage::parse(text.as_bytes()), baggage);
}

proptest! {
    #[test]
    fn noise_never_panics(text in ".{0,300}", bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Authority::parse(&text);
        let _ = Baggage::parse(&bytes);
        let _ = Forwarded::parse(&bytes);
        let _ = Traceparent::parse(&bytes);
        let _ = Baggage::parse(text.as_bytes());
        let _ = Forwarded::parse(text.as_bytes());
        let _ = Traceparent::parse(text.as_bytes());
    }

    #[test]
    fn what_is_written_is_read_back(
        port in 1u16..,
        ip: std::net::IpAddr,
        source: std::net::SocketAddr,
        names in proptest::array::uniform4(proptest::option::of("\\PC{1,30}")),
        ids: (u128, u64),
        flags: u8,
    ) {
        let source = std::net::SocketAddr::new(source.ip(), source.port());
        let [cluster, namespace, workload, zone] = names.map(|name| name.map(|name| name.trim().into()))
            .map(|name: Option<Box<str>>| name.filter(|name| !name.is_empty()));
        let workload = workload.map(|name| (WorkloadKind::Job, name));
        let head = ConnectHead {
            authority: Authority::Ip(std::net::SocketAddr::new(ip, port)),
            baggage: Some(Baggage { cluster, namespace, workload, zone, ..Baggage::default() })
                .filter(|baggage| *baggage != Baggage::default()),
            forwarded: Some(Forwarded { source, host: Some("a.b".into()) }),
            traceparent: Some(Traceparent { flags, ..Traceparent::fresh(ids.0, ids.1) }),
            forwarded_network: None,
        };
        prop_assert_eq!(ConnectHead::read(&head.write().unwrap()).unwrap(), head);
    }
}
