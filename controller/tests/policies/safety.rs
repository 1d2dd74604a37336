//! A second reading of policies, written from their meaning alone: whatever a node proxy cannot enforce, it never admits
//! more than was written and never refuses less; and what it can enforce, it decides as written.

use std::fmt::Write;
use std::net::SocketAddr;

use mesh::authz::{Facts, Verdict, decide};
use mesh::identity::Identity;
use proptest::prelude::*;

use super::yaml::{World, changes};
use super::{authorization, published};

const NAMESPACES: [&str; 3] = ["a", "b", "c"];
const PORTS: [u16; 3] = [80, 81, 82];
const WORDS: [&str; 2] = ["GET", "PUT"];

/// Values that a field must have one of, or none of; no list is no condition.
type List = Option<Vec<usize>>;

/// What a list is about.
#[derive(Clone, Copy, Debug)]
enum About {
    Namespace,
    Port,
    /// Something that only a waypoint sees.
    Word,
}

/// One alternative of `from` or `to`, or a condition: a list and its negation for each thing that it is about.
#[derive(Clone, Debug)]
struct Entry {
    l4: (List, List),
    l7: (List, List),
}

#[derive(Clone, Debug)]
struct Rule {
    from: Vec<Entry>,
    to: Vec<Entry>,
    when: Vec<(About, (List, List))>,
}

/// What connects, where to, and what it asks for once connected.
#[derive(Clone, Copy, Debug)]
struct Request {
    namespace: usize,
    port: usize,
    word: usize,
}

fn holds((these, not): &(List, List), value: usize) -> bool {
    these.as_ref().is_none_or(|it| it.contains(&value))
        && !not.as_ref().is_some_and(|it| it.contains(&value))
}

impl Request {
    fn value(self, about: About) -> usize {
        match about {
            About::Namespace => self.namespace,
            About::Port => self.port,
            About::Word => self.word,
        }
    }
}

impl Rule {
    /// Whether the rule, as written, is about this request.
    fn matches(&self, request: Request) -> bool {
        let one = |entry: &Entry, about: About| {
            holds(&entry.l4, request.value(about)) && holds(&entry.l7, request.word)
        };
        let from = self.from.iter().any(|it| one(it, About::Namespace));
        let to = self.to.iter().any(|it| one(it, About::Port));
        (self.from.is_empty() || from)
            && (self.to.is_empty() || to)
            && self
                .when
                .iter()
                .all(|(about, lists)| holds(lists, request.value(*about)))
    }

    /// Whether a node proxy can enforce all of it.
    fn is_l4(&self) -> bool {
        let entries = self.from.iter().chain(&self.to);
        entries.map(|it| &it.l7).all(|it| *it == (None, None))
            && !self
                .when
                .iter()
                .any(|(about, _)| matches!(about, About::Word))
    }

    fn yaml(&self) -> String {
        let entries = |outer: &str, inner: &str, all: &[Entry], l4: About| {
            let shown: Vec<_> = all
                .iter()
                .map(|it| {
                    let keys = match l4 {
                        About::Namespace => [
                            "namespaces",
                            "notNamespaces",
                            "requestPrincipals",
                            "notRequestPrincipals",
                        ],
                        _ => ["ports", "notPorts", "methods", "notMethods"],
                    };
                    let lists = [
                        (&it.l4.0, l4),
                        (&it.l4.1, l4),
                        (&it.l7.0, About::Word),
                        (&it.l7.1, About::Word),
                    ];
                    let fields = keys.into_iter().zip(lists);
                    let fields = fields.filter_map(|(key, (list, about))| field(key, list, about));
                    format!("{{{inner}: {{{}}}}}", fields.collect::<Vec<_>>().join(", "))
                })
                .collect();
            (!shown.is_empty()).then(|| format!("{outer}: [{}]", shown.join(", ")))
        };
        let when: Vec<_> = self
            .when
            .iter()
            .map(|(about, lists)| condition(*about, lists))
            .collect();
        let when = (!when.is_empty()).then(|| format!("when: [{}]", when.join(", ")));
        let parts = [
            entries("from", "source", &self.from, About::Namespace),
            entries("to", "operation", &self.to, About::Port),
            when,
        ];
        format!(
            "{{{}}}",
            parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
        )
    }
}

fn field(key: &str, list: &List, about: About) -> Option<String> {
    let shown = list.as_ref()?.iter().map(|value| match about {
        About::Namespace => NAMESPACES[*value].to_owned(),
        About::Port => format!("'{}'", PORTS[*value]),
        About::Word => WORDS[*value].to_owned(),
    });
    Some(format!("{key}: [{}]", shown.collect::<Vec<_>>().join(", ")))
}

fn condition(about: About, (these, not): &(List, List)) -> String {
    let key = match about {
        About::Namespace => "source.namespace",
        About::Port => "destination.port",
        About::Word => "'request.headers[x]'",
    };
    let mut text = format!("{{key: {key}");
    for (key, list) in [("values", these), ("notValues", not)] {
        if let Some(field) = field(key, list, about) {
            write!(text, ", {field}").unwrap();
        }
    }
    text + "}"
}

fn list(values: usize) -> impl Strategy<Value = List> {
    proptest::option::weighted(0.4, proptest::collection::vec(0..values, 1..3))
}

fn lists(values: usize) -> impl Strategy<Value = (List, List)> {
    (list(values), list(values))
}

fn is_written((these, not): &(List, List)) -> bool {
    these.is_some() || not.is_some()
}

fn entry() -> impl Strategy<Value = Entry> {
    let l7 = prop_oneof![3 => Just((None, None)), 1 => lists(WORDS.len())];
    let entry = (lists(PORTS.len()), l7).prop_map(|(l4, l7)| Entry { l4, l7 });
    entry.prop_filter("an entry asks for something", |it| {
        is_written(&it.l4) || is_written(&it.l7)
    })
}

fn rule() -> impl Strategy<Value = Rule> {
    let about =
        prop_oneof![2 => Just(About::Namespace), 2 => Just(About::Port), 1 => Just(About::Word)];
    let condition = (about, lists(WORDS.len()));
    let condition = condition.prop_filter("a condition asks for something", |it| is_written(&it.1));
    let entries = || proptest::collection::vec(entry(), 0..3);
    (
        entries(),
        entries(),
        proptest::collection::vec(condition, 0..2),
    )
        .prop_map(|(from, to, when)| Rule { from, to, when })
}

/// Whether the policy, as node proxies get it, is about a connection.
fn fires(policy: &mesh::model::Policy, namespace: usize, port: usize) -> bool {
    let id = format!("spiffe://cluster.local/ns/{}/sa/x", NAMESPACES[namespace]);
    let identity = Identity::parse(&id).unwrap();
    let [from, to] = ["10.0.0.1:1", "10.0.0.2:1"].map(|it| it.parse::<SocketAddr>().unwrap());
    let facts = Facts {
        source_identity: Some(&identity),
        source_ip: from.ip(),
        destination_ip: to.ip(),
        destination_port: PORTS[port],
        request: None,
    };
    matches!(
        (policy.action, decide(&facts, [policy])),
        (mesh::model::Action::Allow, Verdict::Allowed(Some(_)))
            | (mesh::model::Action::Deny, Verdict::Denied(_))
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_cannot_be_enforced_never_admits_more_and_never_refuses_less(
        rules in proptest::collection::vec(rule(), 0..3),
        is_deny in any::<bool>(),
    ) {
        let action = if is_deny { "DENY" } else { "ALLOW" };
        let written: Vec<_> = rules.iter().map(Rule::yaml).collect();
        let spec = format!("action: {action}, rules: [{}]", written.join(", "));
        let mut world = World::new();
        world.apply(changes(&authorization("shop", "p", &spec)));
        let policy = published(&world, "shop/p").unwrap();
        let is_l4 = rules.iter().all(Rule::is_l4);
        for (namespace, port) in (0..NAMESPACES.len()).flat_map(|n| (0..PORTS.len()).map(move |p| (n, p))) {
            let fires = fires(&policy, namespace, port);
            let mut asked = (0..WORDS.len()).map(|word| {
                let request = Request { namespace, port, word };
                rules.iter().any(|it| it.matches(request))
            });
            let is_safe = match (is_l4, is_deny) {
                (true, _) => asked.all(|meant| meant == fires),
                (false, false) => !fires || asked.all(|meant| meant),
                (false, true) => fires || !asked.any(|meant| meant),
            };
            prop_assert!(is_safe, "{spec} {} {}: {policy:?}", NAMESPACES[namespace], PORTS[port]);
        }
    }
}
