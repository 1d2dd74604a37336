//! Tables: what routes come to, for which services they hold, and what their owner hears.

mod conditions;
mod actions;
mod ends;
mod scope;
mod delegates;
mod told;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use mesh::model::http::{HttpMatch, HttpRule};
use mesh::names::NamespacedHostname;
use objects::istio::VirtualService;
use objects::raw;

use super::{Destinations, Others, Routes, Site, Wanted, applies, check, is_rejected, routes};
use crate::translate::rule::Rule;
use crate::translate::{Cluster, mesh_config};

/// Reads the objects of some documents.
fn read(text: &str) -> Vec<VirtualService> {
    let documents = raw::parse(text.as_bytes()).unwrap();
    let read = |it: &raw::Document| serde_json::from_value(it.value().clone()).unwrap();
    documents.iter().map(read).collect()
}

/// One of namespace `shop` with this `spec`, in YAML's flow style.
fn with_spec(spec: &str) -> VirtualService {
    read(&format!(
        "metadata: {{name: v, namespace: shop}}\nspec: {spec}"
    ))
    .remove(0)
}

/// One for host `web` with this route, in YAML's flow style.
fn with_route(route: &str) -> VirtualService {
    with_spec(&format!("{{hosts: [web], http: [{route}]}}"))
}

fn cluster(mesh: &str) -> Cluster {
    let (config, findings) = mesh_config::parse(mesh).unwrap();
    assert_eq!(findings, []);
    Cluster {
        id: "c".into(),
        domain: "cluster.local".into(),
        network: "".into(),
        trust_domain: config.trust_domain.clone(),
        root_namespace: "root".into(),
        entry_visibility: None,
        authorizers: Arc::default(),
        observing: Arc::default(),
        traffic: Arc::clone(&config.traffic),
    }
}

/// Gives every destination a number, except those whose host begins with `missing`.
#[derive(Default)]
struct Numbered {
    names: Vec<String>,
}

impl Destinations for Numbered {
    fn find(&mut self, wanted: &Wanted<'_>) -> Result<u32, String> {
        if wanted.host.starts_with("missing") {
            return Err(format!("there is no service {}", wanted.host));
        }
        let port = wanted.port.map(|it| format!(":{it}")).unwrap_or_default();
        let part = wanted.subset.map(|it| format!("#{it}")).unwrap_or_default();
        let name = format!("{}{port}{part} of {}", wanted.host, wanted.namespace);
        let place = self.names.iter().position(|it| *it == name);
        let place = place.unwrap_or_else(|| {
            self.names.push(name);
            self.names.len() - 1
        });
        Ok(u32::try_from(place).unwrap())
    }
}

impl Others for BTreeMap<(String, String), VirtualService> {
    fn find(&self, namespace: &str, name: &str) -> Option<&VirtualService> {
        self.get(&(namespace.to_owned(), name.to_owned()))
    }
}

fn others(objects: &[VirtualService]) -> BTreeMap<(String, String), VirtualService> {
    let key = |it: &VirtualService| (it.metadata.namespace.clone(), it.metadata.name.clone());
    objects.iter().map(|it| (key(it), it.clone())).collect()
}

struct World<'a> {
    mesh: &'a str,
    /// Namespace of the waypoint of `web` in namespace `shop`.
    waypoint: &'a str,
    others: &'a [VirtualService],
}

const WORLD: World<'static> = World {
    mesh: "",
    waypoint: "shop",
    others: &[],
};

impl World<'_> {
    fn ask<T>(&self, ask: impl FnOnce(&Site<'_>) -> T) -> T {
        let address: IpAddr = "10.0.0.1".parse().unwrap();
        ask(&Site {
            cluster: &cluster(self.mesh),
            service: &NamespacedHostname::new("shop", "web.shop.svc.cluster.local"),
            addresses: &[address],
            waypoint: self.waypoint,
        })
    }

    fn routes(&self, object: &VirtualService, port: u16) -> (Routes, Vec<String>) {
        let mut numbered = Numbered::default();
        let others = others(self.others);
        let routes = self.ask(|site| routes(object, site, port, &others, &mut numbered));
        (routes, numbered.names)
    }

    fn applies(&self, object: &VirtualService) -> bool {
        self.ask(|site| applies(object, site))
    }

    fn told(&self, object: &VirtualService) -> Vec<(Rule, String)> {
        let others = others(self.others);
        let cluster = cluster(self.mesh);
        let findings = check(object, &cluster, &others, &mut Numbered::default());
        let rejects = findings.iter().any(|it| it.rule == Rule::InvalidValue);
        assert_eq!(is_rejected(object, &cluster), rejects);
        let findings = findings.into_iter();
        findings.map(|it| (it.rule, it.path.to_string())).collect()
    }
}

/// The one rule of a route that has one.
fn rule(object: &VirtualService) -> (HttpRule, Vec<String>) {
    let (mut routes, names) = WORLD.routes(object, 80);
    assert_eq!(routes.rules.len(), 1, "{routes:?}");
    (routes.rules.remove(0), names)
}

/// What the first alternative of a match asks for.
fn condition(written: &str) -> HttpMatch {
    let route = format!("{{match: [{written}], route: [{{destination: {{host: web}}}}]}}");
    let object = with_route(&route);
    assert_eq!(WORLD.told(&object), [], "{written}");
    WORLD.routes(&object, 80).0.http.remove(0).matches
}
