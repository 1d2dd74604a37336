//! Pure. Gather changes briefly before telling a client, and write the message.

use std::time::Duration;

use mesh::xds::node::MORE_FOLLOWS;
use proto::discovery::{DeltaDiscoveryResponse, Payload, Resource as WireResource};

use super::session::Push;

/// Quiet for this long, a burst is over.
pub(super) const QUIET: Duration = Duration::from_millis(1);
/// A burst is gathered for at most this long.
pub(super) const LONGEST: Duration = Duration::from_millis(5);

/// How long to go on gathering, `gathered` after the first change of a burst; `None` for no longer.
///
/// Every change starts [`QUIET`] anew, up to [`LONGEST`] in all: a single change waits a millisecond,
/// a rolling update becomes a few pushes. A client that has a push unanswered gathers by itself.
pub(super) fn gather(gathered: Duration) -> Option<Duration> {
    let left = LONGEST.saturating_sub(gathered);
    (!left.is_zero()).then(|| left.min(QUIET))
}

/// The message of a push. Content is shared with the tables and with every other client's message.
pub(super) fn message(push: Push) -> DeltaDiscoveryResponse {
    let more = if push.more_follows { MORE_FOLLOWS } else { "" };
    let resources = push.resources.iter().map(|resource| WireResource {
        version: resource.version_text(),
        name: resource.name.to_string(),
        resource: Some(Payload {
            type_url: push.type_url.to_owned(),
            value: resource.bytes.clone(),
        }),
        aliases: push.aliases(resource),
    });
    DeltaDiscoveryResponse {
        system_version_info: format!("{}{more}", push.head),
        resources: resources.collect(),
        type_url: push.type_url.to_owned(),
        nonce: push.nonce,
        removed_resources: push.removed.iter().map(ToString::to_string).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gathers_until_it_is_quiet_but_not_for_long() {
        assert_eq!(gather(Duration::ZERO), Some(QUIET));
        assert_eq!(
            gather(Duration::from_micros(4_500)),
            Some(Duration::from_micros(500))
        );
        assert_eq!(gather(LONGEST), None);
    }
}
