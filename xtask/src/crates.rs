//! Crates that must not be built; `deny.toml` says the same to cargo-deny.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

/// Banned crates and why.
const BANNED: [(&str, &str); 6] = [
    ("ring", "one TLS provider: aws-lc-rs"),
    ("openssl", "one TLS provider: aws-lc-rs"),
    ("openssl-sys", "one TLS provider: aws-lc-rs"),
    ("native-tls", "one TLS provider: aws-lc-rs"),
    ("serde_yaml", "no longer kept"),
    ("rustables", "GPL"),
];

/// Crates of which one version must be enough.
const SINGLE: [&str; 6] = ["rustls", "h2", "hyper", "prost", "tonic", "tokio"];

/// Banned and doubled crates among those that are built (the lock file also names some that never are).
///
/// # Errors
/// When cargo does not answer.
pub fn banned(root: &Path) -> Result<Vec<String>> {
    let arguments = "tree --workspace --all-features --offline --locked --prefix none --no-dedupe";
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(arguments.split(' '))
        .args(["--format", "{p}"])
        .current_dir(root)
        .output()
        .context("cargo tree")?;
    if !output.status.success() {
        bail!(
            "cargo tree: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(look(&String::from_utf8_lossy(&output.stdout)))
}

/// Looks at lines of `name vVERSION`.
fn look(tree: &str) -> Vec<String> {
    let built: BTreeSet<(&str, &str)> = tree
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ');
            Some((words.next()?, words.next()?))
        })
        .collect();
    let count = |name: &str| built.iter().filter(|(n, _)| *n == name).count();
    let banned = BANNED
        .iter()
        .filter(|(name, _)| count(name) > 0)
        .map(|(name, why)| format!("Cargo.toml: {name} is banned ({why})"));
    let doubled = SINGLE
        .iter()
        .filter(|name| count(name) > 1)
        .map(|name| format!("Cargo.toml: more than one version of {name}"));
    banned.chain(doubled).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_planted_crate_is_found() {
        let tree = "ring v0.17.0\nh2 v0.4.1\nh2 v0.3.9\nhyper v1.0.0\nhyper v1.0.0\n";
        assert_eq!(super::look(tree).len(), 2);
    }
}
