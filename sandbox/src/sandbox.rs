//! A handle on a running sandbox: what the command line and tests use. Blocking; every call is one control connection.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::launch::front;
use crate::messages::{self, Answer, PodName, Request, Status, Target};
use crate::options::Options;
use crate::place::{self, Place};
use crate::process::Exit;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It could not be started.
    #[error("cannot start sandbox {name}")]
    Start {
        /// Its name.
        name: String,
        /// Why.
        source: front::Error,
    },
    /// There is none of this name.
    #[error("no sandbox {name} is running (start one with `weft sandbox up`)")]
    Absent {
        /// The name.
        name: String,
    },
    /// Its directory cannot be used.
    #[error(transparent)]
    Place(#[from] place::Error),
    /// The control connection failed.
    #[error("cannot talk to sandbox {name}")]
    Talk {
        /// Its name.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// The sandbox said no.
    #[error("{reason}")]
    Refused {
        /// Its words.
        reason: String,
    },
    /// The sandbox gave an answer that does not fit the question.
    #[error("sandbox {name} gave an answer that does not fit")]
    Unexpected {
        /// Its name.
        name: String,
    },
}

/// What a finished command left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// How it ended.
    pub exit: Exit,
    /// What it wrote to standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error.
    pub stderr: Vec<u8>,
}

impl Output {
    /// Standard output as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }
}

/// A running sandbox.
#[derive(Debug)]
pub struct Sandbox {
    name: String,
    place: Place,
    owned: Option<front::Started>,
}

impl Sandbox {
    /// Starts a sandbox that ends with the returned value, or with this process however it ends.
    pub fn up(options: &Options) -> Result<Self, Error> {
        let name = options.name.clone();
        match front::start(options, true) {
            Ok(started) => Ok(Self {
                name,
                place: started.place.clone(),
                owned: Some(started),
            }),
            Err(source) => Err(Error::Start { name, source }),
        }
    }

    /// Starts a sandbox that lives until [`Sandbox::down`].
    pub fn up_detached(options: &Options) -> Result<Self, Error> {
        let name = options.name.clone();
        match front::start(options, false) {
            Ok(started) => {
                let place = started.place.clone();
                started.let_go();
                Ok(Self {
                    name,
                    place,
                    owned: None,
                })
            }
            Err(source) => Err(Error::Start { name, source }),
        }
    }

    /// The running sandbox of this name. What a killed one left behind is removed.
    pub fn connect(name: &str) -> Result<Self, Error> {
        let absent = || Error::Absent {
            name: name.to_owned(),
        };
        let place = Place::find(name)?.ok_or_else(absent)?;
        if let Some(_lock) = place.lock(Duration::ZERO)? {
            place.remove()?;
            return Err(absent());
        }
        Ok(Self {
            name: name.to_owned(),
            place,
            owned: None,
        })
    }

    /// Names of this user's running sandboxes; leftovers are removed on the way.
    pub fn running() -> Vec<String> {
        place::names()
            .into_iter()
            .filter(|name| Self::connect(name).is_ok())
            .collect()
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its directory: cluster, logs, control socket.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Process id of its first process, for a sandbox that this process owns.
    pub fn init_pid(&self) -> Option<u32> {
        self.owned.as_ref().and_then(front::Started::init_pid)
    }

    /// Creates or replaces every object of these YAML documents; answers with one line per object.
    pub fn apply(&self, yaml: &str) -> Result<Vec<String>, Error> {
        self.done(&Request::Apply {
            yaml: yaml.to_owned(),
        })
    }

    /// Deletes an object that was applied.
    pub fn delete(&self, kind: &str, namespace: &str, name: &str) -> Result<(), Error> {
        let (kind, namespace, name) = (kind.to_owned(), namespace.to_owned(), name.to_owned());
        self.done(&Request::Delete {
            kind,
            namespace,
            name,
        })
        .map(drop)
    }

    /// Runs a command to its end, with nothing on standard input.
    pub fn exec(&self, target: &Target, command: &[&str]) -> Result<Output, Error> {
        let talk = |source| self.talk_error(source);
        let (stdout, stdout_writer) = io::pipe().map_err(talk)?;
        let (stderr, stderr_writer) = io::pipe().map_err(talk)?;
        let stdin = std::fs::File::open("/dev/null").map_err(talk)?;
        let running = self.spawn(
            target,
            command,
            [stdin.into(), stdout_writer.into(), stderr_writer.into()],
        )?;
        let collect = |mut pipe: io::PipeReader| {
            std::thread::spawn(move || {
                let mut bytes = Vec::new();
                let _ = io::Read::read_to_end(&mut pipe, &mut bytes);
                bytes
            })
        };
        let (stdout, stderr) = (collect(stdout), collect(stderr));
        let exit = running.wait()?;
        let (stdout, stderr) = (
            stdout.join().unwrap_or_default(),
            stderr.join().unwrap_or_default(),
        );
        Ok(Output {
            exit,
            stdout,
            stderr,
        })
    }

    /// Starts a command with these streams (standard input, output, error).
    pub fn spawn(
        &self,
        target: &Target,
        command: &[&str],
        streams: [OwnedFd; 3],
    ) -> Result<Running, Error> {
        let request = Request::Exec {
            target: target.clone(),
            command: command.iter().map(|&part| part.to_owned()).collect(),
            environment: Vec::new(),
        };
        let descriptors: Vec<RawFd> = streams.iter().map(AsRawFd::as_raw_fd).collect();
        let socket = self.ask(&request, &descriptors)?;
        Ok(Running {
            name: self.name.clone(),
            socket,
        })
    }

    /// Runs a command with the caller's own terminal or pipes.
    pub fn exec_here(&self, target: &Target, command: &[&str]) -> Result<Exit, Error> {
        let ours = || -> io::Result<[OwnedFd; 3]> {
            use std::os::fd::AsFd;
            Ok([
                io::stdin().as_fd().try_clone_to_owned()?,
                io::stdout().as_fd().try_clone_to_owned()?,
                io::stderr().as_fd().try_clone_to_owned()?,
            ])
        };
        let streams = ours().map_err(|source| self.talk_error(source))?;
        self.spawn(target, command, streams)?.wait()
    }

    /// Waits until a pod is ready; the error says what it is waiting for.
    pub fn wait_ready(&self, pod: &PodName, deadline: Duration) -> Result<(), Error> {
        let milliseconds = u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX);
        self.done(&Request::WaitReady {
            pod: pod.clone(),
            milliseconds,
        })
        .map(drop)
    }

    /// Waits until every pod that should be is ready and every service leads to its own; the error says what is missing.
    pub fn wait_settled(&self, deadline: Duration) -> Result<(), Error> {
        let milliseconds = u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX);
        self.done(&Request::WaitSettled { milliseconds }).map(drop)
    }

    /// The state of everything.
    pub fn status(&self) -> Result<Status, Error> {
        match self.request(&Request::Status)? {
            (Answer::Status(status), _) => Ok(*status),
            _ => Err(self.unexpected()),
        }
    }

    /// Kills a program; with `hold` it stays down until [`Sandbox::start_program`].
    pub fn kill_program(&self, program: &str, hold: bool) -> Result<(), Error> {
        self.done(&Request::Kill {
            program: program.to_owned(),
            hold,
        })
        .map(drop)
    }

    /// Asks a program to end by itself; does not wait, and it stays down until
    /// [`Sandbox::start_program`].
    pub fn stop_program(&self, program: &str) -> Result<(), Error> {
        self.done(&Request::Stop {
            program: program.to_owned(),
        })
        .map(drop)
    }

    /// Starts a program that was held.
    pub fn start_program(&self, program: &str) -> Result<(), Error> {
        self.done(&Request::Start {
            program: program.to_owned(),
        })
        .map(drop)
    }

    /// A packet socket that sees every frame on the node's end of the pod's link.
    pub fn capture(&self, pod: &PodName) -> Result<OwnedFd, Error> {
        match self.request(&Request::Capture { pod: pod.clone() })? {
            (Answer::Capture, mut descriptors) => {
                descriptors.pop().ok_or_else(|| self.unexpected())
            }
            _ => Err(self.unexpected()),
        }
    }

    /// Ends the sandbox and waits until nothing of it is left.
    pub fn down(mut self) -> Result<(), Error> {
        self.done(&Request::Down)?;
        if let Some(started) = self.owned.take() {
            drop(started);
        }
        self.place.wait_until_released()?;
        // Usually gone by now; not when the sandbox's first process was killed.
        Ok(self.place.remove()?)
    }

    /// Where logs are.
    pub fn logs(&self) -> PathBuf {
        self.place.logs()
    }

    fn done(&self, request: &Request) -> Result<Vec<String>, Error> {
        match self.request(request)? {
            (Answer::Done(lines), _) => Ok(lines),
            _ => Err(self.unexpected()),
        }
    }

    fn request(&self, request: &Request) -> Result<(Answer, Vec<OwnedFd>), Error> {
        let socket = self.ask(request, &[])?;
        receive(&self.name, &socket)
    }

    fn ask(&self, request: &Request, descriptors: &[RawFd]) -> Result<UnixStream, Error> {
        let ask = || {
            let socket = UnixStream::connect(self.place.control_socket())?;
            messages::send(&socket, request, descriptors)?;
            Ok(socket)
        };
        ask().map_err(|source| self.talk_error(source))
    }

    fn talk_error(&self, source: io::Error) -> Error {
        Error::Talk {
            name: self.name.clone(),
            source,
        }
    }

    fn unexpected(&self) -> Error {
        Error::Unexpected {
            name: self.name.clone(),
        }
    }
}

fn receive(name: &str, socket: &UnixStream) -> Result<(Answer, Vec<OwnedFd>), Error> {
    match messages::receive(socket) {
        Ok((Answer::Failed { reason }, _)) => Err(Error::Refused { reason }),
        Ok(answer) => Ok(answer),
        Err(source) => Err(Error::Talk {
            name: name.to_owned(),
            source,
        }),
    }
}

/// A command that runs in the sandbox; it is killed when this value is dropped before its end.
#[derive(Debug)]
pub struct Running {
    name: String,
    socket: UnixStream,
}

impl Running {
    /// Waits for its end.
    pub fn wait(self) -> Result<Exit, Error> {
        match receive(&self.name, &self.socket)? {
            (Answer::Exited(exit), _) => Ok(exit),
            _ => Err(Error::Unexpected {
                name: self.name.clone(),
            }),
        }
    }
}
