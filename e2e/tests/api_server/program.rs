//! The whole controller in this process, on free ports, and a node proxy's view of it.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use controller::app::{self, Listeners};
use controller::config::env;
use e2e::listener::Listener;
use mesh::lifecycle::task;
use mesh::settings::Reader;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub(crate) struct Program {
    grpc: SocketAddr,
    admin: SocketAddr,
    root: String,
    stop: oneshot::Sender<()>,
    done: JoinHandle<Option<anyhow::Result<()>>>,
}

/// Starts it with these settings beside a folder for its own state.
pub(crate) async fn start(state: &Path, settings: &[(&str, &str)]) -> Program {
    let own = [
        ("WEFT_STATE_DIR", state.to_str().unwrap()),
        ("WEFT_GRPC_ADDRESS", "127.0.0.1:0"),
        ("WEFT_ADMIN_ADDRESS", "127.0.0.1:0"),
    ];
    let all = own.into_iter().chain(settings.iter().copied());
    let config = env::read(Reader::from_values(all)).unwrap();
    let listeners = Listeners::bind(&config).unwrap();
    let (grpc, admin) = (
        listeners.grpc.local_addr().unwrap(),
        listeners.admin.local_addr().unwrap(),
    );
    let (stop, stopped) = oneshot::channel();
    let done = task::spawn("controller", async move {
        let stopped = async {
            let _ = stopped.await;
        };
        Box::pin(app::serve(config, listeners, None, stopped)).await
    });
    let mut program = Program {
        grpc,
        admin,
        root: String::new(),
        stop,
        done,
    };
    let begun = std::time::Instant::now();
    while program.page("/ready").await != "ready\n" {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "it is never ready"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    program.root = std::fs::read_to_string(state.join("root-cert.pem")).unwrap();
    program
}

impl Program {
    /// Stops it as a signal does.
    pub(crate) async fn stop(self) {
        self.stop.send(()).unwrap();
        let done = tokio::time::timeout(Duration::from_secs(10), self.done).await;
        done.unwrap().unwrap().unwrap().unwrap();
    }

    /// A page of the admin port; empty when it does not answer.
    pub(crate) async fn page(&self, path: &str) -> String {
        let asked = async {
            let mut stream = TcpStream::connect(self.admin).await?;
            let head = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
            stream.write_all(head.as_bytes()).await?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await?;
            std::io::Result::Ok(answer)
        };
        let answer = asked.await.unwrap_or_default();
        let body = answer.split_once("\r\n\r\n").map(|(_, body)| body);
        body.unwrap_or_default().to_owned()
    }

    /// What a node proxy with this token is served.
    pub(crate) async fn client(&self, token: &str) -> Result<Listener, tonic::Status> {
        let connected = Listener::connect(self.grpc, &self.root, token).await;
        connected.unwrap()
    }
}
