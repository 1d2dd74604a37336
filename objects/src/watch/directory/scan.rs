//! Lists the files of a folder and of the folders below it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::MAX_DEPTH;
use super::notice::is_hidden;
use super::read::Stamp;

/// Whether a file's name says that it holds objects.
pub(super) fn is_wanted(path: &Path) -> bool {
    let has_ending = path
        .extension()
        .is_some_and(|ending| ending == "yaml" || ending == "yml" || ending == "json");
    has_ending && path.file_name().is_some_and(|name| !is_hidden(name))
}

/// The files below `folder`, which is `depth` deep itself. Every folder is handed to `watch` before it is
/// listed, so that nothing appears unseen between the two. A folder that cannot be read is logged and left
/// out; the next scan tries again.
pub(super) fn files(
    folder: &Path,
    depth: usize,
    watch: &mut impl FnMut(&Path) -> io::Result<()>,
) -> Vec<(PathBuf, Stamp)> {
    let mut found = Vec::new();
    let mut folders = vec![(folder.to_owned(), depth)];
    while let Some((folder, depth)) = folders.pop() {
        let entries = match watch(&folder).and_then(|()| fs::read_dir(&folder)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => {
                tracing::warn!(folder = %folder.display(), %error, "cannot look into a folder of objects");
                continue;
            }
        };
        for entry in entries.flatten() {
            let path = entry.path();
            if is_hidden(&entry.file_name()) {
                continue;
            }
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                match depth < MAX_DEPTH {
                    true => folders.push((path, depth + 1)),
                    false => tracing::warn!(
                        folder = %path.display(),
                        "a folder of objects is too deep and is not read"
                    ),
                }
            } else if is_wanted(&path)
                && let Ok(metadata) = fs::metadata(&path)
            {
                found.push((path, Stamp::of(&metadata)));
            }
        }
    }
    found
}
