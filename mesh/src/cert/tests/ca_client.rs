//! The authority over gRPC on loopback: what is sent, and what is read again.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use proto::auth::istio_certificate_service_server::{
    IstioCertificateService, IstioCertificateServiceServer,
};
use proto::auth::{IstioCertificateRequest, IstioCertificateResponse};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

use super::*;
use crate::cert::ca_client::{CaClient, Config};
use crate::lifecycle::task;
use crate::tls::foreign;

/// Signs whatever comes and notes how it came.
struct Service {
    ca: Arc<Ca>,
    seen: Arc<Mutex<Vec<Vec<String>>>>,
}

#[tonic::async_trait]
impl IstioCertificateService for Service {
    async fn create_certificate(
        &self,
        request: Request<IstioCertificateRequest>,
    ) -> Result<Response<IstioCertificateResponse>, Status> {
        let header = |name| {
            let value = request.metadata().get(name);
            value
                .map_or("none", |value| value.to_str().unwrap())
                .to_owned()
        };
        let mut seen = vec![
            header("authorization"),
            header("clusterid"),
            header("x-extra"),
        ];
        let body = request.get_ref();
        seen.push(body.validity_duration.to_string());
        let whom = body
            .metadata
            .as_ref()
            .and_then(|m| m.fields.get("ImpersonatedIdentity"));
        let whom = whom.and_then(|value| value.kind.clone());
        let Some(prost_types::value::Kind::StringValue(whom)) = whom else {
            return Err(Status::permission_denied("nobody is named"));
        };
        seen.push(whom.clone());
        self.seen.lock().unwrap().push(seen);
        let leaf = Leaf::of(&Identity::parse(&whom).unwrap());
        let cert_chain = vec![self.ca.sign_request(&body.csr, &leaf), self.ca.root_pem()];
        Ok(Response::new(IstioCertificateResponse { cert_chain }))
    }
}

/// A served authority whose own certificate is signed by the returned one.
async fn serve() -> (SocketAddr, Arc<Ca>, Arc<Mutex<Vec<Vec<String>>>>) {
    let ca = Arc::new(Ca::new());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let dns = vec!["ca.example".to_owned()];
    let (chain, key) = ca.issue_pem(&Leaf {
        uris: Vec::new(),
        dns,
        ..Leaf::of(&web())
    });
    let any = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0);
    let listener = TcpListener::bind(any).await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = Service {
        ca: Arc::clone(&ca),
        seen: Arc::clone(&seen),
    };
    let server = Server::builder()
        .tls_config(foreign::server(&chain, &key))
        .unwrap()
        .add_service(IstioCertificateServiceServer::new(service));
    task::spawn(
        "ca",
        server.serve_with_incoming(TcpListenerStream::new(listener)),
    );
    (address, ca, seen)
}

fn config(address: SocketAddr, directory: &Path) -> Config {
    Config {
        address: format!("https://{address}").into(),
        server_name: Some("ca.example".into()),
        roots: directory.join("roots.pem"),
        token: directory.join("token"),
        cluster_id: "Kubernetes".into(),
        impersonate: true,
        headers: vec![("x-extra".parse().unwrap(), "yes".parse().unwrap())],
    }
}

fn refused<T>(result: Result<T, Error>) -> SignError {
    match result {
        Err(Error::Sign { source, .. }) => source,
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("was certified"),
    }
}

#[tokio::test]
async fn sends_token_cluster_and_whom_it_is_for_and_reads_token_and_roots_again() {
    let (address, ca, seen) = serve().await;
    let directory = tempfile::tempdir().unwrap();
    let config = config(address, directory.path());
    let (token, roots) = (config.token.clone(), config.roots.clone());
    let client = CaClient::new(config);
    let settings = Settings {
        ttl: Duration::from_secs(7200),
        ..Settings::default()
    };
    let certify = || request::certify(&client, web(), &settings, &SystemTime::now);

    // no roots, then roots of somebody else and no token, then a token
    assert!(matches!(refused(certify().await), SignError::Roots { .. }));
    std::fs::write(&roots, Ca::new().root_pem()).unwrap();
    assert!(matches!(refused(certify().await), SignError::Token { .. }));
    std::fs::write(&token, "first\n").unwrap();
    assert!(matches!(refused(certify().await), SignError::Status { .. }));
    assert!(
        seen.lock().unwrap().is_empty(),
        "a server we do not trust hears nothing"
    );

    std::fs::write(&roots, ca.root_pem()).unwrap();
    assert_eq!(certify().await.unwrap().identity(), &web());
    std::fs::write(&token, "second").unwrap();
    certify().await.unwrap();
    let whom = "spiffe://cluster.local/ns/default/sa/web";
    let call = |token| {
        vec![token, "Kubernetes", "yes", "7200", whom]
            .into_iter()
            .map(str::to_owned)
    };
    let expected: Vec<Vec<_>> = ["Bearer first", "Bearer second"]
        .map(|token| call(token).collect())
        .into();
    assert_eq!(*seen.lock().unwrap(), expected);
}

#[tokio::test]
async fn a_refusal_carries_the_authoritys_words() {
    let (address, ca, _) = serve().await;
    let directory = tempfile::tempdir().unwrap();
    let config = Config {
        impersonate: false,
        ..config(address, directory.path())
    };
    std::fs::write(&config.roots, ca.root_pem()).unwrap();
    std::fs::write(&config.token, "token").unwrap();
    let error = CaClient::new(config)
        .sign(&web(), String::new(), Duration::ZERO)
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "certificate authority: PermissionDenied: nobody is named"
    );
}
