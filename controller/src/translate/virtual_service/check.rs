//! Pure. What the owner of a VirtualService should know.

use std::borrow::Cow;

use objects::istio::virtual_service::{HttpMatch, HttpRoute};
use objects::istio::{Subnet, VirtualService};
use objects::raw::Path;

use super::expand::{self, One};
use super::scope::MESH;
use super::{Destinations, Others, Reader, Routes, Wanted, condition, forward, http};
use crate::translate::remarks::Remarks;
use crate::translate::rule::Rule;
use crate::translate::{Cluster, Finding, host};

/// Everything that is invalid, leads nowhere or has no effect at waypoints.
pub fn check(
    object: &VirtualService,
    cluster: &Cluster,
    others: &dyn Others,
    destinations: &mut dyn Destinations,
) -> Vec<Finding> {
    let mut reader = Reader {
        cluster,
        destinations,
        remarks: Remarks::default(),
    };
    look(object, &mut reader);
    for _ in expand::all(object, others, cluster, &mut reader.remarks) {}
    reader.remarks.into_findings()
}

/// Whether a value in it cannot be: its last good version stays in force.
pub fn is_rejected(object: &VirtualService, cluster: &Cluster) -> bool {
    let mut reader = Reader {
        cluster,
        destinations: &mut Anywhere,
        remarks: Remarks::default(),
    };
    look(object, &mut reader);
    reader.remarks.is_rejected()
}

/// Where every destination is there.
struct Anywhere;

impl Destinations for Anywhere {
    fn find(&mut self, _: &Wanted<'_>) -> Result<u32, String> {
        Ok(0)
    }
}

fn look(object: &VirtualService, reader: &mut Reader<'_>) {
    let spec = &object.spec;
    for (index, name) in spec.hosts.iter().enumerate() {
        if let Some(complaint) = host::complaint(name) {
            reader.invalid(Path::of_keys(&["spec", "hosts"]).at(index), complaint);
        }
    }
    let gateways = &spec.gateways;
    if !gateways.is_empty() && !gateways.iter().any(|it| it == MESH) {
        let reason = "`mesh` is not among them: waypoints do not apply it";
        let path = Path::of_keys(&["spec", "gateways"]);
        reader.remarks.add(Rule::NotAtWaypoint, path, reason);
    }
    if spec.http.is_empty() && spec.tls.is_empty() && spec.tcp.is_empty() {
        let reason = "at least one of http, tls and tcp";
        reader.invalid(Path::of_keys(&["spec"]), reason);
    }
    if spec.hosts.is_empty() && !(spec.tls.is_empty() && spec.tcp.is_empty()) {
        let reason = "one without hosts is a delegate, which has routes of requests only";
        reader.invalid(Path::of_keys(&["spec", "hosts"]), reason);
    }
    let mut takes_all = None;
    for (index, route) in spec.http.iter().enumerate() {
        let path = Path::of_keys(&["spec", "http"]).at(index);
        if let Some(before) = takes_all {
            let reason = format!("spec.http[{before}] takes every request");
            reader.remarks.add(Rule::NeverReached, path.clone(), reason);
        } else if is_catch_all(route) {
            takes_all = Some(index);
        }
        requests(object, route, index, &path, reader);
    }
    opaque(object, reader);
}

/// Whether a route takes whatever comes.
fn is_catch_all(route: &HttpRoute) -> bool {
    let is_anything = |it: &HttpMatch| {
        let prefix = it.uri.as_ref().and_then(|uri| uri.prefix.as_deref());
        let rest = HttpMatch {
            uri: it.uri.clone().filter(|_| prefix != Some("/")),
            name: String::new(),
            ignore_uri_case: false,
            ..it.clone()
        };
        rest == HttpMatch::default()
    };
    route.r#match.is_empty() || route.r#match.iter().any(is_anything)
}

fn requests(
    object: &VirtualService,
    route: &HttpRoute,
    index: usize,
    path: &Path,
    reader: &mut Reader<'_>,
) {
    alone(object, route, path, reader);
    for (place, one) in route.r#match.iter().enumerate() {
        condition::look(one, &path.clone().key("match").at(place), reader);
    }
    let one = One {
        route: Cow::Borrowed(route),
        path: path.clone(),
        namespace: &object.metadata.namespace,
        origin: expand::origin(object, index, &route.name),
    };
    let alternatives: Vec<_> = route.r#match.iter().enumerate().collect();
    // The rule is looked at once, not for every alternative.
    let (first, rest) = alternatives.split_at(alternatives.len().min(1));
    let first = Some(first.to_vec()).filter(|it| !it.is_empty());
    http::add(&one, &first, &mut Routes::default(), reader);
    for (place, written) in rest {
        condition::read(written, &path.clone().key("match").at(*place), reader);
    }
}

/// What may not stand together.
fn alone(object: &VirtualService, route: &HttpRoute, path: &Path, reader: &mut Reader<'_>) {
    let at = |key: &str| path.clone().key(key);
    let ends = [
        ("route", !route.route.is_empty()),
        ("redirect", route.redirect.is_some()),
        ("directResponse", route.direct_response.is_some()),
        ("delegate", route.delegate.is_some()),
    ];
    let ends: Vec<&str> = ends.iter().filter(|it| it.1).map(|it| it.0).collect();
    match ends.as_slice() {
        [] => reader.invalid(
            path.clone(),
            "one of route, redirect, directResponse and delegate",
        ),
        [_] => {}
        [first, second, ..] => {
            reader.invalid(at(second), format!("there is {first} already"));
        }
    }
    let is_answered = route.redirect.is_some() || route.direct_response.is_some();
    let unsuited = [
        ("rewrite", route.rewrite.is_some()),
        ("fault", route.fault.is_some()),
    ];
    for (key, _) in unsuited.into_iter().filter(|it| it.1 && is_answered) {
        let reason = "it goes with requests that are sent on, not with redirect or directResponse";
        reader.invalid(at(key), reason);
    }
    if let Some(delegate) = &route.delegate {
        if object.spec.hosts.is_empty() {
            let reason = "a delegate has no delegates of its own";
            reader.invalid(at("delegate"), reason);
        }
        if delegate.name.is_empty() {
            reader.invalid(at("delegate").key("name"), "the name of a VirtualService");
        }
    }
}

fn opaque(object: &VirtualService, reader: &mut Reader<'_>) {
    let namespace = object.metadata.namespace.as_str();
    let spec = &object.spec;
    for (index, route) in spec.tls.iter().enumerate() {
        let path = Path::of_keys(&["spec", "tls"]).at(index);
        if route.r#match.is_empty() {
            reader.invalid(path.clone().key("match"), "server names, in sniHosts");
        }
        for (place, one) in route.r#match.iter().enumerate() {
            let path = path.clone().key("match").at(place);
            server_names(&one.sni_hosts, &spec.hosts, &path, reader);
            subnets(&one.destination_subnets, &path, reader);
            let limits = (!one.source_labels.is_empty(), &*one.gateways);
            condition::limits(limits, &path, reader);
        }
        destinations(route.route.is_empty(), &path, reader);
        forward::opaque(&route.route, namespace, &path.key("route"), reader);
    }
    for (index, route) in spec.tcp.iter().enumerate() {
        let path = Path::of_keys(&["spec", "tcp"]).at(index);
        for (place, one) in route.r#match.iter().enumerate() {
            let path = path.clone().key("match").at(place);
            subnets(&one.destination_subnets, &path, reader);
            let limits = (!one.source_labels.is_empty(), &*one.gateways);
            condition::limits(limits, &path, reader);
        }
        destinations(route.route.is_empty(), &path, reader);
        forward::opaque(&route.route, namespace, &path.key("route"), reader);
    }
}

fn destinations(is_empty: bool, path: &Path, reader: &mut Reader<'_>) {
    if is_empty {
        reader.invalid(path.clone().key("route"), "where it goes");
    }
}

/// Server names are hosts of the object, or covered by one.
fn server_names(names: &[String], hosts: &[String], path: &Path, reader: &mut Reader<'_>) {
    let path = path.clone().key("sniHosts");
    if names.is_empty() {
        reader.invalid(path.clone(), "at least one server name");
    }
    for (index, name) in names.iter().enumerate() {
        if !hosts.iter().any(|host| host::covers(host, name)) {
            let reason = format!("`{name}` is none of spec.hosts");
            reader.invalid(path.clone().at(index), reason);
        }
    }
}

fn subnets(subnets: &[String], path: &Path, reader: &mut Reader<'_>) {
    for (index, text) in subnets.iter().enumerate() {
        if Subnet::parse(text).is_none() {
            let path = path.clone().key("destinationSubnets").at(index);
            reader.invalid(path, format!("`{text}` is no address and no range of them"));
        }
    }
}
