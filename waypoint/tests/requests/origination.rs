//! TLS from the waypoint to applications, and the PROXY protocol in front of their bytes.

use std::sync::Arc;

use mesh::model::AppProtocol;
use mesh::model::destination::{TlsOrigination, TlsRoots, TrafficPolicy};
use mesh::model::http::ServiceRoutes;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::app::{App, Speaks};
use crate::client::{Answer, PATIENCE};
use crate::world::{World, bound, run, vip};

/// An authority outside of the mesh.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        Self { issuer, pem }
    }

    /// A server that proves to be all of these; `ended` long ago or not.
    fn server(&self, names: &[&str], ended: bool, alpn: &[&str]) -> Arc<rustls::ServerConfig> {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        let name = |it: &&str| match it.contains("://") {
            true => SanType::URI((*it).try_into().unwrap()),
            false => SanType::DnsName((*it).try_into().unwrap()),
        };
        params.subject_alt_names = names.iter().map(name).collect();
        if ended {
            params.not_before = rcgen::date_time_ymd(2001, 1, 1);
            params.not_after = rcgen::date_time_ymd(2002, 1, 1);
        }
        let leaf = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let builder = rustls::ServerConfig::builder().with_no_client_auth();
        let chain = vec![leaf.der().clone()];
        let mut config = builder.with_single_cert(chain, key).unwrap();
        config.alpn_protocols = alpn.iter().map(|it| it.as_bytes().to_vec()).collect();
        Arc::new(config)
    }
}

fn tls(roots: TlsRoots) -> TlsOrigination {
    TlsOrigination {
        sni: "bank.example".into(),
        subject_alt_names: Vec::new(),
        roots,
        client: None,
        insecure_skip_verify: false,
    }
}

fn routes(policy: &TrafficPolicy) -> ServiceRoutes {
    let mut routes = bound("web", 80);
    for destination in &mut routes.destinations {
        destination.policy = policy.clone();
    }
    routes
}

/// What a client hears through a waypoint that calls the application so.
async fn heard(app: &App, declared: AppProtocol, tls: TlsOrigination) -> Answer {
    let mut world = World::new().await;
    world.service("web", 80, declared, &[app]);
    world.route(&routes(&TrafficPolicy {
        tls: Some(tls),
        ..TrafficPolicy::default()
    }));
    world.client.get(&vip(80), "/a").await
}

#[test]
fn an_application_that_proves_to_be_the_one_that_was_meant_is_reached() {
    run(|| async {
        let authority = Authority::new();
        let pem = || TlsRoots::Pem(authority.pem.as_str().into());
        for (speaks, alpn, declared) in [
            (Speaks::Http1, "http/1.1", AppProtocol::Http11),
            (Speaks::Http2, "h2", AppProtocol::Http2),
        ] {
            let config = authority.server(&["bank.example"], false, &[alpn]);
            let app = App::start_tls("bank", speaks, config).await;
            let answer = heard(&app, declared, tls(pem())).await;
            assert_eq!(answer.status, 200, "{alpn}: {}", answer.text());
            assert_eq!(answer.app(), "bank");
        }
        let names = ["spiffe://bank/vault", "vault.bank.example"];
        let config = authority.server(&names, false, &["http/1.1"]);
        let app = App::start_tls("vault", Speaks::Http1, config).await;
        for name in names {
            let named = TlsOrigination {
                subject_alt_names: vec!["other.example".into(), name.into()],
                ..tls(pem())
            };
            let answer = heard(&app, AppProtocol::Http11, named).await;
            assert_eq!(answer.status, 200, "{name}");
        }
    });
}

#[test]
fn an_application_that_does_not_prove_it_never_hears_a_request() {
    run(|| async {
        let (authority, stranger) = (Authority::new(), Authority::new());
        let pem = |authority: &Authority| TlsRoots::Pem(authority.pem.as_str().into());
        let right = || tls(pem(&authority));
        let named = |name: &str| TlsOrigination {
            subject_alt_names: vec![name.into()],
            ..right()
        };
        let good = || authority.server(&["bank.example"], false, &["http/1.1"]);
        for (what, server, how) in [
            (
                "another name",
                authority.server(&["shop.example"], false, &[]),
                right(),
            ),
            ("another authority", good(), tls(pem(&stranger))),
            (
                "an old certificate",
                authority.server(&["bank.example"], true, &[]),
                right(),
            ),
            ("none of the names", good(), named("vault.example")),
            ("none of the URIs", good(), named("spiffe://bank/vault")),
            ("nobody vouches", good(), tls(TlsRoots::Missing)),
            (
                "no such file",
                good(),
                tls(TlsRoots::File("/nowhere/ca.pem".into())),
            ),
            ("no roots", good(), tls(TlsRoots::Pem("".into()))),
            (
                "another protocol inside",
                authority.server(&["bank.example"], false, &["h2"]),
                right(),
            ),
        ] {
            let app = App::start_tls("bank", Speaks::Http1, server).await;
            let answer = heard(&app, AppProtocol::Http11, how).await;
            assert_eq!(answer.status, 503, "{what}");
            assert!(
                answer.text().contains("remote connection failure"),
                "{what}"
            );
            let requests = app.requests.load(std::sync::atomic::Ordering::Relaxed);
            assert_eq!(requests, 0, "{what}");
        }
        // Whom nobody shall look at is taken as it is.
        let config = stranger.server(&["x.example"], false, &[]);
        let app = App::start_tls("bank", Speaks::Http1, config).await;
        let blind = TlsOrigination {
            insecure_skip_verify: true,
            ..tls(TlsRoots::System)
        };
        assert_eq!(heard(&app, AppProtocol::Http11, blind).await.status, 200);
        // Plain text behind what should be TLS is no answer.
        let app = App::start("plain", Speaks::Http1).await;
        assert_eq!(heard(&app, AppProtocol::Http11, right()).await.status, 503);
    });
}

#[test]
fn without_a_server_name_it_is_that_of_the_service() {
    run(|| async {
        let authority = Authority::new();
        let host = "web.shop.svc.cluster.local";
        let config = authority.server(&[host], false, &["http/1.1"]);
        let app = App::start_tls("web", Speaks::Http1, config).await;
        let unnamed = TlsOrigination {
            sni: "".into(),
            ..tls(TlsRoots::Pem(authority.pem.as_str().into()))
        };
        let answer = heard(&app, AppProtocol::Http11, unnamed).await;
        assert_eq!(answer.status, 200);
    });
}

#[test]
fn an_application_is_told_who_calls_before_the_first_byte() {
    run(|| async {
        for (version, begin) in [
            (1, &b"PROXY TCP4 "[..]),
            (2, b"\r\n\r\n\0\r\nQUIT\n\x21\x11"),
        ] {
            let mut world = World::new().await;
            let app = App::echo().await;
            world.service("web", 80, AppProtocol::Tcp, &[&app]);
            world.route(&routes(&TrafficPolicy {
                proxy_protocol: Some(version),
                ..TrafficPolicy::default()
            }));
            let mut stream = world.client.stream(&vip(80)).await.unwrap();
            stream.write_all(b"hi").await.unwrap();
            let mut heard = vec![0; begin.len()];
            let reading = stream.read_exact(&mut heard);
            tokio::time::timeout(PATIENCE, reading)
                .await
                .unwrap()
                .unwrap();
            assert_eq!(heard, begin, "version {version}");
        }
    });
}
