//! `weft run`: the mesh's programs in this one binary. Their settings come from the environment.

use std::process::ExitCode;

use anyhow::Result;

use crate::args::Program;

/// Runs a program to its end.
pub(crate) fn main(program: Program) -> Result<ExitCode> {
    match program {
        Program::Ztunnel => Ok(ztunnel::main()),
        Program::Controller => Ok(controller::main()),
        Program::CniAgent => Ok(cni::agent_main()),
        Program::CniPlugin => Ok(cni::run_plugin()),
        Program::Echo { arguments } => Ok(sandbox::app::main(&arguments)),
    }
}
