//! Addresses of host names, for workloads that have a name and no address: asked of the node's own
//! resolver, on the control runtime and in the proxy's own network namespace, never in a pod's.
//! Source: docs/compat.md#host-names.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::config::{LookupIpStrategy, ResolverConfig, ResolverOpts};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::{TokioResolver, system_conf};
use mesh::flow::{EndsFlow, Reason};
use mesh::lifecycle::task;
use mesh::telemetry::report;
use tokio::sync::{Semaphore, mpsc, oneshot};

/// Answers that are kept, each for as long as its records say.
const CACHE: u64 = 4096;
/// Longest time that a name is remembered as having no address. Weft's own: it may be about to.
const ABSENT: Duration = Duration::from_secs(30);
/// Names that are asked about at a time.
const AT_ONCE: usize = 256;
/// Questions that wait for the resolver's task.
const QUEUE: usize = 1024;

/// Why a name has no address.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The name servers say so, or none of them answers.
    #[error("cannot resolve {host}")]
    Lookup {
        /// The name.
        host: Arc<str>,
        /// What they say.
        source: Arc<NetError>,
    },
    /// There is a record, and no address in it.
    #[error("{host} has no address")]
    Empty {
        /// The name.
        host: Arc<str>,
    },
    /// It took too long.
    #[error("{host} was not resolved within {} ms", within.as_millis())]
    Deadline {
        /// The name.
        host: Arc<str>,
        /// How long we waited.
        within: Duration,
    },
    /// Too many names are being asked about.
    #[error("too many host names are being resolved, {host} is not")]
    Overloaded {
        /// The name.
        host: Arc<str>,
    },
}

impl EndsFlow for Error {
    fn reason(&self) -> Reason {
        match self {
            Error::Lookup { .. } | Error::Empty { .. } | Error::Deadline { .. } => {
                Reason::NameNotResolved
            }
            Error::Overloaded { .. } => Reason::Overloaded,
        }
    }
}

/// The asking end; cheap to clone, for any thread.
#[derive(Clone, Debug)]
pub struct Resolver {
    asks: mpsc::Sender<Ask>,
}

#[derive(Debug)]
struct Ask {
    host: Arc<str>,
    answer: oneshot::Sender<Result<Vec<IpAddr>, Error>>,
}

impl Resolver {
    /// Starts the resolver on the current runtime with the name servers of `/etc/resolv.conf`; without
    /// any when that file cannot be used: then no name is resolved, and all else goes on.
    ///
    /// # Errors
    /// When no resolver can be made.
    pub fn start_with_system_servers() -> Result<Self, NetError> {
        let (config, options) = system_conf::read_system_conf().unwrap_or_else(|error| {
            let error = report(&error);
            tracing::warn!(
                error,
                "no name servers: workloads with a host name are not reached"
            );
            Default::default()
        });
        Self::start(config, options)
    }

    /// Starts the resolver on the current runtime with these name servers.
    ///
    /// # Errors
    /// When they cannot be used.
    pub fn start(config: ResolverConfig, mut options: ResolverOpts) -> Result<Self, NetError> {
        options.cache_size = CACHE;
        options.negative_max_ttl = Some(ABSENT);
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        let provider = TokioRuntimeProvider::default();
        let mut builder = TokioResolver::builder_with_config(config, provider);
        *builder.options_mut() = options;
        let resolver = builder.build()?;
        let (asks, queue) = mpsc::channel(QUEUE);
        task::spawn("resolver", serve(resolver, queue));
        Ok(Self { asks })
    }

    /// The addresses of `host`, at least one; from the cache where it is there.
    ///
    /// # Errors
    /// [`Error`] names the host.
    pub async fn addresses(&self, host: &Arc<str>, within: Duration) -> Result<Vec<IpAddr>, Error> {
        let (answer, answered) = oneshot::channel();
        let ask = Ask {
            host: Arc::clone(host),
            answer,
        };
        let overloaded = || Error::Overloaded {
            host: Arc::clone(host),
        };
        self.asks.try_send(ask).map_err(|_| overloaded())?;
        match tokio::time::timeout(within, answered).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(overloaded()),
            Err(_) => Err(Error::Deadline {
                host: Arc::clone(host),
                within,
            }),
        }
    }
}

/// The resolver's life: every question is a task, up to a bound.
async fn serve(resolver: TokioResolver, mut asks: mpsc::Receiver<Ask>) {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    while let Some(Ask { host, mut answer }) = asks.recv().await {
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            // Whoever asked may have left.
            let _ = answer.send(Err(Error::Overloaded { host }));
            continue;
        };
        let resolver = resolver.clone();
        task::spawn("host name", async move {
            tokio::select! {
                found = look_up(&resolver, host) => drop(answer.send(found)),
                () = answer.closed() => {}
            }
            drop(place);
        });
    }
}

async fn look_up(resolver: &TokioResolver, host: Arc<str>) -> Result<Vec<IpAddr>, Error> {
    let found = match resolver.lookup_ip(absolute(&host)).await {
        Ok(found) => found,
        Err(error) => {
            let source = Arc::new(error);
            return Err(Error::Lookup { host, source });
        }
    };
    let addresses: Vec<_> = found.iter().map(|it| it.to_canonical()).collect();
    match addresses.is_empty() {
        true => Err(Error::Empty { host }),
        false => Ok(addresses),
    }
}

/// A name with a dot in it is a whole one: search domains would only lead astray.
fn absolute(host: &str) -> String {
    let is_whole = host.contains('.') && !host.ends_with('.') && host.parse::<IpAddr>().is_err();
    match is_whole {
        true => format!("{host}."),
        false => host.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn without_name_servers_a_name_is_not_resolved_and_says_so() {
        let resolver = Resolver::start(ResolverConfig::default(), ResolverOpts::default()).unwrap();
        let host: Arc<str> = "db.example".into();
        let error = resolver.addresses(&host, Duration::from_secs(5)).await;
        let error = error.unwrap_err();
        assert_eq!(error.to_string(), "cannot resolve db.example");
        assert_eq!(error.reason(), Reason::NameNotResolved);
    }

    #[test]
    fn only_names_with_a_dot_are_whole() {
        for (host, asked) in [
            ("db.example", "db.example."),
            ("db.example.", "db.example."),
            ("db", "db"),
            ("10.0.0.1", "10.0.0.1"),
            ("fd00::1", "fd00::1"),
        ] {
            assert_eq!(absolute(host), asked);
        }
    }
}
