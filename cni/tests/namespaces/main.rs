//! Redirection for real: in network namespaces of an own user namespace, with sockets, as any user.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test binary: whatever is not as expected ends the test"
)]

mod agent;
mod agent_life;
mod host;
mod nftables;
mod node;
mod redirect;
mod world;

use libtest_mimic::{Arguments, Trial};

fn main() {
    let arguments = Arguments::from_args();
    // Listing must work anywhere; running must fail loudly where namespaces are forbidden.
    if !arguments.list {
        world::enter_user_namespace();
    }
    let trials: Vec<Trial> = [
        redirect::trials(),
        host::trials(),
        nftables::trials(),
        agent::trials(),
        agent_life::trials(),
    ]
    .into_iter()
    .flatten()
    .collect();
    libtest_mimic::run(&arguments, trials).exit();
}

/// A test that fails by panicking, as any other does.
fn trial(name: &str, test: fn()) -> Trial {
    Trial::test(name, move || {
        test();
        Ok(())
    })
}
