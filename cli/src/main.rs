//! Entry point of `weft`: hidden subcommands of the sandbox first, then what a person typed.

use std::process::ExitCode;

use clap::Parser;

/// Gives memory back after bursts, unlike the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    if let Some(code) = ::sandbox::entry::dispatch(std::env::args_os().skip(1)) {
        return code;
    }
    cli::main(cli::args::Args::parse())
}
