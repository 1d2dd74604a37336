//! Probes: asked from the node's network namespace, as the kubelet asks; consecutive answers decide.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use objects::kubernetes::{Container, Probe};

use crate::network::namespace::Namespace;

/// What one attempt does; worked out once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Attempt {
    Http {
        address: SocketAddr,
        request: String,
    },
    Tcp {
        address: SocketAddr,
    },
    Exec {
        command: Vec<String>,
    },
    /// It cannot be asked at all, so it fails, with this reason.
    Impossible {
        reason: &'static str,
    },
}

/// Pure. Consecutive results of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tally {
    success_threshold: u32,
    failure_threshold: u32,
    successes: u32,
    failures: u32,
}

/// What a tally makes of the attempts so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Well,
    Unwell,
    Undecided,
}

impl Tally {
    pub(crate) fn new(probe: &Probe) -> Self {
        Self {
            success_threshold: probe.success_threshold.unwrap_or(1).max(1),
            failure_threshold: probe.failure_threshold.unwrap_or(3).max(1),
            successes: 0,
            failures: 0,
        }
    }

    /// Counts one attempt.
    pub(crate) fn count(&mut self, was_good: bool) -> Verdict {
        if was_good {
            (self.successes, self.failures) = (self.successes.saturating_add(1), 0);
        } else {
            (self.successes, self.failures) = (0, self.failures.saturating_add(1));
        }
        if self.successes >= self.success_threshold {
            Verdict::Well
        } else if self.failures >= self.failure_threshold {
            Verdict::Unwell
        } else {
            Verdict::Undecided
        }
    }
}

/// Seconds between attempts.
pub(crate) fn period(probe: &Probe) -> Duration {
    Duration::from_secs(probe.period_seconds.unwrap_or(10).max(1).into())
}

/// Seconds one attempt may take.
pub(crate) fn timeout(probe: &Probe) -> Duration {
    Duration::from_secs(probe.timeout_seconds.unwrap_or(1).max(1).into())
}

/// Pure. What an attempt of `probe` is for a pod at `pod_address`.
pub(crate) fn attempt(probe: &Probe, container: &Container, pod_address: IpAddr) -> Attempt {
    let address = |host: &Option<String>| match host {
        None => Ok(pod_address),
        Some(host) => host
            .parse()
            .map_err(|_| "the probe's host is not an address"),
    };
    let socket = |host, port| -> Result<SocketAddr, &'static str> {
        let port = container
            .port_number(port)
            .ok_or("the probe's port has no number")?;
        Ok(SocketAddr::new(address(host)?, port))
    };
    let attempt = match probe {
        Probe {
            http_get: Some(get),
            ..
        } if get.scheme.as_deref() == Some("HTTPS") => {
            Err("HTTPS probes are not supported in a sandbox")
        }
        Probe {
            http_get: Some(get),
            ..
        } => socket(&get.host, &get.port).map(|address| {
            let path = if get.path.is_empty() { "/" } else { &get.path };
            let mut request = format!("GET {path} HTTP/1.1\r\n");
            let has_host = get
                .http_headers
                .iter()
                .any(|one| one.name.eq_ignore_ascii_case("host"));
            if !has_host {
                request.push_str(&format!("Host: {address}\r\n"));
            }
            for header in &get.http_headers {
                request.push_str(&format!("{}: {}\r\n", header.name, header.value));
            }
            request.push_str("User-Agent: kube-probe/weft\r\nConnection: close\r\n\r\n");
            Attempt::Http { address, request }
        }),
        Probe {
            tcp_socket: Some(tcp),
            ..
        } => socket(&tcp.host, &tcp.port).map(|address| Attempt::Tcp { address }),
        Probe {
            exec: Some(exec), ..
        } => Ok(Attempt::Exec {
            command: exec.command.clone(),
        }),
        _ => Err("the probe asks nothing"),
    };
    attempt.unwrap_or_else(|reason| Attempt::Impossible { reason })
}

/// Makes one network attempt inside `node`; blocking. (Programs are run by the container, not here.)
pub(crate) fn ask(node: &Namespace, attempt: &Attempt, timeout: Duration) -> Result<(), String> {
    let asked = node.run(|| match attempt {
        Attempt::Http { address, request } => http(*address, request, timeout),
        Attempt::Tcp { address } => TcpStream::connect_timeout(address, timeout)
            .map(drop)
            .map_err(|error| error.to_string()),
        Attempt::Exec { .. } => Err("not asked over the network".to_owned()),
        Attempt::Impossible { reason } => Err((*reason).to_owned()),
    });
    asked.unwrap_or_else(|error| Err(mesh::telemetry::report(&error)))
}

fn http(address: SocketAddr, request: &str, timeout: Duration) -> Result<(), String> {
    let exchange = || -> io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect_timeout(&address, timeout)?;
        stream.set_read_timeout(Some(timeout))?;
        stream.set_write_timeout(Some(timeout))?;
        stream.write_all(request.as_bytes())?;
        let mut head = vec![0; 64];
        let mut filled = 0;
        while let Some(rest @ [_, ..]) = head.get_mut(filled..) {
            match stream.read(rest)? {
                0 => break,
                count => filled += count,
            }
            if filled >= 12 {
                break;
            }
        }
        head.truncate(filled);
        Ok(head)
    };
    let head = exchange().map_err(|error| error.to_string())?;
    match status(&head) {
        Some(200..=399) => Ok(()),
        Some(code) => Err(format!("status {code}")),
        None => Err("the answer is not HTTP".to_owned()),
    }
}

/// Pure. The status code of an answer's first bytes.
fn status(head: &[u8]) -> Option<u16> {
    let text = std::str::from_utf8(head.get(..12)?).ok()?;
    text.strip_prefix("HTTP/1.")?.get(2..)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flips_only_after_enough_answers_in_a_row() {
        let probe = Probe {
            failure_threshold: Some(2),
            success_threshold: Some(2),
            ..Probe::default()
        };
        let mut tally = Tally::new(&probe);
        let verdicts = [true, true, false, true, false, false].map(|good| tally.count(good));
        use Verdict::{Undecided, Unwell, Well};
        assert_eq!(
            verdicts,
            [Undecided, Well, Undecided, Undecided, Undecided, Unwell]
        );
    }

    #[test]
    fn reads_the_status_of_an_answer() {
        assert_eq!(status(b"HTTP/1.1 204 No Content"), Some(204));
        assert_eq!(status(b"SSH-2.0-OpenSSH_9"), None);
        assert_eq!(status(b"HTTP"), None);
    }
}
