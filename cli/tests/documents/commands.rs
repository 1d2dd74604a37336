//! The README's commands by hand, run as they stand, in a runtime directory of their own.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use super::root;

/// How long all of them may take.
const DEADLINE: Duration = Duration::from_secs(60);

/// The block of README.md that starts with `first`, without its fences.
fn block(first: &str) -> String {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let found = readme
        .split("```")
        .skip(1)
        .step_by(2)
        .find(|block| block.trim_start().starts_with(first));
    found
        .unwrap_or_else(|| panic!("README.md has no block that starts with {first:?}"))
        .to_owned()
}

/// A shell that runs `script` with this build's `weft`, below a private runtime directory.
fn shell(script: &str, runtime: &Path) -> Output {
    let child = Command::new("/bin/sh")
        .args(["-eu", "-c", script])
        .current_dir(root())
        .env("XDG_RUNTIME_DIR", runtime)
        .stdin(Stdio::null())
        .process_group(0)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    let (done, over) = channel::<()>();
    let watch = std::thread::spawn(move || {
        if over.recv_timeout(DEADLINE) == Err(RecvTimeoutError::Timeout) {
            let _ = nix::sys::signal::killpg(pid, nix::sys::signal::Signal::SIGKILL);
        }
    });
    let output = child.wait_with_output().unwrap();
    drop(done);
    watch.join().unwrap();
    output
}

/// Ends the sandbox whatever happens to the test.
struct Runtime(tempfile::TempDir);

impl Drop for Runtime {
    fn drop(&mut self) {
        let down = format!("{} sandbox down", env!("CARGO_BIN_EXE_weft"));
        shell(&down, self.0.path());
    }
}

#[test]
fn the_readme_s_commands_by_hand_do_what_it_shows() {
    let block = block("cargo build --release");
    let script: String = block
        .lines()
        .filter(|line| !line.starts_with("cargo ") && !line.starts_with("weft="))
        .map(|line| format!("{line}\n"))
        .collect();
    assert!(block.contains("weft=$PWD/target/release/weft\n"), "{block}");
    let script = format!("weft={}\n{script}", env!("CARGO_BIN_EXE_weft"));
    let runtime = Runtime(
        tempfile::Builder::new()
            .prefix("weft-test-")
            .tempdir_in("/tmp")
            .unwrap(),
    );
    let output = shell(&script, runtime.0.path());
    let (said, complained) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{said}\n{complained}");
    for expected in [
        "sandbox weft is up",
        "shop/customer",
        "\"peer\"",
        "sandbox weft is down",
    ] {
        assert!(
            said.contains(expected),
            "no {expected}: {said}\n{complained}"
        );
    }
    let left: Vec<_> = fs::read_dir(runtime.0.path()).unwrap().flatten().collect();
    assert!(left.is_empty(), "left behind: {left:?}");
}
