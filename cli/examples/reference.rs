//! Writes the pages of docs/reference anew.

use std::path::Path;

fn main() -> anyhow::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference");
    for (name, text) in cli::reference::pages() {
        std::fs::write(folder.join(name), text)?;
    }
    Ok(())
}
