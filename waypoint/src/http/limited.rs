//! Does a request come too often?

use std::sync::LazyLock;
use std::time::Instant;

use mesh::authz::Token;

use super::{Exchange, claim};
use crate::asked::Asked;
use crate::limit::{self, Left};
use crate::reply::Reply;
use crate::routes::compile::Rule;
use crate::served::Policies;

/// What buckets count time from.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Counts a request; what is left is for the response.
///
/// # Errors
/// The answer to one too many.
pub(super) fn take(
    exchange: &Exchange<'_>,
    policies: &Policies,
    asked: &Asked,
    token: Option<&Token>,
    rule: Option<&Rule>,
) -> Result<Option<Left>, Reply> {
    if policies.limits.is_empty() {
        return Ok(None);
    }
    let principal = exchange.call.link.peer.identity.to_string();
    let claim = |path: &str| claim(token, path);
    let request = limit::Request {
        facts: limit::facts_of(asked, &claim),
        principal: principal.strip_prefix("spiffe://").unwrap_or(&principal),
        source: exchange.call.client,
        rule: rule.map(|it| &*it.origin),
    };
    let left = policies.limits.take(&request, START.elapsed());
    left.map_err(|reply| *reply)
}
