//! The whole controller in this process, on free ports and in directories of its own.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use controller::app::{self, Listeners};
use controller::config::env;
use mesh::lifecycle::task;
use mesh::settings::Reader;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::transport::{Channel, Endpoint};

use crate::issuer::ISSUER;

pub(crate) struct Program {
    pub(crate) grpc: SocketAddr,
    pub(crate) admin: SocketAddr,
    stop: oneshot::Sender<()>,
    done: JoinHandle<Option<anyhow::Result<()>>>,
}

/// Starts it on `directory`: objects/, state/ and jwks.json are in there, and ca/ where the operator
/// has a signing certificate.
pub(crate) async fn start(directory: &Path) -> Program {
    let path = |name: &str| directory.join(name).to_str().unwrap().to_owned();
    let plugged_in = directory.join("ca").exists();
    let plugged_in = plugged_in.then(|| ("WEFT_CA_DIR", path("ca")));
    let settings = [
        ("WEFT_OBJECTS_DIR", path("objects")),
        ("WEFT_STATE_DIR", path("state")),
        ("WEFT_JWKS", path("jwks.json")),
        ("WEFT_TOKEN_ISSUER", ISSUER.to_owned()),
        ("WEFT_GRPC_ADDRESS", "127.0.0.1:0".to_owned()),
        ("WEFT_ADMIN_ADDRESS", "127.0.0.1:0".to_owned()),
        ("WEFT_CA_BURST", "40".to_owned()),
        ("WEFT_CA_RATE", "1".to_owned()),
        ("WEFT_CA_PATIENCE", "300ms".to_owned()),
    ];
    let config = env::read(Reader::from_values(settings.into_iter().chain(plugged_in))).unwrap();
    let listeners = Listeners::bind(&config).unwrap();
    let (grpc, admin) = (
        listeners.grpc.local_addr().unwrap(),
        listeners.admin.local_addr().unwrap(),
    );
    let (stop, stopped) = oneshot::channel();
    let done = task::spawn("controller", async move {
        app::serve(config, listeners, None, async {
            let _ = stopped.await;
        })
        .await
    });
    let program = Program {
        grpc,
        admin,
        stop,
        done,
    };
    program
        .until("/ready", |page| {
            page == "ready
"
        })
        .await;
    program
}

impl Program {
    /// Stops it; fails when it does not stop cleanly and soon.
    pub(crate) async fn stop(self) {
        self.stop.send(()).unwrap();
        let done = tokio::time::timeout(Duration::from_secs(10), self.done)
            .await
            .unwrap();
        done.unwrap().unwrap().unwrap();
    }

    /// A connection that trusts the root in the state directory.
    pub(crate) async fn connect(&self, directory: &Path) -> Channel {
        mesh::tls::install_default();
        let root = std::fs::read_to_string(directory.join("state/root-cert.pem")).unwrap();
        let tls = mesh::tls::foreign::client("weft-controller.weft-system.svc", &root);
        let endpoint = Endpoint::from_shared(format!("https://{}", self.grpc)).unwrap();
        endpoint.tls_config(tls).unwrap().connect().await.unwrap()
    }

    /// Waits until a page looks as wanted; returns it.
    pub(crate) async fn until(&self, path: &str, is_wanted: impl Fn(&str) -> bool) -> String {
        until(self.admin, path, is_wanted).await
    }

    /// A page of the admin port.
    pub(crate) async fn page(&self, path: &str) -> String {
        page(self.admin, path).await
    }
}

/// Waits until a page looks as wanted; returns it.
pub(crate) async fn until(
    admin: SocketAddr,
    path: &str,
    is_wanted: impl Fn(&str) -> bool,
) -> String {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let page = page(admin, path).await;
        if is_wanted(&page) {
            return page;
        }
        assert!(Instant::now() < deadline, "{path} still is: {page}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A page of an admin port.
pub(crate) async fn page(admin: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(admin).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text.split_once("\r\n\r\n").unwrap().1.to_owned()
}
