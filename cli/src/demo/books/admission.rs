//! Which requests are admitted: by method and path, and by the token that they bring.

use anyhow::Result;
use sandbox::app::echo::Ask;

use super::{IN_FORCE, Observed, get, one};
use crate::demo::cluster::Cluster;
use crate::demo::observe::wait_until;

const POLICIES: &str = include_str!("policies.yaml");
const TOKENS: &str = include_str!("tokens.yaml");
/// Signed with the key in `tokens.yaml`; good for a thousand years, and for nothing but the demo.
const GOOD: &str = "eyJhbGciOiJFUzI1NiIsImtpZCI6ImRlbW8iLCJ0eXAiOiJKV1QifQ.eyJpc3MiOiJkZW1vLndlZnQuZGV2Iiwic3ViIjoiYW5uIiwiZXhwIjozMjUwMzY4MDAwMH0.kIzpnkbE9wwVRpNP-nmud1pbncgw14a04tIyo41D5HTI15JobcswMQExpCnJ95HnbpntZ2wXcyW8IRHlNBSB8A";
/// The same claims, signed by somebody else.
const FORGED: &str = "eyJhbGciOiJFUzI1NiIsImtpZCI6ImRlbW8iLCJ0eXAiOiJKV1QifQ.eyJpc3MiOiJkZW1vLndlZnQuZGV2Iiwic3ViIjoiYW5uIiwiZXhwIjozMjUwMzY4MDAwMH0.v-XYGLYybjCsyXDxWw2RymfjxC1MGExtlXp9hcpUhvkocJe-9IaFlIlyhP_Xhxk5AMv97zWI-irW4l5jrCXUkw";

/// A policy refuses a method and a path, and nothing else.
pub(in crate::demo) fn denied(cluster: &mut Cluster) -> Result<Observed> {
    cluster.sandbox().apply(POLICIES)?;
    let mut delete = get("/page");
    delete.method = "DELETE".to_owned();
    let refused = wait_until("the policy is in force", IN_FORCE, || {
        let (answer, _) = one(cluster, &delete)?;
        Ok((answer.status == 403).then_some(answer))
    })?;
    let (vault, _) = one(cluster, &get("/vault/1"))?;
    let (page, _) = one(cluster, &get("/page"))?;
    let ok = vault.status == 403 && page.status == 200;
    let text = format!(
        "DELETE /page: 403 {:?}; GET /vault/1: {}; GET /page: {}",
        refused.body.trim(),
        vault.status,
        page.status
    );
    Ok(Observed::new(ok, text))
}

/// Without a token 403, with a forged one 401, with a good one an answer.
pub(in crate::demo) fn tokens(cluster: &mut Cluster) -> Result<Observed> {
    cluster.sandbox().apply(TOKENS)?;
    let ask = || Ask::get("http://books-v1/page");
    let bearing = |token: &str| ask().with("authorization", &format!("Bearer {token}"));
    wait_until("tokens are wanted", IN_FORCE, || {
        let (none, _) = one(cluster, &ask())?;
        Ok((none.status == 403).then_some(()))
    })?;
    let (forged, _) = one(cluster, &bearing(FORGED))?;
    let (good, _) = one(cluster, &bearing(GOOD))?;
    let ok = forged.status == 401 && good.status == 200;
    let text = format!(
        "no token: 403; a forged one: {}; a good one: {}",
        forged.status, good.status
    );
    Ok(Observed::new(ok, text))
}
