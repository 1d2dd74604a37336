//! The other end of a tunnel, played by the test: with any papers or none, and as badly behaved as a
//! case needs. It notes what it sees on the wire.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use mesh::testing::ca::{Ca, Leaf};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    ClientConfig, DigitallySignedStruct, DistinguishedName, Error, ServerConfig, SignatureScheme,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_rustls::{TlsAcceptor, TlsConnector, client};

use crate::net::{self, ONE, TWO};
use crate::proxy::PATIENCE;
use crate::world::World;

/// What somebody sees on the wire when a connection ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    /// TCP was reset.
    Reset,
    /// TCP or the stream was finished properly, without or after bytes.
    Finished,
    /// The CONNECT was answered with this status and the end of the stream, no body.
    Status(u16),
    /// The stream of an answered CONNECT was reset with this code.
    StreamReset(h2::Reason),
    /// The connection under an answered CONNECT is gone.
    Lost,
    /// TLS ended with this alert.
    Alert(String),
}

impl Wire {
    /// An alert by its name.
    pub(crate) fn alert(name: &str) -> Self {
        Self::Alert(name.to_owned())
    }
}

/// A certificate chain and its key.
pub(crate) type Papers = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// Papers with this leaf.
pub(crate) fn papers(ca: &Ca, leaf: &Leaf) -> Papers {
    let (chain, key) = ca.issue_pem(leaf);
    let chain = CertificateDer::pem_slice_iter(chain.as_bytes());
    let chain = chain.collect::<Result<_, _>>().unwrap();
    (
        chain,
        PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
    )
}

/// A runtime of one thread, for one end.
fn runtime() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap()
}

/// A tunnel that the test has opened to the proxy of pod two.
pub(crate) struct Caller {
    runtime: Runtime,
    /// Its own end of TCP.
    pub(crate) source: SocketAddr,
    tls: Option<client::TlsStream<TcpStream>>,
}

/// A stream of an answered CONNECT.
pub(crate) struct Call {
    caller: Caller,
    connection: tokio::task::JoinHandle<Option<Result<(), h2::Error>>>,
    send: h2::SendStream<Bytes>,
    receive: h2::RecvStream,
}

/// TCP from pod one to the tunnel door of pod two.
pub(crate) fn knock(world: &World) -> std::net::TcpStream {
    let door = SocketAddr::new(TWO.into(), 15008);
    let stream = net::connect(&world.cable.one, ONE.into(), door);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

impl Caller {
    /// Calls the tunnel door of pod two and completes the handshake, as far as a client can tell.
    pub(crate) fn new(world: &World, papers: Option<Papers>) -> Self {
        let (runtime, stream) = (runtime(), knock(world));
        let source = stream.local_addr().unwrap();
        stream.set_nonblocking(true).unwrap();
        let connecting = async {
            let stream = TcpStream::from_std(stream).unwrap();
            let connector = TlsConnector::from(Arc::new(client_config(papers)));
            connector
                .connect(ServerName::IpAddress(TWO.into()), stream)
                .await
        };
        let tls = runtime.block_on(connecting).ok();
        Self {
            runtime,
            source,
            tls,
        }
    }

    /// The pod `client` of the mesh calls.
    pub(crate) fn client(world: &World) -> Self {
        let identity = mesh::testing::ca::identity("shop", "client");
        Self::new(world, Some(papers(&world.ca, &Leaf::of(&identity))))
    }

    /// Writes `bytes` into TLS and reads until the end, which it tells.
    pub(crate) fn read_end(mut self, bytes: &[u8]) -> (SocketAddr, Wire) {
        let Some(mut tls) = self.tls.take() else {
            return (self.source, Wire::Finished);
        };
        let wire = self.runtime.block_on(async {
            // The other end may have left before.
            let _ = tls.write_all(bytes).await;
            let mut read = Vec::new();
            let ended = tokio::time::timeout(PATIENCE, tls.read_to_end(&mut read)).await;
            match ended.expect("the other end goes on") {
                Ok(_) => Wire::Finished,
                Err(error) => wire_of(&error),
            }
        });
        (self.source, wire)
    }

    /// Sends a request and tells what came back: an open stream, or how it was refused.
    pub(crate) fn ask(mut self, request: http::Request<()>) -> Result<Call, (SocketAddr, Wire)> {
        let tls = self.tls.take().expect("the handshake is complete");
        let is_connect = request.method() == http::Method::CONNECT;
        let answered = self.runtime.block_on(async {
            let (send, connection) = h2::client::handshake(tls).await.unwrap();
            let connection = mesh::lifecycle::task::spawn("caller", connection);
            let mut send = send.ready().await.unwrap();
            let (answer, send) = send.send_request(request, !is_connect).unwrap();
            let answer = tokio::time::timeout(PATIENCE, answer).await;
            let (head, mut body) = answer.expect("an answer").unwrap().into_parts();
            if head.status == http::StatusCode::OK {
                return Ok((connection, send, body));
            }
            assert!(body.data().await.is_none(), "a refusal has no body");
            Err(Wire::Status(head.status.as_u16()))
        });
        match answered {
            Ok((connection, send, receive)) => Ok(Call {
                caller: self,
                connection,
                send,
                receive,
            }),
            Err(wire) => Err((self.source, wire)),
        }
    }

    /// A CONNECT for this authority.
    pub(crate) fn connect(self, authority: &str) -> Result<Call, (SocketAddr, Wire)> {
        self.ask(http::Request::connect(authority).body(()).unwrap())
    }
}

impl Call {
    /// The caller's end of TCP.
    pub(crate) fn source(&self) -> SocketAddr {
        self.caller.source
    }

    /// Sends bytes, and the end of the stream if they are the last.
    pub(crate) fn send(&mut self, bytes: &'static [u8], is_last: bool) {
        let Self { caller, send, .. } = self;
        let data = Bytes::from_static(bytes);
        caller
            .runtime
            .block_on(async { send.send_data(data, is_last) })
            .unwrap();
    }

    /// Reads until the end, which it tells.
    pub(crate) fn end(mut self) -> (SocketAddr, Wire) {
        let receive = &mut self.receive;
        let reading = async {
            loop {
                match receive.data().await {
                    Some(Ok(_)) => {}
                    None => return Wire::Finished,
                    Some(Err(error)) => {
                        return error.reason().map_or(Wire::Lost, Wire::StreamReset);
                    }
                }
            }
        };
        let reading = async { tokio::time::timeout(PATIENCE, reading).await };
        let wire = self.caller.runtime.block_on(reading);
        (self.caller.source, wire.expect("the other end goes on"))
    }

    /// Resets the stream.
    pub(crate) fn reset(self) -> SocketAddr {
        let Self {
            caller,
            connection,
            mut send,
            receive,
        } = self;
        send.send_reset(h2::Reason::CONNECT_ERROR);
        drop((send, receive));
        // Without a stream the connection says goodbye, and has then written everything.
        let over = async { tokio::time::timeout(PATIENCE, connection).await };
        let _ = caller.runtime.block_on(over).expect("it ends by itself");
        caller.source
    }
}

/// How an impostor behaves towards a proxy that calls it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    /// Says nothing at all.
    Silent,
    /// Hangs up when it has heard the first bytes.
    HangsUp,
    /// Answers in another language than TLS.
    Babbles,
    /// Completes the handshake and answers in another language than HTTP/2.
    BabblesInside,
    /// Answers the CONNECT with this status.
    Answers(u16),
    /// Takes the CONNECT and does not answer.
    NeverAnswers,
    /// Opens the stream and then lets the connection fall.
    Falls,
}

/// Listens at pod two's tunnel door, which no proxy may have opened, and serves one call. Tells what
/// it saw of the caller's end: an alert, or that it finished.
pub(crate) fn impostor(netns: &OwnedFd, papers: Papers, act: Act) -> JoinHandle<Wire> {
    let door = SocketAddr::new(TWO.into(), 15008);
    let listener = net::inside(netns, move || std::net::TcpListener::bind(door).unwrap());
    let listener = listener.join().unwrap();
    std::thread::spawn(move || {
        runtime().block_on(async {
            listener.set_nonblocking(true).unwrap();
            let listener = TcpListener::from_std(listener).unwrap();
            let (stream, _) = listener.accept().await.unwrap();
            Box::pin(play(stream, papers, act)).await
        })
    })
}

async fn play(mut stream: TcpStream, papers: Papers, act: Act) -> Wire {
    match act {
        Act::Silent => return end_of(&mut stream).await,
        Act::HangsUp => {
            let _ = stream.read(&mut [0; 16]).await;
            return Wire::Finished;
        }
        Act::Babbles => {
            stream
                .write_all(b"220 mail.example ready\r\n")
                .await
                .unwrap();
            return end_of(&mut stream).await;
        }
        _ => {}
    }
    let acceptor = TlsAcceptor::from(Arc::new(server_config(papers)));
    let mut tls = match acceptor.accept(stream).await {
        Ok(tls) => tls,
        Err(error) => return wire_of(&error),
    };
    if let Act::BabblesInside = act {
        let _ = tls.write_all(&[b'x'; 64]).await;
        let _ = tls.read_to_end(&mut Vec::new()).await;
        return Wire::Finished;
    }
    let mut tunnel = h2::server::handshake(tls).await.unwrap();
    let mut kept = Vec::new();
    while let Some(Ok((_, mut respond))) = tunnel.accept().await {
        // One request is enough: without it the caller would keep the connection for others.
        tunnel.graceful_shutdown();
        let answer = |status: u16| http::Response::builder().status(status).body(()).unwrap();
        match act {
            Act::Answers(status) => _ = respond.send_response(answer(status), true),
            Act::Falls => {
                let _stream = respond.send_response(answer(200), false);
                // One turn, which writes the answer and finds no other request.
                let turn = Duration::from_millis(50);
                let _ = tokio::time::timeout(turn, tunnel.accept()).await;
                return Wire::Finished;
            }
            _ => kept.push(respond),
        }
    }
    Wire::Finished
}

/// Reads until the other side ends.
async fn end_of(stream: &mut TcpStream) -> Wire {
    let mut read = Vec::new();
    match tokio::time::timeout(PATIENCE, stream.read_to_end(&mut read)).await {
        Ok(Ok(_)) => Wire::Finished,
        Ok(Err(_)) => Wire::Reset,
        Err(_) => panic!("the other end goes on"),
    }
}

/// What an error of a TLS stream was on the wire.
fn wire_of(error: &std::io::Error) -> Wire {
    let cause = error.get_ref().and_then(|it| it.downcast_ref::<Error>());
    match cause {
        Some(Error::AlertReceived(alert)) => Wire::Alert(format!("{alert:?}")),
        _ if error.kind() == std::io::ErrorKind::ConnectionReset => Wire::Reset,
        _ => Wire::Finished,
    }
}

fn client_config(papers: Option<Papers>) -> ClientConfig {
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody));
    let mut config = match papers {
        Some((chain, key)) => builder.with_client_auth_cert(chain, key).unwrap(),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    config.enable_sni = false;
    config
}

fn server_config((chain, key): Papers) -> ServerConfig {
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_client_cert_verifier(Arc::new(Anybody))
        .with_single_cert(chain, key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    config
}

/// Takes every certificate.
#[derive(Debug)]
struct Anybody;

fn schemes() -> Vec<SignatureScheme> {
    let algorithms = default_provider().signature_verification_algorithms;
    algorithms.supported_schemes()
}

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }
    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        schemes()
    }
}

impl ClientCertVerifier for Anybody {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }
    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }
    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        schemes()
    }
}
