//! The two delta sessions against each other when the client asks for single names: what it was
//! answered is what the server has, whatever changed, broke or restarted in between.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use controller::publish::scope::Scope;
use controller::publish::session as server;
use controller::resources::{Audience, Change, Links, Resources, Upsert};
use mesh::xds::session as client;
use proptest::prelude::{Just, ProptestConfig, Strategy, prop_oneof, proptest};
use proto::type_urls::ADDRESS;

/// A workload: generation, address, service, node.
type Workload = (usize, usize, Option<usize>, usize);

#[derive(Clone, Debug)]
enum Step {
    Put(usize, Workload),
    Drop(usize),
    PutService(usize, usize),
    DropService(usize),
    Ask(String),
    Send,
    Take,
    Hear,
    Break,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let workload = (
        0..5_usize,
        0..4_usize,
        proptest::option::of(0..2_usize),
        0..2_usize,
    );
    let name = prop_oneof![
        (0..5_usize).prop_map(|n| format!("w{n}")),
        (0..4_usize).prop_map(|n| format!("/10.0.0.{n}")),
        (0..2_usize).prop_map(|n| format!("/10.96.0.{n}")),
        (0..3_usize).prop_map(|n| format!("/10.97.{n}.1")),
        (0..2_usize).prop_map(|n| format!("ns/s{n}")),
    ];
    prop_oneof![
        4 => (0..5_usize, workload).prop_map(|(n, w)| Step::Put(n, w)),
        2 => (0..5_usize).prop_map(Step::Drop),
        2 => (0..2_usize, 0..4_usize).prop_map(|(n, addresses)| Step::PutService(n, addresses)),
        1 => (0..2_usize).prop_map(Step::DropService),
        4 => name.prop_map(Step::Ask),
        6 => Just(Step::Send),
        6 => Just(Step::Take),
        6 => Just(Step::Hear),
        1 => Just(Step::Break),
        1 => Just(Step::Restart),
    ]
}

/// Addresses of a service, ranges among them: some hold each other, some a workload's address.
fn service_aliases(name: usize, addresses: usize) -> Vec<String> {
    let own = format!("/10.96.0.{name}");
    match addresses {
        0 => vec![own],
        1 => vec![own, "/10.97.0.0/16".into()],
        2 => vec![format!("/10.97.{name}.0/24")],
        _ => vec!["/10.0.0.0/31".into()],
    }
}

/// Whether who bears `alias` is meant by `name`; written down by hand.
fn is_meant_by(alias: &str, name: &str) -> bool {
    match alias {
        "/10.97.0.0/16" => name.starts_with("/10.97."),
        "/10.97.0.0/24" => name == "/10.97.0.1",
        "/10.97.1.0/24" => name == "/10.97.1.1",
        "/10.0.0.0/31" => ["/10.0.0.0", "/10.0.0.1"].contains(&name),
        _ => alias == name,
    }
}

struct World {
    workloads: BTreeMap<usize, Workload>,
    /// Which of its addresses a service has.
    services: BTreeMap<usize, usize>,
    resources: Resources,
    server: server::Session,
    client: client::Session,
    requests: VecDeque<client::Request>,
    responses: VecDeque<client::Response>,
    held: BTreeMap<String, Bytes>,
    asked: BTreeSet<String>,
}

fn fresh_session() -> server::Session {
    let scope = Scope {
        types: &[ADDRESS],
        only_by_name: &[],
        gateway: None,
        node: Some("n0".into()),
        takes_pages: true,
    };
    let page = server::PageSize {
        entries: 3,
        bytes: 1 << 20,
    };
    server::Session::new(scope, page)
}

fn fresh_resources() -> Resources {
    let resources = Resources::new([ADDRESS]);
    resources.complete();
    resources
}

impl World {
    fn new() -> Self {
        let subscription = client::Subscription {
            type_url: ADDRESS,
            mode: client::Mode::OnDemand,
        };
        let client = client::Session::new([subscription]);
        Self {
            workloads: BTreeMap::new(),
            services: BTreeMap::new(),
            resources: fresh_resources(),
            server: fresh_session(),
            requests: client.connect().into(),
            client,
            responses: VecDeque::new(),
            held: BTreeMap::new(),
            asked: BTreeSet::new(),
        }
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Put(name, workload) => {
                self.workloads.insert(name, workload);
                self.publish();
            }
            Step::Drop(name) => {
                self.workloads.remove(&name);
                self.publish();
            }
            Step::PutService(name, addresses) => {
                self.services.insert(name, addresses);
                self.publish();
            }
            Step::DropService(name) => {
                self.services.remove(&name);
                self.publish();
            }
            Step::Ask(name) => self.ask(name),
            Step::Send => _ = self.send(),
            Step::Take => _ = self.take(),
            Step::Hear => _ = self.hear(),
            Step::Break => self.reconnect(),
            Step::Restart => {
                self.resources = fresh_resources();
                self.publish();
                self.reconnect();
            }
        }
    }

    /// Everything there should be, by name.
    fn wanted(&self) -> BTreeMap<String, Upsert> {
        let workload = |(name, w): (&usize, &Workload)| {
            let (_, address, service, node) = w;
            Upsert {
                name: format!("w{name}"),
                // Content names the resource, as real content does: equal versions mean the same resource.
                bytes: format!("{name} {w:?}").into(),
                links: Links {
                    aliases: vec![format!("/10.0.0.{address}")],
                    services: service.iter().map(|s| format!("ns/s{s}")).collect(),
                    node: Some(format!("n{node}")),
                    is_scoped: false,
                },
                audience: Audience::everyone(),
            }
        };
        let service = |(name, addresses): (&usize, &usize)| Upsert {
            name: format!("ns/s{name}"),
            bytes: format!("service {name} {addresses}").into(),
            links: Links {
                aliases: service_aliases(*name, *addresses),
                ..Links::default()
            },
            audience: Audience::everyone(),
        };
        let workloads = self.workloads.iter().map(workload);
        let all = workloads.chain(self.services.iter().map(service));
        all.map(|upsert| (upsert.name.clone(), upsert)).collect()
    }

    fn publish(&mut self) {
        let wanted = self.wanted();
        let all = (0..5).map(|n| format!("w{n}"));
        let all = all.chain((0..2).map(|n| format!("ns/s{n}")));
        self.resources.commit(vec![Change {
            type_url: ADDRESS,
            removed: all.filter(|name| !wanted.contains_key(name)).collect(),
            upserts: wanted.into_values().collect(),
        }]);
    }

    fn ask(&mut self, name: String) {
        if let client::Asked::Send(request) = self.client.ask(ADDRESS, &name) {
            self.requests.push_back(request);
        }
        self.asked.insert(name);
    }

    fn reconnect(&mut self) {
        self.server = fresh_session();
        self.responses.clear();
        self.requests = self.client.connect().into();
    }

    fn send(&mut self) -> bool {
        let next = self.server.next(&self.resources.read(), Duration::ZERO);
        let server::Next::Push(push) = next else {
            return false;
        };
        assert!(push.with_aliases);
        let resources = push.resources.iter().map(|r| client::Resource {
            name: r.name.to_string(),
            version: r.version_text(),
            aliases: push.aliases(r),
            content: Some((ADDRESS.to_owned(), r.bytes.clone())),
        });
        self.responses.push_back(client::Response {
            type_url: ADDRESS.to_owned(),
            nonce: push.nonce.clone(),
            version: push.head.to_string(),
            resources: resources.collect(),
            removed: push.removed.iter().map(ToString::to_string).collect(),
        });
        true
    }

    fn take(&mut self) -> bool {
        let Some(response) = self.responses.pop_front() else {
            return false;
        };
        let client::Taken::Apply(delivery) = self.client.take(response) else {
            panic!("a type nobody asked for")
        };
        for name in delivery.removed {
            self.held.remove(&name);
        }
        self.held.extend(delivery.resources);
        let settled = self.client.settle(delivery.receipt, Vec::new()).unwrap();
        self.requests.push_back(settled.request);
        true
    }

    fn hear(&mut self) -> bool {
        let Some(request) = self.requests.pop_front() else {
            return false;
        };
        self.server.receive(server::Request {
            type_url: request.type_url,
            subscribe: request.subscribe,
            unsubscribe: request.unsubscribe,
            initial_versions: request.initial_versions,
            nonce: request.nonce,
            refusal: request.refusal,
        });
        true
    }

    fn settle(&mut self) {
        while self.hear() || self.send() || self.take() {}
    }

    /// Asks again as a proxy would on its next look-up, and compares.
    fn assert_answers_are_true(&mut self) {
        for name in self.asked.clone() {
            self.ask(name);
        }
        self.settle();
        let wanted = self.wanted();
        for (name, bytes) in &self.held {
            let published = wanted.get(name).map(|upsert| &upsert.bytes);
            assert_eq!(Some(bytes), published, "{name} is stale");
        }
        for name in self.asked.clone() {
            assert_eq!(
                self.client.ask(ADDRESS, &name),
                client::Asked::Answered,
                "{name}"
            );
            for upsert in wanted.values() {
                let mut aliases = upsert.links.aliases.iter();
                if upsert.name == name || aliases.any(|it| is_meant_by(it, &name)) {
                    assert!(self.held.contains_key(&upsert.name), "{name} was asked for");
                    self.assert_members_are_held(&wanted, &upsert.name);
                }
            }
        }
    }

    fn assert_members_are_held(&self, wanted: &BTreeMap<String, Upsert>, service: &String) {
        for upsert in wanted.values() {
            if upsert.links.services.contains(service) {
                assert!(self.held.contains_key(&upsert.name), "member of {service}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_asked_for_is_what_the_server_has(
        steps in proptest::collection::vec(step(), 0..100),
    ) {
        let mut world = World::new();
        for step in steps {
            world.run(step);
        }
        world.settle();
        world.assert_answers_are_true();
    }
}
