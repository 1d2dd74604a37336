//! Pure. The result of the plugins before, read, and written down in another version of the specification.
//!
//! A runtime should hand it over in the version of the configuration. One that does not is understood all the same:
//! what changed between 0.3.1 and 1.1.0 is little.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::reply::{Failure, VERSIONS, is_at_least};

/// What a result has only from 1.1.0 on, by the list that it is in.
const SINCE_1_1: [(&str, &[&str]); 2] = [
    ("interfaces", &["mtu", "socketPath", "pciID"]),
    ("routes", &["mtu", "advmss", "priority", "table", "scope"]),
];

/// What the plugins before have done.
#[derive(Debug)]
pub(super) struct PreviousResult {
    /// The JSON to hand on.
    pub(super) text: String,
    /// The pod's addresses.
    pub(super) addresses: Vec<ResultAddress>,
}

/// One address of a result.
#[derive(Debug, Deserialize)]
pub(super) struct ResultAddress {
    pub(super) interface: Option<i64>,
    #[serde(deserialize_with = "from_text")]
    pub(super) address: IpNet,
    pub(super) gateway: Option<IpAddr>,
}

impl PreviousResult {
    /// Reads a result, to be handed on in `version`.
    pub(super) fn read(mut result: Map<String, Value>, version: &str) -> Result<Self, Failure> {
        let ips = result
            .get("ips")
            .cloned()
            .unwrap_or_else(|| Value::Array(Vec::new()));
        let addresses = Vec::<ResultAddress>::deserialize(ips)
            .map_err(|error| Failure::configuration(&format!("prevResult.ips: {error}")))?;
        let said = result.get("cniVersion").and_then(Value::as_str);
        // Results of before 1.0.0 need not say which version they are of: it is the configuration's.
        let before = said.unwrap_or(version).to_owned();
        if !VERSIONS.contains(&before.as_str()) {
            return Err(Failure::version(&before));
        }
        if before != version {
            convert(&mut result, version);
        }
        result.insert("cniVersion".into(), Value::from(version));
        Ok(PreviousResult {
            text: Value::Object(result).to_string(),
            addresses,
        })
    }
}

fn convert(result: &mut Map<String, Value>, version: &str) {
    for address in entries(result, "ips") {
        if is_at_least(version, (1, 0)) {
            address.remove("version");
        } else {
            let is_v6 = address
                .get("address")
                .and_then(Value::as_str)
                .is_some_and(|text| text.contains(':'));
            address.insert("version".into(), if is_v6 { "6" } else { "4" }.into());
        }
    }
    if !is_at_least(version, (1, 1)) {
        for (list, fields) in SINCE_1_1 {
            for entry in entries(result, list) {
                entry.retain(|field, _| !fields.contains(&field.as_str()));
            }
        }
    }
}

fn entries<'r>(
    result: &'r mut Map<String, Value>,
    list: &str,
) -> impl Iterator<Item = &'r mut Map<String, Value>> {
    let list = result.get_mut(list).and_then(Value::as_array_mut);
    list.into_iter().flatten().filter_map(Value::as_object_mut)
}

fn from_text<'de, D: Deserializer<'de>>(from: D) -> Result<IpNet, D::Error> {
    String::deserialize(from)?.parse().map_err(D::Error::custom)
}
