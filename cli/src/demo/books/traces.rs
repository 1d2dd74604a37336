//! What a collector hears of a request.

use anyhow::Result;
use sandbox::app::echo::{Ask, Span};

use super::{IN_FORCE, Observed, SETTLED, answers, get, one};
use crate::demo::cluster::{Cluster, WEB_PORT, url};
use crate::demo::observe::wait_until;

const TRACES: &str = include_str!("traces.yaml");
/// Kinds of spans in the protocol's numbers.
const SERVER: u64 = 2;
const CLIENT: u64 = 3;

/// A request is a server span and a client span below it, in the trace that the server was told of.
pub(in crate::demo) fn trace(cluster: &mut Cluster) -> Result<Observed> {
    cluster.sandbox().apply(TRACES)?;
    cluster.sandbox().wait_settled(SETTLED)?;
    let collector = cluster.address("village/collector", false)?;
    let told = Ask::get(&url(collector, WEB_PORT, "/spans"));
    let (trace, server, client) = wait_until("the collector hears of a request", IN_FORCE, || {
        let (_, seen) = one(cluster, &get("/split"))?;
        let headers = seen?.headers;
        let Some(context) = headers.get("traceparent") else {
            return Ok(None);
        };
        let mut parts = context.split('-').skip(1).map(str::to_owned);
        let (trace, parent) = (
            parts.next().unwrap_or_default(),
            parts.next().unwrap_or_default(),
        );
        // Spans are gathered for a moment before they are sent.
        wait_until("its spans", IN_FORCE, || {
            let answer = answers(cluster, &told)?.pop().unwrap_or_default();
            let spans: Vec<Span> = serde_json::from_str(&answer.body)?;
            let of_kind = |kind| {
                let mut all = spans.iter();
                all.find(|it| it.trace == trace && it.kind == kind).cloned()
            };
            let client = of_kind(CLIENT).filter(|it| it.span == parent);
            Ok(of_kind(SERVER).zip(client))
        })
        .map(|(server, client)| Some((trace, server, client)))
    })?;
    let ok = client.parent == server.span;
    let text = format!(
        "trace {trace}: the server span {:?} and below it the client span {:?}",
        server.name, client.name
    );
    Ok(Observed::new(ok, text))
}
