//! What a machine looks like from outside: processes of one program, namespaces, mounts, links.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long teardown may take.
const DEADLINE: Duration = Duration::from_secs(20);

/// One look at the machine.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Machine {
    processes: BTreeSet<String>,
    namespaces: BTreeSet<String>,
    mounts: BTreeSet<String>,
    links: BTreeSet<String>,
}

impl Machine {
    /// Looks now. Processes are those that run `program`.
    pub(crate) fn look(program: &Path) -> Self {
        let mut processes = BTreeSet::new();
        let mut namespaces = BTreeSet::new();
        for (pid, folder) in all() {
            if runs(&folder, program) {
                processes.insert(format!("{pid} {}", line(&folder)));
            }
            for entry in fs::read_dir(folder.join("ns"))
                .into_iter()
                .flatten()
                .flatten()
            {
                if let Ok(target) = fs::read_link(entry.path()) {
                    namespaces.insert(target.to_string_lossy().into_owned());
                }
            }
        }
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let links = fs::read_dir("/sys/class/net").unwrap().flatten();
        Self {
            processes,
            namespaces,
            mounts: mounts.lines().map(str::to_owned).collect(),
            links: links
                .map(|l| l.file_name().to_string_lossy().into_owned())
                .collect(),
        }
    }

    /// Waits until nothing is there that was not there before.
    pub(crate) fn wait_until_clean(before: &Self, program: &Path) {
        let begun = Instant::now();
        loop {
            let left = Self::look(program).beyond(before);
            if left.is_empty() {
                return;
            }
            assert!(begun.elapsed() < DEADLINE, "left behind: {left:#?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn beyond(&self, before: &Self) -> Vec<String> {
        let pairs = [
            (&self.processes, &before.processes),
            (&self.namespaces, &before.namespaces),
            (&self.mounts, &before.mounts),
            (&self.links, &before.links),
        ];
        pairs
            .into_iter()
            .flat_map(|(now, then)| now.difference(then).cloned())
            .collect()
    }

    /// The process that runs `program` as a hidden subcommand.
    pub(crate) fn process(program: &Path, subcommand: &str) -> Option<u32> {
        let found = |(_, folder): &(u32, std::path::PathBuf)| {
            runs(folder, program) && line(folder).split('\0').nth(1) == Some(subcommand)
        };
        all().into_iter().find(found).map(|(pid, _)| pid)
    }
}

fn all() -> Vec<(u32, std::path::PathBuf)> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries
        .filter_map(|e| Some((e.file_name().to_str()?.parse().ok()?, e.path())))
        .collect()
}

fn runs(folder: &Path, program: &Path) -> bool {
    fs::read_link(folder.join("exe")).is_ok_and(|exe| exe.starts_with(program))
}

fn line(folder: &Path) -> String {
    fs::read_to_string(folder.join("cmdline")).unwrap_or_default()
}
