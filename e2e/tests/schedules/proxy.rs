//! The proxy's end of a stream: the real session, the real picture, the real decision; and what must
//! hold of them at every moment.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use mesh::model::{Policy, PolicyScope, Workload};
use mesh::names::NamespacedName;
use mesh::state::{Reader, Settings, Snapshot, Store, WorkloadView};
use mesh::xds::Apply;
use mesh::xds::session::{Mode, Request, Response, Session, Subscription, Taken};
use ztunnel::inbound::authorize::{Caller, decide};
use ztunnel::picture::{Picture, TYPES};
use ztunnel::pod;

use crate::history::{Attempt, History, State, applies};
use crate::link::Link;
use crate::tally::Tally;

pub(crate) struct Proxy {
    session: Session,
    picture: Picture,
    reader: Reader,
    attempts: Vec<Attempt>,
    /// By name the earliest state that what is held now can be of.
    floors: BTreeMap<String, usize>,
}

impl Proxy {
    /// Just started.
    pub(crate) fn new() -> Self {
        let mode = Mode::Wildcard;
        let (store, reader) = Store::new(Settings::default());
        Self {
            session: Session::new(TYPES.map(|type_url| Subscription { type_url, mode })),
            picture: Picture::new(store, "root"),
            reader,
            attempts: Attempt::all(),
            floors: BTreeMap::new(),
        }
    }

    pub(crate) fn connect(&self) -> Vec<Request> {
        self.session.connect()
    }

    /// Applies a response; the answer to it.
    pub(crate) fn take(&mut self, response: Response) -> Request {
        let Taken::Apply(delivery) = self.session.take(response) else {
            panic!("a type nobody asked for")
        };
        let refused = self
            .picture
            .apply(delivery.type_url, delivery.resources, delivery.removed);
        assert_eq!(refused, [], "every record is well made");
        self.session
            .settle(delivery.receipt, refused)
            .unwrap()
            .request
    }

    /// The claims of the head of `main`, one to four.
    pub(crate) fn assert_claims(&mut self, history: &History, link: &Link, tally: &mut Tally) {
        let (was_late, only_tighter) = (link.was_late, history.only_tighter);
        let snapshot = self.reader.snapshot();
        self.assert_nothing_went_back(&snapshot, history);
        for uid in History::uids() {
            let Some(view) = snapshot.workload_by_uid(&uid).found() else {
                continue;
            };
            let set = snapshot.policies_for(view.id()).unwrap();
            let record = view.to_model();
            let first = published_first(history, &uid, &record);
            let states = &history.states[first..];
            for key in set.missing() {
                let is_scoped = |it: &Arc<Policy>| it.scope != PolicyScope::WorkloadSelector;
                assert!(
                    was_late
                        || history
                            .states
                            .iter()
                            .any(|it| it.policies.get(key).is_some_and(is_scoped)),
                    "{uid} is there without {key}"
                );
            }
            let waits = set.missing().next().is_some();
            let found: BTreeMap<_, _> = set.found().map(|it| (it.key.clone(), it)).collect();
            for key in History::keys() {
                assert_not_older(history, &record, first, &key, found.get(&key).copied());
            }
            for attempt in &self.attempts {
                let is_admitted = is_admitted(&self.reader, view, attempt);
                assert!(
                    !waits || !is_admitted,
                    "{uid} is admitted without a policy it names"
                );
                if waits {
                    tally.waiting += 1;
                    continue;
                }
                let admitting = states.iter().filter(|it| it.admits(&uid, attempt)).count();
                tally.count(is_admitted, admitting, states.len());
                let is_last = first == history.last();
                assert!(
                    !is_last || is_admitted == (admitting == 1),
                    "{uid} is as in the last state, which says otherwise: {attempt:?}"
                );
                assert!(
                    !only_tighter || !is_admitted || states[0].admits(&uid, attempt),
                    "{uid} admits what no state since its record does: {attempt:?}"
                );
            }
        }
    }

    /// Claim 3.
    fn assert_nothing_went_back(&mut self, snapshot: &Snapshot, history: &History) {
        for key in History::keys() {
            let held = snapshot.policy(&key).and_then(version_of_policy);
            let at = |state: &State| {
                state
                    .policies
                    .get(&key)
                    .and_then(|it| version_of_policy(it))
            };
            self.assert_never_back(&key.to_string(), held, at, history);
        }
        for uid in History::uids() {
            let view = snapshot.workload_by_uid(&uid).found();
            let held = view.map(|it| it.canonical_revision().to_string());
            let at = |state: &State| {
                state
                    .workloads
                    .get(&uid)
                    .map(|it| it.canonical_revision.to_string())
            };
            self.assert_never_back(&uid, held, at, history);
        }
    }

    /// Everything as in the last state.
    pub(crate) fn assert_quiet(&self, history: &History) {
        let last = &history.states[history.last()];
        let snapshot = self.reader.snapshot();
        assert!(self.session.is_ready());
        assert_eq!(snapshot.workload_count(), last.workloads.len());
        assert_eq!(snapshot.policy_count(), last.policies.len());
        for uid in last.workloads.keys() {
            let view = snapshot.workload_by_uid(uid).found().unwrap();
            for attempt in &self.attempts {
                let is_admitted = is_admitted(&self.reader, view, attempt);
                assert_eq!(is_admitted, last.admits(uid, attempt), "{uid} {attempt:?}");
            }
        }
    }

    /// The same, for one name.
    fn assert_never_back(
        &mut self,
        name: &str,
        held: Option<String>,
        at: impl Fn(&State) -> Option<String>,
        history: &History,
    ) {
        let floor = self.floors.entry(name.to_owned()).or_default();
        let next = (*floor..=history.last()).find(|n| at(&history.states[*n]) == held);
        *floor = next.unwrap_or_else(|| panic!("{name} went back to before state {floor}"));
    }
}

fn version_of_policy(policy: &Policy) -> Option<String> {
    policy.origin.as_ref().map(|it| it.rule.to_string())
}

/// The first state with that version of a workload.
fn published_first(history: &History, uid: &str, record: &Workload) -> usize {
    let is_it = |it: &Arc<Workload>| it.canonical_revision == record.canonical_revision;
    let mut states = history.states.iter();
    states
        .position(|state| state.workloads.get(uid).is_some_and(is_it))
        .unwrap()
}

/// Claim 1, for one workload and one policy.
fn assert_not_older(
    history: &History,
    record: &Workload,
    first: usize,
    key: &NamespacedName,
    held: Option<&Policy>,
) {
    let applying = |state: &State| {
        let policy = state.policies.get(key).filter(|it| applies(it, record));
        policy.and_then(|it| version_of_policy(it))
    };
    let held = held.and_then(version_of_policy);
    assert!(
        history.states[first..]
            .iter()
            .any(|state| applying(state) == held),
        "{} is of state {first}, but {key} {held:?} is older",
        record.uid.0
    );
}

fn is_admitted(reader: &Reader, view: WorkloadView<'_>, attempt: &Attempt) -> bool {
    let caller = Caller {
        identity: attempt.identity.as_ref(),
        address: Attempt::SOURCE,
    };
    let application = SocketAddr::new(Attempt::DESTINATION, attempt.port);
    let answer = decide(&reader.load(), view, &caller, application);
    matches!(answer, pod::Attempt::Answer(Ok(_)))
}
