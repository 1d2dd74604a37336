//! A peer on the tunnel port that Weft did not write: it presents whatever certificate it was given.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

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
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// Port of tunnels.
pub const TUNNEL: u16 = 15008;
/// Port on which an impostor server says how many CONNECTs it was sent.
pub const COUNT: u16 = 9010;

/// What happened to an impostor client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fate {
    /// Answered with a status.
    Status(u16),
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

/// Accepts anybody and counts the CONNECTs that arrive.
async fn serve(files: Files<'_>) -> Result<()> {
    let (chain, key) = load(files.context("a server needs a certificate")?)?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(Arc::new(Anybody))
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let count = Arc::new(AtomicUsize::new(0));
    let tunnels = TcpListener::bind(("::", TUNNEL)).await?;
    let questions = TcpListener::bind(("::", COUNT)).await?;
    loop {
        tokio::select! {
            Ok((mut stream, _)) = questions.accept() => {
                let text = count.load(Ordering::SeqCst).to_string();
                let _ = stream.write_all(text.as_bytes()).await;
            }
            Ok((stream, _)) = tunnels.accept() => {
                let (acceptor, count) = (acceptor.clone(), Arc::clone(&count));
                mesh::lifecycle::task::spawn("tunnel", answer(acceptor, stream, count));
            }
        }
    }
}

/// Counts the CONNECTs of one tunnel and declines each.
async fn answer(acceptor: TlsAcceptor, stream: TcpStream, count: Arc<AtomicUsize>) {
    let Ok(stream) = acceptor.accept(stream).await else {
        return;
    };
    let Ok(mut tunnel) = h2::server::handshake(stream).await else {
        return;
    };
    while let Some(Ok((_, mut respond))) = tunnel.accept().await {
        count.fetch_add(1, Ordering::SeqCst);
        let declined = http::Response::builder().status(503).body(());
        if let Ok(declined) = declined {
            let _ = respond.send_response(declined, true);
        }
    }
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
    let Ok(stream) = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
    else {
        return Ok(Fate::Ended);
    };
    let Ok((sender, connection)) = h2::client::handshake(stream).await else {
        return Ok(Fate::Ended);
    };
    let request = http::Request::connect(authority)
        .header("x-filler", "f".repeat(bytes))
        .body(())?;
    let answer = async {
        let mut sender = sender.ready().await?;
        sender.send_request(request, false)?.0.await
    };
    tokio::select! {
        answer = answer => Ok(answer.map_or(Fate::Ended, |a| Fate::Status(a.status().as_u16()))),
        _ = connection => Ok(Fate::Ended),
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
