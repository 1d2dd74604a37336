//! A peer on the tunnel port that Weft did not write: it presents whatever certificate it was given, and
//! tells what it hears.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, bail};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    ClientConfig, DigitallySignedStruct, DistinguishedName, ServerConfig, SignatureScheme,
};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// Port of tunnels.
pub const TUNNEL: u16 = 15008;
/// Port on which an impostor server says what it [`Heard`].
pub const COUNT: u16 = 9010;

/// What an impostor server heard of those who called.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// How many CONNECTs it was sent.
    pub connects: usize,
    /// Alerts with which handshakes were ended, in order.
    pub alerts: Vec<String>,
}

/// What happened to an impostor client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fate {
    /// Answered with a status.
    Status(u16),
    /// The handshake was ended with this alert.
    Alert(String),
    /// The connection or stream was ended before an answer.
    Ended,
}

/// `server CERT KEY` or `client ADDRESS AUTHORITY HEADER-BYTES [CERT KEY]`.
///
/// # Errors
/// When the words are wrong or a file cannot be read.
pub fn main(arguments: &[&str]) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    match arguments {
        ["server", certificate, key] => {
            runtime.block_on(serve(Some((certificate.as_ref(), key.as_ref()))))
        }
        ["client", server, authority, bytes, rest @ ..] => {
            let files = match rest {
                [certificate, key] => Some((certificate.as_ref(), key.as_ref())),
                _ => None,
            };
            let fate =
                runtime.block_on(knock(server.parse()?, authority, bytes.parse()?, files))?;
            show(&fate)
        }
        _ => bail!("unknown impostor {arguments:?}"),
    }
}

#[expect(clippy::print_stdout, reason = "this is how a client in a pod reports")]
fn show(fate: &Fate) -> Result<()> {
    println!("{}", serde_json::to_string(fate)?);
    Ok(())
}

type Files<'a> = Option<(&'a Path, &'a Path)>;

fn load(
    (certificate, key): (&Path, &Path),
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
    let chain = CertificateDer::pem_file_iter(certificate)?.collect::<Result<_, _>>()?;
    Ok((chain, PrivateKeyDer::from_pem_file(key)?))
}

/// Accepts anybody, with the papers that its files hold when a call comes, and notes what it hears.
async fn serve(files: Files<'_>) -> Result<()> {
    let files = files.context("a server needs a certificate")?;
    let heard = Arc::new(Mutex::new(Heard::default()));
    let tunnels = TcpListener::bind(("::", TUNNEL)).await?;
    let questions = TcpListener::bind(("::", COUNT)).await?;
    loop {
        tokio::select! {
            Ok((mut stream, _)) = questions.accept() => {
                let text = serde_json::to_vec(&*lock(&heard))?;
                let _ = stream.write_all(&text).await;
            }
            Ok((stream, _)) = tunnels.accept() => {
                let (acceptor, heard) = (acceptor(files)?, Arc::clone(&heard));
                mesh::lifecycle::task::spawn("tunnel", answer(acceptor, stream, heard));
            }
        }
    }
}

fn acceptor(files: (&Path, &Path)) -> Result<TlsAcceptor> {
    let (chain, key) = load(files)?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(Arc::new(Anybody))
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn lock(heard: &Mutex<Heard>) -> MutexGuard<'_, Heard> {
    heard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Counts the CONNECTs of one tunnel and declines each.
async fn answer(acceptor: TlsAcceptor, stream: TcpStream, heard: Arc<Mutex<Heard>>) {
    let stream = match acceptor.accept(stream).await {
        Ok(stream) => stream,
        Err(error) => return lock(&heard).alerts.extend(alert(&error.to_string())),
    };
    let Ok(mut tunnel) = h2::server::handshake(stream).await else {
        return;
    };
    while let Some(Ok((_, mut respond))) = tunnel.accept().await {
        lock(&heard).connects += 1;
        let declined = http::Response::builder().status(503).body(());
        if let Ok(declined) = declined {
            let _ = respond.send_response(declined, true);
        }
    }
}

/// The alert in an error's text: HTTP/2 keeps nothing else of it.
fn alert(text: &str) -> Option<String> {
    let (_, alert) = text.split_once("received fatal alert: ")?;
    Some(alert.to_owned())
}

fn ended(error: &str) -> Fate {
    alert(error).map_or(Fate::Ended, Fate::Alert)
}

/// Opens a tunnel and asks for `authority`, with a header of so many bytes.
async fn knock(server: IpAddr, authority: &str, bytes: usize, files: Files<'_>) -> Result<Fate> {
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody));
    let mut config = match files {
        Some(files) => {
            let (chain, key) = load(files)?;
            builder.with_client_auth_cert(chain, key)?
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    config.enable_sni = false;
    let stream = TcpStream::connect(SocketAddr::new(server, TUNNEL))
        .await
        .context("connect")?;
    let name = ServerName::IpAddress(server.into());
    let connecting = TlsConnector::from(Arc::new(config)).connect(name, stream);
    let stream = match connecting.await {
        Ok(stream) => stream,
        Err(error) => return Ok(ended(&error.to_string())),
    };
    // A server that takes us speaks first. Whoever is refused must not have sent more than the server
    // reads, or the reset that follows would swallow the alert.
    let mut stream = BufReader::new(stream);
    if let Err(error) = stream.fill_buf().await {
        return Ok(ended(&error.to_string()));
    }
    let (sender, connection) = match h2::client::handshake(stream).await {
        Ok(made) => made,
        Err(error) => return Ok(ended(&error.to_string())),
    };
    let request = http::Request::connect(authority)
        .header("x-filler", "f".repeat(bytes))
        .body(())?;
    let answer = async {
        let mut sender = sender.ready().await?;
        sender.send_request(request, false)?.0.await
    };
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        answer = answer => match answer {
            Ok(answer) => Ok(Fate::Status(answer.status().as_u16())),
            Err(error) => Ok(ended(&error.to_string())),
        },
        over = &mut connection => Ok(over.map_or_else(|it| ended(&it.to_string()), |()| Fate::Ended)),
    }
}

/// Takes every certificate.
#[derive(Debug)]
struct Anybody;

fn schemes() -> Vec<SignatureScheme> {
    default_provider()
        .signature_verification_algorithms
        .supported_schemes()
}

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }
    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
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
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }
    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        schemes()
    }
}
