//! The controller's end of a stream and what is under way on it: real tables, a real session, two queues.

use std::collections::VecDeque;
use std::time::Duration;

use controller::publish::scope::Scope;
use controller::publish::session as server;
use controller::resources::{Change, Resource, Resources, Upsert};
use mesh::wire::{address, policy};
use mesh::xds::node::MORE_FOLLOWS;
use mesh::xds::session as client;

use crate::history::State;

/// Policies before what names them, as the controller serves them.
const TYPES: &[&str] = &[policy::TYPE_URL, address::TYPE_URL];

pub(crate) struct Link {
    resources: Resources,
    session: server::Session,
    page: server::PageSize,
    /// Whether the client has had its time to ask for policies.
    is_late: bool,
    /// The same, of this or an earlier stream.
    pub(crate) was_late: bool,
    pub(crate) requests: VecDeque<client::Request>,
    pub(crate) responses: VecDeque<client::Response>,
}

impl Link {
    pub(crate) fn new(page: server::PageSize) -> Self {
        Self {
            resources: resources(),
            session: session(page),
            page,
            is_late: false,
            was_late: false,
            requests: VecDeque::new(),
            responses: VecDeque::new(),
        }
    }

    /// Publishes what distinguishes `next` from `before`, at once.
    pub(crate) fn publish(&self, before: &State, next: &State) {
        let gone = before
            .workloads
            .keys()
            .filter(|it| !next.workloads.contains_key(*it));
        let addresses = Change {
            type_url: address::TYPE_URL,
            upserts: next
                .workloads
                .iter()
                .map(|(uid, it)| Upsert::from((uid.clone(), address::encode_workload(it))))
                .collect(),
            removed: gone.cloned().collect(),
        };
        let gone = before
            .policies
            .keys()
            .filter(|it| !next.policies.contains_key(it));
        let policies = Change {
            type_url: policy::TYPE_URL,
            upserts: next
                .policies
                .values()
                .map(|it| Upsert::from(&**it))
                .collect(),
            removed: gone.map(ToString::to_string).collect(),
        };
        self.resources.commit(vec![addresses, policies]);
    }

    /// The stream breaks: what was under way is lost, and the client begins a new one.
    pub(crate) fn reconnect(&mut self, first: Vec<client::Request>) {
        self.session = session(self.page);
        self.is_late = false;
        self.responses.clear();
        self.requests = first.into();
    }

    /// The controller loses its memory, then reads all objects anew.
    pub(crate) fn restart(&mut self, state: &State) {
        self.resources = resources();
        self.publish(&State::default(), state);
    }

    /// So much time passes that the controller waits no longer for a client to ask for policies.
    pub(crate) fn wait(&mut self) {
        self.is_late = true;
        self.was_late = true;
    }

    /// The controller says what it has to say; `false` when that is nothing.
    pub(crate) fn send(&mut self) -> bool {
        let elapsed = if self.is_late {
            server::GRACE
        } else {
            Duration::ZERO
        };
        let next = self.session.next(&self.resources.read(), elapsed);
        let server::Next::Push(push) = next else {
            return false;
        };
        let more = if push.more_follows { MORE_FOLLOWS } else { "" };
        let resource = |it: &Resource| client::Resource {
            name: it.name.to_string(),
            version: it.version_text(),
            aliases: Vec::new(),
            content: Some((push.type_url.to_owned(), it.bytes.clone())),
        };
        self.responses.push_back(client::Response {
            type_url: push.type_url.to_owned(),
            nonce: push.nonce.clone(),
            version: format!("{}{more}", push.head),
            resources: push.resources.iter().map(|it| resource(it)).collect(),
            removed: push.removed.iter().map(ToString::to_string).collect(),
        });
        true
    }

    /// The controller hears one request; `false` when none is under way.
    pub(crate) fn hear(&mut self) -> bool {
        let Some(request) = self.requests.pop_front() else {
            return false;
        };
        self.session.receive(server::Request {
            type_url: request.type_url,
            subscribe: request.subscribe,
            unsubscribe: request.unsubscribe,
            initial_versions: request.initial_versions,
            nonce: request.nonce,
            refusal: request.refusal,
        });
        true
    }
}

fn resources() -> Resources {
    let resources = Resources::new(TYPES.iter().copied());
    resources.complete();
    resources
}

fn session(page: server::PageSize) -> server::Session {
    let scope = Scope {
        types: TYPES,
        only_by_name: &[],
        gateway: None,
        node: None,
        takes_pages: true,
    };
    server::Session::new(scope, page)
}
