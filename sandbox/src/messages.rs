//! What is said on the control socket: one request, one answer per connection.
//!
//! A message is four bytes of length (big endian) and JSON. Descriptors travel with the length.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, UnixAddr, recvmsg, sendmsg};
use serde::{Deserialize, Serialize};

use crate::process::Exit;

/// Longest message, bytes.
pub const LONGEST: usize = 16 * 1024 * 1024;
/// Most descriptors with one message.
pub const MOST_DESCRIPTORS: usize = 3;

/// A pod by name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PodName {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl PodName {
    /// From `name` (in `default`) or `namespace/name`.
    pub fn parse(text: &str) -> Self {
        let (namespace, name) = text.split_once('/').unwrap_or(("default", text));
        Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }
}

impl std::fmt::Display for PodName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// Where a command runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// In a pod's first container.
    Pod(PodName),
    /// In a node's network namespace.
    Node(String),
    /// In the control plane's network namespace.
    ControlPlane,
}

/// What can be asked. Not `Debug`: manifests hold Secrets, environments may.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Create or replace every object of these YAML documents.
    Apply {
        /// One or more documents.
        yaml: String,
    },
    /// Delete an object that was applied.
    Delete {
        /// Kind as written in its document.
        kind: String,
        /// Namespace; empty for kinds without one.
        namespace: String,
        /// Name.
        name: String,
    },
    /// Run a command; three descriptors come along. Hanging up kills it.
    Exec {
        /// Where.
        target: Target,
        /// Program and arguments.
        command: Vec<String>,
        /// Environment on top of the target's own.
        environment: Vec<(String, String)>,
    },
    /// Answer when the pod is ready, or with an error after this long.
    WaitReady {
        /// Which pod.
        pod: PodName,
        /// Milliseconds.
        milliseconds: u64,
    },
    /// Answer when every pod that should be is ready and every service leads to its own, or with an error after this long.
    WaitSettled {
        /// Milliseconds.
        milliseconds: u64,
    },
    /// What is there and how it is.
    Status,
    /// Kill a program (`controller`, `cni-agent/node-1`, `ztunnel/node-1`).
    Kill {
        /// Its name.
        program: String,
        /// Do not start it again until told to.
        hold: bool,
    },
    /// Ask a program to end by itself (SIGTERM), and do not start it again until told to. Answered at
    /// once.
    Stop {
        /// Its name.
        program: String,
    },
    /// Start a program that was held.
    Start {
        /// Its name.
        program: String,
    },
    /// A packet socket on the node's end of a pod's link; comes back as a descriptor.
    Capture {
        /// Which pod.
        pod: PodName,
    },
    /// End the sandbox.
    Down,
}

impl Request {
    /// What is asked, in one word, for the log.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Apply { .. } => "apply",
            Self::Delete { .. } => "delete",
            Self::Exec { .. } => "exec",
            Self::WaitReady { .. } => "wait_ready",
            Self::WaitSettled { .. } => "wait_settled",
            Self::Status => "status",
            Self::Kill { .. } => "kill",
            Self::Stop { .. } => "stop",
            Self::Start { .. } => "start",
            Self::Capture { .. } => "capture",
            Self::Down => "down",
        }
    }
}

/// What can be answered.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// It is done; lines for a person to read.
    Done(Vec<String>),
    /// It could not be done.
    Failed {
        /// Why, in one line.
        reason: String,
    },
    /// The command ended.
    Exited(Exit),
    /// The state of everything.
    Status(Box<Status>),
    /// A descriptor comes along.
    Capture,
}

/// The state of a sandbox.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Status {
    /// Name of the sandbox.
    pub name: String,
    /// Nodes with their addresses.
    pub nodes: Vec<NodeStatus>,
    /// The mesh's programs.
    pub programs: Vec<ProgramStatus>,
    /// All pods.
    pub pods: Vec<PodStatus>,
    /// Gateways that are deployed as waypoints.
    #[serde(default)]
    pub waypoints: Vec<WaypointStatus>,
    /// Services: `namespace/name` to cluster addresses.
    pub services: BTreeMap<String, Vec<String>>,
    /// Objects that were refused, in words.
    pub problems: Vec<String>,
    /// Where logs are.
    pub logs: std::path::PathBuf,
}

/// The state of a node.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NodeStatus {
    /// `node-N`.
    pub name: String,
    /// Its addresses.
    pub addresses: Vec<std::net::IpAddr>,
}

/// The state of a program.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ProgramStatus {
    /// As in [`Request::Kill`].
    pub name: String,
    /// Process id inside the sandbox, when it runs.
    pub pid: Option<i32>,
    /// How often it was started again.
    pub restarts: u32,
    /// How it ended last.
    pub last_exit: Option<Exit>,
    /// Whether it is kept down.
    pub held: bool,
    /// Its log file.
    pub log: std::path::PathBuf,
}

/// The state of a pod.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PodStatus {
    /// Which pod.
    pub pod: PodName,
    /// Where it runs, once that is decided.
    pub node: Option<String>,
    /// Its addresses.
    pub addresses: Vec<std::net::IpAddr>,
    /// `Pending`, `Running`, `Succeeded`, `Failed`.
    pub phase: String,
    /// Whether all its containers are ready.
    pub ready: bool,
    /// How often its containers were started again.
    pub restarts: u32,
    /// Why it is not as wished.
    pub message: Option<String>,
    /// Whether it is enrolled in the mesh.
    pub enrolled: bool,
}

/// The state of a waypoint.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WaypointStatus {
    /// Namespace and name of its Gateway, with a `/` between.
    pub gateway: String,
    /// Where it is reached; none while it is not ready.
    pub address: Option<String>,
    /// Its pods, and where each log is.
    pub pods: Vec<(PodName, std::path::PathBuf)>,
}

/// Sends one message on a blocking socket.
pub fn send(
    socket: &std::os::unix::net::UnixStream,
    message: &impl Serialize,
    descriptors: &[RawFd],
) -> io::Result<()> {
    let frame = encode(message)?;
    let rights = [ControlMessage::ScmRights(descriptors)];
    let control: &[ControlMessage<'_>] = if descriptors.is_empty() { &[] } else { &rights };
    let sent = sendmsg::<UnixAddr>(
        socket.as_raw_fd(),
        &[io::IoSlice::new(&frame)],
        control,
        MsgFlags::MSG_NOSIGNAL,
        None,
    )?;
    let rest = frame.get(sent..).unwrap_or_default();
    io::Write::write_all(&mut &*socket, rest)
}

/// Receives one message from a blocking socket.
pub fn receive<T: for<'de> Deserialize<'de>>(
    socket: &std::os::unix::net::UnixStream,
) -> io::Result<(T, Vec<OwnedFd>)> {
    let (length, descriptors) = receive_head(socket.as_raw_fd())?;
    let mut body = vec![0; length];
    io::Read::read_exact(&mut &*socket, &mut body)?;
    Ok((serde_json::from_slice(&body)?, descriptors))
}

/// The bytes of one message.
pub fn encode(message: &impl Serialize) -> io::Result<Vec<u8>> {
    let body = serde_json::to_vec(message)?;
    let length = u32::try_from(body.len())
        .ok()
        .filter(|_| body.len() <= LONGEST)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the message is too long"))?;
    Ok([length.to_be_bytes().as_slice(), &body].concat())
}

/// Reads the length of a message and the descriptors that came along. A descriptor received is owned at once.
pub fn receive_head(socket: RawFd) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut length = [0; 4];
    let mut space = nix::cmsg_space!([RawFd; MOST_DESCRIPTORS]);
    let mut parts = [io::IoSliceMut::new(&mut length)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let message = recvmsg::<UnixAddr>(socket, &mut parts, Some(&mut space), flags)?;
    let (received, mut descriptors) = (message.bytes, Vec::new());
    for control in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(rights) = control {
            #[expect(unsafe_code, reason = "the kernel hands descriptors over as numbers")]
            // SAFETY: the kernel has just made these descriptors for us and nobody else knows them.
            descriptors.extend(
                rights
                    .into_iter()
                    .map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }),
            );
        }
    }
    if received == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if received != 4 || length > LONGEST {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "not a message of the sandbox",
        ));
    }
    Ok((length, descriptors))
}
