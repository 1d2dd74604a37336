//! The cryptography: aws-lc only, post-quantum key exchange first or alone, two cipher suites.

use std::sync::{Arc, OnceLock};

use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{self, cipher_suite, kx_group};

static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();

/// Which key exchanges this process agrees to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyExchange {
    /// The post-quantum one first, then the classical ones.
    #[default]
    Preferred,
    /// X25519MLKEM768 and nothing else: `COMPLIANCE_POLICY=pqc`.
    PostQuantumOnly,
}

/// The cryptography is in use already, so that its algorithms can no longer be chosen.
#[derive(Debug, thiserror::Error)]
#[error("the algorithms of TLS were chosen before")]
pub struct TooLate;

/// What mesh peers use (contract: docs/compat.md#hbone-tls; hybrid key exchange first, as the
/// design asks).
pub fn provider() -> Arc<CryptoProvider> {
    let first = || Arc::new(agreeing_to(KeyExchange::default()));
    Arc::clone(PROVIDER.get_or_init(first))
}

/// Makes aws-lc the process's default for libraries that ask for one (gRPC); call it first thing
/// in `main`. Calling it again changes nothing.
pub fn install_default() {
    // an error only says that one is installed already
    let _ = aws_lc_rs::default_provider().install_default();
}

/// As [`install_default`], and no connection of this process, to mesh peers or to the controller, agrees to a
/// key exchange that is not post-quantum. Call it before anything else of TLS.
///
/// # Errors
/// When something else was chosen or is in use already.
pub fn install_post_quantum() -> Result<(), TooLate> {
    let provider = agreeing_to(KeyExchange::PostQuantumOnly);
    PROVIDER
        .set(Arc::new(provider.clone()))
        .map_err(|_| TooLate)?;
    provider.install_default().map_err(|_| TooLate)
}

/// The algorithms themselves.
pub(super) fn agreeing_to(key_exchange: KeyExchange) -> CryptoProvider {
    let mut kx_groups = vec![kx_group::X25519MLKEM768];
    if key_exchange == KeyExchange::Preferred {
        kx_groups.extend([kx_group::X25519, kx_group::SECP256R1, kx_group::SECP384R1]);
    }
    CryptoProvider {
        cipher_suites: vec![
            cipher_suite::TLS13_AES_256_GCM_SHA384,
            cipher_suite::TLS13_AES_128_GCM_SHA256,
        ],
        kx_groups,
        ..aws_lc_rs::default_provider()
    }
}
