//! All checks of the tree, in one list.

use std::path::Path;

use anyhow::Result;

use crate::{crates, documents, layers, prose};

/// Everything that is wrong, one line each.
///
/// # Errors
/// When the tree cannot be read.
pub fn all(root: &Path) -> Result<Vec<String>> {
    let mut findings = layers::crates(root)?;
    findings.extend(layers::modules(root)?);
    findings.extend(prose::files(root)?);
    findings.extend(documents::anchors(root)?);
    findings.extend(documents::paths(root)?);
    findings.extend(documents::journeys(root)?);
    findings.extend(crates::banned(root)?);
    Ok(findings)
}
