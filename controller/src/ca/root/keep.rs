//! Files of the state directory: written whole or not at all, private ones for the owner only.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::RootError;

fn file_error(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> RootError {
    move |source| RootError::File {
        action,
        path: path.to_owned(),
        source,
    }
}

/// Makes sure that the state directory exists.
pub(super) fn prepare(directory: &Path) -> Result<(), RootError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder
        .create(directory)
        .map_err(file_error("create", directory))
}

/// The whole file as text.
pub(super) fn read(path: &Path) -> Result<String, RootError> {
    std::fs::read_to_string(path).map_err(file_error("read", path))
}

/// The whole file as text; `None` when there is none.
pub(super) fn read_if_there(path: &Path) -> Result<Option<String>, RootError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(file_error("read", path)(error)),
    }
}

/// Whether everybody may read or write the file. A group may: that is how Kubernetes shares volumes with a pod.
pub(super) fn is_open_to_all(path: &Path) -> Result<bool, RootError> {
    let metadata = std::fs::metadata(path).map_err(file_error("look at", path))?;
    Ok(metadata.permissions().mode() & 0o007 != 0)
}

/// Makes a private file that was not there; leaves one that appeared meanwhile as it is.
pub(super) fn create_new(path: &Path, text: &str) -> Result<(), RootError> {
    let draft = write_draft(path, text, 0o600)?;
    let linked = std::fs::hard_link(&draft, path);
    let removed = std::fs::remove_file(&draft);
    match linked {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            return Err(file_error("create", path)(error));
        }
        Ok(()) | Err(_) => {}
    }
    removed.map_err(file_error("remove", &draft))?;
    sync_parent(path)
}

/// Writes a public file, over an older one if there is one.
pub(super) fn replace(path: &Path, text: &str) -> Result<(), RootError> {
    let draft = write_draft(path, text, 0o644)?;
    std::fs::rename(&draft, path).map_err(file_error("replace", path))?;
    sync_parent(path)
}

/// Writes `text` beside `path`, safely on disk, under a name no other process uses.
fn write_draft(path: &Path, text: &str, mode: u32) -> Result<PathBuf, RootError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.draft", std::process::id()));
    let draft = path.with_file_name(name);
    // One that a crash left behind may have another mode, and whoever opened it then may still read it.
    match std::fs::remove_file(&draft) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(file_error("remove", &draft)(error));
        }
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(mode);
    let mut file = options.open(&draft).map_err(file_error("create", &draft))?;
    file.write_all(text.as_bytes())
        .map_err(file_error("write", &draft))?;
    file.sync_all().map_err(file_error("write", &draft))?;
    Ok(draft)
}

fn sync_parent(path: &Path) -> Result<(), RootError> {
    let Some(parent) = path.parent() else {
        return Ok(());
    };
    let directory = std::fs::File::open(parent).map_err(file_error("open", parent))?;
    directory.sync_all().map_err(file_error("write", parent))
}
