//! Pure. The routes of one service: of all that are attached to it, in order.

use std::collections::BTreeMap;

use mesh::model::http::{HttpEntry, ServiceRoutes, TlsRule};

use super::assemble::{Family, assemble};
use super::destinations::Destinations;
use super::entry::Entry;
use super::notes::Notes;
use super::read::{self, Read};
use super::{Known, Surroundings, Written};
use crate::translate::age;

/// A route and the ports of a service that it is attached to; `None` stands for all of them.
#[derive(Clone, Debug)]
pub struct Attached<'a> {
    /// The route.
    pub route: Written<'a>,
    /// The ports that its references name.
    pub ports: Vec<Option<u16>>,
}

impl Attached<'_> {
    /// Whether it is attached to a port.
    pub fn has(&self, port: u16) -> bool {
        self.ports.iter().any(|it| it.is_none_or(|it| it == port))
    }
}

/// The routes of a service that a waypoint serves; also when nothing is attached to it.
///
/// `first` is what a family that stands before the Gateway API's says about a port.
pub fn of_service(
    around: &dyn Surroundings,
    service: &Known,
    attached: &[Attached<'_>],
    first: &mut dyn FnMut(u16, &mut Destinations<'_>) -> Family,
) -> ServiceRoutes {
    let mut to = Destinations::new(around);
    let ports = service.ports.iter();
    let own = ports.filter_map(|port| Some((*port, to.number(&service.key, *port, None)?)));
    let own = own.collect();
    let mut attached: Vec<&Attached<'_>> = attached.iter().collect();
    attached.sort_by_cached_key(|it| age::across(it.route.metadata()));
    // What is wrong with a route, its owner hears when the route itself is looked at.
    let mut notes = Notes::default();
    let read = |it: &&Attached<'_>| read::read(it.route, &mut to, &mut notes);
    let read: Vec<Read> = attached.iter().map(read).collect();
    let mut routes = Vec::new();
    for port in &service.ports {
        let first = first(*port, &mut to);
        let mut roles: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (index, it) in attached.iter().enumerate() {
            if it.has(*port) {
                let client = client_of(it.route, service);
                roles.entry(client).or_default().push(index);
            }
        }
        // Also without a producer's routes the other family may say something.
        roles.entry("").or_default();
        for (client, members) in roles.iter().rev() {
            let pairs = members
                .iter()
                .filter_map(|it| Some((attached.get(*it)?.route, read.get(*it)?)));
            let family = family(pairs.collect());
            routes.extend(assemble(*port, client, [first.clone(), family]));
        }
    }
    ServiceRoutes {
        key: service.key.clone(),
        ports: routes,
        destinations: to.into_list(),
        own,
        telemetry: None,
    }
}

/// The namespace whose clients a route is for; empty for all.
fn client_of<'a>(route: Written<'a>, service: &Known) -> &'a str {
    let own = route.metadata().namespace.as_str();
    match *own == *service.key.namespace {
        true => "",
        false => own,
    }
}

/// What the routes of one role say about a port: those of one kind, older ones first.
fn family(routes: Vec<(Written<'_>, &Read)>) -> Family {
    let mut family = Family::default();
    let Some(rank) = routes.iter().map(|(route, _)| route.rank()).min() else {
        return family;
    };
    let mut entries: Vec<(&Entry, u32)> = Vec::new();
    for (_, read) in routes.iter().filter(|(route, _)| route.rank() == rank) {
        match read {
            Read::Http(http) => {
                let before = family.rules.len();
                for entry in &http.entries {
                    // Objects are bounded far below this.
                    let rule = u32::try_from(before + entry.rule).unwrap_or(u32::MAX);
                    entries.push((entry, rule));
                }
                family.rules.extend(http.rules.iter().cloned());
            }
            Read::Tls(rules) => family.tls.extend(rules.iter().cloned()),
            Read::Tcp(rules) => family.tcp.extend(rules.iter().cloned()),
        }
    }
    // Equal ones stay in order: older routes, then earlier rules, then earlier matches.
    entries.sort_by_key(|(entry, _)| entry.rank);
    let entries = entries.into_iter().map(|(entry, rule)| HttpEntry {
        matches: entry.matches.clone(),
        rule,
    });
    family.http = entries.collect();
    family.tls.sort_by_key(exactness);
    family
}

/// How exact a server name is: full names, then longer ends of names, then any name.
fn exactness(rule: &TlsRule) -> (bool, bool, std::cmp::Reverse<usize>) {
    let name = rule.server_names.first();
    let is_wildcard = name.is_some_and(|it| it.starts_with('*'));
    let length = name.map_or(0, |it| it.len());
    (name.is_none(), is_wildcard, std::cmp::Reverse(length))
}
