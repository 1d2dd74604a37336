//! The built-in image `weft.dev/echo`: an HTTP and gRPC server that answers with what it saw, a raw TCP echo, clients.
//!
//! ```text
//! weft run echo [--port N] [--tcp-port N]     serve (also PORT and TCP_PORT; 8080 and no TCP echo by default)
//! weft run echo --get URL [--count N]         print N answers, one per line; fails when one is no success
//! weft run echo --repeat URL                  ask again and again over one connection, until standard input ends or the
//!                                             connection does; print what came of it as JSON
//! weft run echo --ask SCRIPT                  ask as a script says (a JSON list of `Ask`), print an `Answer` per line
//! ```
//!
//! The server speaks HTTP/1.1, HTTP/2 with prior knowledge and gRPC on one port, and grants upgrades. Words in a path
//! (`/status/503`, `/delay/200ms`, `/fail/2`, `/header/x-colour/blue`) or headers (`echo-status: 503`) ask for more than an
//! echo; `/counts` tells how many requests of each path there were, `/spans` which spans were sent to it over OTLP.

mod serve;
mod ask;
mod answer;
mod upgrade;
mod message;
mod spans;
mod counts;
mod wish;
mod here;
mod script;
mod repeat;
mod get;

use std::cell::RefCell;
use std::process::ExitCode;

pub use answer::Seen;
pub use repeat::{ANSWERED, Repeated};
pub use script::{Answer, Ask, Speech};
pub use spans::Span;

use answer::Server;

/// Port of the HTTP server when nothing is said.
const DEFAULT_PORT: u16 = 8080;

/// What the program is asked to do.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Mode {
    Serve { port: u16, tcp_port: Option<u16> },
    Get { url: String, count: u32 },
    Repeat { url: String },
    Ask { script: String },
}

/// Why it could not be done.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("{argument}: not known, or its value is missing or no number")]
    Argument { argument: String },
    #[error("cannot listen on port {port}")]
    Listen { port: u16, source: std::io::Error },
    #[error("cannot start a runtime")]
    Runtime(#[source] std::io::Error),
    #[error(transparent)]
    Get(#[from] get::Error),
}

/// The program: `arguments` come after its name, `variable` reads the environment.
pub fn main(
    arguments: impl Iterator<Item = String>,
    variable: impl Fn(&str) -> Option<String>,
) -> ExitCode {
    let server = server(&variable);
    let mode = read(arguments, variable);
    match mode.and_then(|mode| run(mode, server?)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            #[expect(clippy::print_stderr, reason = "this is a program's last word")]
            {
                eprintln!("echo: {}", mesh::telemetry::report(&error));
            }
            ExitCode::FAILURE
        }
    }
}

/// What the environment makes of the server.
fn server(variable: impl Fn(&str) -> Option<String>) -> Result<Server, Error> {
    let bad = |name: &str| {
        let argument = name.to_owned();
        move || Error::Argument { argument }
    };
    let status = variable("STATUS").map(|text| text.parse().ok().ok_or_else(bad("STATUS")));
    let delay = variable("DELAY").map(|text| wish::duration(&text).ok_or_else(bad("DELAY")));
    Ok(Server {
        pod: variable("POD_NAME").unwrap_or_default(),
        version: variable("VERSION").unwrap_or_default(),
        status: status.transpose()?,
        delay: delay.transpose()?,
        counts: RefCell::default(),
        spans: RefCell::default(),
    })
}

fn run(mode: Mode, server: Server) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Error::Runtime)?;
    let local = tokio::task::LocalSet::new();
    match mode {
        Mode::Serve { port, tcp_port } => local
            .block_on(&runtime, serve::serve(server, port, tcp_port))
            .map_err(|(port, source)| Error::Listen { port, source }),
        Mode::Get { url, count } => Ok(local.block_on(&runtime, get::get(&url, count))?),
        Mode::Ask { script } => Ok(local.block_on(&runtime, ask::ask(&script))?),
        Mode::Repeat { url } => Ok(local.block_on(&runtime, repeat::repeat(&url))?),
    }
}

fn read(
    mut arguments: impl Iterator<Item = String>,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Mode, Error> {
    let from_environment = |name: &str| match variable(name) {
        None => Ok(None),
        Some(text) => text.parse().map(Some).map_err(|_| Error::Argument {
            argument: name.to_owned(),
        }),
    };
    let mut port = from_environment("PORT")?.unwrap_or(DEFAULT_PORT);
    let mut tcp_port = from_environment("TCP_PORT")?;
    let (mut url, mut count) = (None, 1);
    while let Some(argument) = arguments.next() {
        let bad = || Error::Argument {
            argument: argument.clone(),
        };
        let value = arguments.next().ok_or_else(bad)?;
        match argument.as_str() {
            "--port" => port = value.parse().map_err(|_| bad())?,
            "--tcp-port" => tcp_port = Some(value.parse().map_err(|_| bad())?),
            "--get" => url = Some(value),
            "--ask" => return Ok(Mode::Ask { script: value }),
            "--repeat" => return Ok(Mode::Repeat { url: value }),
            "--count" => count = value.parse().map_err(|_| bad())?,
            _ => return Err(bad()),
        }
    }
    Ok(url.map_or(Mode::Serve { port, tcp_port }, |url| Mode::Get {
        url,
        count,
    }))
}

#[cfg(test)]
mod talk;

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(arguments: &[&str], variables: &[(&str, &str)]) -> Result<Mode, String> {
        let variable = |name: &str| {
            variables
                .iter()
                .find(|(one, _)| *one == name)
                .map(|(_, value)| (*value).to_owned())
        };
        read(arguments.iter().map(|&text| text.to_owned()), variable)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn arguments_win_over_the_environment() {
        assert_eq!(
            mode(&[], &[]),
            Ok(Mode::Serve {
                port: 8080,
                tcp_port: None
            })
        );
        let environment = [("PORT", "81"), ("TCP_PORT", "82")];
        assert_eq!(
            mode(&[], &environment),
            Ok(Mode::Serve {
                port: 81,
                tcp_port: Some(82)
            })
        );
        assert_eq!(
            mode(&["--port", "9"], &environment),
            Ok(Mode::Serve {
                port: 9,
                tcp_port: Some(82)
            })
        );
        let get = Mode::Get {
            url: "http://a/".to_owned(),
            count: 3,
        };
        assert_eq!(mode(&["--get", "http://a/", "--count", "3"], &[]), Ok(get));
    }

    #[test]
    fn a_bad_argument_is_named() {
        for arguments in [["--port", "x"].as_slice(), &["--port"], &["--what", "1"]] {
            assert!(mode(arguments, &[]).unwrap_err().contains(arguments[0]));
        }
        assert!(mode(&[], &[("PORT", "")]).unwrap_err().contains("PORT"));
        for (name, value) in [("STATUS", "9"), ("DELAY", "soon")] {
            let variable = |one: &str| (one == name).then(|| value.to_owned());
            let error = server(variable).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
    }
}
