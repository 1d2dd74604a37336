//! The hidden subcommands: what an executable must answer before it does anything else, or starts any thread.

use std::ffi::OsString;
use std::process::ExitCode;

use serde::Deserialize;

use crate::exec::{self, EXEC};
use crate::launch::{INIT, MAP_USERS, SUPERVISE, init};
use crate::supervise;

/// Answers the hidden subcommand in `arguments` (without the program's name), if it is one.
///
/// Every executable named in [`crate::Options::exe`] must call this first thing in `main`, single-threaded, and end
/// with the code it returns.
pub fn dispatch(mut arguments: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    let command = arguments.next()?;
    let mut argument = || arguments.next().and_then(|text| text.into_string().ok());
    match command.to_str()? {
        INIT => Some(with(argument(), init::main)),
        SUPERVISE => Some(with(argument(), supervise::main)),
        EXEC => Some(with(argument(), |spec| exec::main(&spec))),
        MAP_USERS => Some(argument().map_or(ExitCode::FAILURE, |pid| init::map_users(&pid))),
        _ => None,
    }
}

fn with<T: for<'de> Deserialize<'de>>(
    argument: Option<String>,
    run: impl FnOnce(T) -> ExitCode,
) -> ExitCode {
    let parsed = argument.as_deref().map(serde_json::from_str);
    match parsed {
        Some(Ok(orders)) => run(orders),
        // Nobody types these: the sandbox calls itself.
        _ => ExitCode::FAILURE,
    }
}
