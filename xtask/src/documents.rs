//! Documents are true: every path they name exists, every anchor that code cites is there.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::sources;

/// The document whose anchors code cites.
const CONTRACT: &str = "docs/compat.md";

/// Documents whose file names in backticks must exist.
const CHECKED: [&str; 2] = ["ARCHITECTURE.md", "README.md"];

/// Citations of anchors that are missing from the contract document.
///
/// # Errors
/// When a file cannot be read.
pub fn anchors(root: &Path) -> Result<Vec<String>> {
    let contract = fs::read_to_string(root.join(CONTRACT)).context(CONTRACT)?;
    let known: Vec<String> = contract.lines().filter_map(anchor).collect();
    let mut findings = Vec::new();
    for member in sources::members(root)? {
        for file in sources::rust_files(&root.join(member))? {
            let text = fs::read_to_string(&file)?;
            for cited in citations(&text) {
                if !known.contains(&cited) {
                    let path = file.strip_prefix(root)?.display();
                    findings.push(format!(
                        "{path}: cites {CONTRACT}#{cited}, which is not there"
                    ));
                }
            }
        }
    }
    Ok(findings)
}

/// The anchor a heading gets.
fn anchor(line: &str) -> Option<String> {
    let title = line.strip_prefix('#')?.trim_start_matches('#').trim();
    let kept = title
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    Some(kept.collect::<String>().to_lowercase().replace(' ', "-"))
}

fn citations(text: &str) -> Vec<String> {
    let marker = concat!("docs/compat.md", "#");
    text.match_indices(marker)
        .filter_map(|(at, _)| text.get(at + marker.len()..))
        .map(|rest| {
            let end = rest
                .find(|c: char| !c.is_alphanumeric() && c != '-')
                .unwrap_or(rest.len());
            rest.get(..end).unwrap_or_default().to_owned()
        })
        .filter(|a| !a.is_empty())
        .collect()
}

/// Files that documents name and that do not exist.
///
/// # Errors
/// When a document cannot be read.
pub fn paths(root: &Path) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    for document in CHECKED {
        let text = fs::read_to_string(root.join(document)).context(document)?;
        for named in text.split('`').skip(1).step_by(2) {
            let is_path = named.contains('/')
                && [".rs", ".md", ".toml", ".proto"]
                    .iter()
                    .any(|e| named.ends_with(e))
                && !named.contains(['{', '*', '<', ' ']);
            if is_path && !root.join(named).exists() {
                findings.push(format!("{document}: names {named}, which does not exist"));
            }
        }
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_become_anchors_as_on_the_forge() {
        assert_eq!(
            anchor("## SPIFFE identity").as_deref(),
            Some("spiffe-identity")
        );
        assert_eq!(anchor("text"), None);
    }

    #[test]
    fn finds_citations() {
        let text = concat!(
            "see docs/compat.md",
            "#ports. Also docs/compat.md",
            "#hbone-connect)"
        );
        assert_eq!(citations(text), ["ports", "hbone-connect"]);
    }
}
