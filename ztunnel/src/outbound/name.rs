//! Gives the next hop an address when the mesh knows it by a host name only.
//! Source: docs/compat.md#host-names.

use std::net::IpAddr;

use mesh::flow::{EndsFlow, Reason};

use super::resolve::{Route, Way};
use crate::pod::{PATIENCE, Pod};
use crate::resolver;

/// Why the hop has no address.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Too many connections of the pod wait.
    #[error("too many connections of the pod wait for something")]
    Crowded,
    /// The name could not be resolved.
    #[error(transparent)]
    Resolver(#[from] resolver::Error),
}

impl EndsFlow for Error {
    fn reason(&self) -> Reason {
        match self {
            Error::Crowded => Reason::Overloaded,
            Error::Resolver(error) => error.reason(),
        }
    }
}

/// The whole way, with an address in the place of a host name. `dialled` is the address that the
/// application used, `random` decides between equals.
///
/// # Errors
/// [`Error`]; its reason says whose fault it is.
pub async fn settle(pod: &Pod, route: Route, dialled: IpAddr, random: u64) -> Result<Way, Error> {
    let (host, onward) = match route {
        Route::Known(way) => return Ok(way),
        Route::Named { host, onward } => (host, onward),
    };
    let _place = pod.waiting.enter().ok_or(Error::Crowded)?;
    let addresses = pod.shared.resolver.addresses(&host, PATIENCE).await?;
    match choose(&addresses, dialled, random) {
        Some(address) => Ok(onward.at(address)),
        None => Err(resolver::Error::Empty { host }.into()),
    }
}

/// Any of the addresses of the family that was dialled; of the other one where it has none.
fn choose(addresses: &[IpAddr], dialled: IpAddr, random: u64) -> Option<IpAddr> {
    let is_same = |it: &&IpAddr| it.is_ipv4() == dialled.is_ipv4();
    let same: Vec<_> = addresses.iter().filter(is_same).collect();
    let among: Vec<_> = match same.is_empty() {
        true => addresses.iter().collect(),
        false => same,
    };
    let count = u64::try_from(among.len()).ok()?;
    let at = usize::try_from(random.checked_rem(count)?).ok()?;
    among.get(at).map(|it| **it)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drawn::ip;

    #[test]
    fn the_dialled_family_comes_first_and_chance_decides_among_equals() {
        let both = [ip("10.0.0.1"), ip("fd00::1"), ip("10.0.0.2")];
        let (four, six) = (ip("10.96.0.1"), ip("fd96::1"));
        let of = |dialled, random| choose(&both, dialled, random).unwrap().to_string();
        assert_eq!([of(four, 0), of(four, 1)], ["10.0.0.1", "10.0.0.2"]);
        assert_eq!([of(six, 0), of(six, 1)], ["fd00::1", "fd00::1"]);
        assert_eq!(choose(&both[1..2], four, 7), Some(ip("fd00::1")));
        assert_eq!(choose(&[], four, 7), None);
    }
}
