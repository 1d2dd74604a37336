//! Direction of dependencies: crates by the member order, modules by the order in `lib.rs`.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::sources;

/// The four programs: none may use another.
const PROGRAMS: [&str; 4] = ["ztunnel", "cni", "waypoint", "controller"];

/// Crates that must not know each other, beside the order.
fn is_forbidden(user: &str, used: &str) -> bool {
    let programs = PROGRAMS.contains(&user) && PROGRAMS.contains(&used);
    let strangers = matches!((user, used), ("objects", "mesh" | "proto"));
    let alone = user == "xtask" || used == "xtask" || used == "e2e";
    programs || strangers || alone
}

/// Dependencies that point up or sideways.
///
/// # Errors
/// When a manifest cannot be read.
pub fn crates(root: &Path) -> Result<Vec<String>> {
    let members = sources::members(root)?;
    let mut findings = Vec::new();
    for (index, user) in members.iter().enumerate() {
        let manifest = fs::read_to_string(root.join(user).join("Cargo.toml"))
            .with_context(|| format!("{user}/Cargo.toml"))?;
        for used in dependencies(&manifest) {
            let Some(position) = members.iter().position(|m| *m == used) else {
                continue;
            };
            if position <= index || is_forbidden(user, &used) {
                findings.push(format!("{user}/Cargo.toml: {user} may not use {used}"));
            }
        }
    }
    Ok(findings)
}

/// Names in a manifest's dependency tables.
fn dependencies(manifest: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut inside = false;
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = line.ends_with("dependencies]");
        } else if inside
            && let Some(name) = line.split(['.', ' ', '=']).next()
            && !name.is_empty()
        {
            names.push(name.to_owned());
        }
    }
    names
}

/// Uses of a module declared above the user's own in `lib.rs`.
///
/// # Errors
/// When a source file cannot be read.
pub fn modules(root: &Path) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    for member in sources::members(root)? {
        let folder = root.join(&member).join("src");
        let Ok(lib) = fs::read_to_string(folder.join("lib.rs")) else {
            continue;
        };
        let order = declared(&lib);
        for file in sources::rust_files(&folder)? {
            if sources::is_test(&file) {
                continue;
            }
            let text = fs::read_to_string(&file)?;
            let relative = file.strip_prefix(&folder)?;
            let own = relative.iter().next().unwrap_or_default().to_string_lossy();
            let own = own.trim_end_matches(".rs");
            let Some(position) = order.iter().position(|m| m == own) else {
                continue;
            };
            for used in used_modules(sources::production(&text)) {
                if let Some(other) = order.iter().position(|m| *m == used)
                    && other < position
                {
                    let path = file.strip_prefix(root)?.display();
                    findings.push(format!("{path}: {own} uses {used}, which stands above it"));
                }
            }
        }
    }
    Ok(findings)
}

/// Modules in the order `lib.rs` declares them.
fn declared(lib: &str) -> Vec<String> {
    lib.lines()
        .filter_map(|l| {
            let rest = l.strip_prefix("pub ").unwrap_or(l);
            let rest = rest.strip_prefix("pub(crate) ").unwrap_or(rest);
            rest.strip_prefix("mod ")?.strip_suffix(';')
        })
        .map(str::to_owned)
        .collect()
}

/// First path segment behind every `crate::` outside comments.
fn used_modules(text: &str) -> Vec<String> {
    let mut used = Vec::new();
    for line in text.lines().filter(|l| !l.trim_start().starts_with("//")) {
        for (at, _) in line.match_indices("crate::") {
            let rest = line.get(at + "crate::".len()..).unwrap_or_default();
            let end = rest
                .find(|c: char| !c.is_alphanumeric() && c != '_')
                .unwrap_or(rest.len());
            used.push(rest.get(..end).unwrap_or_default().to_owned());
        }
    }
    used
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_dependencies_of_every_table() {
        let manifest = "[package]\nname = \"a\"\n[dependencies]\nmesh.workspace = true\n\
                        tokio = { version = \"1\" }\n[dev-dependencies]\nproto.workspace = true\n";
        assert_eq!(dependencies(manifest), ["mesh", "tokio", "proto"]);
    }

    #[test]
    fn programs_do_not_know_each_other() {
        assert!(is_forbidden("ztunnel", "cni"));
        assert!(is_forbidden("objects", "mesh"));
        assert!(!is_forbidden("cni", "objects"));
    }

    #[test]
    fn finds_every_module_a_file_uses() {
        let text = "use crate::tls::Peer;\n// crate::comment\nlet x = crate::net::dial();";
        assert_eq!(used_modules(text), ["tls", "net"]);
    }
}
