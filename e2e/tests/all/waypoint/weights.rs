//! Shares of requests: counted, per request and not per connection, with backends that are not there.

use std::collections::BTreeMap;

use anyhow::Result;
use sandbox::app::echo::{Answer, Ask, Speech};

use super::{CLIENT, Shop, get, journey, route, seen};
use crate::{Journey, ensure};

pub(crate) const JOURNEYS: [Journey; 2] = [
    (
        "waypoint_weights_are_kept_over_one_connection_and_over_many",
        shares,
    ),
    (
        "waypoint_the_share_of_a_missing_backend_fails_and_no_other",
        missing,
    ),
];

/// How many answers of each version there were; those without one by status.
pub(super) fn counts(shop: &Shop, ask: &Ask) -> Result<BTreeMap<String, u32>> {
    Ok(counts_of(&shop.answers(CLIENT, ask)?))
}

/// The same of answers that are there.
pub(super) fn counts_of(answers: &[Answer]) -> BTreeMap<String, u32> {
    let mut counts = BTreeMap::new();
    for answer in answers {
        let name = match seen(answer) {
            Ok(seen) if answer.status == 200 => seen.version,
            _ => answer.status.to_string(),
        };
        *counts.entry(name).or_default() += 1;
    }
    counts
}

/// Whether a share of `all` is within five points of `percent`.
fn is_share(count: Option<&u32>, percent: u32, all: u32) -> bool {
    let count = count.copied().unwrap_or_default();
    (count * 100).abs_diff(percent * all) <= 5 * all
}

fn shares() -> Result<()> {
    journey("wp-weights", |shop| {
        shop.apply(&route(
            "weights",
            "  - backendRefs:\n    - {name: echo-v1, port: 80, weight: 90}\n    - {name: echo-v2, port: 80, weight: 10}\n",
        ))?;
        shop.answered_with(&get("/"), 200)?;
        shop.route_is_accepted("httproutes", "weights")?;
        for (speech, is_new_each_time) in [
            (Speech::Http1, false),
            (Speech::Http2, false),
            (Speech::Http1, true),
        ] {
            let mut ask = get("/counted").times(1000);
            (ask.speech, ask.is_new_each_time, ask.side_by_side) = (speech, is_new_each_time, 2);
            let counts = counts(shop, &ask)?;
            let is_right = is_share(counts.get("v1"), 90, 1000)
                && is_share(counts.get("v2"), 10, 1000)
                && counts.len() == 2;
            ensure(is_right, || format!("{speech:?}: {counts:?}"))?;
        }
        // All of it to one, by weight.
        shop.apply(&route(
            "weights",
            "  - backendRefs:\n    - {name: echo-v1, port: 80, weight: 0}\n    - {name: echo-v2, port: 80, weight: 3}\n",
        ))?;
        shop.answered_by(&get("/"), "v2")?;
        let counts = counts(shop, &get("/").times(100))?;
        ensure(counts.get("v2") == Some(&100), || format!("{counts:?}"))
    })
}

fn missing() -> Result<()> {
    journey("wp-missing", |shop| {
        shop.apply(&route(
            "missing",
            "  - matches: [{path: {type: PathPrefix, value: /half}}]\n    backendRefs:\n    - {name: echo-v1, port: 80}\n    - {name: nobody, port: 80}\n  \
             - matches: [{path: {type: PathPrefix, value: /unused}}]\n    backendRefs:\n    - {name: echo-v1, port: 80}\n    - {name: nobody, port: 80, weight: 0}\n  \
             - matches: [{path: {type: PathPrefix, value: /none}}]\n    backendRefs: [{name: nobody, port: 80}]\n  \
             - matches: [{path: {type: PathPrefix, value: /zero}}]\n    backendRefs: [{name: echo-v1, port: 80, weight: 0}]\n  \
             - matches: [{path: {type: PathPrefix, value: /empty}}]\n",
        ))?;
        shop.answered_with(&get("/none"), 500)?;
        shop.answered_with(&get("/zero"), 500)?;
        shop.answered_with(&get("/empty"), 500)?;
        shop.answered_by(&get("/unused"), "v1")?;
        let unused = counts(shop, &get("/unused").times(100))?;
        ensure(unused.get("v1") == Some(&100), || format!("{unused:?}"))?;
        let half = counts(shop, &get("/half").times(400))?;
        let is_right = (120..=280).contains(&half.get("500").copied().unwrap_or_default());
        ensure(is_right && half.len() == 2, || format!("{half:?}"))?;
        let resource = "httproutes.gateway.networking.k8s.io";
        shop.status(resource, "shop", "missing", |status| {
            let resolved = super::condition(status, "ResolvedRefs");
            let accepted = super::condition(status, "Accepted");
            resolved == Some(("False".to_owned(), "BackendNotFound".to_owned()))
                && accepted.is_some_and(|(status, _)| status == "True")
        })?;
        Ok(())
    })
}
