//! Tables: what a port or a part of a service gets, and what a rule's owner hears.

mod chosen;
mod fields;
mod told;

use std::sync::Arc;

use mesh::model::destination::{Subset, TrafficPolicy};
use mesh::names::NamespacedHostname;
use objects::istio::DestinationRule;
use objects::raw;

use super::{Rules, check, policy_of};
use crate::translate::Cluster;
use crate::translate::mesh_config;
use crate::translate::rule::Rule;

/// Reads the rules of some documents.
fn rules(text: &str) -> Vec<DestinationRule> {
    let documents = raw::parse(text.as_bytes()).unwrap();
    let read = |it: &raw::Document| serde_json::from_value(it.value().clone()).unwrap();
    documents.iter().map(read).collect()
}

/// A rule of namespace `shop` for host `web` with this policy, in YAML's flow style.
fn with_policy(policy: &str) -> DestinationRule {
    let text = format!(
        "metadata: {{name: r, namespace: shop}}\nspec: {{host: web, trafficPolicy: {policy}}}"
    );
    rules(&text).remove(0)
}

fn cluster(mesh: &str) -> Cluster {
    let (config, findings) = mesh_config::parse(mesh).unwrap();
    assert_eq!(findings, []);
    Cluster {
        authorizers: Arc::default(),
        observing: Arc::default(),
        id: "c".into(),
        domain: "cluster.local".into(),
        network: "".into(),
        trust_domain: config.trust_domain.clone(),
        root_namespace: "root".into(),
        entry_visibility: None,
        traffic: Arc::clone(&config.traffic),
    }
}

struct World<'a> {
    rules: &'a [DestinationRule],
    client: &'a str,
    mesh: &'a str,
}

impl World<'_> {
    fn of(&self, port: u16, subset: Option<&str>) -> (Option<Subset>, TrafficPolicy) {
        let all: Vec<&DestinationRule> = self.rules.iter().collect();
        let rules = Rules {
            all: &all,
            client: self.client,
            cluster: &cluster(self.mesh),
        };
        let web = NamespacedHostname::new("shop", "web.shop.svc.cluster.local");
        policy_of(&rules, &web, port, subset)
    }
}

/// What port 80 of `web` gets from one rule.
fn policy(rule: &DestinationRule) -> TrafficPolicy {
    let world = World {
        rules: std::slice::from_ref(rule),
        client: "shop",
        mesh: "",
    };
    world.of(80, None).1
}

fn told(rule: &DestinationRule) -> Vec<(Rule, String)> {
    let findings = check(rule).into_iter();
    findings.map(|it| (it.rule, it.path.to_string())).collect()
}
