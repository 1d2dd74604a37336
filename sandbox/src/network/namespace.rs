//! Network namespaces: made and entered on short-lived threads only, kept alive by a bind mount that gives them a path.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};

/// Why a namespace could not be made, entered or removed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A system call failed.
    #[error("cannot {operation} network namespace {path}")]
    System {
        /// What was tried.
        operation: &'static str,
        /// The namespace.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The work inside ended in a panic.
    #[error("the work inside network namespace {path} panicked")]
    Panicked {
        /// The namespace.
        path: PathBuf,
    },
}

/// A network namespace that can be entered.
#[derive(Debug, Clone)]
pub struct Namespace {
    path: PathBuf,
    file: Arc<File>,
}

impl Namespace {
    /// Makes an empty namespace and binds it to `path`.
    pub fn create(path: &Path) -> Result<Self, Error> {
        let fail = |operation| {
            move |source: io::Error| Error::System {
                operation,
                path: path.to_owned(),
                source,
            }
        };
        File::create(path).map_err(fail("make the mount point of"))?;
        let target = path.to_owned();
        let bound = std::thread::spawn(move || -> io::Result<()> {
            unshare(CloneFlags::CLONE_NEWNET)?;
            let source = "/proc/thread-self/ns/net";
            Ok(mount(
                Some(source),
                &target,
                None::<&str>,
                MsFlags::MS_BIND,
                None::<&str>,
            )?)
        })
        .join();
        bound
            .map_err(|_| Error::Panicked {
                path: path.to_owned(),
            })?
            .map_err(fail("make"))?;
        let file = Arc::new(File::open(path).map_err(fail("open"))?);
        Ok(Self {
            path: path.to_owned(),
            file,
        })
    }

    /// The namespace that this process is in.
    pub fn current() -> Result<Self, Error> {
        let path = PathBuf::from("/proc/self/ns/net");
        match File::open(&path) {
            Ok(file) => Ok(Self {
                path,
                file: Arc::new(file),
            }),
            Err(source) => Err(Error::System {
                operation: "open",
                path,
                source,
            }),
        }
    }

    /// Where the namespace can be opened (what CNI is given).
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The namespace's descriptor.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Runs `work` inside, on a thread of its own. Sockets that it makes stay inside for ever.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, Error> {
        let inside = || -> io::Result<T> {
            setns(self.file.as_fd(), CloneFlags::CLONE_NEWNET)?;
            Ok(work())
        };
        std::thread::scope(|scope| scope.spawn(inside).join())
            .map_err(|_| Error::Panicked {
                path: self.path.clone(),
            })?
            .map_err(|source| Error::System {
                operation: "enter",
                path: self.path.clone(),
                source,
            })
    }

    /// Gives the path up; the namespace goes with the last process or socket in it.
    pub fn remove(self) -> Result<(), Error> {
        let fail = |operation| {
            let path = self.path.clone();
            move |source: io::Error| Error::System {
                operation,
                path,
                source,
            }
        };
        umount2(&self.path, MntFlags::MNT_DETACH).map_err(|errno| fail("unmount")(errno.into()))?;
        std::fs::remove_file(&self.path).map_err(fail("remove"))
    }
}
