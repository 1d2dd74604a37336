//! Certificates over gRPC: who gets one, what is in it, and every reason for which nobody does.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::too_many_lines,
    reason = "a test fails by panicking; tables are long"
)]

use std::path::Path;

use proto::auth::IstioCertificateRequest;
use proto::auth::istio_certificate_service_client::IstioCertificateServiceClient;
use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};
use tempfile::TempDir;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

#[path = "world/issuer.rs"]
mod issuer;
#[path = "world/program.rs"]
mod program;

use issuer::{Issuer, Pod};
use program::Program;

const ZTUNNEL: Pod<'_> = Pod {
    namespace: "weft-system",
    name: "ztunnel-a",
    uid: "u1",
    account: "ztunnel",
    node: "a",
};
const WEB: Pod<'_> = Pod {
    namespace: "default",
    name: "web-0",
    uid: "u2",
    account: "web",
    node: "a",
};
const WEB_IDENTITY: &str = "spiffe://cluster.local/ns/default/sa/web";

fn objects() -> String {
    let pod = |pod: &Pod<'_>| {
        format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{namespace: {}, name: {}, uid: {}}}, \
             spec: {{nodeName: {}, serviceAccountName: {}}}}}\n---\n",
            pod.namespace, pod.name, pod.uid, pod.node, pod.account
        )
    };
    let elsewhere = Pod {
        name: "db-0",
        uid: "u3",
        account: "db",
        node: "b",
        ..WEB
    };
    [&ZTUNNEL, &WEB, &elsewhere].map(pod).concat()
}

fn directory(issuer: &Issuer) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("objects")).unwrap();
    std::fs::write(directory.path().join("objects/all.yaml"), objects()).unwrap();
    std::fs::write(directory.path().join("jwks.json"), issuer.key_set()).unwrap();
    directory
}

fn csr() -> (KeyPair, String) {
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    // The names in the request must not matter.
    let params = CertificateParams::new(["evil.example.org".to_owned()]).unwrap();
    let csr = params.serialize_request(&key).unwrap().pem().unwrap();
    (key, csr)
}

struct Client {
    inner: IstioCertificateServiceClient<Channel>,
}

impl Client {
    async fn new(program: &Program, directory: &Path) -> Self {
        let channel = program.connect(directory).await;
        Self {
            inner: IstioCertificateServiceClient::new(channel),
        }
    }

    async fn ask(
        &mut self,
        bearer: &str,
        wanted: Option<&str>,
        csr: &str,
        life: i64,
    ) -> Result<Vec<String>, Status> {
        let metadata = wanted.map(|wanted| prost_types::Struct {
            fields: [(
                "ImpersonatedIdentity".to_owned(),
                prost_types::Value {
                    kind: Some(prost_types::value::Kind::StringValue(wanted.to_owned())),
                },
            )]
            .into(),
        });
        let message = IstioCertificateRequest {
            csr: csr.to_owned(),
            validity_duration: life,
            metadata,
        };
        let mut request = Request::new(message);
        let header = format!("Bearer {bearer}").parse().unwrap();
        request.metadata_mut().insert("authorization", header);
        Ok(self
            .inner
            .create_certificate(request)
            .await?
            .into_inner()
            .cert_chain)
    }
}

fn der(pem: &str) -> Vec<u8> {
    x509_parser::pem::Pem::iter_from_buffer(pem.as_bytes())
        .next()
        .unwrap()
        .unwrap()
        .contents
}

#[tokio::test(flavor = "multi_thread")]
async fn signs_for_a_node_proxy_exactly_what_the_contract_says() {
    let issuer = Issuer::new("k");
    let directory = directory(&issuer);
    let program = program::start(directory.path()).await;
    let mut client = Client::new(&program, directory.path()).await;
    let token = issuer.token(&ZTUNNEL, |_| {});
    let (key, csr) = csr();
    let chain = client
        .ask(&token, Some(WEB_IDENTITY), &csr, 3600)
        .await
        .unwrap();

    assert_eq!(chain.len(), 2, "leaf and roots");
    let root = std::fs::read_to_string(directory.path().join("state/root-cert.pem")).unwrap();
    assert_eq!(chain[1], root);
    let (leaf_der, root_der) = (der(&chain[0]), der(&chain[1]));
    let leaf = X509Certificate::from_der(&leaf_der).unwrap().1;
    let root = X509Certificate::from_der(&root_der).unwrap().1;
    leaf.verify_signature(Some(root.public_key())).unwrap();
    assert_eq!(
        leaf.public_key().raw,
        rcgen::PublicKeyData::subject_public_key_info(&key)
    );

    let names = leaf.subject_alternative_name().unwrap().unwrap();
    assert!(names.critical, "the subject is empty");
    assert_eq!(names.value.general_names, [GeneralName::URI(WEB_IDENTITY)]);
    assert_eq!(leaf.subject().iter().count(), 0);
    let usage = leaf.key_usage().unwrap().unwrap().value;
    assert_eq!(usage.flags, 1, "digitalSignature and nothing else");
    let purposes = leaf.extended_key_usage().unwrap().unwrap().value;
    assert!(purposes.server_auth && purposes.client_auth && !purposes.any);
    assert!(!leaf.is_ca());
    let life = leaf.validity().not_after.timestamp() - leaf.validity().not_before.timestamp();
    assert_eq!(life, 3600 + 120, "not-before is two minutes back");
    program.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gives_a_pod_its_own_certificate_for_a_day_unless_it_asks_otherwise() {
    let issuer = Issuer::new("k");
    let directory = directory(&issuer);
    let program = program::start(directory.path()).await;
    let mut client = Client::new(&program, directory.path()).await;
    let token = issuer.token(&WEB, |_| {});
    let (_, csr) = csr();
    for (asked, expected) in [(0, 24 * 3600), (-5, 24 * 3600), (90 * 86_400, 90 * 86_400)] {
        let chain = client.ask(&token, None, &csr, asked).await.unwrap();
        let leaf_der = der(&chain[0]);
        let validity = X509Certificate::from_der(&leaf_der)
            .unwrap()
            .1
            .validity()
            .clone();
        let life = validity.not_after.timestamp() - validity.not_before.timestamp();
        assert_eq!(life, expected + 120);
    }
    let status = client
        .ask(&token, None, &csr, 90 * 86_400 + 1)
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    program.stop().await;
}

/// What is wrong with a token.
type Edit = fn(&mut Value);

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_proves_nobody_is_refused_without_saying_why_and_counted_with_the_reason() {
    let issuer = Issuer::new("k");
    let directory = directory(&issuer);
    let program = program::start(directory.path()).await;
    let mut client = Client::new(&program, directory.path()).await;
    let (_, csr) = csr();
    let edits: [(&str, Edit); 9] = [
        ("issuer", |claims| claims["iss"] = json!("https://other")),
        ("audience", |claims| claims["aud"] = json!(["other"])),
        ("audience", |claims| claims["aud"] = json!([])),
        ("expired", |claims| claims["exp"] = json!(1_000_000)),
        ("not_yet_valid", |claims| {
            claims["nbf"] = json!(99_999_999_999u64)
        }),
        ("claim", |claims| {
            claims["sub"] = json!("system:serviceaccount:default:other")
        }),
        ("claim", |claims| {
            claims["kubernetes.io"]["pod"]["uid"] = json!("")
        }),
        ("malformed", |claims| claims["kubernetes.io"] = json!(null)),
        ("malformed", |claims| claims["exp"] = json!("soon")),
    ];
    let mut rows: Vec<(&str, String)> = edits
        .into_iter()
        .map(|(word, edit)| (word, issuer.token(&WEB, edit)))
        .collect();
    let good = issuer.token(&WEB, |_| {});
    rows.push(("no_token", String::new()));
    rows.push(("malformed", "garbage".to_owned()));
    rows.push(("malformed", "a".repeat(10_000)));
    rows.push(("signature", Issuer::new("k").token(&WEB, |_| {})));
    rows.push(("unknown_key", Issuer::new("other").token(&WEB, |_| {})));
    let body = good.split('.').nth(1).unwrap();
    rows.push(("malformed", format!("eyJhbGciOiJub25lIn0.{body}.")));
    rows.push(("algorithm", format!("eyJhbGciOiJIUzI1NiJ9.{body}.AAAA")));
    for (word, token) in rows {
        let before = count(&program, word).await;
        let status = client.ask(&token, None, &csr, 0).await.unwrap_err();
        assert_eq!(status.code(), Code::Unauthenticated, "{word}");
        assert_eq!(status.message(), "authentication failed");
        assert_eq!(count(&program, word).await, before + 1, "{word}");
    }
    assert!(client.ask(&good, None, &csr, 0).await.is_ok());
    program.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_that_is_not_the_callers_to_have_is_refused() {
    let issuer = Issuer::new("k");
    let directory = directory(&issuer);
    let program = program::start(directory.path()).await;
    let mut client = Client::new(&program, directory.path()).await;
    let (_, csr) = csr();
    let ztunnel = issuer.token(&ZTUNNEL, |_| {});
    let old = issuer.token(
        &Pod {
            uid: "old",
            ..ZTUNNEL
        },
        |_| {},
    );
    let unknown = issuer.token(
        &Pod {
            name: "ztunnel-b",
            ..ZTUNNEL
        },
        |_| {},
    );
    let other_node = issuer.token(
        &Pod {
            node: "b",
            ..ZTUNNEL
        },
        |_| {},
    );
    let unbound = issuer.token(&ZTUNNEL, |claims| {
        claims["kubernetes.io"]["pod"] = json!(null)
    });
    let web = issuer.token(&WEB, |_| {});
    for (word, token, wanted) in [
        (
            "nobody_there",
            &ztunnel,
            "spiffe://cluster.local/ns/default/sa/db",
        ),
        (
            "nobody_there",
            &ztunnel,
            "spiffe://cluster.local/ns/other/sa/web",
        ),
        ("trust_domain", &ztunnel, "spiffe://other/ns/default/sa/web"),
        ("identity_unreadable", &ztunnel, "web"),
        (
            "not_trusted",
            &web,
            "spiffe://cluster.local/ns/default/sa/db",
        ),
        ("other_pod", &old, WEB_IDENTITY),
        ("unknown_pod", &unknown, WEB_IDENTITY),
        ("other_node", &other_node, WEB_IDENTITY),
        ("no_pod", &unbound, WEB_IDENTITY),
    ] {
        let before = count(&program, word).await;
        let status = client.ask(token, Some(wanted), &csr, 0).await.unwrap_err();
        assert_eq!(
            (status.code(), status.message()),
            (Code::PermissionDenied, "not allowed")
        );
        assert_eq!(count(&program, word).await, before + 1, "{word}");
    }
    program.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_signing_request_is_refused() {
    let issuer = Issuer::new("k");
    let directory = directory(&issuer);
    let program = program::start(directory.path()).await;
    let mut client = Client::new(&program, directory.path()).await;
    let token = issuer.token(&WEB, |_| {});
    let (_, good) = csr();
    // One bit of the signature, which stands at the end.
    let mut lines: Vec<&str> = good.lines().collect();
    let last = lines.len() - 2;
    let changed = lines[last].replacen(
        &lines[last][4..5],
        if &lines[last][4..5] == "A" { "B" } else { "A" },
        1,
    );
    lines[last] = &changed;
    let tampered = lines.join("\n");
    for (word, csr) in [
        ("csr_unreadable", String::new()),
        ("csr_unreadable", "garbage".to_owned()),
        (
            "csr_unreadable",
            good.replace("CERTIFICATE REQUEST", "CERTIFICATE"),
        ),
        ("csr_unreadable", format!("{}{good}", " ".repeat(17_000))),
        ("csr_signature", tampered),
    ] {
        let before = count(&program, word).await;
        let status = client.ask(&token, None, &csr, 0).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{word}: {csr}");
        assert_eq!(count(&program, word).await, before + 1, "{word}: {csr}");
    }
    program.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_caller_cannot_keep_the_authority_from_others() {
    let issuer = Issuer::new("k");
    let directory = directory(&issuer);
    let program = program::start(directory.path()).await;
    let mut client = Client::new(&program, directory.path()).await;
    let (_, csr) = csr();
    let token = issuer.token(&WEB, |_| {});
    let mut refused = None;
    for _ in 0..60 {
        if let Err(status) = client.ask(&token, None, &csr, 0).await {
            refused = Some(status);
            break;
        }
    }
    assert_eq!(refused.unwrap().code(), Code::ResourceExhausted);
    let ztunnel = issuer.token(&ZTUNNEL, |_| {});
    assert!(
        client
            .ask(&ztunnel, Some(WEB_IDENTITY), &csr, 0)
            .await
            .is_ok()
    );
    program.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_keeps_the_root_and_follows_new_issuer_keys() {
    let issuer = Issuer::new("k");
    let directory = directory(&issuer);
    let (_, csr) = csr();
    let mut roots = Vec::new();
    for _ in 0..2 {
        let program = program::start(directory.path()).await;
        let mut client = Client::new(&program, directory.path()).await;
        let token = issuer.token(&WEB, |_| {});
        roots.push(client.ask(&token, None, &csr, 0).await.unwrap()[1].clone());
        program.stop().await;
    }
    assert_eq!(roots[0], roots[1]);

    let program = program::start(directory.path()).await;
    let mut client = Client::new(&program, directory.path()).await;
    let next = Issuer::new("k2");
    let path = directory.path().join("jwks.json");
    std::fs::write(directory.path().join("next"), next.key_set()).unwrap();
    std::fs::rename(directory.path().join("next"), &path).unwrap();
    assert!(
        client
            .ask(&next.token(&WEB, |_| {}), None, &csr, 0)
            .await
            .is_ok()
    );
    let old = client
        .ask(&issuer.token(&WEB, |_| {}), None, &csr, 0)
        .await
        .unwrap_err();
    assert_eq!(old.code(), Code::Unauthenticated);
    std::fs::write(&path, "rubbish").unwrap();
    let still = client.ask(&next.token(&WEB, |_| {}), None, &csr, 0).await;
    assert!(still.is_ok(), "the last good keys stay");
    program.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_quicker_than_the_news_of_its_pod_waits_for_it() {
    let issuer = Issuer::new("k");
    let directory = directory(&issuer);
    let program = program::start(directory.path()).await;
    let mut client = Client::new(&program, directory.path()).await;
    let token = issuer.token(&ZTUNNEL, |_| {});
    let (_, csr) = csr();
    let text = objects()
        .replace("web-0", "new-0")
        .replace("serviceAccountName: web", "serviceAccountName: new");
    let wanted = "spiffe://cluster.local/ns/default/sa/new";
    let path = directory.path().join("objects/new.yaml");
    let (answer, ()) = tokio::join!(client.ask(&token, Some(wanted), &csr, 0), async {
        std::fs::write(path, text.split("---").nth(1).unwrap()).unwrap();
    });
    assert!(answer.is_ok(), "{answer:?}");
    program.stop().await;
}

/// How many requests ended with this reason.
async fn count(program: &Program, word: &str) -> u64 {
    let counters: Value = serde_json::from_str(&program.page("/debug/counters").await).unwrap();
    counters["certificates"][word].as_u64().unwrap_or(0)
}
