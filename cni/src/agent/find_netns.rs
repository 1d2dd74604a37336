//! Finds a pod's network namespace. Two ways are foreseen: what the CNI call said, remembered on disk (here), and
//! the processes of a running pod (on Kubernetes, later).

use std::fs::{self, File};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use mesh::telemetry::privilege::{DAC_OVERRIDE, lack};

use crate::netns::inode;

/// What is known of a pod's network.
#[derive(Debug)]
pub struct Found {
    /// The namespace.
    pub netns: OwnedFd,
    /// The addresses that the pod was given.
    pub addresses: Vec<IpAddr>,
}

/// A way to find the network namespace of a pod that runs.
pub trait FindNetns: Send + Sync {
    /// The namespace of the pod with this uid; `None` when this way does not know it, or it is gone.
    ///
    /// # Errors
    /// When what is known cannot be read.
    fn find(&self, uid: &str) -> Result<Option<Found>, Error>;
}

/// Why a pod's namespace could not be found or remembered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The uid cannot be part of a file name.
    #[error("pod uid {uid} is not made of letters, digits and hyphens")]
    Uid {
        /// The uid.
        uid: String,
    },
    /// A file cannot be read or written.
    #[error("cannot {action} {}{}", path.display(), lack(.source, DAC_OVERRIDE))]
    File {
        /// What was tried.
        action: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What was remembered cannot be understood.
    #[error("what is remembered in {} cannot be read", path.display())]
    Memory {
        /// Which file.
        path: PathBuf,
        /// Where it is wrong.
        source: serde_json::Error,
    },
}

/// Remembers what CNI calls said, in one file for each pod, so that an agent that starts again still knows it.
#[derive(Debug)]
pub struct Remembered {
    folder: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct Memory {
    netns: PathBuf,
    /// Tells the pod's namespace from a later one at the same path.
    inode: u64,
    addresses: Vec<IpAddr>,
}

impl Remembered {
    /// Remembers in a folder of the agent's run directory.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn in_directory(run_directory: &Path) -> Result<Self, Error> {
        let folder = run_directory.join("netns");
        fs::create_dir_all(&folder).map_err(failed("create", &folder))?;
        Ok(Remembered { folder })
    }

    /// Notes the namespace of a pod, and gives it back opened.
    ///
    /// # Errors
    /// When there is nothing at that path, or it cannot be noted.
    pub fn remember(&self, uid: &str, path: &Path, addresses: &[IpAddr]) -> Result<OwnedFd, Error> {
        let netns = open(path)?;
        let inode = inode(netns.as_fd()).map_err(failed("look at", path))?;
        let memory = Memory {
            netns: path.to_owned(),
            inode,
            addresses: addresses.to_vec(),
        };
        let file = self.file(uid)?;
        let text = serde_json::to_vec(&memory).map_err(|source| Error::Memory {
            path: file.clone(),
            source,
        })?;
        write_whole(&file, &text).map_err(failed("write", &file))?;
        Ok(netns)
    }

    /// Forgets a pod that is gone; fine when it was not known.
    ///
    /// # Errors
    /// When the note cannot be removed.
    pub fn forget(&self, uid: &str) -> Result<(), Error> {
        let file = self.file(uid)?;
        match fs::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(failed("remove", &file)(error))
            }
            _ => Ok(()),
        }
    }

    /// The uids of all pods that are remembered.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn uids(&self) -> Result<Vec<String>, Error> {
        let mut uids = Vec::new();
        let listed = fs::read_dir(&self.folder).map_err(failed("list", &self.folder))?;
        for entry in listed {
            let path = entry.map_err(failed("list", &self.folder))?.path();
            let is_note = path.extension().is_some_and(|it| it == "json");
            let uid = path.file_stem().and_then(|stem| stem.to_str());
            uids.extend(uid.filter(|_| is_note).map(str::to_owned));
        }
        Ok(uids)
    }

    fn file(&self, uid: &str) -> Result<PathBuf, Error> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if uid.is_empty() || uid.len() > 128 || !uid.bytes().all(is_plain) {
            return Err(Error::Uid {
                uid: uid.to_owned(),
            });
        }
        Ok(self.folder.join(format!("{uid}.json")))
    }
}

impl FindNetns for Remembered {
    fn find(&self, uid: &str) -> Result<Option<Found>, Error> {
        let file = self.file(uid)?;
        let text = match fs::read(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            text => text.map_err(failed("read", &file))?,
        };
        let memory: Memory = serde_json::from_slice(&text).map_err(|source| Error::Memory {
            path: file.clone(),
            source,
        })?;
        // The pod's last process may have ended, and the path may be another's by now.
        let Ok(netns) = open(&memory.netns) else {
            return Ok(None);
        };
        let is_same = inode(netns.as_fd()).is_ok_and(|inode| inode == memory.inode);
        Ok(is_same.then_some(Found {
            netns,
            addresses: memory.addresses,
        }))
    }
}

fn open(path: &Path) -> Result<OwnedFd, Error> {
    File::open(path)
        .map(OwnedFd::from)
        .map_err(failed("open", path))
}

/// A reader sees the old content or the new one, never a part.
fn write_whole(file: &Path, text: &[u8]) -> io::Result<()> {
    let temporary = file.with_extension("new");
    File::create(&temporary)?.write_all(text)?;
    fs::rename(&temporary, file)
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::File {
        action,
        path,
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_over_a_restart_and_notices_that_a_namespace_is_gone() {
        let directory = tempfile::tempdir().unwrap();
        let addresses = ["10.0.0.2".parse().unwrap()];
        let path = directory.path().join("netns-of-the-pod");
        fs::write(&path, "").unwrap();
        let first = Remembered::in_directory(directory.path()).unwrap();
        let opened = first.remember("u-1", &path, &addresses).unwrap();

        let second = Remembered::in_directory(directory.path()).unwrap();
        let found = second.find("u-1").unwrap().unwrap();
        assert_eq!(
            inode(found.netns.as_fd()).unwrap(),
            inode(opened.as_fd()).unwrap()
        );
        assert_eq!(found.addresses, addresses);
        assert!(second.find("u-2").unwrap().is_none());
        assert_eq!(second.uids().unwrap(), ["u-1"]);

        // `opened` keeps the inode alive, so that a new file cannot get its number.
        fs::remove_file(&path).unwrap();
        assert!(second.find("u-1").unwrap().is_none());
        fs::write(&path, "").unwrap();
        assert!(
            second.find("u-1").unwrap().is_none(),
            "another namespace at the same path"
        );

        second.forget("u-1").unwrap();
        second.forget("u-1").unwrap();
        assert!(matches!(second.find("../u"), Err(Error::Uid { .. })));
    }
}
