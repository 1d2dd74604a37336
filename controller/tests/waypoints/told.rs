//! What each waypoint is sent, from objects to its picture of the mesh: the services bound to it and the backends that
//! their routes name, with their endpoints, and nothing else.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use controller::ca::{Caller, PodReference};
use controller::index::Type;
use controller::publish::scope::{self, Claim};
use controller::publish::session::{self as server, PageSize};
use controller::resources::{Change, Resources};
use mesh::identity::Identity;
use mesh::model::Locality;
use mesh::names::NamespacedHostname;
use mesh::state::{ClientPlace, Reader, Removal, Settings, Store};
use mesh::wire::{address, routes};
use mesh::xds::session as client;
use proto::type_urls::{ADDRESS, ROUTE_POLICY, SERVICE_ROUTES, WAYPOINT};

use crate::yaml::{World, changes, removals};

fn gateway(name: &str) -> String {
    format!(
        "{{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {{name: {name}, namespace: n}}, \
         spec: {{gatewayClassName: istio-waypoint, listeners: [{{name: mesh, port: 15008, protocol: HBONE}}]}}}}"
    )
}

/// The pod that a gateway runs as.
fn instance(gateway: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: {gateway}-0, namespace: n, uid: u-{gateway}, \
         labels: {{gateway.networking.k8s.io/gateway-name: {gateway}, gateway.istio.io/managed: istio.io-mesh-controller}}}}, \
         spec: {{nodeName: n1, serviceAccountName: {gateway}}}, status: {{podIP: 10.1.0.1}}}}"
    )
}

fn service(name: &str, waypoint: &str) -> String {
    let label = match waypoint {
        "" => String::new(),
        waypoint => format!("istio.io/use-waypoint: {waypoint}"),
    };
    let number: u32 = name.bytes().map(u32::from).sum();
    format!(
        "{{apiVersion: v1, kind: Service, metadata: {{name: {name}, namespace: n, labels: {{{label}}}}}, \
         spec: {{clusterIP: 10.96.0.{}, selector: {{app: {name}}}, ports: [{{port: 80, appProtocol: http}}]}}}}",
        number % 250
    )
}

fn pod(name: &str, app: &str, address: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, namespace: n, labels: {{app: {app}}}}}, \
         spec: {{nodeName: n1}}, status: {{podIP: {address}, phase: Running, conditions: [{{type: Ready, status: 'True'}}]}}}}"
    )
}

/// Requests to `a` go to this backend.
fn route(backend: &str) -> String {
    format!(
        "{{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {{name: r, namespace: n}}, \
         spec: {{parentRefs: [{{group: '', kind: Service, name: a, port: 80}}], \
         rules: [{{backendRefs: [{{name: {backend}, port: 80}}]}}]}}}}"
    )
}

/// Services `a` bound to `gate` with backend `b`, `c` bound to `other`, and many that nobody needs.
fn mesh() -> String {
    let mut all = vec![
        "{apiVersion: v1, kind: Namespace, metadata: {name: n}}".to_owned(),
        gateway("gate"),
        gateway("other"),
        instance("gate"),
        instance("other"),
        service("a", "gate"),
        service("b", ""),
        service("c", "other"),
        route("b"),
    ];
    for (index, name) in ["a", "b", "c"].iter().enumerate() {
        all.push(pod(&format!("{name}-0"), name, &format!("10.0.0.{index}")));
    }
    for index in 0..50 {
        let name = format!("x{index}");
        all.push(service(&name, ""));
        all.push(pod(&format!("{name}-0"), &name, &format!("10.0.1.{index}")));
    }
    all.join("\n---\n")
}

/// The tables, from objects.
struct Control {
    world: World,
    resources: Resources,
    names: BTreeSet<(Type, String)>,
}

impl Control {
    fn new(text: &str) -> Self {
        let resources = Resources::new(Type::ALL.map(Type::url));
        resources.complete();
        let mut control = Self {
            world: World::new(),
            resources,
            names: BTreeSet::new(),
        };
        control.apply(text);
        control
    }

    fn apply(&mut self, text: &str) {
        self.world.apply(changes(text));
        self.publish();
    }

    fn remove(&mut self, text: &str) {
        self.world.apply(removals(text));
        self.publish();
    }

    fn publish(&mut self) {
        let published = &self.world.published;
        let now: BTreeSet<(Type, String)> = published.keys().cloned().collect();
        let of_type = |one: Type| {
            let gone = self.names.difference(&now).filter(|it| it.0 == one);
            let there = published.iter().filter(|((it, _), _)| *it == one);
            Change {
                type_url: one.url(),
                upserts: there.map(|(_, upsert)| upsert.clone()).collect(),
                removed: gone.map(|(_, name)| name.clone()).collect(),
            }
        };
        self.resources.commit(Type::ALL.map(of_type).into());
        self.names = now;
    }
}

/// A waypoint as far as it listens to the controller: it asks for what its routes name.
struct Proxy {
    server: server::Session,
    client: client::Session,
    requests: Vec<client::Request>,
    held: BTreeMap<(&'static str, String), Bytes>,
    store: Store,
    reader: Reader,
}

impl Proxy {
    fn new(gateway: &str, control: &Control) -> Self {
        let caller = Caller {
            identity: Identity::parse(&format!("spiffe://cluster.local/ns/n/sa/{gateway}"))
                .unwrap(),
            pod: Some(PodReference {
                name: format!("{gateway}-0").into(),
                uid: format!("u-{gateway}").into(),
            }),
            node: None,
        };
        let claim = Claim {
            id: format!("waypoint~10.1.0.1~{gateway}-0.n~n.svc.cluster.local"),
            ..Claim::default()
        };
        let residents = control.world.index.residents();
        let scope = scope::decide(&caller, &claim, &residents.read().unwrap()).unwrap();
        let wildcard = |type_url| client::Subscription {
            type_url,
            mode: client::Mode::Wildcard,
        };
        let addresses = client::Subscription {
            type_url: ADDRESS,
            mode: client::Mode::OnDemand,
        };
        let all = [ROUTE_POLICY, SERVICE_ROUTES, WAYPOINT].map(wildcard);
        let client = client::Session::new(all.into_iter().chain([addresses]));
        let (store, reader) = Store::new(Settings {
            on_demand: true,
            keeps_labels: true,
            ..Settings::default()
        });
        Self {
            server: server::Session::new(scope, PageSize::PAGED),
            requests: client.connect().into_iter().collect(),
            client,
            held: BTreeMap::new(),
            store,
            reader,
        }
    }

    /// Until nobody has anything to say.
    fn settle(&mut self, control: &Control) {
        loop {
            for request in std::mem::take(&mut self.requests) {
                self.server.receive(server::Request {
                    type_url: request.type_url,
                    subscribe: request.subscribe,
                    unsubscribe: request.unsubscribe,
                    initial_versions: request.initial_versions,
                    nonce: request.nonce,
                    refusal: request.refusal,
                });
            }
            match self.server.next(&control.resources.read(), Duration::ZERO) {
                server::Next::Push(push) => self.take(&push),
                _ if self.ask() => {}
                _ => return,
            }
        }
    }

    fn take(&mut self, push: &server::Push) {
        let resources = push.resources.iter().map(|it| client::Resource {
            name: it.name.to_string(),
            version: it.version_text(),
            aliases: push.aliases(it),
            content: Some((push.type_url.to_owned(), it.bytes.clone())),
        });
        let response = client::Response {
            type_url: push.type_url.to_owned(),
            nonce: push.nonce.clone(),
            version: push.head.to_string(),
            resources: resources.collect(),
            removed: push.removed.iter().map(ToString::to_string).collect(),
        };
        let client::Taken::Apply(delivery) = self.client.take(response) else {
            panic!("a type nobody asked for")
        };
        let is_address = delivery.type_url == ADDRESS;
        for name in delivery.removed {
            if is_address {
                self.store
                    .apply([], [Removal::Address(name.as_str().into())]);
            }
            self.held.remove(&(delivery.type_url, name));
        }
        for (name, bytes) in delivery.resources {
            if is_address {
                self.store.apply([address::decode(&bytes).unwrap()], []);
            }
            self.held.insert((delivery.type_url, name), bytes);
        }
        let settled = self.client.settle(delivery.receipt, Vec::new()).unwrap();
        self.requests.push(settled.request);
    }

    /// Asks for the services that are served and those that their routes name.
    fn ask(&mut self) -> bool {
        let served = self
            .held
            .iter()
            .filter(|((it, _), _)| *it == SERVICE_ROUTES);
        let served = served.map(|(_, bytes)| routes::decode(bytes).unwrap());
        let names = served.flat_map(|it| {
            let destinations = it.destinations.into_iter().map(|it| it.service);
            destinations.chain([it.key]).collect::<Vec<_>>()
        });
        let names: BTreeSet<NamespacedHostname> = names.collect();
        for name in names {
            if let client::Asked::Send(request) = self.client.ask(ADDRESS, &name.to_string()) {
                self.requests.push(request);
            }
        }
        !self.requests.is_empty()
    }

    /// Names held of a type, without what they have in common.
    fn holds(&self, type_url: &str) -> String {
        let names = self.held.keys().filter(|(it, _)| *it == type_url);
        let short = names.map(|(_, name)| {
            let name = name.trim_start_matches("Kubernetes//Pod/");
            name.trim_start_matches("n/")
                .trim_end_matches(".n.svc.cluster.local")
        });
        short.collect::<Vec<_>>().join(" ")
    }

    /// Resources and removals sent of a type so far.
    fn sent(&self, type_url: &str) -> (u64, u64) {
        let sent = self
            .server
            .sent()
            .get(type_url)
            .copied()
            .unwrap_or_default();
        (sent.resources, sent.removed)
    }

    /// Addresses of the endpoints of a service, with their labels.
    fn endpoints(&self, name: &str) -> Vec<String> {
        let snapshot = self.reader.load();
        let key = NamespacedHostname::new("n", format!("{name}.n.svc.cluster.local"));
        let service = snapshot.services().find(|it| *it.key() == key).unwrap();
        let place = ClientPlace {
            network: "",
            cluster: "Kubernetes",
            node: "n1",
            locality: &Locality::default(),
        };
        let found = snapshot.endpoints_at(service.id(), place, 80);
        let mut found: Vec<String> = found
            .into_iter()
            .map(|it| {
                let workload = snapshot.workload(it.workload).unwrap();
                let labels = workload.labels().iter();
                let labels: Vec<String> = labels.map(|(key, it)| format!("{key}={it}")).collect();
                format!("{} {}", workload.name(), labels.join(","))
            })
            .collect();
        found.sort();
        found
    }
}

#[test]
fn a_waypoint_is_sent_only_its_services_and_the_backends_that_their_routes_name() {
    let control = Control::new(&mesh());
    for (name, services, addresses) in [("gate", "a", "a-0 b-0 a b"), ("other", "c", "c-0 c")] {
        let mut proxy = Proxy::new(name, &control);
        proxy.settle(&control);
        assert_eq!(proxy.holds(WAYPOINT), name);
        assert_eq!(proxy.holds(SERVICE_ROUTES), services);
        assert_eq!(proxy.holds(ADDRESS), addresses);
        // No more was sent than that: of more than a hundred.
        let count = addresses.split(' ').count() as u64;
        assert_eq!(proxy.sent(ADDRESS), (count, 0), "{name}");
        assert_eq!(proxy.sent(SERVICE_ROUTES), (1, 0), "{name}");
        assert_eq!(proxy.sent(WAYPOINT), (1, 0), "{name}");
        assert_eq!(proxy.sent(ROUTE_POLICY), (0, 0), "{name}");
    }
}

#[test]
fn a_service_that_was_asked_for_brings_its_endpoints_as_they_come_and_go() {
    let mut control = Control::new(&mesh());
    let mut gate = Proxy::new("gate", &control);
    gate.settle(&control);
    assert_eq!(gate.endpoints("b"), ["b-0 app=b"]);
    let (before, _) = gate.sent(ADDRESS);

    control.apply(&pod("b-1", "b", "10.0.2.1"));
    control.apply(&pod("x-other", "x7", "10.0.2.2"));
    control.remove(&pod("x8-0", "x8", "10.0.1.8"));
    gate.settle(&control);
    assert_eq!(gate.endpoints("b"), ["b-0 app=b", "b-1 app=b"]);
    assert_eq!(gate.sent(ADDRESS), (before + 1, 0), "nothing of others");

    control.remove(&pod("b-0", "b", "10.0.0.1"));
    gate.settle(&control);
    assert_eq!(gate.endpoints("b"), ["b-1 app=b"]);
    assert_eq!(gate.sent(ADDRESS), (before + 1, 1));

    // One that is no longer behind the service.
    control.apply(&pod("b-1", "elsewhere", "10.0.2.1"));
    gate.settle(&control);
    assert!(gate.endpoints("b").is_empty());
}

#[test]
fn routes_and_bindings_that_change_bring_and_take_what_they_name() {
    let mut control = Control::new(&mesh());
    let (mut gate, mut other) = (Proxy::new("gate", &control), Proxy::new("other", &control));
    gate.settle(&control);
    other.settle(&control);

    control.apply(&route("x3"));
    gate.settle(&control);
    assert_eq!(gate.endpoints("x3"), ["x3-0 app=x3"]);
    let (sent, _) = other.sent(SERVICE_ROUTES);

    control.apply(&service("c", "gate"));
    gate.settle(&control);
    other.settle(&control);
    assert_eq!(gate.holds(SERVICE_ROUTES), "a c");
    assert_eq!(gate.endpoints("c"), ["c-0 app=c"]);
    assert_eq!(other.holds(SERVICE_ROUTES), "");
    assert_eq!(
        other.sent(SERVICE_ROUTES),
        (sent, 1),
        "told that it is gone"
    );
}
