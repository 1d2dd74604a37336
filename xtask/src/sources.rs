//! The tree's source files and crates, read once.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The workspace's folder.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// Members of the workspace, top-down, as its manifest lists them.
///
/// # Errors
/// When the manifest cannot be read or has no members.
pub fn members(root: &Path) -> Result<Vec<String>> {
    let manifest = fs::read_to_string(root.join("Cargo.toml")).context("Cargo.toml")?;
    let list = manifest
        .split_once("members = [")
        .and_then(|(_, rest)| rest.split_once(']'))
        .context("Cargo.toml: no members")?
        .0;
    Ok(list
        .split(',')
        .map(|m| m.trim().trim_matches('"').to_owned())
        .collect())
}

/// Every `.rs` file below `folder`, sorted, without build output.
///
/// # Errors
/// When a folder cannot be read.
pub fn rust_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    collect(folder, &mut files)?;
    files.sort();
    Ok(files)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

/// A file's text without inline tests and test-only files: what ships.
pub fn production(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests {")
        .next()
        .unwrap_or(text)
}

/// Whether a path is a test, a test's support or a fuzz target.
pub fn is_test(path: &Path) -> bool {
    let text = path.to_string_lossy();
    ["/tests/", "/testing", "/fuzz/", "/benches/"]
        .iter()
        .any(|p| text.contains(p))
        || text.ends_with("tests.rs")
}
