//! The step about bad input: a broken manifest is named, and nothing else happens.

use std::time::Duration;

use anyhow::Result;
use sandbox::Target;
use serde_json::Value;

use super::Observed;
use super::cluster::{Cluster, WEB_PORT, url};
use super::observe::wait_until;
use super::repeat::Repeat;
use crate::look::{self, text};

/// Longest time until a problem is reported, or gone.
const NOTICED: Duration = Duration::from_secs(10);
/// A policy that somebody edits by hand, with a slip in line 9.
const SLIP: &str = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata:\n  name: by-hand\n  \
                    namespace: shop\nspec:\n  action: DENY\n  rules:\n    - to: everybody\n";

/// Written past every check, as an editor would.
pub(super) fn manifest(cluster: &mut Cluster) -> Result<Observed> {
    let address = cluster.address("shop/web-2", false)?;
    let talk = Repeat::start(
        cluster,
        "shop/customer",
        &url(address, WEB_PORT, "/steadily"),
    )?;
    let file = cluster.sandbox().place().cluster().join("by-hand.yaml");
    std::fs::write(&file, SLIP)?;
    let problem = wait_until("the slip is reported", NOTICED, || problem(cluster))?;
    std::fs::remove_file(&file)?;
    wait_until("the report goes with the file", NOTICED, || {
        Ok(self::problem(cluster)?.is_none().then_some(()))
    })?;
    let seen = talk.stop()?;
    let line = problem.get("line").and_then(Value::as_u64);
    let shown = format!(
        "by-hand.yaml:{}: {}: {}: {}\nmeanwhile {} answers over one connection, {}",
        line.unwrap_or_default(),
        text(&problem, "object"),
        text(&problem, "field"),
        text(&problem, "reason"),
        seen.answers,
        if seen.was_cut { "then cut" } else { "not cut" },
    );
    let ok = line == Some(9) && !seen.was_cut && seen.answers > 0;
    Ok(Observed::new(ok, shown))
}

/// What the controller says of the file.
fn problem(cluster: &Cluster) -> Result<Option<Value>> {
    let all = look::json(cluster.sandbox(), &Target::ControlPlane, look::PROBLEMS)?;
    let Value::Array(all) = all else {
        return Ok(None);
    };
    let is_ours = |it: &Value| text(it, "file").ends_with("by-hand.yaml");
    Ok(all.into_iter().find(is_ours))
}
