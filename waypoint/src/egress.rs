//! Pure. Where a call may leave the mesh whose destination has no endpoints of its own: to the address that the client
//! dialled, or to the host that it asks for. Source: docs/compat.md#egress.
//!
//! A client never chooses freely: the address must be one of the service's, the host one that the service's covers, and
//! whatever is dialled in the end must be outside.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use mesh::model::ServiceAddress;
use mesh::state::Snapshot;

/// What only a call tells of the way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Outside {
    /// The address that was dialled, where it is one of these.
    AsDialled(Arc<[ServiceAddress]>),
    /// The host that is asked for, where this covers it.
    AsAsked(Arc<str>),
}

/// Why a call leads nowhere.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    /// What was dialled is no address, and the service has no endpoints.
    #[error("the service is reached by the address that was dialled, and {0} is none")]
    NoAddress(Box<str>),
    /// What was dialled is another service's.
    #[error("{0} is no address of the service")]
    NotOfService(IpAddr),
    /// Neither Host nor server name.
    #[error("the client names no host, and {0} alone is none")]
    NoHost(Arc<str>),
    /// Another host.
    #[error("{asked} is not covered by {service}")]
    OtherHost {
        /// What the client asks for.
        asked: Box<str>,
        /// What the service's host is.
        service: Arc<str>,
    },
    /// An address that means something on this machine or network only.
    #[error("{0} is not outside: it is special")]
    Special(IpAddr),
    /// The waypoint's own address.
    #[error("{0} is not outside: it is the waypoint's own")]
    Itself(IpAddr),
    /// An address of the mesh.
    #[error("{0} is not outside: it is the mesh's")]
    OfMesh(IpAddr),
}

impl Forbidden {
    /// Whether the service knows nothing of what is asked for, rather than that it cannot be reached.
    pub const fn is_unknown(&self) -> bool {
        matches!(self, Self::NoHost(_) | Self::OtherHost { .. })
    }
}

/// The address that a call to a service with `addresses` goes to, as `authority` of its tunnel was dialled.
///
/// # Errors
/// [`Forbidden`] when it is no address, or not the service's.
pub fn as_dialled(addresses: &[ServiceAddress], authority: &str) -> Result<IpAddr, Forbidden> {
    let dialled: SocketAddr = authority
        .parse()
        .map_err(|_| Forbidden::NoAddress(authority.into()))?;
    let address = dialled.ip().to_canonical();
    match addresses.iter().any(|it| holds(it, address)) {
        true => Ok(address),
        false => Err(Forbidden::NotOfService(address)),
    }
}

/// Whether an address, or a range with its prefix, holds another one.
fn holds(known: &ServiceAddress, address: IpAddr) -> bool {
    let (bits, mine, other) = match (known.address.to_canonical(), address) {
        (IpAddr::V4(known), IpAddr::V4(address)) => (
            32,
            u128::from(known.to_bits()),
            u128::from(address.to_bits()),
        ),
        (IpAddr::V6(known), IpAddr::V6(address)) => (128, known.to_bits(), address.to_bits()),
        _ => return false,
    };
    let length = known.prefix.map_or(bits, u32::from).min(bits);
    // A shift by everything leaves nothing: then every address is inside.
    let rest = |it: u128| it.checked_shr(bits - length).unwrap_or(0);
    rest(mine) == rest(other)
}

/// The host that a call goes to: `asked` is its Host or server name, with or without a port. A service whose host is whole
/// is reached by that, whatever the client asks for.
///
/// # Errors
/// [`Forbidden`] when `service` covers more than one host and not the one that is asked for.
pub fn as_asked(service: &Arc<str>, asked: Option<&str>) -> Result<Arc<str>, Forbidden> {
    let Some(end) = service.strip_prefix('*') else {
        return Ok(Arc::clone(service));
    };
    let none = || Forbidden::NoHost(Arc::clone(service));
    let asked = asked.filter(|it| !it.is_empty()).ok_or_else(none)?;
    let host = asked.split(':').next().unwrap_or_default();
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let start = host.strip_suffix(&*end.to_ascii_lowercase());
    let is_covered = start.is_some_and(|it| !it.is_empty());
    match is_covered && is_host(&host) {
        true => Ok(host.into()),
        false => Err(Forbidden::OtherHost {
            asked: asked.into(),
            service: Arc::clone(service),
        }),
    }
}

/// Whether a text is a name that can be resolved (RFC 1123, 2.1), with underscores as they are used.
fn is_host(host: &str) -> bool {
    let is_label = |label: &str| {
        let bytes = label.bytes();
        let are_plain = bytes
            .clone()
            .all(|it| it.is_ascii_alphanumeric() || matches!(it, b'-' | b'_'));
        (1..=63).contains(&bytes.len()) && are_plain
    };
    host.len() <= 253 && host.split('.').all(is_label)
}

/// Looks at an address before it is dialled for a client who chose it, by dialling or by a name; `own` is this waypoint's.
///
/// # Errors
/// [`Forbidden`] when it is not outside of the mesh.
pub fn check(
    snapshot: &Snapshot,
    own: Option<IpAddr>,
    outside: &Outside,
    address: IpAddr,
) -> Result<(), Forbidden> {
    let address = address.to_canonical();
    if is_special(address) {
        return Err(Forbidden::Special(address));
    }
    if own.is_some_and(|own| own.to_canonical() == address) {
        return Err(Forbidden::Itself(address));
    }
    let network = snapshot.network();
    let is_workload = || snapshot.workload_by_address(network, address).is_some();
    // What was dialled is a service's by itself; a name may lead to anything.
    let is_service = || {
        let service = snapshot.service_by_virtual_address(network, address, None);
        matches!(outside, Outside::AsAsked(_)) && service.is_some()
    };
    match is_workload() || is_service() {
        true => Err(Forbidden::OfMesh(address)),
        false => Ok(()),
    }
}

/// Loopback, link-local, unspecified, multicast, broadcast; also inside of IPv6 addresses that carry IPv4 ones.
fn is_special(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let [first, ..] = address.octets();
            first == 0
                || address.is_loopback()
                || address.is_link_local()
                || address.is_multicast()
                || address.is_broadcast()
        }
        IpAddr::V6(address) => {
            // RFC 6052: the well-known prefix of translators, 64:ff9b::/96.
            const TRANSLATED: u128 = 0x64_ff9b << 96;
            let bits = address.to_bits();
            let carries = bits >> 32 == TRANSLATED >> 32 || (bits >> 32 == 0 && bits > 1);
            let inner = || IpAddr::V4(u32::try_from(bits & 0xffff_ffff).unwrap_or(0).into());
            address.is_unspecified()
                || address.is_loopback()
                || address.is_unicast_link_local()
                || address.is_multicast()
                || (carries && is_special(inner()))
        }
    }
}

#[cfg(test)]
mod tests;
