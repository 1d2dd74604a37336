//! Pure. Values as users write them: patterns, addresses, ports, accounts.
//!
//! A list with a bad value in it is as good as not there: its owner hears of every bad value, and the rule that it
//! stands in counts as one that cannot be enforced in full.

use std::net::{IpAddr, Ipv6Addr};

use mesh::model::{IpRange, ServiceAccountMatch, StringMatch};
use objects::istio::authorization_policy::Values;
use objects::raw::Path;

use super::notes::Notes;

/// The values of a list; `None` when there is no list, or one that cannot be read (`notes` says so).
pub(super) fn list<T>(
    values: &Values,
    path: &Path,
    notes: &mut Notes<'_>,
    read: impl Fn(&str) -> Result<T, String>,
) -> Option<Vec<T>> {
    let values = values.as_ref()?;
    if values.is_empty() {
        notes.invalid(path.clone(), "an empty list: leave it out to mean anything");
        return None;
    }
    let mut good = Vec::new();
    for (index, text) in values.iter().enumerate() {
        match read(text) {
            Ok(value) => good.push(value),
            Err(reason) => notes.invalid(path.clone().at(index), reason),
        }
    }
    (good.len() == values.len()).then_some(good)
}

/// `*`, `*x`, `x*` or exactly x.
pub(super) fn pattern(text: &str) -> Result<StringMatch, String> {
    let (rest, pattern) = if text.is_empty() {
        return Err("an empty text: `*` means any".to_owned());
    } else if text == "*" {
        return Ok(StringMatch::Presence);
    } else if let Some(rest) = text.strip_prefix('*') {
        (rest, StringMatch::Suffix(rest.into()))
    } else if let Some(rest) = text.strip_suffix('*') {
        (rest, StringMatch::Prefix(rest.into()))
    } else {
        (text, StringMatch::Exact(text.into()))
    };
    if rest.contains('*') {
        return Err(format!("{text:?}: `*` may stand at one end only"));
    }
    Ok(pattern)
}

/// An identity without `spiffe://`, or a pattern of it.
pub(super) fn principal(text: &str) -> Result<StringMatch, String> {
    if text.starts_with("spiffe://") {
        return Err(format!(
            "{text:?}: identities are written without `spiffe://`"
        ));
    }
    pattern(text)
}

/// The identities of a trust domain, or of those that start alike.
pub(super) fn trust_domain(text: &str) -> Result<StringMatch, String> {
    if text.contains('/') {
        return Err(format!("{text:?}: a trust domain has no `/`"));
    }
    match pattern(text)? {
        StringMatch::Exact(domain) => Ok(StringMatch::Prefix(format!("{domain}/").into())),
        StringMatch::Suffix(_) => Err(format!(
            "{text:?}: node proxies cannot tell trust domains by their end"
        )),
        prefix => Ok(prefix),
    }
}

/// An address or a range of them.
pub(super) fn range(text: &str) -> Result<IpRange, String> {
    let (address, prefix) = match text.split_once('/') {
        None => (text, None),
        Some((address, prefix)) => (address, Some(prefix)),
    };
    let address: IpAddr = address
        .parse()
        .map_err(|_| format!("{text:?} is neither an address nor a range such as 10.0.0.0/8"))?;
    let longest = if address.is_ipv4() { 32 } else { 128 };
    let prefix = match prefix.map(str::parse::<u8>) {
        None => longest,
        Some(Ok(prefix)) if prefix <= longest => prefix,
        Some(_) => return Err(format!("{text:?}: the prefix length is 0 to {longest}")),
    };
    match address {
        IpAddr::V6(it) if it.to_ipv4_mapped().is_some() => mapped(it, prefix)
            .ok_or_else(|| format!("{text:?}: write IPv4 ranges in IPv4's notation")),
        _ => Ok(IpRange { address, prefix }),
    }
}

/// Connections are told apart by plain IPv4 addresses, so ranges are written with these too.
fn mapped(address: Ipv6Addr, prefix: u8) -> Option<IpRange> {
    Some(IpRange {
        address: address.to_ipv4_mapped()?.into(),
        prefix: prefix.checked_sub(96)?,
    })
}

/// A port in digits.
pub(super) fn port(text: &str) -> Result<u16, String> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(port @ 1..) if is_plain => Ok(port),
        _ => Err(format!("{text:?} is not a port: 1 to 65535")),
    }
}

/// `namespace/name`, or a name in `namespace`.
pub(super) fn account(namespace: &str, text: &str) -> Result<ServiceAccountMatch, String> {
    let (namespace, name) = text.split_once('/').unwrap_or((namespace, text));
    let is_name = |text: &str| !text.is_empty() && !text.contains(['/', '*']);
    if !is_name(namespace) || !is_name(name) {
        return Err(format!(
            "{text:?} is not a service account: `name` or `namespace/name`, without `*`"
        ));
    }
    Ok(ServiceAccountMatch {
        namespace: namespace.into(),
        service_account: name.into(),
    })
}
