//! A signing certificate of the operator's, replaced while the program runs: well, badly, and well again.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::time::{Duration, Instant};

use mesh::testing::ca::Ca;
use proto::auth::IstioCertificateRequest;
use proto::auth::istio_certificate_service_client::IstioCertificateServiceClient;
use rcgen::{CertificateParams, KeyPair};
use tonic::Request;
use tonic::transport::Channel;

#[path = "world/issuer.rs"]
mod issuer;
#[path = "world/program.rs"]
mod program;

use issuer::{Issuer, Pod};

const WEB: Pod<'_> = Pod {
    namespace: "default",
    name: "web-0",
    uid: "u1",
    account: "web",
    node: "a",
};

fn objects() -> String {
    format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{namespace: {}, name: {}, uid: {}}}, \
         spec: {{nodeName: {}, serviceAccountName: {}}}}}\n",
        WEB.namespace, WEB.name, WEB.uid, WEB.node, WEB.account
    )
}

/// Writes the operator's files one by one, as somebody with an editor would.
fn plug(directory: &Path, signer: &Ca, roots: &str) {
    let (certificate, key) = signer.plug_pem();
    let ca = directory.join("ca");
    std::fs::write(ca.join("ca-cert.pem"), certificate).unwrap();
    std::fs::write(ca.join("root-cert.pem"), roots).unwrap();
    std::fs::write(ca.join("ca-key.pem"), key).unwrap();
}

type Client = IstioCertificateServiceClient<Channel>;

/// Asks for a certificate: the answer.
async fn ask(client: &mut Client, token: &str) -> Vec<String> {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::default();
    let csr = params.serialize_request(&key).unwrap().pem().unwrap();
    let message = IstioCertificateRequest {
        csr,
        validity_duration: 60,
        metadata: None,
    };
    let mut request = Request::new(message);
    let header = format!("Bearer {token}").parse().unwrap();
    request.metadata_mut().insert("authorization", header);
    let answer = client.create_certificate(request).await.unwrap();
    answer.into_inner().cert_chain
}

/// Text without what may differ between two ways to write the same.
fn bare(pem: &str) -> String {
    pem.split_whitespace().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_certificate_signs_on_and_a_bad_one_leaves_the_old_one_in_force_with_a_reason() {
    let issuer = Issuer::new("k");
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    std::fs::create_dir(path.join("objects")).unwrap();
    std::fs::create_dir(path.join("ca")).unwrap();
    std::fs::write(path.join("objects/all.yaml"), objects()).unwrap();
    std::fs::write(path.join("jwks.json"), issuer.key_set()).unwrap();
    let (old, new) = (Ca::named("old"), Ca::named("new"));
    let (first, second) = (old.intermediate("first"), new.intermediate("second"));
    plug(path, &first, &old.root_pem());

    let program = program::start(path).await;
    let token = issuer.token(&WEB, |_| {});
    let mut client = Client::new(program.connect(path).await);
    let answer = ask(&mut client, &token).await;
    assert_eq!(answer.len(), 3, "leaf, signer, root");
    assert_eq!(bare(&answer[1]), bare(&first.plug_pem().0));
    assert_eq!(bare(&answer[2]), bare(&old.root_pem()));

    let both = new.root_pem() + &old.root_pem();
    plug(path, &second, &both);
    let deadline = Instant::now() + Duration::from_secs(20);
    let answer = loop {
        // over the connection that is open
        let answer = ask(&mut client, &token).await;
        if bare(&answer[1]) != bare(&first.plug_pem().0) {
            break answer;
        }
        assert!(Instant::now() < deadline, "the old one still signs");
        tokio::time::sleep(Duration::from_secs(1)).await;
    };
    assert_eq!(bare(&answer[1]), bare(&second.plug_pem().0));
    assert_eq!(bare(&answer[2]), bare(&both));
    // whoever connects now trusts the new roots and is shown a chain to them
    let mut client = Client::new(program.connect(path).await);
    ask(&mut client, &token).await;

    let says = "holds a key that is not the certificate's";
    assert!(!program.page("/debug/problems").await.contains(says));
    std::fs::write(path.join("ca/ca-key.pem"), first.plug_pem().1).unwrap();
    let problems = program
        .until("/debug/problems", |page| page.contains(says))
        .await;
    assert!(problems.contains("ca-key.pem"), "{problems}");
    let answer = ask(&mut client, &token).await;
    assert_eq!(bare(&answer[1]), bare(&second.plug_pem().0));

    plug(path, &second, &new.root_pem());
    program
        .until("/debug/problems", |page| !page.contains(says))
        .await;
    let answer = ask(&mut client, &token).await;
    assert_eq!(bare(&answer[2]), bare(&new.root_pem()));
    program.stop().await;
}
