//! Real sandboxes: pods, services, names, probes, programs, and that nothing is left of them. Needs user namespaces, not
//! root.

mod addresses;
mod machine;
mod pods;
mod programs;
mod teardown;
mod waypoints;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};

fn main() -> ExitCode {
    if let Some(code) = sandbox::entry::dispatch(std::env::args_os().skip(1)) {
        return code;
    }
    if let Some(code) = programs::run() {
        return code;
    }
    if let Some(code) = teardown::own_a_sandbox() {
        return code;
    }
    // Two cores are the usual machine; more sandboxes at a time only make each other late.
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(2);
    let tests = teardown::tests()
        .into_iter()
        .chain(pods::tests())
        .chain(addresses::tests())
        .chain(programs::tests())
        .chain(waypoints::tests());
    let trials = tests.map(|(name, test)| {
        Trial::test(name, move || {
            test().map_err(|error| Failed::from(format!("{error:?}")))
        })
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}

/// A test: a sentence and what proves it.
pub(crate) type Test = (&'static str, fn() -> anyhow::Result<()>);
