//! Policies that cannot be read keep new connections out where they may apply, and nowhere else.

use mesh::flow::Reason;
use mesh::model::{Action, Policy, PolicyScope, Workload};
use mesh::names::NamespacedName;
use mesh::state::{Reader, Settings};
use mesh::xds::Apply;

use super::*;
use crate::drawn;
use crate::inbound::authorize::{Caller, decide};
use crate::pod::Attempt;

const ROOT: &str = "weft-system";
/// Appended to a policy: an action, or a scope, that nobody knows.
const STRANGE_ACTION: [u8; 2] = [4 << 3, 9];
const STRANGE_SCOPE: [u8; 2] = [3 << 3, 9];

/// One that only reports, so that it refuses nobody itself.
fn policy(name: &str, scope: PolicyScope) -> Policy {
    Policy {
        key: NamespacedName::parse(name).unwrap(),
        scope,
        action: Action::Allow,
        rules: vec![],
        dry_run: true,
        origin: None,
    }
}

fn good(name: &str, scope: PolicyScope) -> (String, Bytes) {
    (name.into(), wire::policy::encode(&policy(name, scope)))
}

fn spoiled(name: &str, scope: PolicyScope, by: [u8; 2]) -> (String, Bytes) {
    let bytes = wire::policy::encode(&policy(name, scope));
    (name.into(), [&bytes[..], &by].concat().into())
}

fn pod(namespace: &str, named: &str) -> Workload {
    Workload {
        uid: mesh::names::WorkloadUid::pod("Kubernetes", namespace, "web"),
        namespace: namespace.into(),
        policies: NamespacedName::parse(named).into_iter().collect(),
        ..drawn::pod("web", &["10.0.0.1"])
    }
}

/// Pods in `shop` (one that names `shop/p`, one that does not) and in `other`.
fn picture() -> (Picture, Reader) {
    let (mut store, reader) = Store::new(Settings::default());
    let mut naming = pod("shop", "shop/p");
    naming.uid = mesh::names::WorkloadUid::pod("Kubernetes", "shop", "naming");
    store.know_policies();
    let pods = [naming, pod("shop", ""), pod("other", "")];
    store.apply(pods.map(|it| Update::Workload(Box::new(it))), []);
    (Picture::new(store, ROOT), reader)
}

/// Why the three are closed; `None` for one that is open.
fn closed(reader: &Reader) -> [Option<Reason>; 3] {
    let snapshot = reader.snapshot();
    ["shop/naming", "shop/web", "other/web"].map(|name| {
        let uid = format!("Kubernetes//Pod/{name}");
        let view = snapshot.workload_by_uid(&uid).found().unwrap();
        let caller = Caller {
            identity: None,
            address: drawn::ip("10.0.0.9"),
        };
        let application = std::net::SocketAddr::new(drawn::ip("10.0.0.1"), 80);
        match decide(&snapshot, view, &caller, application) {
            Attempt::Answer(Ok(_)) => None,
            Attempt::Answer(Err(_)) => Some(Reason::PolicyDenied),
            Attempt::Later(why) => Some(why),
            Attempt::Ask(name) => panic!("a decision asks for {name}"),
        }
    })
}

const REJECTED: Option<Reason> = Some(Reason::PolicyRejected);
const WAITS: Option<Reason> = Some(Reason::PolicyNotArrived);

#[test]
fn closes_what_it_may_apply_to() {
    use PolicyScope::{Global, Namespace, WorkloadSelector};
    let empty = |name: &str| (name.to_owned(), Bytes::from_static(&[0xff]));
    let other_name = ("shop/q".to_owned(), good("shop/p", Namespace).1);
    let table = [
        (
            spoiled("shop/p", Namespace, STRANGE_ACTION),
            [REJECTED, REJECTED, None],
        ),
        (
            spoiled("shop/p", WorkloadSelector, STRANGE_ACTION),
            [REJECTED, None, None],
        ),
        (
            spoiled("shop/q", WorkloadSelector, STRANGE_ACTION),
            [WAITS, None, None],
        ),
        (
            spoiled("any/p", Global, STRANGE_ACTION),
            [REJECTED, REJECTED, REJECTED],
        ),
        (
            spoiled("shop/p", WorkloadSelector, STRANGE_SCOPE),
            [REJECTED, REJECTED, None],
        ),
        (
            spoiled("weft-system/p", Namespace, STRANGE_SCOPE),
            [REJECTED, REJECTED, REJECTED],
        ),
        (empty("other/p"), [WAITS, None, REJECTED]),
        (empty("weft-system/p"), [REJECTED, REJECTED, REJECTED]),
        (empty("nameless"), [REJECTED, REJECTED, REJECTED]),
        (other_name, [REJECTED, REJECTED, None]),
    ];
    for (resource, expected) in table {
        let (mut picture, reader) = picture();
        let name = resource.0.clone();
        let refused = picture.apply(wire::policy::TYPE_URL, vec![resource], vec![]);
        assert_eq!(refused.len(), 1, "{name}");
        assert_eq!(closed(&reader), expected, "{name}: {refused:?}");
        assert_eq!(reader.load().rejected_policy_count(), 1, "{name}");
        // Gone: nothing is left of it.
        picture.apply(wire::policy::TYPE_URL, vec![], vec![name.clone()]);
        assert_eq!(closed(&reader), [WAITS, None, None], "{name} is gone");
        assert_eq!(reader.load().rejected_policy_count(), 0);
    }
}

#[test]
fn a_good_version_opens_again_and_an_earlier_one_stays_in_force() {
    let scope = PolicyScope::Namespace;
    let (mut picture, reader) = picture();
    let bad = || vec![spoiled("shop/p", scope, STRANGE_ACTION)];
    picture.apply(wire::policy::TYPE_URL, bad(), vec![]);
    assert_eq!(closed(&reader), [REJECTED, REJECTED, None]);
    picture.apply(wire::policy::TYPE_URL, vec![good("shop/p", scope)], vec![]);
    assert_eq!(closed(&reader), [None, None, None]);
    let refused = picture.apply(wire::policy::TYPE_URL, bad(), vec![]);
    assert_eq!(refused.len(), 1);
    assert_eq!(
        closed(&reader),
        [None, None, None],
        "the good version is in force"
    );
    assert_eq!(reader.load().rejected_policy_count(), 0);
}

#[test]
fn a_policy_without_content_is_one_that_cannot_be_read() {
    let (mut picture, reader) = picture();
    picture.note_empty(wire::address::TYPE_URL, vec!["shop/p".into()]);
    assert_eq!(closed(&reader), [WAITS, None, None]);
    picture.note_empty(wire::policy::TYPE_URL, vec!["shop/p".into()]);
    assert_eq!(closed(&reader), [REJECTED, REJECTED, None]);
}
