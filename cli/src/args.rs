//! What can be typed; no side effects.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Weft: an ambient service mesh.
#[derive(Debug, Parser)]
#[command(name = "weft", version, about, propagate_version = true)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Everything `weft` can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Build a small cluster on this machine and show the mesh at work, step by step.
    Demo(DemoOptions),
    /// A small cluster of network namespaces on this machine.
    #[command(subcommand)]
    Sandbox(SandboxCommand),
    /// What the mesh would make of the manifests in a directory: what is wrong in them, what has no effect, and what to do.
    Analyze(AnalyzeOptions),
    /// Whether the mesh in a sandbox is well: programs, node proxies in sync, problems.
    Status(StatusOptions),
    /// What the node proxies of a sandbox know and do.
    #[command(subcommand)]
    Ztunnel(ZtunnelCommand),
    /// Run one of the mesh's programs; its settings come from the environment.
    #[command(subcommand)]
    Run(Program),
}

/// How the demo runs.
#[derive(Clone, Debug, clap::Args)]
pub struct DemoOptions {
    /// Print one JSON object per step instead of text.
    #[arg(long)]
    pub json: bool,
    /// Leave the cluster running afterwards.
    #[arg(long)]
    pub keep: bool,
    /// Use the built-in server and client even where nginx and curl are installed.
    #[arg(long)]
    pub built_in: bool,
    /// Name of the sandbox.
    #[arg(long, default_value = "demo")]
    pub name: String,
}

/// What to analyze.
#[derive(Clone, Debug, clap::Args)]
pub struct AnalyzeOptions {
    /// Directory of manifests; sub-folders are read too.
    #[arg(long)]
    pub dir: PathBuf,
    /// The exit status is 1 when there is a finding of this severity or a worse one.
    #[arg(long, value_enum, default_value_t = Threshold::Error)]
    pub failure_threshold: Threshold,
    /// Namespace of the controller, and of MeshConfig.
    #[arg(long, default_value = "weft-system")]
    pub system_namespace: String,
    /// How to print it.
    #[arg(short = 'o', long, value_enum, default_value_t = Output::Table)]
    pub output: Output,
}

/// From which severity on findings count as a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Threshold {
    /// Any finding.
    Info,
    /// What has no effect, or another one than most would expect.
    Warning,
    /// What cannot work.
    Error,
}

/// What can be done with a sandbox.
#[derive(Debug, Subcommand)]
pub enum SandboxCommand {
    /// Start a cluster with the mesh in it; it runs until `down`.
    Up {
        /// Name of the sandbox.
        #[arg(long, default_value = "weft")]
        name: String,
        /// Number of nodes.
        #[arg(long, default_value_t = 2)]
        nodes: u16,
        /// Leave out the mesh's programs: nodes and pods only.
        #[arg(long)]
        no_mesh: bool,
    },
    /// Create or replace the objects of manifests.
    Apply {
        /// Name of the sandbox.
        #[arg(long, default_value = "weft")]
        name: String,
        /// Manifest file; `-` is standard input.
        #[arg(short = 'f', long = "filename", required = true)]
        files: Vec<String>,
        /// Then wait until every pod is ready and every service leads to its own, 60 s at most.
        #[arg(long)]
        wait: bool,
    },
    /// Delete an object that was applied.
    Delete {
        /// Name of the sandbox.
        #[arg(long, default_value = "weft")]
        name: String,
        /// Namespace of the object.
        #[arg(short = 'n', long, default_value = "default")]
        namespace: String,
        /// Kind, as written in manifests.
        kind: String,
        /// Name of the object.
        object: String,
    },
    /// Run a command in a pod: `weft sandbox exec [NAMESPACE/]POD -- CMD`.
    Exec {
        /// Name of the sandbox.
        #[arg(long, default_value = "weft")]
        name: String,
        /// The pod, `name` or `namespace/name`.
        pod: String,
        /// Command and arguments.
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
    /// Show nodes, programs, pods and services.
    Status {
        /// Name of the sandbox.
        #[arg(long, default_value = "weft")]
        name: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// End the cluster; nothing of it stays.
    Down {
        /// Name of the sandbox.
        #[arg(long, default_value = "weft")]
        name: String,
    },
}

/// How things are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// Which mesh to look at.
#[derive(Clone, Debug, clap::Args)]
pub struct StatusOptions {
    /// Name of the sandbox.
    #[arg(long, default_value = "weft")]
    pub name: String,
    /// How to print it.
    #[arg(short = 'o', long, value_enum, default_value_t = Output::Table)]
    pub output: Output,
}

/// What to look at in the node proxies' dumps.
#[derive(Clone, Debug, Subcommand)]
pub enum ZtunnelCommand {
    /// Workloads they know.
    Workloads(ZtunnelOptions),
    /// Services they know.
    Services(ZtunnelOptions),
    /// Policies they enforce.
    Policies(ZtunnelOptions),
    /// Certificates they hold, without keys.
    Certificates(ZtunnelOptions),
    /// Connections that are open.
    Connections(ZtunnelOptions),
}

/// Which node proxies to look at.
#[derive(Clone, Debug, clap::Args)]
pub struct ZtunnelOptions {
    /// Name of the sandbox.
    #[arg(long, default_value = "weft")]
    pub name: String,
    /// Only the proxy of this node.
    #[arg(long)]
    pub node: Option<String>,
    /// How to print it; JSON is the proxies' own, by node.
    #[arg(short = 'o', long, value_enum, default_value_t = Output::Table)]
    pub output: Output,
}

/// The mesh's programs.
#[derive(Clone, Debug, Subcommand)]
pub enum Program {
    /// The node proxy.
    Ztunnel,
    /// The L7 proxy.
    Waypoint,
    /// The controller.
    Controller,
    /// The node agent.
    CniAgent,
    /// The CNI plugin: speaks the CNI protocol on standard input and output.
    CniPlugin,
    /// An HTTP and TCP echo server, and a small HTTP client, for machines without any.
    Echo {
        /// Its own arguments; `--help` lists them.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn exec_takes_everything_behind_the_dashes() {
        let line = [
            "weft", "sandbox", "exec", "shop/web", "--", "curl", "-s", "http://x",
        ];
        let Command::Sandbox(SandboxCommand::Exec { pod, command, name }) =
            Args::try_parse_from(line).unwrap().command
        else {
            panic!("not an exec");
        };
        assert_eq!((pod.as_str(), name.as_str()), ("shop/web", "weft"));
        assert_eq!(command, ["curl", "-s", "http://x"]);
    }
}
