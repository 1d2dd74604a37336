//! The TLS port that discovery and certificates share: connections in, encrypted streams out.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use mesh::lifecycle::{drain, task};
use mesh::net::{listen, sockopt::KeepAlive};
use rustls::ServerConfig;
use rustls::server::ResolvesServerCert;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;

/// Time for a client to complete its handshake.
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(10);
/// Handshakes at the same time; further connections wait in the kernel's queue.
const HANDSHAKES: usize = 256;
/// Streams that are ready and not taken over yet.
const READY: usize = 16;

/// Streams of clients that completed a handshake.
pub type Incoming = ReceiverStream<io::Result<TlsStream<TcpStream>>>;

/// Accepts on `listener` until the drain begins; `certificate` says what clients are shown.
///
/// # Errors
/// When the TLS library does not take the settings.
pub fn incoming(
    listener: TcpListener,
    certificate: Arc<dyn ResolvesServerCert>,
    drain: drain::Watch,
) -> Result<Incoming, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(mesh::tls::provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_cert_resolver(certificate);
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let (ready, streams) = mpsc::channel(READY);
    task::spawn("accept gRPC", async move {
        tokio::select! {
            () = drain.draining() => {}
            () = accept(listener, acceptor, ready) => {}
        }
    });
    Ok(ReceiverStream::new(streams))
}

async fn accept(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    ready: mpsc::Sender<io::Result<TlsStream<TcpStream>>>,
) {
    let slots = Arc::new(Semaphore::new(HANDSHAKES));
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
            return;
        };
        let (stream, peer) = match listen::accept(&listener, &KeepAlive::default()).await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::error!(%error, "the gRPC listener is broken");
                return;
            }
        };
        let (acceptor, ready) = (acceptor.clone(), ready.clone());
        task::spawn("gRPC handshake", async move {
            let handshake = acceptor.accept(stream);
            match tokio::time::timeout(HANDSHAKE_DEADLINE, handshake).await {
                Ok(Ok(stream)) => {
                    // Nobody takes it over any more when the server has stopped.
                    let _ = ready.send(Ok(stream)).await;
                }
                Ok(Err(error)) => tracing::debug!(%peer, %error, "TLS handshake failed"),
                Err(_) => tracing::debug!(%peer, "TLS handshake took too long"),
            }
            drop(slot);
        });
    }
}
