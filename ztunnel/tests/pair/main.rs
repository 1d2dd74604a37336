//! Two node proxies in one process, each serving a pod in a network namespace of its own, with a
//! cable between them: real sockets, TLS and HTTP/2 from the client's `connect` to the application.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod net;
mod proxy;
mod world;
mod counted;
mod handed;
mod cases;

use libtest_mimic::{Arguments, Trial};

fn main() {
    if let Err(error) = net::enter_own_world() {
        let hint = "allow it with sysctl user.max_user_namespaces=15000 and, on Ubuntu, \
                    kernel.apparmor_restrict_unprivileged_userns=0";
        let why = format!("these tests need a user namespace of their own: {error}; {hint}");
        let trial = Trial::test("namespaces can be made", move || Err(why.into()));
        libtest_mimic::run(&Arguments::from_args(), vec![trial]).exit();
    }
    mesh::tls::install_default();
    let trials = cases::ALL
        .iter()
        .map(|(name, case)| {
            Trial::test(*name, || {
                case();
                Ok(())
            })
        })
        .collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}
