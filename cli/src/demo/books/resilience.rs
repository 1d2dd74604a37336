//! Servers that fail or are slow, by themselves and on purpose.

use anyhow::Result;
use sandbox::app::echo::{Answer, Ask};

use super::{IN_FORCE, Observed, answers, counts, get, in_words, one};
use crate::demo::cluster::Cluster;
use crate::demo::observe::wait_until;

const FAULTS: &str = include_str!("faults.yaml");
const EJECTION: &str = include_str!("ejection.yaml");
/// Requests of a step.
const REQUESTS: u32 = 40;

/// One of two servers answers nothing but 503; with retries nobody notices.
pub(in crate::demo) fn retry(cluster: &mut Cluster) -> Result<Observed> {
    let ask = |path: &str| Ask::get(&format!("http://fickle{path}")).times(REQUESTS);
    let without = counts(&answers(cluster, &ask("/once"))?);
    let with = counts(&answers(cluster, &ask("/again"))?);
    let ok = with.get("books-v1") == Some(&REQUESTS) && without.contains_key("status 503");
    let (without, with) = (in_words(&without), in_words(&with));
    Ok(Observed::new(
        ok,
        format!("without retries: {without}; with: {with}"),
    ))
}

/// A request that takes too long ends with 504.
pub(in crate::demo) fn timeout(cluster: &mut Cluster) -> Result<Observed> {
    let (answer, _) = one(cluster, &get("/slow/delay/5s"))?;
    let ok = answer.status == 504 && (200..1000).contains(&answer.milliseconds);
    let text = format!(
        "a server that takes 5 s, a limit of 200 ms: {} after {} ms",
        answer.status, answer.milliseconds
    );
    Ok(Observed::new(ok, text))
}

/// Faults are injected where a VirtualService says.
pub(in crate::demo) fn fault(cluster: &mut Cluster) -> Result<Observed> {
    cluster.sandbox().apply(FAULTS)?;
    let ask = |path: &str| Ask::get(&format!("http://books-v2{path}"));
    let broken = wait_until("the fault is in force", IN_FORCE, || {
        let (answer, _) = one(cluster, &ask("/broken"))?;
        Ok((answer.status == 503).then_some(answer))
    })?;
    let (late, _) = one(cluster, &ask("/late"))?;
    let (untouched, _) = one(cluster, &ask("/whole"))?;
    let ok = (late.status, untouched.status) == (200, 200)
        && (300..1500).contains(&late.milliseconds)
        && untouched.milliseconds < 300;
    let text = format!(
        "/broken: {} {:?}; /late: {} after {} ms; another path: {} after {} ms",
        broken.status,
        broken.body.trim(),
        late.status,
        late.milliseconds,
        untouched.status,
        untouched.milliseconds
    );
    Ok(Observed::new(ok, text))
}

/// A server that fails again and again gets no more requests.
pub(in crate::demo) fn ejection(cluster: &mut Cluster) -> Result<Observed> {
    cluster.sandbox().apply(EJECTION)?;
    let ask = Ask::get("http://fickle/once").times(REQUESTS);
    let is_good = |answer: &Answer| answer.status == 200;
    let (mut failed, mut all_good) = (0, Vec::new());
    wait_until("the failing server is left out", IN_FORCE, || {
        all_good = answers(cluster, &ask)?;
        failed += all_good.iter().filter(|it| !is_good(it)).count();
        Ok(all_good.iter().all(is_good).then_some(()))
    })?;
    let text = format!(
        "after {failed} failures it is left out: {}",
        in_words(&counts(&all_good))
    );
    Ok(Observed::new(failed > 0, text))
}
