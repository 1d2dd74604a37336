//! Two node proxies in one process, each serving a pod in a network namespace of its own, with a
//! cable between them: real sockets, TLS and HTTP/2 from the client's `connect` to the application.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod net;
mod proxy;
mod world;
mod logged;
mod peer;
mod counted;
mod reasons;
mod dns;
mod waypoints;
mod handed;
mod policies;
mod cases;
mod certificates;

use libtest_mimic::{Arguments, Trial};
use mesh::flow::Reason;

fn main() {
    if let Err(error) = net::enter_own_world() {
        let hint = "allow it with sysctl user.max_user_namespaces=15000 and, on Ubuntu, \
                    kernel.apparmor_restrict_unprivileged_userns=0";
        let why = format!("these tests need a user namespace of their own: {error}; {hint}");
        let trial = Trial::test("namespaces can be made", move || Err(why.into()));
        libtest_mimic::run(&Arguments::from_args(), vec![trial]).exit();
    }
    mesh::tls::install_default();
    logged::keep();
    let mut arguments = Arguments::from_args();
    // Many of them wait for a deadline to pass.
    arguments.test_threads = Some(arguments.test_threads.unwrap_or(8));
    let mut trials: Vec<_> = cases::ALL
        .iter()
        .map(|(name, case)| {
            Trial::test(*name, || {
                case();
                Ok(())
            })
        })
        .collect();
    for reason in Reason::ALL {
        let cases = reasons::cases_of(*reason);
        trials.push(Trial::test(
            format!("reason_{}_has_a_case", reason.word()),
            || {
                assert!(!cases.is_empty());
                Ok(())
            },
        ));
        trials.extend(cases.iter().map(|case| {
            Trial::test(case.name(*reason), || {
                case.check(*reason);
                Ok(())
            })
        }));
    }
    libtest_mimic::run(&arguments, trials).exit();
}
