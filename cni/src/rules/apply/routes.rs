//! The routing rule and table that lead replies back to the loopback, in the calling thread's network namespace.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::pin::pin;

use futures_util::TryStreamExt;
use futures_util::future::{Either, select};
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::route::{RouteAttribute, RouteMessage, RouteScope, RouteType};
use rtnetlink::packet_route::rule::{RuleAction, RuleAttribute, RuleMessage};
use rtnetlink::{Handle, IpVersion, RouteMessageBuilder};

use mesh::telemetry::privilege::{NET_ADMIN, lack};

use crate::nft::AddressKind;
use crate::rules::{MARK_MASK, REPLY_MARK, ROUTE_RULE_PRIORITY, ROUTE_TABLE};

/// The loopback has this index in every namespace.
const LOOPBACK: u32 = 1;

/// Why routing could not be changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no way to talk to the kernel.
    #[error("cannot talk to the kernel's routing over netlink")]
    Netlink(#[source] io::Error),
    /// The kernel refused.
    #[error("kernel refused to {action} for {kind:?}{}", missing_capability(.source))]
    Refused {
        /// What was asked.
        action: &'static str,
        /// For which IP version.
        kind: AddressKind,
        /// Its answer.
        source: rtnetlink::Error,
    },
}

/// Adds rule and table for these IP versions; IPv6 is left out where the loopback has none.
pub(super) fn add(kinds: &[AddressKind]) -> Result<(), Error> {
    let kinds: Vec<_> = kinds.iter().copied().filter(|kind| exists(*kind)).collect();
    with_netlink(async |handle| {
        for kind in kinds {
            let mut request = handle.rule().add();
            *request.message_mut() = rule(kind);
            tolerate(request.execute().await, libc::EEXIST).map_err(|source| Error::Refused {
                action: "add the rule",
                kind,
                source,
            })?;
            // Replacing is idempotent where adding is not.
            let request = handle.route().add(route(kind)).replace();
            request.execute().await.map_err(|source| Error::Refused {
                action: "add the route",
                kind,
                source,
            })?;
        }
        Ok(())
    })
}

/// Removes rule and table; fine when they are not there.
pub(super) fn remove() -> Result<(), Error> {
    let kinds = [AddressKind::V4, AddressKind::V6]
        .into_iter()
        .filter(|kind| exists(*kind));
    with_netlink(async |handle| {
        for kind in kinds {
            tolerate(handle.rule().del(rule(kind)).execute().await, libc::ENOENT).map_err(
                |source| Error::Refused {
                    action: "remove the rule",
                    kind,
                    source,
                },
            )?;
            tolerate(handle.route().del(route(kind)).execute().await, libc::ESRCH).map_err(
                |source| Error::Refused {
                    action: "remove the route",
                    kind,
                    source,
                },
            )?;
        }
        Ok(())
    })
}

/// Those of these IP versions for which the rule or the route is not there.
pub(super) fn missing(kinds: &[AddressKind]) -> Result<Vec<AddressKind>, Error> {
    let kinds: Vec<_> = kinds.iter().copied().filter(|kind| exists(*kind)).collect();
    with_netlink(async |handle| {
        let mut missing = Vec::new();
        for kind in kinds {
            let refused = |source| Error::Refused {
                action: "list rules and routes",
                kind,
                source,
            };
            let version = match kind {
                AddressKind::V4 => IpVersion::V4,
                AddressKind::V6 => IpVersion::V6,
            };
            // Without a destination all routes are listed.
            let mut any = RouteMessage::default();
            any.header.address_family = family(kind);
            let rules: Vec<_> = handle
                .rule()
                .get(version)
                .execute()
                .try_collect()
                .await
                .map_err(refused)?;
            let routes: Vec<_> = handle
                .route()
                .get(any)
                .execute()
                .try_collect()
                .await
                .map_err(refused)?;
            if !rules.iter().any(is_rule) || !routes.iter().any(is_route) {
                missing.push(kind);
            }
        }
        Ok(missing)
    })
}

fn is_rule(there: &RuleMessage) -> bool {
    let has = |wanted: &RuleAttribute| there.attributes.contains(wanted);
    there.header.action == RuleAction::ToTable
        && (u32::from(there.header.table) == ROUTE_TABLE || has(&RuleAttribute::Table(ROUTE_TABLE)))
        && has(&RuleAttribute::Priority(ROUTE_RULE_PRIORITY))
        && has(&RuleAttribute::FwMark(REPLY_MARK))
        && has(&RuleAttribute::FwMask(MARK_MASK))
}

fn is_route(there: &RouteMessage) -> bool {
    let has = |wanted: &RouteAttribute| there.attributes.contains(wanted);
    there.header.kind == RouteType::Local
        && there.header.destination_prefix_length == 0
        && (u32::from(there.header.table) == ROUTE_TABLE
            || has(&RouteAttribute::Table(ROUTE_TABLE)))
        && has(&RouteAttribute::Oif(LOOPBACK))
}

fn rule(kind: AddressKind) -> RuleMessage {
    let mut rule = RuleMessage::default();
    rule.header.family = family(kind);
    rule.header.action = RuleAction::ToTable;
    rule.attributes = vec![
        RuleAttribute::Priority(ROUTE_RULE_PRIORITY),
        RuleAttribute::FwMark(REPLY_MARK),
        RuleAttribute::FwMask(MARK_MASK),
        RuleAttribute::Table(ROUTE_TABLE),
    ];
    rule
}

fn family(kind: AddressKind) -> AddressFamily {
    match kind {
        AddressKind::V4 => AddressFamily::Inet,
        AddressKind::V6 => AddressFamily::Inet6,
    }
}

fn route(kind: AddressKind) -> RouteMessage {
    macro_rules! to_loopback {
        ($address:ty) => {
            RouteMessageBuilder::<$address>::new()
                .destination_prefix(<$address>::UNSPECIFIED, 0)
                .output_interface(LOOPBACK)
                .table_id(ROUTE_TABLE)
                .kind(RouteType::Local)
                .scope(RouteScope::Host)
                .build()
        };
    }
    match kind {
        AddressKind::V4 => to_loopback!(Ipv4Addr),
        AddressKind::V6 => to_loopback!(Ipv6Addr),
    }
}

/// Whether the loopback of this namespace speaks that version. The path shows the calling thread's namespace.
fn exists(kind: AddressKind) -> bool {
    kind == AddressKind::V4
        || std::fs::read_to_string("/proc/sys/net/ipv6/conf/lo/disable_ipv6")
            .is_ok_and(|disabled| disabled.trim() == "0")
}

fn missing_capability(error: &rtnetlink::Error) -> String {
    match error {
        rtnetlink::Error::NetlinkError(error) => lack(&error.to_io(), NET_ADMIN),
        _ => String::new(),
    }
}

fn tolerate(result: Result<(), rtnetlink::Error>, errno: i32) -> Result<(), rtnetlink::Error> {
    match result {
        Err(rtnetlink::Error::NetlinkError(error)) if error.raw_code() == -errno => Ok(()),
        result => result,
    }
}

/// Gives `work` a netlink connection of this thread's namespace, without a task of its own.
fn with_netlink<T>(work: impl AsyncFnOnce(Handle) -> Result<T, Error>) -> Result<T, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .map_err(Error::Netlink)?;
    runtime.block_on(async {
        let (connection, handle, _messages) =
            rtnetlink::new_connection().map_err(Error::Netlink)?;
        match select(pin!(work(handle)), pin!(connection)).await {
            Either::Left((result, _)) => result,
            Either::Right(((), rest)) => rest.await,
        }
    })
}
