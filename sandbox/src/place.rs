//! Where a sandbox keeps what the outside must reach: control socket, manifests, logs.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::unistd::Uid;

/// How often a lock that somebody holds is tried.
const LOOK: Duration = Duration::from_millis(5);

/// Why a sandbox's directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The name would leave the directory or exceed what a socket path may hold.
    #[error("a sandbox name is 1 to 32 of a-z, 0-9 and '-': {name:?}")]
    Name {
        /// What was given.
        name: String,
    },
    /// Somebody else made the directory that we would trust.
    #[error("{path} belongs to uid {owner}, not to us")]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// Who owns it.
        owner: u32,
    },
    /// The directory cannot be made or read.
    #[error("cannot use {path}")]
    Unusable {
        /// The directory or file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A socket address holds at most 107 bytes.
    #[error("{path} is too long for a unix socket")]
    TooLong {
        /// The socket's path.
        path: PathBuf,
    },
}

/// The directory of one sandbox. Everything in it is gone after teardown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    path: PathBuf,
}

impl Place {
    /// The place for a new sandbox called `name`: below `$XDG_RUNTIME_DIR` when that is ours, else below `/tmp`.
    pub fn choose(name: &str) -> Result<Self, Error> {
        check_name(name)?;
        let base = bases().into_iter().next().unwrap_or_else(fallback_base);
        make_private(&base)?;
        let place = Self {
            path: base.join(name),
        };
        let socket = place.control_socket();
        if socket.as_os_str().len() > 107 {
            return Err(Error::TooLong { path: socket });
        }
        Ok(place)
    }

    /// The place of a sandbox that exists already, running or stale.
    pub fn find(name: &str) -> Result<Option<Self>, Error> {
        check_name(name)?;
        Ok(bases()
            .into_iter()
            .map(|base| Self {
                path: base.join(name),
            })
            .find(|place| place.path.is_dir()))
    }

    /// A place whose path is known, for the processes inside.
    pub fn at(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
        }
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.path
    }
    /// The control socket.
    pub fn control_socket(&self) -> PathBuf {
        self.path.join("control.sock")
    }
    /// The cluster: manifests, and `status/` with what the sandbox writes.
    pub fn cluster(&self) -> PathBuf {
        self.path.join("cluster")
    }
    /// Logs of programs and containers.
    pub fn logs(&self) -> PathBuf {
        self.path.join("logs")
    }
    /// Mount point of the tmpfs that only the sandbox sees (namespaces, sockets, keys, tokens).
    pub fn run(&self) -> PathBuf {
        self.path.join("run")
    }
    /// What no pod may reach: keys and tokens, the objects, whom to give orders to.
    pub fn hidden_from_pods(&self) -> Vec<PathBuf> {
        vec![self.run(), self.cluster(), self.control_socket()]
    }
    /// The file that the sandbox's first process keeps locked while it lives.
    pub fn lock_file(&self) -> PathBuf {
        self.path.join("lock")
    }

    /// Makes the directory and takes its lock; `None` when somebody else still holds it after `patience`.
    pub fn lock(&self, patience: Duration) -> Result<Option<Flock<fs::File>>, Error> {
        let end = Instant::now() + patience;
        loop {
            match self.try_lock() {
                Ok(Some(lock)) => return Ok(Some(lock)),
                // Somebody removes a stale directory at this very moment.
                Err(Error::Unusable { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                }
                Ok(None) if Instant::now() < end => {}
                other => return other,
            }
            std::thread::sleep(LOOK);
        }
    }

    fn try_lock(&self) -> Result<Option<Flock<fs::File>>, Error> {
        if let Some(base) = self.path.parent() {
            make_private(base)?;
        }
        make_private(&self.path)?;
        let path = self.lock_file();
        let file = fs::File::create(&path).map_err(unusable(&path))?;
        let lock = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => lock,
            Err((_, Errno::EWOULDBLOCK)) => return Ok(None),
            Err((_, errno)) => {
                return Err(Error::Unusable {
                    path,
                    source: errno.into(),
                });
            }
        };
        // A lock on a file that was removed meanwhile keeps nobody out.
        let locked = lock.metadata().map_err(unusable(&path))?;
        let there = fs::metadata(&path).map_err(unusable(&path))?;
        Ok((locked.ino() == there.ino()).then_some(lock))
    }

    /// Waits until the sandbox's first process is gone.
    pub fn wait_until_released(&self) -> Result<(), Error> {
        let path = self.lock_file();
        match fs::File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(source) => Err(Error::Unusable { path, source }),
            Ok(file) => match Flock::lock(file, FlockArg::LockExclusive) {
                Ok(_) => Ok(()),
                Err((_, errno)) => Err(Error::Unusable {
                    path,
                    source: errno.into(),
                }),
            },
        }
    }

    /// Removes the directory of a sandbox that is not running, and the one around it after the last; missing ones are
    /// fine.
    pub fn remove(&self) -> Result<(), Error> {
        match fs::remove_dir_all(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(unusable(&self.path)(error));
            }
            _ => {}
        }
        if let Some(base) = self.path.parent() {
            let _ = fs::remove_dir(base); // not while another sandbox is in it
        }
        Ok(())
    }

    /// Empties the directory but for its lock, which the caller holds.
    pub fn clear(&self) -> Result<(), Error> {
        let entries = fs::read_dir(&self.path).map_err(unusable(&self.path))?;
        for entry in entries.flatten() {
            let path = entry.path();
            if path == self.lock_file() {
                continue;
            }
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            let removed = if is_folder {
                fs::remove_dir_all(&path)
            } else {
                fs::remove_file(&path)
            };
            removed.map_err(unusable(&path))?;
        }
        Ok(())
    }
}

/// Names of sandboxes of this user that have a directory.
pub fn names() -> Vec<String> {
    let mut names: Vec<String> = bases()
        .iter()
        .filter_map(|base| fs::read_dir(base).ok())
        .flat_map(|entries| entries.flatten())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| check_name(name).is_ok())
        .collect();
    names.sort();
    names.dedup();
    names
}

fn unusable(path: &Path) -> impl FnOnce(io::Error) -> Error + use<> {
    let path = path.to_owned();
    move |source| Error::Unusable { path, source }
}

fn check_name(name: &str) -> Result<(), Error> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if (1..=32).contains(&name.len()) && name.chars().all(plain) {
        return Ok(());
    }
    Err(Error::Name {
        name: name.to_owned(),
    })
}

/// Where to look, best first. A runtime directory of somebody else (after `su`) does not count.
fn bases() -> Vec<PathBuf> {
    let ours = |path: &PathBuf| {
        fs::metadata(path)
            .is_ok_and(|meta| meta.is_dir() && meta.uid() == Uid::effective().as_raw())
    };
    let mut bases: Vec<PathBuf> = std::env::var_os("XDG_RUNTIME_DIR")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute() && ours(path))
        .map(|path| path.join("weft"))
        .into_iter()
        .collect();
    bases.push(fallback_base());
    bases
}

fn fallback_base() -> PathBuf {
    PathBuf::from(format!("/tmp/weft-{}", Uid::effective()))
}

fn make_private(path: &Path) -> Result<(), Error> {
    match fs::DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(unusable(path)(error));
        }
        _ => {}
    }
    let meta = fs::symlink_metadata(path).map_err(unusable(path))?;
    let ours = meta.uid() == Uid::effective().as_raw();
    if !meta.is_dir() || !ours {
        return Err(Error::Foreign {
            path: path.to_owned(),
            owner: meta.uid(),
        });
    }
    Ok(())
}
