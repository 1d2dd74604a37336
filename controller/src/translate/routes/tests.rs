//! Tables: what routes come to for the service that they are attached to.

mod filters;
mod kinds;
mod limits;
mod matches;
mod precedence;
mod reported;
mod weights;

use std::path::Path;
use std::sync::Arc;

use mesh::model::destination::{Reach, Subset, TrafficPolicy};
use mesh::model::http::{
    HttpAction, HttpMatch, HttpRule, NamedMatch, PathMatch, PortRoutes, ServiceRoutes, TextMatch,
};
use mesh::names::NamespacedHostname;
use objects::object::{Object, Parts, identify};

use super::attach::Attached;
use super::{Family, Known, Surroundings, of_service};

/// Services `web`, `v1` and `v2` of `shop` and `db` of `data` with ports 80 and 81, and host `api.example.com` with 443.
struct Shop;

fn service(namespace: &str, name: &str) -> Known {
    let host = format!("{name}.{namespace}.svc.cluster.local");
    Known {
        key: NamespacedHostname::new(namespace, host),
        ports: vec![80, 81],
    }
}

impl Surroundings for Shop {
    fn service(&self, namespace: &str, name: &str) -> Option<Known> {
        let there = [
            ("shop", "web"),
            ("shop", "v1"),
            ("shop", "v2"),
            ("data", "db"),
        ];
        there
            .contains(&(namespace, name))
            .then(|| service(namespace, name))
    }

    fn host(&self, host: &str, _: &str) -> Option<Known> {
        (host == "api.example.com").then(|| Known {
            key: NamespacedHostname::new("shop", host),
            ports: vec![443],
        })
    }

    fn policy_of(
        &self,
        _: &NamespacedHostname,
        _: u16,
        _: Option<&str>,
    ) -> (Option<Subset>, TrafficPolicy) {
        (None, TrafficPolicy::default())
    }

    fn reach(&self, _: &NamespacedHostname) -> Reach {
        Reach::Endpoints
    }
}

/// The objects of a text; documents without parent get `web` of `shop`.
fn objects(text: &str) -> Vec<Object> {
    let documents = objects::raw::parse(text.as_bytes()).unwrap();
    let read = |document: objects::raw::Document| {
        let key = identify(&document).unwrap();
        let parts = Parts::new(Path::new("").into(), Arc::new(document.pack()));
        Object::read(key, parts, 0).unwrap()
    };
    documents.into_iter().map(read).collect()
}

/// An HTTPRoute `name` of `shop` for `web` with these rules, in YAML's flow style.
fn http(name: &str, rules: &str) -> String {
    route(
        "HTTPRoute",
        &format!("name: {name}, namespace: shop"),
        rules,
    )
}

/// A route for `web` of `shop`.
fn route(kind: &str, metadata: &str, rules: &str) -> String {
    format!(
        "{{apiVersion: gateway.networking.k8s.io/v1, kind: {kind}, metadata: {{{metadata}}}, spec: \
         {{parentRefs: [{{group: '', kind: Service, name: web, namespace: shop}}], rules: {rules}}}}}\n---\n"
    )
}

/// The routes of `web` of `shop` with these objects.
fn routes(text: &str) -> ServiceRoutes {
    let objects = objects(text);
    let attached: Vec<Attached<'_>> = objects
        .iter()
        .map(|object| {
            let route = object.route().unwrap();
            let namespace = &*object.key().namespace;
            let references = route.parents().iter();
            let ours =
                references.filter(|it| it.object(namespace).is_some_and(|it| it.name == "web"));
            let ports = ours.map(|it| it.port).collect();
            Attached { route, ports }
        })
        .collect();
    let mut first = |_: u16, _: &mut super::destinations::Destinations<'_>| Family::default();
    of_service(&Shop, &service("shop", "web"), &attached, &mut first)
}

/// The routes of port 80 for all clients.
fn of_port(routes: &ServiceRoutes) -> &PortRoutes {
    let mut ports = routes.ports.iter();
    let port = ports.find(|it| it.port == 80 && it.client_namespace.is_empty());
    port.unwrap()
}

/// The entries of port 80 in order: what they match, and the rule of which object.
fn entries(routes: &ServiceRoutes) -> Vec<String> {
    let port = of_port(routes);
    let entry = |it: &mesh::model::http::HttpEntry| {
        let rule = &port.rules[usize::try_from(it.rule).unwrap()];
        let matches = shown_match(&it.matches);
        format!("{matches} -> {}/{}", rule.origin.name, rule.origin.rule)
    };
    port.http.iter().map(entry).collect()
}

/// `GET =/a h:x=1 q:y~2`; `=` is exact, `/**` whole elements, `~` an expression.
fn shown_match(one: &HttpMatch) -> String {
    let path = match &one.path {
        None => "any".to_owned(),
        Some(PathMatch::Exact(text)) => format!("={text}"),
        Some(PathMatch::Elements(text)) => format!("{text}/**"),
        Some(PathMatch::Prefix(text)) => format!("{text}*"),
        Some(PathMatch::Regex(text)) => format!("~{text}"),
    };
    let text = |it: &TextMatch| match it {
        TextMatch::Exact(text) => format!("={text}"),
        TextMatch::Prefix(text) => format!("={text}*"),
        TextMatch::Regex(text) => format!("~{text}"),
        TextMatch::Present => "?".to_owned(),
    };
    let method = one.method.iter();
    let method = method.map(|it| text(it).trim_start_matches('=').to_owned());
    let named = |kind: &'static str, list: &[NamedMatch]| -> Vec<String> {
        let one = |it: &NamedMatch| format!("{kind}:{}{}", it.name, text(&it.value));
        list.iter().map(one).collect()
    };
    let words = method.chain([path]);
    let words = words.chain(named("h", &one.headers));
    let words = words.chain(named("q", &one.query));
    words.collect::<Vec<_>>().join(" ")
}

/// The only rule of the only route.
fn rule(rule: &str) -> HttpRule {
    let routes = routes(&http("r", &format!("[{rule}]")));
    let port = of_port(&routes);
    assert_eq!(port.rules.len(), 1, "{rule}");
    port.rules[0].clone()
}

/// Whether a rule's requests are answered with 500, and nothing else is done to them.
fn is_refused(rule: &HttpRule) -> bool {
    rule.action == HttpAction::Forward(Vec::new()) && rule.mirrors.is_empty() && rule.cors.is_none()
}

/// What the owner of a single route hears: rule, field and reason.
fn told(text: &str) -> Vec<(&'static str, String)> {
    let objects = objects(text);
    let route = objects[0].route().unwrap();
    let attachments: Vec<_> = route
        .parents()
        .iter()
        .map(|_| reported::attached())
        .collect();
    let (findings, _) = super::report::report(route, &Shop, &attachments);
    let one = |it: &crate::translate::Finding| (it.rule.word(), it.path.to_string());
    findings.iter().map(one).collect()
}
