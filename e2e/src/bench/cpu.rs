//! CPU time, from counters that do not sample: per process from the scheduler, for the machine from its
//! busy time.

use std::fs;

use anyhow::{Context, Result};

/// Nanoseconds that all threads of a process have run so far.
///
/// # Errors
/// When there is no such process, or the kernel has no scheduler statistics.
pub fn of_process(pid: i32) -> Result<u64> {
    let tasks = format!("/proc/{pid}/task");
    let mut total = 0;
    for task in fs::read_dir(&tasks).with_context(|| tasks.clone())? {
        let file = task?.path().join("schedstat");
        // A thread may end between the listing and the look.
        let Ok(text) = fs::read_to_string(&file) else {
            continue;
        };
        let run = text
            .split_whitespace()
            .next()
            .and_then(|n| n.parse::<u64>().ok());
        total += run.with_context(|| file.display().to_string())?;
    }
    Ok(total)
}

/// Seconds that the machine's processors have been busy so far (user, system, interrupts).
///
/// # Errors
/// When the kernel's statistics cannot be read.
pub fn of_machine() -> Result<f64> {
    let text = fs::read_to_string("/proc/stat").context("/proc/stat")?;
    let line = text.lines().next().context("/proc/stat is empty")?;
    let fields: Vec<u64> = line
        .split_whitespace()
        .skip(1)
        .filter_map(|n| n.parse().ok())
        .collect();
    // user nice system idle iowait irq softirq steal: busy is all but idle, iowait and steal.
    let busy: u64 = [0, 1, 2, 5, 6].iter().filter_map(|i| fields.get(*i)).sum();
    Ok(busy as f64 / 100.0)
}
