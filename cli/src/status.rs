//! `weft status`: the mesh's programs, whether the node proxies know what the controller says, the waypoints, and what is
//! wrong with the objects.

mod waypoints;

use std::collections::BTreeSet;
use std::process::ExitCode;

use anyhow::Result;
use sandbox::{Sandbox, Status, Target};
use serde_json::{Map, Value, json};

use crate::args::{Output, StatusOptions};
use crate::look::{self, list, text};
use crate::print;
use waypoints::Waypoint;

/// Whether the proxy has a stream to the controller now.
const CONNECTED: &str = "weft_ztunnel_xds_connected";

/// Carries out `weft status`. Fails when a program or a waypoint is not ready.
pub(crate) fn main(options: &StatusOptions) -> Result<ExitCode> {
    let sandbox = Sandbox::connect(&options.name)?;
    let status = sandbox.status()?;
    let seen = Seen::look(&sandbox, &status);
    match options.output {
        Output::Json => print::line(&serde_json::to_string_pretty(&seen.to_json())?),
        Output::Table => seen.print(),
    }
    let is_ready = seen.programs.iter().all(|it| it.readiness == "ready")
        && seen.waypoints.iter().all(Waypoint::is_ready);
    Ok(if is_ready {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

struct Seen {
    programs: Vec<Program>,
    proxies: Vec<Proxy>,
    waypoints: Vec<Waypoint>,
    problems: Vec<Value>,
}

struct Program {
    name: String,
    state: String,
    /// `ready`, or why not.
    readiness: String,
    restarts: u32,
}

struct Proxy {
    node: String,
    discovery: String,
    /// Workloads, services, policies, certificates, connections.
    counts: [usize; 5],
}

const COUNTED: [&str; 5] = [
    "WORKLOADS",
    "SERVICES",
    "POLICIES",
    "CERTIFICATES",
    "CONNECTIONS",
];

impl Seen {
    fn look(sandbox: &Sandbox, status: &Status) -> Self {
        let published = look::json(sandbox, &Target::ControlPlane, look::RESOURCES);
        let published = published.ok().map(|it| names(&it));
        let mut problems = Vec::new();
        if let Ok(Value::Array(all)) = look::json(sandbox, &Target::ControlPlane, look::PROBLEMS) {
            problems = all;
        }
        let nodes = status.nodes.iter();
        Self {
            programs: programs(sandbox, status),
            proxies: nodes
                .map(|node| Proxy::look(sandbox, &node.name, published.as_ref()))
                .collect(),
            waypoints: Waypoint::look(sandbox, status),
            problems,
        }
    }

    fn to_json(&self) -> Value {
        let programs = self.programs.iter().map(|it| {
            json!({
                "name": it.name, "state": it.state, "readiness": it.readiness,
                "restarts": it.restarts,
            })
        });
        let proxies = self.proxies.iter().map(|it| {
            let mut shown = Map::new();
            shown.insert("node".into(), it.node.as_str().into());
            shown.insert("xds".into(), it.discovery.as_str().into());
            for (name, count) in COUNTED.iter().zip(it.counts) {
                shown.insert(name.to_lowercase(), count.into());
            }
            Value::Object(shown)
        });
        json!({
            "programs": programs.collect::<Vec<_>>(),
            "proxies": proxies.collect::<Vec<_>>(),
            "waypoints": self.waypoints.iter().map(Waypoint::to_json).collect::<Vec<_>>(),
            "problems": self.problems,
        })
    }

    fn print(&self) {
        let head = |cells: &[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect();
        let mut rows: Vec<Vec<String>> = vec![head(&["PROGRAM", "STATE", "READY", "RESTARTS"])];
        rows.extend(self.programs.iter().map(|it| {
            vec![
                it.name.clone(),
                it.state.clone(),
                it.readiness.clone(),
                it.restarts.to_string(),
            ]
        }));
        print::table(&rows);
        print::line("");
        let mut first: Vec<String> = head(&["ZTUNNEL", "XDS"]);
        first.extend(COUNTED.map(str::to_owned));
        let mut rows = vec![first];
        rows.extend(self.proxies.iter().map(|it| {
            let mut row = vec![it.node.clone(), it.discovery.clone()];
            row.extend(it.counts.map(|count| count.to_string()));
            row
        }));
        print::table(&rows);
        if !self.waypoints.is_empty() {
            let mut rows = vec![head(&waypoints::HEAD)];
            rows.extend(self.waypoints.iter().flat_map(Waypoint::rows));
            print::line("");
            print::table(&rows);
        }
        if !self.problems.is_empty() {
            print::line("");
        }
        for it in &self.problems {
            let line = it.get("line").map(Value::to_string).unwrap_or_default();
            print::line(&format!(
                "problem: {}:{line}: {}: {}: {}",
                text(it, "file"),
                text(it, "object"),
                text(it, "field"),
                text(it, "reason"),
            ));
        }
    }
}

fn programs(sandbox: &Sandbox, status: &Status) -> Vec<Program> {
    let readiness = |name: &str| {
        let (target, url) = match name.split_once('/') {
            Some(("ztunnel", node)) => (Target::Node(node.to_owned()), look::PROXY_READY),
            Some(("cni-agent", node)) => (Target::Node(node.to_owned()), look::AGENT_READY),
            _ => (Target::ControlPlane, look::CONTROLLER_READY),
        };
        match look::page(sandbox, &target, url) {
            Ok(_) => "ready".to_owned(),
            Err(error) => format!("not ready: {error:#}"),
        }
    };
    let program = |it: &sandbox::messages::ProgramStatus| Program {
        name: it.name.clone(),
        state: match (it.pid, it.held) {
            (Some(pid), _) => format!("running ({pid})"),
            (None, true) => "held".to_owned(),
            (None, false) => "down".to_owned(),
        },
        readiness: match it.pid {
            Some(_) => readiness(&it.name),
            None => "not running".to_owned(),
        },
        restarts: it.restarts,
    };
    status.programs.iter().map(program).collect()
}

impl Proxy {
    fn look(sandbox: &Sandbox, node: &str, published: Option<&BTreeSet<String>>) -> Self {
        let target = Target::Node(node.to_owned());
        let Ok(dump) = look::json(sandbox, &target, look::DUMP) else {
            return Self {
                node: node.to_owned(),
                discovery: "no answer".to_owned(),
                counts: [0; 5],
            };
        };
        let metrics = look::page(sandbox, &target, look::PROXY_METRICS).unwrap_or_default();
        let is_connected = metrics.lines().any(|line| line == format!("{CONNECTED} 1"));
        Self {
            node: node.to_owned(),
            discovery: discovery(&dump, is_connected, published),
            counts: [
                list(&dump, "workloads").len(),
                list(&dump, "services").len(),
                list(&dump, "policies").len(),
                list(&dump, "certificates").len(),
                connections(&dump),
            ],
        }
    }
}

/// In sync: connected, and holding exactly what the controller publishes.
fn discovery(dump: &Value, is_connected: bool, published: Option<&BTreeSet<String>>) -> String {
    let Some(published) = published else {
        return "no controller".to_owned();
    };
    if !is_connected {
        return "not connected".to_owned();
    }
    let held = held(dump);
    let (missing, extra) = (
        published.difference(&held).count(),
        held.difference(published).count(),
    );
    match missing + extra {
        0 => "in sync".to_owned(),
        _ => format!("behind: {missing} missing, {extra} too many"),
    }
}

/// Names of everything the controller publishes.
fn names(resources: &Value) -> BTreeSet<String> {
    let types = resources.as_object().into_iter().flat_map(Map::values);
    let all = types.flat_map(|it| it.as_array().into_iter().flatten());
    all.map(|it| text(it, "name").to_owned()).collect()
}

/// Names of everything a proxy holds.
fn held(dump: &Value) -> BTreeSet<String> {
    let pair = |it: &Value, name: &str| format!("{}/{}", text(it, "namespace"), text(it, name));
    let workloads = list(dump, "workloads").iter();
    let services = list(dump, "services").iter();
    let policies = list(dump, "policies").iter();
    workloads
        .map(|it| text(it, "uid").to_owned())
        .chain(services.map(|it| pair(it, "hostname")))
        .chain(policies.map(|it| pair(it, "name")))
        .collect()
}

fn connections(dump: &Value) -> usize {
    let pods = dump.get("workloadState").and_then(Value::as_object);
    let pods = pods.into_iter().flat_map(Map::values);
    pods.filter_map(|pod| pod.get("connections"))
        .map(|both| list(both, "inbound").len() + list(both, "outbound").len())
        .sum()
}
