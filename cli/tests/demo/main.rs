//! The demo as a person runs it: every step as expected, and nothing left behind.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends where it fails"
)]

mod machine;

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use machine::Machine;
use serde_json::Value;

/// The machine is looked at before and after: one demo at a time.
static MACHINE: Mutex<()> = Mutex::new(());

/// Steps that the demo must show, in order.
const STEPS: [&str; 30] = [
    "cluster",
    "plain-before",
    "enrol",
    "encrypted",
    "key-exchange",
    "identities",
    "source-address",
    "dual-stack",
    "service",
    "to-outside",
    "from-outside",
    "new-pod",
    "strict",
    "allow",
    "dry-run",
    "policy-edit",
    "broken-manifest",
    "renewal",
    "waypoint",
    "split",
    "canary",
    "retry",
    "timeout",
    "mirror",
    "fault",
    "trace",
    "l7-deny",
    "token",
    "ejection",
    "controller-gone",
];

/// User and group `nobody`.
const NOBODY: u32 = 65534;

/// A copy of `weft` that every user may run, in a directory of its own.
struct Weft {
    _folder: tempfile::TempDir,
    path: PathBuf,
    as_nobody: bool,
}

impl Weft {
    fn new(as_nobody: bool) -> Self {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::Builder::new()
            .prefix("weft-test-")
            .tempdir_in("/tmp")
            .unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let path = folder.path().join("weft");
        std::fs::copy(env!("CARGO_BIN_EXE_weft"), &path).unwrap();
        // Dropping root is possible only for root; anybody else is an ordinary user already.
        let as_nobody = as_nobody && nix::unistd::Uid::effective().is_root();
        Self {
            _folder: folder,
            path,
            as_nobody,
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.path);
        command
            .args(arguments)
            .stdin(Stdio::null())
            .current_dir("/");
        if self.as_nobody {
            command
                .uid(NOBODY)
                .gid(NOBODY)
                .env_remove("XDG_RUNTIME_DIR")
                .env("HOME", "/");
        }
        command
    }
}

/// Every step's name and whether it was as expected.
fn steps(output: &Output) -> Vec<(String, bool)> {
    let text = String::from_utf8_lossy(&output.stdout);
    let read = |line: &str| {
        let step: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}"));
        for field in ["expected", "observed"] {
            assert!(
                step[field].as_str().is_some_and(|t| !t.is_empty()),
                "{line}"
            );
        }
        assert!(step["ms"].is_u64(), "{line}");
        (
            step["name"].as_str().unwrap().to_owned(),
            step["ok"].as_bool().unwrap(),
        )
    };
    text.lines().map(read).collect()
}

fn whole_demo(arguments: &[&str], as_nobody: bool) {
    let _alone = MACHINE
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let weft = Weft::new(as_nobody);
    let before = Machine::look(&weft.path);
    let output = weft.command(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    let expected: Vec<(String, bool)> = STEPS.iter().map(|s| ((*s).to_owned(), true)).collect();
    assert_eq!(steps(&output), expected, "{said}");
    assert!(output.status.success(), "{said}");
    Machine::wait_until_clean(&before, &weft.path);
}

#[test]
fn the_demo_shows_every_step_and_leaves_nothing_behind() {
    whole_demo(
        &["demo", "--json", "--built-in", "--name", "test-built-in"],
        false,
    );
}

#[test]
fn an_ordinary_user_sees_the_same() {
    whole_demo(
        &["demo", "--json", "--built-in", "--name", "test-ordinary"],
        true,
    );
}

/// nginx and curl are there when `cargo xtask install` has run.
#[cfg(feature = "packages")]
#[test]
fn nginx_and_curl_see_the_same() {
    for program in ["/usr/sbin/nginx", "/usr/bin/curl"] {
        assert!(
            Path::new(program).exists(),
            "{program} is missing: run `cargo xtask install`"
        );
    }
    whole_demo(&["demo", "--json", "--name", "test-nginx"], false);
    whole_demo(&["demo", "--json", "--name", "test-nginx-user"], true);
}

/// Starts a demo and waits until it is in the middle of things.
fn started(weft: &Weft, name: &str) -> std::process::Child {
    let mut demo = weft
        .command(&["demo", "--json", "--built-in", "--name", name])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(demo.stdout.as_mut().unwrap()));
    // The first step is done: pods and programs run.
    let first = lines.next().unwrap().unwrap();
    assert!(first.contains("\"ok\":true"), "{first}");
    demo
}

fn killed_by(as_nobody: bool, kill: impl Fn(&std::process::Child, &Path)) {
    let _alone = MACHINE
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let weft = Weft::new(as_nobody);
    let before = Machine::look(&weft.path);
    let mut demo = started(&weft, "test-killed");
    kill(&demo, &weft.path);
    let begun = Instant::now();
    while demo.try_wait().unwrap().is_none() {
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "the demo goes on"
        );
        std::thread::yield_now();
    }
    // A killed front-end cannot remove its directory; the next command does, once all has ended.
    let begun = Instant::now();
    loop {
        let status = weft
            .command(&["sandbox", "status", "--name", "test-killed"])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&status.stderr).into_owned();
        // It answers for as long as it takes to end.
        if said.contains("no sandbox test-killed is running") {
            break;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "it goes on: {said}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    for place in ["/tmp/weft-0", "/tmp/weft-65534", "/run/weft"] {
        assert!(
            !Path::new(place).join("test-killed").exists(),
            "{place} holds leftovers"
        );
    }
    Machine::wait_until_clean(&before, &weft.path);
}

fn signal(pid: u32, signal: nix::sys::signal::Signal) {
    let pid = nix::unistd::Pid::from_raw(i32::try_from(pid).unwrap());
    nix::sys::signal::kill(pid, signal).unwrap();
}

#[test]
fn ctrl_c_leaves_nothing_behind() {
    killed_by(false, |demo, _| {
        signal(demo.id(), nix::sys::signal::Signal::SIGINT)
    });
}

#[test]
fn killing_the_front_end_leaves_nothing_behind() {
    killed_by(true, |demo, _| {
        signal(demo.id(), nix::sys::signal::Signal::SIGKILL)
    });
}

#[test]
fn killing_the_sandbox_from_within_leaves_nothing_behind() {
    for role in ["sandbox-init", "sandbox-supervise"] {
        killed_by(false, |_, weft| {
            let pid = Machine::process(weft, role).unwrap_or_else(|| panic!("no {role}"));
            signal(pid, nix::sys::signal::Signal::SIGKILL);
        });
    }
}
