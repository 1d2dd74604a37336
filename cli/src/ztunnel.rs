//! `weft ztunnel`: what node proxies know and do, from their dumps.

use std::process::ExitCode;

use anyhow::{Context, Result};
use sandbox::{Sandbox, Target};
use serde_json::{Map, Value};

use crate::args::{Output, ZtunnelCommand, ZtunnelOptions};
use crate::look::{self, json, list, text};
use crate::print;

type Rows = fn(&Value) -> Vec<Vec<String>>;

/// What a command shows: its key in the dump, the head of its table, and its rows.
struct View {
    key: &'static str,
    head: &'static [&'static str],
    rows: Rows,
}

const WORKLOADS: View = View {
    key: "workloads",
    head: &[
        "NAMESPACE",
        "POD NAME",
        "ADDRESS",
        "NODE",
        "WAYPOINT",
        "PROTOCOL",
    ],
    rows: workloads,
};
const SERVICES: View = View {
    key: "services",
    head: &[
        "NAMESPACE",
        "SERVICE NAME",
        "SERVICE VIP",
        "WAYPOINT",
        "ENDPOINTS",
    ],
    rows: services,
};
const POLICIES: View = View {
    key: "policies",
    head: &[
        "NAMESPACE",
        "POLICY NAME",
        "ACTION",
        "SCOPE",
        "RULES",
        "ORIGIN",
    ],
    rows: policies,
};
const CERTIFICATES: View = View {
    key: "certificates",
    head: &[
        "CERTIFICATE NAME",
        "TYPE",
        "STATUS",
        "SERIAL NUMBER",
        "NOT AFTER",
        "NOT BEFORE",
    ],
    rows: certificates,
};
const CONNECTIONS: View = View {
    key: "workloadState",
    head: &[
        "WORKLOAD",
        "DIRECTION",
        "LOCAL",
        "REMOTE",
        "REMOTE TARGET",
        "PROTOCOL",
        "PEER",
    ],
    rows: connections,
};

/// Carries out one `weft ztunnel` command.
pub(crate) fn main(command: ZtunnelCommand) -> Result<ExitCode> {
    let (view, options) = match command {
        ZtunnelCommand::Workloads(options) => (WORKLOADS, options),
        ZtunnelCommand::Services(options) => (SERVICES, options),
        ZtunnelCommand::Policies(options) => (POLICIES, options),
        ZtunnelCommand::Certificates(options) => (CERTIFICATES, options),
        ZtunnelCommand::Connections(options) => (CONNECTIONS, options),
    };
    show(&view, &options)?;
    Ok(ExitCode::SUCCESS)
}

fn show(view: &View, options: &ZtunnelOptions) -> Result<()> {
    let sandbox = Sandbox::connect(&options.name)?;
    let nodes: Vec<String> = match &options.node {
        Some(node) => vec![node.clone()],
        None => {
            let nodes = sandbox.status()?.nodes;
            nodes.into_iter().map(|node| node.name).collect()
        }
    };
    let mut by_node = Map::new();
    for node in nodes {
        let dump = json(&sandbox, &Target::Node(node.clone()), look::DUMP)
            .with_context(|| format!("the node proxy of {node} does not answer"))?;
        let part = dump.get(view.key).cloned().unwrap_or_default();
        by_node.insert(node, part);
    }
    match options.output {
        Output::Json => print::line(&serde_json::to_string_pretty(&by_node)?),
        Output::Table => print::table(&table(view, &by_node)),
    }
    Ok(())
}

/// The rows of all nodes; with several of them, a column says which.
fn table(view: &View, by_node: &Map<String, Value>) -> Vec<Vec<String>> {
    let is_many = by_node.len() > 1;
    let with_node = |node: &str, mut row: Vec<String>| {
        if is_many {
            row.insert(0, node.to_owned());
        }
        row
    };
    let head = view.head.iter().map(|cell| (*cell).to_owned()).collect();
    let mut rows = vec![with_node("ZTUNNEL", head)];
    for (node, part) in by_node {
        let mut own = (view.rows)(part);
        own.sort();
        rows.extend(own.into_iter().map(|row| with_node(node, row)));
    }
    rows
}

fn elements(part: &Value) -> impl Iterator<Item = &Value> {
    part.as_array().into_iter().flatten()
}

fn words(values: &[Value]) -> String {
    let words: Vec<&str> = values.iter().filter_map(Value::as_str).collect();
    words.join(",")
}

fn waypoint(value: &Value) -> String {
    match value.get("waypoint") {
        Some(waypoint) => text(waypoint, "destination").to_owned(),
        None => "None".to_owned(),
    }
}

fn workloads(part: &Value) -> Vec<Vec<String>> {
    let row = |it: &Value| {
        vec![
            text(it, "namespace").to_owned(),
            text(it, "name").to_owned(),
            words(list(it, "workloadIps")),
            text(it, "node").to_owned(),
            waypoint(it),
            text(it, "protocol").to_owned(),
        ]
    };
    elements(part).map(row).collect()
}

fn services(part: &Value) -> Vec<Vec<String>> {
    let row = |it: &Value| {
        let addresses = list(it, "vips").iter().filter_map(Value::as_str);
        let addresses: Vec<&str> = addresses
            .map(|text| text.split_once('/').map_or(text, |(_, address)| address))
            .collect();
        let endpoints = it.get("endpoints").and_then(Value::as_object);
        vec![
            text(it, "namespace").to_owned(),
            text(it, "name").to_owned(),
            addresses.join(","),
            waypoint(it),
            endpoints.map_or(0, Map::len).to_string(),
        ]
    };
    elements(part).map(row).collect()
}

fn policies(part: &Value) -> Vec<Vec<String>> {
    let row = |it: &Value| {
        let is_dry = it.get("dryRun").and_then(Value::as_bool).unwrap_or(false);
        let action = text(it, "action");
        vec![
            text(it, "namespace").to_owned(),
            text(it, "name").to_owned(),
            if is_dry {
                format!("{action} (dry run)")
            } else {
                action.to_owned()
            },
            text(it, "scope").to_owned(),
            list(it, "rules").len().to_string(),
            text(it, "origin").to_owned(),
        ]
    };
    elements(part).map(row).collect()
}

fn certificates(part: &Value) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for state in elements(part) {
        let (name, status) = (text(state, "identity"), text(state, "state"));
        let chain = list(state, "certChain").iter().enumerate();
        let chain = chain.map(|(position, it)| match position {
            0 => ("Leaf", it),
            _ => ("Intermediate", it),
        });
        let roots = list(state, "rootCerts").iter().map(|it| ("Root", it));
        let all: Vec<_> = chain.chain(roots).collect();
        if all.is_empty() {
            rows.push(vec![name.to_owned(), "Leaf".to_owned(), status.to_owned()]);
        }
        for (kind, it) in all {
            rows.push(vec![
                name.to_owned(),
                kind.to_owned(),
                status.to_owned(),
                text(it, "serialNumber").to_owned(),
                text(it, "expirationTime").to_owned(),
                text(it, "validFrom").to_owned(),
            ]);
        }
    }
    rows
}

fn connections(part: &Value) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for pod in part.as_object().into_iter().flat_map(Map::values) {
        let info = pod.get("info").unwrap_or(&Value::Null);
        let name = format!("{}.{}", text(info, "name"), text(info, "namespace"));
        let both = pod.get("connections").unwrap_or(&Value::Null);
        for (key, direction) in [("inbound", "Inbound"), ("outbound", "Outbound")] {
            for it in list(both, key) {
                let (source, asked) = (text(it, "src"), text(it, "originalDst"));
                let (local, remote) = match key {
                    "inbound" => (text(it, "actualDst"), source),
                    _ => (source, text(it, "actualDst")),
                };
                rows.push(vec![
                    name.clone(),
                    direction.to_owned(),
                    local.to_owned(),
                    remote.to_owned(),
                    asked.to_owned(),
                    text(it, "protocol").to_owned(),
                    text(it, "peerIdentity").to_owned(),
                ]);
            }
        }
    }
    rows
}
