//! Crates that must not be in the lock file; `deny.toml` says the same to cargo-deny.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

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

/// Banned and doubled crates.
///
/// # Errors
/// When the lock file cannot be read.
pub fn banned(root: &Path) -> Result<Vec<String>> {
    let lock = fs::read_to_string(root.join("Cargo.lock")).context("Cargo.lock")?;
    Ok(look(&lock))
}

fn look(lock: &str) -> Vec<String> {
    let names: Vec<&str> = lock
        .lines()
        .filter_map(|l| l.strip_prefix("name = \"")?.strip_suffix('"'))
        .collect();
    let banned = BANNED
        .iter()
        .filter(|(name, _)| names.contains(name))
        .map(|(name, why)| format!("Cargo.lock: {name} is banned ({why})"));
    let doubled = SINGLE
        .iter()
        .filter(|name| names.iter().filter(|n| n == name).count() > 1)
        .map(|name| format!("Cargo.lock: more than one version of {name}"));
    banned.chain(doubled).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_planted_crate_is_found() {
        let lock = "[[package]]\nname = \"ring\"\n[[package]]\nname = \"h2\"\n[[package]]\nname = \"h2\"\n";
        assert_eq!(super::look(lock).len(), 2);
    }
}
