//! The cryptography: aws-lc only, post-quantum key exchange first, two cipher suites.

use std::sync::{Arc, LazyLock};

use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{self, cipher_suite, kx_group};

/// What mesh peers use (contract: docs/compat.md#hbone-tls; hybrid key exchange first, as the
/// design asks).
pub fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
        Arc::new(CryptoProvider {
            cipher_suites: vec![
                cipher_suite::TLS13_AES_256_GCM_SHA384,
                cipher_suite::TLS13_AES_128_GCM_SHA256,
            ],
            kx_groups: vec![
                kx_group::X25519MLKEM768,
                kx_group::X25519,
                kx_group::SECP256R1,
                kx_group::SECP384R1,
            ],
            ..aws_lc_rs::default_provider()
        })
    });
    Arc::clone(&PROVIDER)
}

/// Makes aws-lc the process's default for libraries that ask for one (gRPC); call it first thing
/// in `main`. Calling it again changes nothing.
pub fn install_default() {
    // an error only says that one is installed already
    let _ = aws_lc_rs::default_provider().install_default();
}
