//! `weft demo`: a cluster of two nodes, real programs, and the mesh at work step by step.
//!
//! Recipe: build the cluster, then each step of the [`SCRIPT`] in order. A step says what is expected
//! and observes what happens; nothing is taken on trust.

mod cluster;
mod mesh;
mod observe;
mod outside;
mod policy;
mod renewal;
mod books;
mod broken;
mod repeat;
mod report;
mod tap;

use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;

use crate::args::DemoOptions;
use cluster::Cluster;
use report::{Report, Step};

/// What a step observed, in words, and whether that is what was expected.
pub(crate) struct Observed {
    text: String,
    ok: bool,
}

impl Observed {
    fn new(ok: bool, text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            ok,
        }
    }
}

/// One step: its name, what is expected, and how to look.
type Scene = (
    &'static str,
    &'static str,
    fn(&mut Cluster) -> Result<Observed>,
);

/// The demo, in order. Each step builds on the ones before.
const SCRIPT: &[Scene] = &[
    (
        "cluster",
        "two nodes, all pods ready, none in the mesh",
        cluster::is_up,
    ),
    (
        "plain-before",
        "the request is readable on the pods' links",
        outside::plain_before,
    ),
    (
        "enrol",
        "a label on the namespace enrols its running pods",
        mesh::enrol,
    ),
    (
        "encrypted",
        "a TLS 1.3 ClientHello to port 15008, nothing of the request readable on any link",
        mesh::encrypted,
    ),
    (
        "key-exchange",
        "both ends agree on X25519MLKEM768",
        mesh::key_exchange,
    ),
    (
        "identities",
        "each end was shown the other's SPIFFE identity",
        mesh::identities,
    ),
    (
        "source-address",
        "the server sees the client pod's own address",
        mesh::source_address,
    ),
    ("dual-stack", "the same over IPv6", mesh::dual_stack),
    (
        "service",
        "a service address reaches both of its endpoints",
        mesh::service,
    ),
    (
        "to-outside",
        "a pod outside the mesh is still reached",
        outside::reached,
    ),
    (
        "from-outside",
        "a pod outside the mesh still reaches in",
        outside::reaching,
    ),
    (
        "new-pod",
        "a pod applied now joins the mesh and the service",
        mesh::new_pod,
    ),
    (
        "strict",
        "STRICT refuses plain text, and only that",
        policy::strict,
    ),
    (
        "allow",
        "a policy admits one identity and refuses another, with a reason",
        policy::allow,
    ),
    (
        "dry-run",
        "a policy on trial reports and refuses nobody",
        policy::dry_run,
    ),
    (
        "policy-edit",
        "an edit cuts a live connection that it no longer admits",
        policy::edit,
    ),
    (
        "broken-manifest",
        "a broken manifest is reported with its line while traffic goes on",
        broken::manifest,
    ),
    (
        "renewal",
        "certificates are renewed under traffic without a lost byte",
        renewal::under_traffic,
    ),
    (
        "waypoint",
        "a Gateway starts a waypoint, and requests to its services go through it",
        books::waypoint,
    ),
    (
        "split",
        "nine in ten requests go to one version, one to the other",
        books::split,
    ),
    ("canary", "a header chooses the new version", books::canary),
    ("retry", "retries hide a failing server", books::retry),
    (
        "timeout",
        "a request that takes too long ends with 504",
        books::timeout,
    ),
    (
        "mirror",
        "a copy of every request goes to another version",
        books::mirror,
    ),
    (
        "fault",
        "an injected 503 and an injected delay, where a route says so",
        books::fault,
    ),
    (
        "trace",
        "a collector hears of a request: a span for the waypoint, and one for its try below it",
        books::trace,
    ),
    (
        "l7-deny",
        "a policy refuses a method and a path, and nothing else",
        books::denied,
    ),
    (
        "token",
        "only requests with a good token are answered",
        books::tokens,
    ),
    (
        "ejection",
        "a server that fails again and again is left out",
        books::ejection,
    ),
    (
        "controller-gone",
        "with the controller killed, traffic goes on",
        mesh::without_controller,
    ),
];

/// Runs the demo; the exit status is non-zero when any step was not as expected.
pub(crate) fn main(options: &DemoOptions) -> Result<ExitCode> {
    let mut report = Report::new(options.json);
    let started = Instant::now();
    let mut cluster = Cluster::start(options)?;
    report.opening(&cluster);
    for &(name, expected, look) in SCRIPT {
        let begun = Instant::now();
        let observed =
            look(&mut cluster).unwrap_or_else(|error| Observed::new(false, format!("{error:#}")));
        report.step(Step {
            name,
            expected,
            observed: observed.text,
            ok: observed.ok,
            ms: begun.elapsed().as_millis(),
        });
        if !observed.ok && name == "cluster" {
            break; // Nothing behind it can be looked at.
        }
    }
    let all_well = report.all_well();
    report.closing(&cluster, started.elapsed(), options.keep);
    cluster.end(options.keep)?;
    Ok(if all_well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
