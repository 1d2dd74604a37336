//! Small shared pieces: addresses, ports, gateways, times, indexes, enums that may be unknown, origins, labels.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use prost::Message;
use proto::{type_urls, weft, workload as pb};

use super::{Error, Problem};
use crate::model::{Destination, GatewayAddress, Origin};
use crate::names::{NamespacedHostname, NamespacedName, NetworkAddress};

/// The resource being read, for errors.
#[derive(Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) kind: &'static str,
    pub(super) name: &'a str,
}

impl Subject<'_> {
    pub(super) fn error(self, field: &'static str, problem: Problem) -> Error {
        Error {
            kind: self.kind,
            name: self.name.into(),
            field,
            problem,
        }
    }

    /// 4 or 16 bytes; IPv4-mapped IPv6 addresses become IPv4, so that one address has one form.
    pub(super) fn address(self, field: &'static str, bytes: &[u8]) -> Result<IpAddr, Error> {
        raw_address(bytes)
            .map(|address| address.to_canonical())
            .ok_or_else(|| self.error(field, Problem::AddressLength(bytes.len())))
    }

    /// An address range; a prefix of an IPv4-mapped IPv6 address becomes one of IPv4.
    pub(super) fn range(
        self,
        field: &'static str,
        bytes: &[u8],
        length: u32,
    ) -> Result<(IpAddr, u8), Error> {
        let bad = || self.error(field, Problem::PrefixLength(length));
        let raw = raw_address(bytes)
            .ok_or_else(|| self.error(field, Problem::AddressLength(bytes.len())))?;
        let address = raw.to_canonical();
        let length = if address == raw {
            length
        } else {
            length.checked_sub(96).ok_or_else(bad)?
        };
        let longest = if address.is_ipv4() { 32 } else { 128 };
        match u8::try_from(length) {
            Ok(prefix) if prefix <= longest => Ok((address, prefix)),
            _ => Err(bad()),
        }
    }

    pub(super) fn port(self, field: &'static str, port: u32) -> Result<u16, Error> {
        u16::try_from(port).map_err(|_| self.error(field, Problem::Port(port)))
    }

    /// A number that fits 16 bits.
    pub(super) fn short(self, field: &'static str, number: u32) -> Result<u16, Error> {
        u16::try_from(number).map_err(|_| self.error(field, Problem::Number(number.into())))
    }

    /// An HTTP status: three digits.
    pub(super) fn status(self, field: &'static str, number: u32) -> Result<u16, Error> {
        match u16::try_from(number) {
            Ok(status @ 100..=999) => Ok(status),
            _ => Err(self.error(field, Problem::Status(number))),
        }
    }

    /// An index into a list of `count`.
    pub(super) fn index(self, field: &'static str, index: u32, count: usize) -> Result<u32, Error> {
        match usize::try_from(index) {
            Ok(place) if place < count => Ok(index),
            _ => Err(self.error(field, Problem::Index { index, count })),
        }
    }

    pub(super) fn required<T>(self, field: &'static str, value: Option<T>) -> Result<T, Error> {
        value.ok_or_else(|| self.error(field, Problem::Missing))
    }

    /// A time, where there is one: not negative, and written in the one way there is.
    pub(super) fn duration(
        self,
        field: &'static str,
        message: Option<prost_types::Duration>,
    ) -> Result<Option<Duration>, Error> {
        let Some(message) = message else {
            return Ok(None);
        };
        let parts = (u64::try_from(message.seconds), u32::try_from(message.nanos));
        match parts {
            (Ok(seconds), Ok(nanos)) if nanos < 1_000_000_000 => {
                Ok(Some(Duration::new(seconds, nanos)))
            }
            _ => Err(self.error(field, Problem::Duration)),
        }
    }

    pub(super) fn needed_duration(
        self,
        field: &'static str,
        message: Option<prost_types::Duration>,
    ) -> Result<Duration, Error> {
        self.duration(field, message)
            .and_then(|it| self.required(field, it))
    }

    pub(super) fn object(
        self,
        field: &'static str,
        namespace: &str,
        name: &str,
    ) -> Result<NamespacedName, Error> {
        let text = format!("{namespace}/{name}");
        NamespacedName::parse(&text)
            .ok_or_else(|| self.error(field, Problem::Name(text.as_str().into())))
    }

    pub(super) fn service(
        self,
        field: &'static str,
        namespace: &str,
        hostname: &str,
    ) -> Result<NamespacedHostname, Error> {
        let NamespacedName { namespace, name } = self.object(field, namespace, hostname)?;
        Ok(NamespacedHostname::new(namespace, name))
    }

    /// An enum value whose meaning must not be guessed.
    pub(super) fn known<T: TryFrom<i32>>(
        self,
        field: &'static str,
        value: i32,
    ) -> Result<T, Error> {
        T::try_from(value).map_err(|_| self.error(field, Problem::UnknownValue(value)))
    }

    /// A waypoint or network gateway. Port 0 is let through: dialling it fails, dropping the whole
    /// resource would turn its traffic into plain text.
    pub(super) fn gateway(
        self,
        field: &'static str,
        message: pb::GatewayAddress,
    ) -> Result<GatewayAddress, Error> {
        use pb::gateway_address::Destination as Wire;
        let destination = match message.destination {
            None => return Err(self.error(field, Problem::Missing)),
            Some(Wire::Hostname(host)) if host.namespace.is_empty() || host.hostname.is_empty() => {
                let name = format!("{}/{}", host.namespace, host.hostname);
                return Err(self.error(field, Problem::Name(name.into())));
            }
            Some(Wire::Hostname(host)) => {
                Destination::Hostname(NamespacedHostname::new(host.namespace, host.hostname))
            }
            Some(Wire::Address(address)) => Destination::Address(NetworkAddress::new(
                address.network,
                self.address(field, &address.address)?,
            )),
        };
        let hbone_port = self.port(field, message.hbone_mtls_port)?;
        Ok(GatewayAddress {
            destination,
            hbone_port,
        })
    }
}

/// Reads all of a list, or says what is wrong with the first bad one.
pub(super) fn all<M, T>(
    messages: Vec<M>,
    one: impl FnMut(M) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    messages.into_iter().map(one).collect()
}

pub(super) fn texts(list: Vec<String>) -> Vec<Arc<str>> {
    list.into_iter().map(Into::into).collect()
}

pub(super) fn texts_message(list: &[Arc<str>]) -> Vec<String> {
    list.iter().map(ToString::to_string).collect()
}

/// Names with their values.
type Pairs = Vec<(Arc<str>, Arc<str>)>;

pub(super) fn pairs(list: Vec<proto::waypoint::Pair>) -> Pairs {
    let one = |it: proto::waypoint::Pair| (it.name.into(), it.value.into());
    list.into_iter().map(one).collect()
}

pub(super) fn pairs_message(list: &[(Arc<str>, Arc<str>)]) -> Vec<proto::waypoint::Pair> {
    let one = |(name, value): &(Arc<str>, Arc<str>)| proto::waypoint::Pair {
        name: name.to_string(),
        value: value.to_string(),
    };
    list.iter().map(one).collect()
}

/// A message that says nothing is left out, so that there is one form of it.
pub(super) fn some_unless_default<M: Default + PartialEq>(message: M) -> Option<M> {
    Some(message).filter(|it| *it != M::default())
}

/// Longer than any life, a time is cut.
pub(super) fn duration_message(duration: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(duration.subsec_nanos()).unwrap_or_default(),
    }
}

fn raw_address(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Some(Ipv4Addr::from(four).into());
    }
    let sixteen = <[u8; 16]>::try_from(bytes).ok()?;
    Some(Ipv6Addr::from(sixteen).into())
}

pub(super) fn address_bytes(address: IpAddr) -> Bytes {
    match address {
        IpAddr::V4(four) => Bytes::copy_from_slice(&four.octets()),
        IpAddr::V6(six) => Bytes::copy_from_slice(&six.octets()),
    }
}

pub(super) fn gateway_message(gateway: &GatewayAddress) -> pb::GatewayAddress {
    use pb::gateway_address::Destination as Wire;
    let destination = match &gateway.destination {
        Destination::Hostname(key) => Wire::Hostname(pb::NamespacedHostname {
            namespace: key.namespace.to_string(),
            hostname: key.hostname.to_string(),
        }),
        Destination::Address(address) => Wire::Address(pb::NetworkAddress {
            network: address.network.to_string(),
            address: address_bytes(address.address),
            length: None,
        }),
    };
    pb::GatewayAddress {
        destination: Some(destination),
        hbone_mtls_port: gateway.hbone_port.into(),
    }
}

/// The text, or what an empty one stands for.
pub(super) fn text_or(text: String, default: &str) -> Arc<str> {
    if text.is_empty() {
        default.into()
    } else {
        text.into()
    }
}

/// The origin among the extensions. It only informs, so one that cannot be read is left out rather
/// than costing the resource.
pub(super) fn origin(extensions: &[pb::Extension]) -> Option<Origin> {
    let config = extension(extensions, type_urls::ORIGIN_EXTENSION, type_urls::ORIGIN)?;
    let message = weft::Origin::decode(config.value.as_slice()).ok()?;
    Some(origin_of(message))
}

pub(super) fn origin_of(message: weft::Origin) -> Origin {
    Origin {
        kind: message.kind.into(),
        namespace: message.namespace.into(),
        name: message.name.into(),
        rule: message.rule.into(),
    }
}

pub(super) fn origin_message(origin: &Origin) -> weft::Origin {
    weft::Origin {
        kind: origin.kind.to_string(),
        namespace: origin.namespace.to_string(),
        name: origin.name.to_string(),
        rule: origin.rule.to_string(),
    }
}

/// The content of the extension of this name, if it is of this type.
fn extension<'a>(
    extensions: &'a [pb::Extension],
    name: &str,
    type_url: &str,
) -> Option<&'a prost_types::Any> {
    let config = extensions
        .iter()
        .find(|it| it.name == name)?
        .config
        .as_ref();
    config.filter(|config| config.type_url == type_url)
}

impl Subject<'_> {
    /// The labels among the extensions. They decide which endpoints may be used, so those that cannot be read refuse
    /// the resource.
    pub(super) fn labels(self, extensions: &[pb::Extension]) -> Result<Pairs, Error> {
        let name = type_urls::LABELS_EXTENSION;
        let Some(config) = extension(extensions, name, type_urls::LABELS) else {
            return Ok(Vec::new());
        };
        let message = weft::Labels::decode(config.value.as_slice())
            .map_err(|error| self.error("extensions.labels", Problem::Malformed(error)))?;
        let one = |(key, value): (String, String)| (key.into(), value.into());
        Ok(message.labels.into_iter().map(one).collect())
    }
}

pub(super) fn extensions(origin: Option<&Origin>) -> Vec<pb::Extension> {
    origin.map(origin_extension).into_iter().collect()
}

fn origin_extension(origin: &Origin) -> pb::Extension {
    let (name, url) = (type_urls::ORIGIN_EXTENSION, type_urls::ORIGIN);
    extension_message(name, url, origin_message(origin).encode_to_vec())
}

pub(super) fn labels_extension(labels: &[(Arc<str>, Arc<str>)]) -> Option<pb::Extension> {
    let one = |(key, value): &(Arc<str>, Arc<str>)| (key.to_string(), value.to_string());
    let message = weft::Labels {
        labels: labels.iter().map(one).collect(),
    };
    let (name, url) = (type_urls::LABELS_EXTENSION, type_urls::LABELS);
    (!labels.is_empty()).then(|| extension_message(name, url, message.encode_to_vec()))
}

fn extension_message(name: &str, type_url: &str, value: Vec<u8>) -> pb::Extension {
    pb::Extension {
        name: name.into(),
        config: Some(prost_types::Any {
            type_url: type_url.into(),
            value,
        }),
    }
}
