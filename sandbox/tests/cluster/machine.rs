//! What the machine has that a sandbox could leave behind.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

/// Processes whose command line mentions a sandbox, all namespaces in use, our mounts, links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Machine {
    processes: BTreeSet<(u32, String)>,
    namespaces: BTreeSet<String>,
    mounts: BTreeSet<String>,
    links: BTreeSet<String>,
}

impl Machine {
    /// As it is now. Only what `mark` (a sandbox's name) appears in counts as a process of ours, and only namespaces
    /// of such processes: tests run side by side.
    pub(crate) fn now(mark: &str) -> Self {
        let mut machine = Self {
            processes: BTreeSet::new(),
            namespaces: BTreeSet::new(),
            mounts: lines("/proc/self/mountinfo"),
            links: lines("/proc/net/dev")
                .iter()
                .filter_map(|line| Some(line.split_once(':')?.0.trim().to_owned()))
                .collect(),
        };
        let ours = std::process::id();
        let mut inside = BTreeSet::new();
        for pid in pids() {
            let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let command = String::from_utf8_lossy(&command).replace('\0', " ");
            if pid != ours && command.contains(mark) {
                machine.processes.insert((pid, command));
                inside.insert(namespace_of(pid, "pid_for_children"));
                inside.insert(namespace_of(pid, "pid"));
            }
        }
        inside.remove(&namespace_of(ours, "pid"));
        inside.remove(&None);
        for pid in pids() {
            if inside.contains(&namespace_of(pid, "pid")) {
                for kind in ["net", "mnt", "user", "pid", "uts", "ipc"] {
                    machine.namespaces.extend(namespace_of(pid, kind));
                }
                machine
                    .processes
                    .insert((pid, format!("inside {:?}", namespace_of(pid, "pid"))));
            }
        }
        machine
    }

    /// Its processes.
    pub(crate) fn pids(&self) -> BTreeSet<u32> {
        self.processes.iter().map(|(pid, _)| *pid).collect()
    }

    /// Whether any process of the sandbox lives.
    pub(crate) fn has_processes(&self) -> bool {
        !self.processes.is_empty()
    }
}

/// Waits until `holds`; the error says what was waited for.
pub(crate) fn until(
    what: &str,
    deadline: Duration,
    mut holds: impl FnMut() -> bool,
) -> anyhow::Result<()> {
    let end = Instant::now() + deadline;
    while !holds() {
        anyhow::ensure!(
            Instant::now() < end,
            "{what} did not happen within {deadline:?}"
        );
        std::thread::yield_now();
    }
    Ok(())
}

fn pids() -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

fn namespace_of(pid: u32, kind: &str) -> Option<String> {
    let target = fs::read_link(format!("/proc/{pid}/ns/{kind}")).ok()?;
    Some(target.to_string_lossy().into_owned())
}

fn lines(path: &str) -> BTreeSet<String> {
    fs::read_to_string(path)
        .unwrap_or_default()
        .lines()
        .map(str::to_owned)
        .collect()
}

/// Whether a path exists.
pub(crate) fn exists(path: &std::path::Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|meta| meta.ino() > 0)
}
