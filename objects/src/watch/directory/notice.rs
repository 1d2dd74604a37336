//! What the kernel notices in the folders of a directory (inotify), put in our words.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent, WatchDescriptor};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::pending::Signal;

/// Something the kernel noticed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Notice {
    /// About a file.
    File(PathBuf, Signal),
    /// A folder appeared, perhaps with files in it already.
    NewFolder(PathBuf),
    /// A folder is not there any more.
    LostFolder(PathBuf),
    /// The kernel forgot some; look at everything.
    Overflow,
    /// The watched directory itself went away.
    RootGone,
}

/// The kernel's notices about a set of folders.
#[derive(Debug)]
pub(super) struct Notices {
    inotify: AsyncFd<Descriptor>,
    folders: HashMap<WatchDescriptor, PathBuf>,
    /// The folder watched first: with it everything ends.
    root: Option<WatchDescriptor>,
}

#[derive(Debug)]
struct Descriptor(Inotify);

impl AsRawFd for Descriptor {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

impl Notices {
    /// Watches nothing yet.
    #[expect(
        unsafe_code,
        reason = "tokio has no other way to wait for a descriptor of somebody else's type"
    )]
    pub(super) fn new() -> io::Result<Notices> {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        // SAFETY: the descriptor is open, owned by the value that is handed over, private to this file and
        // neither closed nor replaced before that value is dropped.
        let inotify =
            unsafe { AsyncFd::register_with_interest(Descriptor(inotify), Interest::READABLE) }?;
        Ok(Notices {
            inotify,
            folders: HashMap::new(),
            root: None,
        })
    }

    /// Watches a folder, not what is below it; again is harmless.
    pub(super) fn watch(&mut self, folder: &Path) -> io::Result<()> {
        let wanted = AddWatchFlags::IN_CLOSE_WRITE
            | AddWatchFlags::IN_MODIFY
            | AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_MOVE
            | AddWatchFlags::IN_DELETE_SELF
            | AddWatchFlags::IN_MOVE_SELF
            | AddWatchFlags::IN_ONLYDIR;
        let descriptor = self.inotify.get_ref().0.add_watch(folder, wanted)?;
        self.folders.insert(descriptor, folder.to_owned());
        self.root.get_or_insert(descriptor);
        Ok(())
    }

    /// Stops watching a folder and what is below it.
    pub(super) fn forget(&mut self, folder: &Path) {
        let inotify = &self.inotify.get_ref().0;
        self.folders.retain(|descriptor, watched| {
            let is_kept = !watched.starts_with(folder);
            if !is_kept {
                // Fails where the folder was deleted: the kernel has forgotten it already.
                let _ = inotify.rm_watch(*descriptor);
            }
            is_kept
        });
    }

    /// Waits until there may be something to [`Notices::drain`].
    pub(super) async fn ready(&self) -> io::Result<()> {
        let mut guard = self.inotify.readable().await?;
        // What is there now is drained by the caller before it waits again.
        guard.clear_ready();
        Ok(())
    }

    /// What was noticed since last time; does not wait.
    pub(super) fn drain(&mut self) -> io::Result<Vec<Notice>> {
        let mut notices = Vec::new();
        loop {
            match self.inotify.get_ref().0.read_events() {
                Ok(events) => {
                    notices.extend(events.iter().filter_map(|event| self.translate(event)));
                    if notices.last() == Some(&Notice::RootGone) {
                        return Ok(notices);
                    }
                }
                Err(Errno::EAGAIN) => return Ok(notices),
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn translate(&mut self, event: &InotifyEvent) -> Option<Notice> {
        if event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW) {
            return Some(Notice::Overflow);
        }
        if event.mask.contains(AddWatchFlags::IN_IGNORED) {
            self.folders.remove(&event.wd);
            return (self.root == Some(event.wd)).then_some(Notice::RootGone);
        }
        if event
            .mask
            .intersects(AddWatchFlags::IN_DELETE_SELF | AddWatchFlags::IN_MOVE_SELF)
        {
            return (self.root == Some(event.wd)).then_some(Notice::RootGone);
        }
        let path = self.folders.get(&event.wd)?.join(event.name.as_deref()?);
        if is_hidden(event.name.as_deref()?) {
            return None;
        }
        Some(if event.mask.contains(AddWatchFlags::IN_ISDIR) {
            if event
                .mask
                .intersects(AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO)
            {
                Notice::NewFolder(path)
            } else if event
                .mask
                .intersects(AddWatchFlags::IN_DELETE | AddWatchFlags::IN_MOVED_FROM)
            {
                Notice::LostFolder(path)
            } else {
                return None;
            }
        } else {
            let signal = signal(event.mask, &path);
            Notice::File(path, signal)
        })
    }
}

/// Whether a name is none of ours: temporary files, editors' leavings, `..data`.
pub(super) fn is_hidden(name: &OsStr) -> bool {
    name.as_encoded_bytes().first() == Some(&b'.')
}

fn signal(mask: AddWatchFlags, path: &Path) -> Signal {
    if mask.intersects(AddWatchFlags::IN_CLOSE_WRITE | AddWatchFlags::IN_MOVED_TO) {
        Signal::Complete
    } else if mask.intersects(AddWatchFlags::IN_DELETE | AddWatchFlags::IN_MOVED_FROM) {
        Signal::Vanished
    } else if mask.contains(AddWatchFlags::IN_CREATE) && is_link(path) {
        Signal::Complete
    } else {
        Signal::Growing
    }
}

/// Links appear complete; nobody will close them.
fn is_link(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink() || found.nlink() > 1)
}
