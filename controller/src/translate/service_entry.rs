//! Pure. ServiceEntry to one Service per host, and to the Workloads it names itself.
//! Source: docs/compat.md#service-record.

pub mod records;
pub mod endpoints;
pub mod findings;
pub mod conditions;

use std::net::IpAddr;

use mesh::model::destination::Reach;
use mesh::model::{Service, Workload};
use objects::istio::{Resolution, ServiceEntry};
use objects::meta::Metadata;
use serde_json::{Map, Value, json};

use super::policies::Policies;
use super::status::Status;
use super::visibility::Seen;
use super::waypoint::bind::Gateways;
use super::{Cluster, Finding};

/// Where one of an entry's hosts stands among others of its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is this entry's, in its namespace.
    Own {
        /// Whether it is preferred by clients of other namespaces too.
        canonical: bool,
    },
    /// Another object of the namespace has it.
    Taken {
        /// Which one, as messages name it.
        by: String,
    },
}

/// Addresses that were given to a host, by family.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Given {
    /// The host.
    pub host: String,
    /// An IPv4 and an IPv6 address, unless there was none left.
    pub addresses: Vec<IpAddr>,
}

/// Where connections to an entry's hosts go.
pub fn reach(entry: &ServiceEntry) -> Reach {
    match entry.spec.resolution {
        Resolution::None if entry.spec.workload_selector.is_none() => Reach::AsDialled,
        Resolution::DynamicDns => Reach::AsAsked,
        _ => Reach::Endpoints,
    }
}

/// Everything an entry's translation depends on.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// Facts of the cluster.
    pub cluster: &'a Cluster,
    /// Its namespace.
    pub namespace: Option<&'a Metadata>,
    /// Who sees it.
    pub seen: Seen,
    /// Where each of its hosts stands, in the order of `spec.hosts`.
    pub standing: &'a [Standing],
    /// Addresses given to its hosts.
    pub given: &'a [Given],
    /// Whether its selector chooses anything.
    pub selects_something: bool,
    /// Policies in force.
    pub policies: &'a Policies,
    /// The gateways there are.
    pub gateways: &'a dyn Gateways,
}

/// What was made of an entry.
#[derive(Debug, Default)]
pub struct Made {
    /// One record per host of its own.
    pub services: Vec<Service>,
    /// Its endpoints.
    pub workloads: Vec<Workload>,
    /// What its owner should know.
    pub findings: Vec<Finding>,
    /// What its status should say.
    pub status: Status,
}

/// Translates an entry.
pub fn of_entry(context: &Context<'_>, entry: &ServiceEntry) -> Made {
    let mut made = Made::default();
    made.status.fields = given_addresses(entry, context.given);
    made.findings = findings::all(context, entry);
    let Some(visibility) = context.seen.visibility() else {
        return made;
    };
    let bound = records::waypoint(context, entry, visibility);
    conditions::add(context, entry, &bound, &mut made);
    made.services = records::of_hosts(context, entry, visibility, &bound);
    made.findings.extend(bound.findings);
    endpoints::add(context, entry, &mut made);
    made
}

/// The hosts of an entry that are its own.
pub fn own_hosts<'a>(entry: &'a ServiceEntry, standing: &[Standing]) -> Vec<&'a str> {
    let hosts = entry.spec.hosts.iter().zip(standing);
    let own = hosts.filter(|(_, standing)| matches!(standing, Standing::Own { .. }));
    own.map(|(host, _)| host.as_str()).collect()
}

/// `status.addresses`; nothing while the entry has no need of any.
fn given_addresses(entry: &ServiceEntry, given: &[Given]) -> Map<String, Value> {
    let mut fields = Map::new();
    if entry.wants_addresses() && !given.is_empty() {
        let pairs = given
            .iter()
            .flat_map(|it| it.addresses.iter().map(move |address| (&it.host, address)));
        let list = pairs.map(|(host, address)| json!({"host": host, "value": address.to_string()}));
        fields.insert("addresses".to_owned(), Value::Array(list.collect()));
    }
    fields
}
