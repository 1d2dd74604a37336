//! `sandbox-exec`: single-threaded; enters the namespaces of a node or pod, sets the mounts up, becomes the program.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};
use nix::unistd::{Gid, Uid, setgroups, sethostname, setresgid, setresuid, setsid};
use serde::{Deserialize, Serialize};

/// Hidden subcommand of this stage.
pub const EXEC: &str = "sandbox-exec";
/// Exit code of a program that was found but could not be run, as shells have it.
pub const CANNOT_RUN: u8 = 126;
/// Exit code of a program that does not exist, as shells have it.
pub const NOT_FOUND: u8 = 127;

/// How often, and how many times, a command looks whether the container it joins is prepared.
const LOOK: Duration = Duration::from_millis(1);
const MOST_LOOKS: u32 = 5000;
/// Highest capability number a kernel may have.
const LAST_CAPABILITY: libc::c_ulong = 63;
/// What container runtimes leave to root by default: chown, dac_override, fowner, fsetid, kill, setgid, setuid, setpcap,
/// net_bind_service, sys_chroot, mknod, audit_write, setfcap. Not net_raw, which may set packet marks: a way around the mesh.
const USUAL_CAPABILITIES: [libc::c_ulong; 13] = [0, 1, 3, 4, 5, 6, 7, 8, 10, 18, 27, 29, 31];

/// Where and as whom a program runs.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Spec {
    /// Network namespace to enter.
    pub network: Option<PathBuf>,
    /// A process whose mounts, hostname and working directory are shared instead of making new ones.
    pub join: Option<i32>,
    /// Mounts to make, in order.
    pub mounts: Vec<Mount>,
    /// Folders that the program finds empty and files that it finds to be nothing: what gives power over the sandbox, from
    /// pods. What is mounted there is let go.
    pub hide: Vec<PathBuf>,
    /// Hostname; none keeps the sandbox's.
    pub hostname: Option<String>,
    /// Whom to become; none stays uid 0 of the sandbox.
    pub user: Option<User>,
    /// Whether only the capabilities that containers usually have are left: not those over networks and mounts.
    pub is_confined: bool,
    /// Working directory.
    pub directory: Option<PathBuf>,
    /// Program and arguments.
    pub command: Vec<String>,
    /// What the program is told to be called (`argv[0]`).
    pub name: Option<String>,
}

/// One mount of a program's own mount namespace.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
pub enum Mount {
    /// A file or folder over another; a missing target is made only below an [`Mount::Empty`].
    Bind {
        /// What is shown.
        source: PathBuf,
        /// Where.
        target: PathBuf,
        /// Whether the program cannot do without it; if not, a missing target is passed over.
        needed: bool,
    },
    /// An empty writable folder over another.
    Empty {
        /// Where; made when missing below an earlier one of these.
        target: PathBuf,
    },
}

/// A user to become.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, PartialEq, Eq)]
pub struct User {
    /// User id the program sees.
    pub uid: u32,
    /// Group id the program sees.
    pub gid: u32,
    /// Through a nested user namespace: where only one id is mapped, `setuid` cannot work.
    pub nested: bool,
}

/// Why the program could not be started.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("cannot {operation} {subject}")]
    System {
        operation: &'static str,
        subject: PathBuf,
        source: io::Error,
    },
    #[error("no command given")]
    Nothing,
    #[error("cannot run {program}")]
    Program { program: String, source: io::Error },
}

fn system<E: Into<io::Error>>(
    operation: &'static str,
    subject: impl Into<PathBuf>,
) -> impl FnOnce(E) -> Error {
    let subject = subject.into();
    move |error| Error::System {
        operation,
        subject,
        source: error.into(),
    }
}

/// Body of the hidden subcommand; returns only when the program could not be started.
pub fn main(spec: &Spec) -> ExitCode {
    let Err(error) = become_program(spec);
    let code = match &error {
        Error::Program { source, .. } if source.kind() == io::ErrorKind::NotFound => NOT_FOUND,
        _ => CANNOT_RUN,
    };
    #[expect(clippy::print_stderr, reason = "standard error is the program's log")]
    {
        eprintln!("sandbox: {}", mesh::telemetry::report(&error));
    }
    ExitCode::from(code)
}

fn become_program(spec: &Spec) -> Result<std::convert::Infallible, Error> {
    let _ = setsid(); // its own group, so that it can be signalled with its children
    let network = spec.network.as_deref();
    let network = network
        .map(|path| File::open(path).map_err(system("open network namespace", path)))
        .transpose()?;
    match spec.join {
        Some(process) => join(process)?,
        None => prepare(spec)?,
    }
    if let (Some(file), Some(path)) = (network, &spec.network) {
        setns(file, CloneFlags::CLONE_NEWNET).map_err(system("enter network namespace", path))?;
    }
    if let Some(directory) = &spec.directory {
        std::env::set_current_dir(directory).map_err(system("change to", directory))?;
    }
    if spec.is_confined {
        confine()?;
    }
    if let Some(user) = spec.user {
        switch_user(user)?;
    }
    let (program, arguments) = spec.command.split_first().ok_or(Error::Nothing)?;
    let name = spec.name.clone().unwrap_or_else(|| program.clone());
    let source = Command::new(program)
        .arg0(OsString::from(name))
        .args(arguments)
        .exec();
    Err(Error::Program {
        program: program.clone(),
        source,
    })
}

/// Enters the mounts and hostname of a running program of the same pod.
fn join(process: i32) -> Result<(), Error> {
    wait_until_prepared(process);
    let open = |kind: &str| {
        let path = format!("/proc/{process}/ns/{kind}");
        File::open(&path).map_err(system("open", path))
    };
    let (mounts, hostname) = (open("mnt")?, open("uts")?);
    setns(hostname, CloneFlags::CLONE_NEWUTS).map_err(system("enter", "the hostname"))?;
    setns(mounts, CloneFlags::CLONE_NEWNS).map_err(system("enter", "the mounts"))
}

/// A container that has just been started is still this very stage, and not where it will be.
fn wait_until_prepared(process: i32) {
    let path = format!("/proc/{process}/cmdline");
    let is_preparing = || {
        let line = std::fs::read(&path).unwrap_or_default();
        line.split(|byte| *byte == 0).nth(1) == Some(EXEC.as_bytes())
    };
    for _ in 0..MOST_LOOKS {
        if !is_preparing() {
            return;
        }
        std::thread::sleep(LOOK);
    }
}

/// Makes a mount namespace of our own. It follows what the sandbox unmounts, so that no namespace is kept alive by it.
fn prepare(spec: &Spec) -> Result<(), Error> {
    unshare(CloneFlags::CLONE_NEWNS).map_err(system("make", "a mount namespace"))?;
    let slave = MsFlags::MS_REC | MsFlags::MS_SLAVE;
    mount(None::<&str>, "/", None::<&str>, slave, None::<&str>)
        .map_err(system("follow mounts of", "/"))?;
    let mut ours = Vec::new();
    for mount in &spec.mounts {
        make(mount, &mut ours)?;
    }
    for path in &spec.hide {
        hide(path)?;
    }
    if let Some(hostname) = &spec.hostname {
        unshare(CloneFlags::CLONE_NEWUTS).map_err(system("make", "a hostname"))?;
        sethostname(hostname).map_err(system("set hostname", hostname))?;
    }
    Ok(())
}

/// Makes one mount; `ours` are the empty folders mounted so far.
fn make(wanted: &Mount, ours: &mut Vec<PathBuf>) -> Result<(), Error> {
    match wanted {
        Mount::Bind {
            source,
            target,
            needed,
        } => {
            let target = &followed(target);
            match make_target(source.is_dir(), target, ours) {
                Err(_) if !needed => return Ok(()),
                made => made?,
            }
            mount(
                Some(source),
                target,
                None::<&str>,
                MsFlags::MS_BIND,
                None::<&str>,
            )
            .map_err(system("mount over", target))
        }
        Mount::Empty { target } => {
            let target = &followed(target);
            make_target(true, target, ours)?;
            let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
            mount(
                Some("tmpfs"),
                target,
                Some("tmpfs"),
                flags,
                Some("mode=0777"),
            )
            .map_err(system("mount over", target))?;
            ours.push(target.canonicalize().map_err(system("find", target))?);
            Ok(())
        }
    }
}

fn hide(path: &Path) -> Result<(), Error> {
    match umount2(path, MntFlags::MNT_DETACH) {
        // Not a mount, or covered already by something that a mount of ours hides.
        Ok(()) | Err(nix::errno::Errno::EINVAL | nix::errno::Errno::ENOENT) => {}
        Err(errno) => return Err(system("hide", path)(errno)),
    }
    let Ok(there) = std::fs::symlink_metadata(path) else {
        return Ok(());
    };
    let covered = if there.is_dir() {
        let flags =
            MsFlags::MS_RDONLY | MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        let kind = Some("tmpfs");
        mount(kind, path, kind, flags, Some("mode=0555"))
    } else {
        mount(
            Some("/dev/null"),
            path,
            None::<&str>,
            MsFlags::MS_BIND,
            None::<&str>,
        )
    };
    covered.map_err(system("hide", path))
}

/// Where a symbolic link leads, be there something or not (`/etc/resolv.conf` often leads below `/run`).
fn followed(target: &Path) -> PathBuf {
    let mut path = target.to_owned();
    for _ in 0..8 {
        let Ok(next) = std::fs::read_link(&path) else {
            break;
        };
        path = path.parent().unwrap_or(Path::new("/")).join(next);
    }
    path
}

/// A missing target is made only below an empty folder of ours: nothing may be written to the machine's own files.
fn make_target(is_folder: bool, target: &Path, ours: &[PathBuf]) -> Result<(), Error> {
    if target.exists() {
        return Ok(());
    }
    let existing = target
        .ancestors()
        .find_map(|ancestor| ancestor.canonicalize().ok());
    if !existing.is_some_and(|existing| ours.iter().any(|folder| existing.starts_with(folder))) {
        let missing = io::Error::new(io::ErrorKind::NotFound, "it does not exist on this machine");
        return Err(system("mount over", target)(missing));
    }
    let parent = target.parent().unwrap_or(target);
    std::fs::create_dir_all(parent).map_err(system("make", parent))?;
    if is_folder {
        std::fs::create_dir(target).map_err(system("make", target))
    } else {
        File::create(target)
            .map(drop)
            .map_err(system("make", target))
    }
}

/// Takes away, for ever, what a container has no business with; `CAP_NET_ADMIN` would be a way around the mesh.
fn confine() -> Result<(), Error> {
    for capability in 0..=LAST_CAPABILITY {
        if USUAL_CAPABILITIES.contains(&capability) {
            continue;
        }
        #[expect(unsafe_code, reason = "nix has no call for the bounding set")]
        // SAFETY: the call takes plain numbers and touches no memory of ours.
        let outcome = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
        // EINVAL: this kernel has no such capability.
        if outcome != 0 && nix::errno::Errno::last() != nix::errno::Errno::EINVAL {
            return Err(system("give up", "capabilities")(io::Error::last_os_error()));
        }
    }
    Ok(())
}

fn switch_user(user: User) -> Result<(), Error> {
    let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
    if user.nested {
        unshare(CloneFlags::CLONE_NEWUSER).map_err(system("make", "a nested user namespace"))?;
        for (file, text) in [
            ("/proc/self/setgroups", "deny".to_owned()),
            ("/proc/self/uid_map", format!("{uid} 0 1")),
            ("/proc/self/gid_map", format!("{gid} 0 1")),
        ] {
            std::fs::write(file, text).map_err(system("write", file))?;
        }
        return Ok(());
    }
    setgroups(&[gid]).map_err(system("set groups of", uid.to_string()))?;
    setresgid(gid, gid, gid).map_err(system("become group", gid.to_string()))?;
    setresuid(uid, uid, uid).map_err(system("become user", uid.to_string()))
}
