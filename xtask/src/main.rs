//! `cargo xtask check` looks at the tree; `cargo xtask test` is the README's test command.

use std::process::ExitCode;

use anyhow::{Result, bail};

fn main() -> ExitCode {
    match run(&std::env::args().skip(1).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<()> {
    let root = xtask::sources::root();
    match arguments
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .as_slice()
    {
        ["check"] => {
            let findings = xtask::check::all(&root)?;
            for finding in &findings {
                report(finding);
            }
            if !findings.is_empty() {
                bail!("{} findings", findings.len());
            }
            Ok(())
        }
        ["test"] => xtask::steps::test(&root),
        ["install"] => xtask::steps::install(&root),
        _ => bail!("usage: cargo xtask check | install | test"),
    }
}

#[expect(
    clippy::print_stderr,
    reason = "this program talks to the person who started it"
)]
fn report(text: &str) {
    eprintln!("{text}");
}
