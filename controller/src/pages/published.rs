//! Metrics of what is published and sent, read from the parts that count it when they are asked for.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::publish::{self, TypeCounters};
use crate::resources::{Counters, Resources};

/// Reads the counters of resources and of the xDS server.
pub(super) struct Published {
    pub(super) resources: Arc<Resources>,
    pub(super) discovery: publish::Service,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfType {
    r#type: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfReason {
    reason: &'static str,
}

/// Name, meaning, and where the number is found.
type Row<T> = (&'static str, &'static str, fn(&T) -> u64);

const OF_RESOURCES: [Row<Counters>; 2] = [
    (
        "weft_controller_resources_changed",
        "Resources that came out different",
        |it| it.changed,
    ),
    (
        "weft_controller_resources_removed",
        "Resources that are gone",
        |it| it.removed,
    ),
];

const OF_DISCOVERY: [Row<TypeCounters>; 6] = [
    ("weft_controller_xds_pushes", "Responses sent", |it| {
        it.pushes
    }),
    ("weft_controller_xds_resources", "Resources sent", |it| {
        it.resources
    }),
    ("weft_controller_xds_removals", "Names sent as gone", |it| {
        it.removed
    }),
    ("weft_controller_xds_sent_bytes", "Content sent", |it| {
        it.bytes
    }),
    ("weft_controller_xds_acks", "Responses taken", |it| it.acks),
    (
        "weft_controller_xds_nacks",
        "Responses not taken in full",
        |it| it.nacks,
    ),
];

impl Collector for Published {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let discovery = self.discovery.counters();
        table(&mut encoder, &OF_RESOURCES, &self.resources.counters())?;
        table(&mut encoder, &OF_DISCOVERY, &discovery.types)?;
        let refused = discovery
            .refused
            .iter()
            .map(|(reason, it)| (OfReason { reason }, *it));
        counters(
            &mut encoder,
            "weft_controller_xds_refused",
            "Streams refused",
            refused,
        )?;
        let open = ConstGauge::new(discovery.open);
        let name = "weft_controller_xds_streams";
        open.encode(encoder.encode_descriptor(name, "Streams open", None, MetricType::Gauge)?)
    }
}

/// Every row as one counter with one value per type.
fn table<T>(
    encoder: &mut DescriptorEncoder<'_>,
    rows: &[Row<T>],
    numbers: &BTreeMap<&'static str, T>,
) -> Result<(), fmt::Error> {
    for (name, help, number) in rows {
        let labelled = numbers.iter().map(|(type_url, it)| {
            (
                OfType {
                    r#type: short(type_url),
                },
                number(it),
            )
        });
        counters(encoder, name, help, labelled)?;
    }
    Ok(())
}

/// One counter with one value per label set.
fn counters<L: EncodeLabelSet>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    numbers: impl Iterator<Item = (L, u64)>,
) -> Result<(), fmt::Error> {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (labels, number) in numbers {
        ConstCounter::new(number).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

/// The part of a type URL that tells types apart.
fn short(type_url: &'static str) -> &'static str {
    type_url.rsplit_once('/').map_or(type_url, |(_, name)| name)
}

impl fmt::Debug for Published {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Published")
    }
}
