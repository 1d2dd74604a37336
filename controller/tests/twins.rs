//! The two delta sessions against each other, without a network: whatever is published, lost and
//! begun anew, the client ends with what the server has, and never holds a workload without its policy.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use controller::publish::scope::Scope;
use controller::publish::session as server;
use controller::resources::{Change, Resource, Resources, Upsert};
use mesh::xds::node::MORE_FOLLOWS;
use mesh::xds::session as client;
use proptest::prelude::{
    Just, ProptestConfig, Strategy, any, prop_assert_eq, prop_oneof, proptest,
};
use proto::type_urls::{ADDRESS, AUTHORIZATION};

const WORKLOADS: usize = 6;
const POLICIES: usize = 4;

#[derive(Clone, Debug)]
enum Step {
    /// A workload comes to name a policy, which is published in the same change if it is new.
    /// Policies that nobody names go in that change too. The order within the change varies.
    Name {
        workload: usize,
        policy: usize,
        addresses_first: bool,
    },
    /// A workload goes.
    Drop { workload: usize },
    /// A policy changes.
    Change { policy: usize },
    /// The server sends what it can.
    Send,
    /// The client takes one response, refusing the resource at this place if there is one.
    Take { refuse: Option<usize> },
    /// The server hears one request.
    Hear,
    /// The stream breaks, with all that was under way.
    Break,
    /// The same, and the server has lost its memory.
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let name = (0..WORKLOADS, 0..POLICIES, any::<bool>());
    prop_oneof![
        6 => name.prop_map(|(workload, policy, addresses_first)| Step::Name {
            workload,
            policy,
            addresses_first
        }),
        2 => (0..WORKLOADS).prop_map(|workload| Step::Drop { workload }),
        1 => (0..POLICIES).prop_map(|policy| Step::Change { policy }),
        6 => Just(Step::Send),
        6 => proptest::option::weighted(0.1, 0..4_usize).prop_map(|refuse| Step::Take { refuse }),
        6 => Just(Step::Hear),
        1 => Just(Step::Break),
        1 => Just(Step::Restart),
    ]
}

type Held = BTreeMap<String, String>;

/// Server, client and what is under way between them.
struct World {
    /// What the server should publish: workload to policy.
    addresses: Held,
    /// Policy to content.
    policies: Held,
    count: usize,
    page: server::PageSize,
    resources: Resources,
    server: server::Session,
    client: client::Session,
    requests: VecDeque<client::Request>,
    responses: VecDeque<client::Response>,
    /// What the client holds, by type.
    held: BTreeMap<String, Held>,
    /// Whether something was refused, so that the client may lack a version or a policy.
    has_refused: bool,
}

fn fresh_session(page: server::PageSize) -> server::Session {
    let scope = Scope {
        types: &[AUTHORIZATION, ADDRESS],
        only_by_name: &[],
        gateway: None,
        node: None,
        takes_pages: true,
    };
    server::Session::new(scope, page)
}

fn fresh_resources() -> Resources {
    let resources = Resources::new([ADDRESS, AUTHORIZATION]);
    resources.complete();
    resources
}

impl World {
    fn new(entries: usize, addresses_first: bool) -> Self {
        let page = server::PageSize {
            entries,
            bytes: 1 << 20,
        };
        let mut types = [ADDRESS, AUTHORIZATION];
        if !addresses_first {
            types.reverse();
        }
        let mode = client::Mode::Wildcard;
        let subscriptions = types.map(|type_url| client::Subscription { type_url, mode });
        let mut world = Self {
            addresses: Held::new(),
            policies: Held::new(),
            count: 0,
            page,
            resources: fresh_resources(),
            server: fresh_session(page),
            client: client::Session::new(subscriptions),
            requests: VecDeque::new(),
            responses: VecDeque::new(),
            held: BTreeMap::new(),
            has_refused: false,
        };
        world.reconnect();
        world
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Name {
                workload,
                policy,
                addresses_first,
            } => {
                let policy = format!("p{policy}");
                self.addresses
                    .insert(format!("w{workload}"), policy.clone());
                self.count += 1;
                let content = format!("rules {}", self.count);
                self.policies.entry(policy).or_insert(content);
                self.publish(addresses_first);
            }
            Step::Drop { workload } => {
                self.addresses.remove(&format!("w{workload}"));
                self.publish(true);
            }
            Step::Change { policy } => {
                self.count += 1;
                let content = format!("rules {}", self.count);
                if let Some(old) = self.policies.get_mut(&format!("p{policy}")) {
                    *old = content;
                }
                self.publish(true);
            }
            Step::Send => _ = self.send(),
            Step::Take { refuse } => _ = self.take(refuse),
            Step::Hear => _ = self.hear(),
            Step::Break => self.reconnect(),
            Step::Restart => {
                self.resources = fresh_resources();
                self.publish(false);
                self.reconnect();
            }
        }
    }

    /// Publishes everything that should be there; what is equal is found and dropped.
    fn publish(&mut self, addresses_first: bool) {
        let named: Vec<&String> = self.addresses.values().collect();
        self.policies.retain(|policy, _| named.contains(&policy));
        let change = |type_url, wanted: &Held, all: Vec<String>| Change {
            type_url,
            upserts: wanted
                .iter()
                .map(|(name, content)| Upsert::from((name.clone(), content.clone().into())))
                .collect(),
            removed: all
                .into_iter()
                .filter(|n| !wanted.contains_key(n))
                .collect(),
        };
        let workloads = (0..WORKLOADS).map(|n| format!("w{n}")).collect();
        let policies = (0..POLICIES).map(|n| format!("p{n}")).collect();
        let mut changes = vec![
            change(ADDRESS, &self.addresses, workloads),
            change(AUTHORIZATION, &self.policies, policies),
        ];
        if !addresses_first {
            changes.reverse();
        }
        self.resources.commit(changes);
    }

    fn reconnect(&mut self) {
        self.server = fresh_session(self.page);
        self.responses.clear();
        self.requests = self.client.connect().into();
    }

    fn send(&mut self) -> bool {
        let next = self.server.next(&self.resources.read(), Duration::ZERO);
        let server::Next::Push(push) = next else {
            return false;
        };
        let more = if push.more_follows { MORE_FOLLOWS } else { "" };
        let resource = |r: &Resource| client::Resource {
            name: r.name.to_string(),
            version: r.version_text(),
            aliases: Vec::new(),
            content: Some((push.type_url.to_owned(), r.bytes.clone())),
        };
        self.responses.push_back(client::Response {
            type_url: push.type_url.to_owned(),
            nonce: push.nonce.clone(),
            version: format!("{}{more}", push.head),
            resources: push.resources.iter().map(|r| resource(r)).collect(),
            removed: push.removed.iter().map(ToString::to_string).collect(),
        });
        true
    }

    fn take(&mut self, refuse: Option<usize>) -> bool {
        let Some(response) = self.responses.pop_front() else {
            return false;
        };
        let client::Taken::Apply(delivery) = self.client.take(response) else {
            panic!("a type nobody asked for")
        };
        let held = self.held.entry(delivery.type_url.to_owned()).or_default();
        for name in delivery.removed {
            held.remove(&name);
        }
        let mut refused = Vec::new();
        for (place, (name, bytes)) in delivery.resources.into_iter().enumerate() {
            if Some(place) == refuse {
                refused.push((name, "no".to_owned()));
            } else {
                held.insert(name, text(&bytes));
            }
        }
        self.has_refused |= !refused.is_empty();
        let settled = self.client.settle(delivery.receipt, refused).unwrap();
        self.requests.push_back(settled.request);
        self.assert_policies_are_there();
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

    /// A client that refused nothing holds the policy of every workload that it holds.
    fn assert_policies_are_there(&self) {
        let empty = Held::new();
        let policies = self.held.get(AUTHORIZATION).unwrap_or(&empty);
        for (workload, policy) in self.held.get(ADDRESS).unwrap_or(&empty) {
            assert!(
                self.has_refused || policies.contains_key(policy),
                "{workload} is there without {policy}"
            );
        }
    }

    /// Lets everything under way arrive.
    fn settle(&mut self) {
        while self.hear() || self.send() || self.take(None) {}
    }

    fn assert_same(&self) {
        let empty = Held::new();
        assert_eq!(self.held.get(ADDRESS).unwrap_or(&empty), &self.addresses);
        let policies = self.held.get(AUTHORIZATION).unwrap_or(&empty);
        assert_eq!(policies, &self.policies);
        assert!(self.client.is_ready());
    }
}

fn text(bytes: &Bytes) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 400,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_schedule_ends_with_the_same_state_on_both_sides(
        steps in proptest::collection::vec(step(), 0..120),
        entries in 1..6_usize,
        addresses_first in any::<bool>(),
    ) {
        let mut world = World::new(entries, addresses_first);
        for step in steps {
            world.run(step);
        }
        world.settle();
        if world.has_refused {
            // What was refused comes again with the next stream.
            world.reconnect();
            world.settle();
        }
        world.assert_same();
    }

    #[test]
    fn a_reconnect_after_a_restart_with_the_same_content_sends_nothing(
        steps in proptest::collection::vec(step(), 0..60),
        entries in 1..6_usize,
    ) {
        let mut world = World::new(entries, true);
        for step in steps {
            world.run(match step {
                Step::Take { .. } => Step::Take { refuse: None },
                other => other,
            });
        }
        world.settle();
        world.run(Step::Restart);
        let mut sent = 0;
        while world.hear() || world.send() || !world.responses.is_empty() {
            for response in &world.responses {
                sent += response.resources.len() + response.removed.len();
            }
            world.take(None);
        }
        prop_assert_eq!(sent, 0);
        world.assert_same();
    }
}
