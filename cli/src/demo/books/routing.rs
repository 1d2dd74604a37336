//! Which version a request is for: shares, a header, and who else hears of it.

use std::collections::BTreeMap;

use anyhow::Result;
use sandbox::app::echo::Ask;

use super::{IN_FORCE, Observed, answers, counts, get, in_words};
use crate::demo::cluster::{Cluster, WEB_PORT, url};
use crate::demo::observe::wait_until;

/// Requests of the split, and how far from 10 % of them may go astray: five standard deviations.
const REQUESTS: u32 = 1000;
const ASTRAY: u32 = 47;
/// Requests of the other steps.
const SOME: u32 = 20;

/// Nine in ten requests go to one version.
pub(in crate::demo) fn split(cluster: &mut Cluster) -> Result<Observed> {
    let counts = counts(&answers(cluster, &get("/split").times(REQUESTS))?);
    let second = counts.get("books-v2").copied().unwrap_or_default();
    let ok = second.abs_diff(REQUESTS / 10) <= ASTRAY && counts.len() == 2;
    let text = format!(
        "{REQUESTS} requests over one connection: {}",
        in_words(&counts)
    );
    Ok(Observed::new(ok, text))
}

/// Whoever says so is given the new version.
pub(in crate::demo) fn canary(cluster: &mut Cluster) -> Result<Observed> {
    let early = get("/split").with("x-reader", "early");
    let counts = counts(&answers(cluster, &early.times(SOME))?);
    let ok = counts.get("books-v2") == Some(&SOME);
    let text = format!(
        "{SOME} requests with x-reader: early: {}",
        in_words(&counts)
    );
    Ok(Observed::new(ok, text))
}

/// A copy of every request goes to another version, whose answers nobody sees.
pub(in crate::demo) fn mirror(cluster: &mut Cluster) -> Result<Observed> {
    let seen = counts(&answers(cluster, &get("/mirrored").times(SOME))?);
    let mirror = cluster.address("books/books-v2", false)?;
    let ask = Ask::get(&url(mirror, WEB_PORT, "/counts"));
    let copies = wait_until("all copies arrive", IN_FORCE, || {
        let answer = answers(cluster, &ask)?.pop().unwrap_or_default();
        let counts: BTreeMap<String, u32> = serde_json::from_str(&answer.body)?;
        let copies = counts.get("/mirrored").copied().unwrap_or_default();
        Ok((copies >= SOME).then_some(copies))
    })?;
    let ok = seen.get("books-v1") == Some(&SOME) && copies == SOME;
    let text = format!(
        "answered by {}; books-v2 counted {copies} copies",
        in_words(&seen)
    );
    Ok(Observed::new(ok, text))
}
