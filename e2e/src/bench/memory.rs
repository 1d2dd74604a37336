//! Memory of a process, as the kernel counts it.

use anyhow::{Context, Result};

/// Resident memory in KiB: now, and at most so far.
///
/// # Errors
/// When there is no such process.
pub fn of_process(pid: i32) -> Result<(u64, u64)> {
    let file = format!("/proc/{pid}/status");
    let text = std::fs::read_to_string(&file).with_context(|| file.clone())?;
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|it| it.split_whitespace().next()?.parse().ok());
        number.with_context(|| format!("{name} in {file}"))
    };
    Ok((field("VmRSS:")?, field("VmHWM:")?))
}
