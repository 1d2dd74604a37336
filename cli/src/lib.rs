//! The `weft` command: what a person types, and what they see.
//!
//! Table of contents, top-down: a module may use only modules declared below it.

pub mod reference;
pub mod demo;
mod analyze;
mod sandbox;
mod status;
mod ztunnel;
mod look;
mod run;
mod print;
pub mod args;

use std::process::ExitCode;

use anyhow::Result;

use args::{Args, Command};

/// Carries out what was typed and says how it went.
///
/// Must be called before any thread is started: programs and sandboxes enter namespaces first.
pub fn main(args: Args) -> ExitCode {
    match dispatch(args) {
        Ok(code) => code,
        Err(error) => {
            print::failure(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn dispatch(args: Args) -> Result<ExitCode> {
    match args.command {
        Command::Demo(options) => demo::main(&options),
        Command::Sandbox(command) => sandbox::main(command),
        Command::Analyze(options) => analyze::main(&options),
        Command::Status(options) => status::main(&options),
        Command::Ztunnel(command) => ztunnel::main(command),
        Command::Run(program) => run::main(program),
    }
}
