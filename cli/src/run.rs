//! `weft run`: the mesh's programs in this one binary. Their settings come from the environment.

use std::process::ExitCode;

use anyhow::Result;

use crate::args::Program;

/// Runs a program to its end.
pub(crate) fn main(program: Program) -> Result<ExitCode> {
    match program {
        Program::Ztunnel => ::ztunnel::app::run_from_environment()?,
        Program::Waypoint => ::waypoint::app::run_from_environment()?,
        Program::Controller => controller::app::start()?,
        Program::CniAgent => return Ok(cni::app::start_agent()),
        Program::CniPlugin => return Ok(cni::app::run_plugin()),
        Program::Echo { arguments } => {
            let variable = |name: &str| std::env::var(name).ok();
            return Ok(sandbox::app::echo::main(arguments.into_iter(), variable));
        }
    }
    Ok(ExitCode::SUCCESS)
}
