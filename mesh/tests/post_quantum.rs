//! A process of its own that insists on post-quantum key exchange: the choice holds for everything in it.

use rustls::NamedGroup;
use rustls::crypto::CryptoProvider;

#[test]
fn the_whole_process_agrees_to_post_quantum_key_exchange_only_and_cannot_choose_again() {
    mesh::tls::install_post_quantum().unwrap();
    let of_libraries = CryptoProvider::get_default().unwrap();
    for provider in [&mesh::tls::provider(), of_libraries] {
        let groups: Vec<_> = provider.kx_groups.iter().map(|it| it.name()).collect();
        assert_eq!(groups, [NamedGroup::X25519MLKEM768]);
    }
    assert!(mesh::tls::install_post_quantum().is_err());
}
