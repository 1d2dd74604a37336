//! Wiring: which of the two programs this is, and the parts of each. Decides nothing.

use std::io::{Read, Write};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use mesh::lifecycle::ready::Gates;
use mesh::lifecycle::{drain, shutdown};
use mesh::settings::Reader;
use mesh::telemetry::log;
use objects::api::Api;
use objects::kinds::Kind;
use objects::sink::api_server::{ApiServerSink, Ours};
use objects::sink::directory::DirectorySink;
use objects::watch::api_server::{ApiServerSource, Watched};
use objects::watch::directory::DirectorySource;

use crate::agent::{self, mark};
use crate::config::{Config, Place, env};
use crate::metrics::Metrics;
use crate::pages;
use crate::plugin::{self, Reply};

/// Runs the plugin when a container runtime calls it, and the agent otherwise.
#[must_use]
pub fn start() -> ExitCode {
    if env::is_plugin_call(&Reader::from_env()) {
        run_plugin()
    } else {
        start_agent()
    }
}

/// Runs the plugin on one call: reads standard input, prints the answer.
#[must_use]
pub fn run_plugin() -> ExitCode {
    let mut input = Vec::new();
    let reply = match std::io::stdin().take(1 << 20).read_to_end(&mut input) {
        Ok(_) => plugin::answer(&env::plugin_call(&Reader::from_env()), &input),
        Err(error) => Reply::unreadable(&error),
    };
    let is_written = std::io::stdout().write_all(reply.text.as_bytes()).is_ok();
    if reply.is_success && is_written {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Runs the agent until the process is asked to stop. Must be called inside a tokio runtime, in the node's network
/// namespace.
///
/// # Errors
/// When it cannot start, or cannot follow the objects any more.
pub async fn run_agent(config: Config, log: log::Handle) -> Result<()> {
    let gates = Gates::default();
    let ready = gates.add("pods");
    // Dropped at the end: the pages go on until the agent has stopped.
    let (_trigger, drain) = drain::channel();
    let metrics = Metrics::default();
    pages::serve(&config.pages, gates, log, &metrics, &drain).await?;
    let objects = open(&config).await?;
    let stop = async {
        match shutdown::requested().await {
            Ok(signal) => tracing::info!(signal, "agent stops"),
            Err(error) => tracing::error!(%error, "signals cannot be heard, agent stops"),
        }
    };
    agent::run(config, objects, metrics, ready, stop)
        .await
        .context("agent failed")
}

/// Objects of this node, and where marks on them go. An API server may be away: it is waited for.
async fn open(config: &Config) -> Result<agent::Objects> {
    match &config.objects {
        Place::Directory(directory) => {
            let source = DirectorySource::open(directory);
            Ok(agent::Objects {
                source: Box::new(source.context("cannot open the directory of objects")?),
                sink: Arc::new(DirectorySink::new(directory)),
            })
        }
        Place::ApiServer(access) => {
            let api = Api::open(access).await?;
            let watched = vec![
                Watched::pods_of(&config.node_name),
                Watched::metadata(Kind::Namespace),
            ];
            Ok(agent::Objects {
                source: Box::new(ApiServerSource::open(&api, watched)),
                sink: Arc::new(ApiServerSink::new(api, NOTHING_IN_STATUSES)),
            })
        }
    }
}

/// The agent writes annotations alone.
const NOTHING_IN_STATUSES: Ours = Ours {
    manager: mark::MANAGER,
    conditions: &[],
    controllers: &[],
    fields: &[],
};

/// Reads the environment, makes a runtime and runs the agent.
pub fn start_agent() -> ExitCode {
    let result = (|| -> Result<()> {
        let config = env::agent(Reader::from_env())?;
        let log = log::init(config.log_format, &config.log_filter)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .context("cannot make a runtime")?;
        runtime.block_on(run_agent(config, log))
    })();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // There may be no log yet.
            let _ = writeln!(std::io::stderr(), "weft-cni: {error:#}");
            ExitCode::FAILURE
        }
    }
}
