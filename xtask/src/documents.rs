//! Documents are true: every path they name exists, every anchor that code cites is there.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::sources;

/// The document whose anchors code cites.
const CONTRACT: &str = "docs/compat.md";

/// Where the journeys are that it names.
const JOURNEYS: &str = "e2e/tests/all";

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

/// Journeys that the contract document names as proofs and that do not exist.
///
/// # Errors
/// When a file cannot be read.
pub fn journeys(root: &Path) -> Result<Vec<String>> {
    let contract = fs::read_to_string(root.join(CONTRACT)).context(CONTRACT)?;
    let mut sources = String::new();
    for file in sources::rust_files(&root.join(JOURNEYS))? {
        sources += &fs::read_to_string(&file)?;
    }
    Ok(lost_journeys(&contract, &sources))
}

/// Names in backticks that are those of journeys, and that no source has as a text.
fn lost_journeys(contract: &str, sources: &str) -> Vec<String> {
    let is_name = |word: &&str| {
        let is_word = word
            .chars()
            .all(|c| c.is_ascii_lowercase() || matches!(c, '_' | '0'..='9'));
        is_word && word.starts_with("waypoint_")
    };
    let mut named: Vec<&str> = contract.split('`').filter(is_name).collect();
    named.sort_unstable();
    named.dedup();
    named.retain(|name| !sources.contains(&format!("\"{name}\"")));
    named
        .into_iter()
        .map(|name| format!("{CONTRACT}: names the journey {name}, which does not exist"))
        .collect()
}

/// Files that documents name and that do not exist: those of the tree's top and of `docs`, whose paths start at the top,
/// and every crate's README, whose paths may start at the crate or its `src` too.
///
/// # Errors
/// When a document cannot be read.
pub fn paths(root: &Path) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    for folder in ["", "docs", "docs/reference"] {
        for document in markdown(&root.join(folder))? {
            findings.extend(missing(root, &document, &[root, &root.join(folder)])?);
        }
    }
    for member in sources::members(root)? {
        let home = root.join(&member);
        let readme = home.join("README.md");
        if readme.exists() {
            let bases = [root, &home, &home.join("src")];
            findings.extend(missing(root, &readme, &bases)?);
        } else if member != "xtask" {
            findings.push(format!("{member}: has no README.md"));
        }
    }
    Ok(findings)
}

fn markdown(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut found: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    found.retain(|path| path.extension().is_some_and(|ending| ending == "md"));
    found.sort();
    Ok(found)
}

/// Names of files in backticks and of sources in blocks, and targets of links, that exist below none of `bases`.
fn missing(root: &Path, document: &Path, bases: &[&Path]) -> Result<Vec<String>> {
    let text = fs::read_to_string(document).with_context(|| document.display().to_string())?;
    let shown = document.strip_prefix(root)?.display();
    let in_backticks = text.split('`').skip(1).step_by(2);
    let single = in_backticks.clone().filter(|name| is_path(name));
    // Blocks also show paths that only an example has; those of sources are always ours.
    let blocks = in_backticks.filter(|piece| piece.contains('\n'));
    let of_sources = blocks
        .flat_map(|block| block.split([' ', '\n', ',', '(', ')']))
        .filter(|word| is_path(word) && word.ends_with(".rs"));
    let linked = text
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split([')', '#']).next());
    let linked = linked.filter(|target| !target.is_empty() && !target.contains("://"));
    let lost = single
        .chain(of_sources)
        .chain(linked)
        .filter(|name| !bases.iter().any(|base| base.join(name).exists()));
    Ok(lost
        .map(|name| format!("{shown}: names {name}, which does not exist"))
        .collect())
}

fn is_path(name: &str) -> bool {
    let endings = [".rs", ".md", ".toml", ".proto", ".yaml"];
    name.contains('/')
        && !name.starts_with('/')
        && endings.iter().any(|ending| name.ends_with(ending))
        && !name.contains(['{', '*', '<', ' ', '$', '\n'])
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
    fn a_document_that_names_a_lost_file_is_found() {
        let folder = std::env::temp_dir().join(format!("xtask-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let document = folder.join("a.md");
        let text = "`b/a.md` [here](a.md#top) [there](lost.md) `src/lost.rs` `x/*.rs` [out](https://a/b.md)\n\
                    ```\nweft apply -f shop/web.yaml\n  b/gone.rs, x\n```\n";
        fs::write(&document, text).unwrap();
        fs::create_dir_all(folder.join("b")).unwrap();
        fs::write(folder.join("b/a.md"), "").unwrap();
        let lost = missing(&folder, &document, &[&folder]).unwrap();
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(
            lost,
            ["src/lost.rs", "b/gone.rs", "lost.md"]
                .map(|name| format!("a.md: names {name}, which does not exist"))
        );
    }

    #[test]
    fn a_journey_that_is_named_and_lost_is_found() {
        let contract = "| `path` | `waypoint_is_there`, `waypoint_is_gone` | `waypoint.rs`";
        let lost = lost_journeys(contract, "(\"waypoint_is_there\", walk),");
        let wanted = "docs/compat.md: names the journey waypoint_is_gone, which does not exist";
        assert_eq!(lost, [wanted]);
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
