//! An opaque connection's own story: counted while it lasts, told once at its end to metrics and log.

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Instant, SystemTime};

use mesh::relay::Counters;

use super::Refused;
use crate::call::Call;
use crate::destinations::{Destination, Target};
use crate::ending::Ending;
use crate::observe::metrics::{Connection, Labels};
use crate::observe::record::{Flag, Protocol, Record};
use crate::observe::{Observer, Settings};

/// The story of one connection. Whoever lets go of it without an end has cut it.
pub(super) struct Story {
    record: Record,
    settings: Arc<Settings>,
    observer: Rc<Observer>,
    counters: Counters,
    connection: Option<Connection>,
    is_told: bool,
}

impl Story {
    /// A connection has come; its own TLS asks for `server_name`.
    pub(super) fn begin(call: &Call, server_name: Option<&str>) -> Self {
        let served = call.worker.shared.served.load();
        let (source, service) = (Arc::clone(&call.source), Arc::clone(&call.service));
        let mut record = Record::new(SystemTime::now(), Instant::now(), source, service);
        record.source_address = Some(call.client_address());
        record.local_address = call.authority.parse().ok();
        record.asked.protocol = Protocol::Opaque;
        record.server_name = server_name.map(Into::into);
        Self {
            record,
            settings: Arc::clone(served.observed(call.service_key())),
            observer: Rc::clone(&call.worker.observer),
            counters: Counters::default(),
            connection: None,
            is_told: false,
        }
    }

    /// It was decided where it goes.
    pub(super) fn goes_to(&mut self, destination: &Destination, target: &Target) {
        self.record.sent.attempts = 1;
        self.record.sent.cluster = Arc::clone(&destination.name);
        self.record.sent.host = Some(target.way.address);
        self.record.destination = Arc::clone(&target.party);
    }

    /// It has reached its destination. What it carries is counted where this says.
    pub(super) fn opened(&mut self) -> &Counters {
        let connection = self.connect();
        self.counters.count_into(connection.bytes());
        self.connection = Some(connection);
        &self.counters
    }

    /// What was carried past the counters.
    pub(super) fn carried(&mut self, sent: u64, received: u64) {
        if let Some(connection) = &self.connection {
            let totals = connection.bytes();
            totals.sent.fetch_add(sent, Ordering::Relaxed);
            totals.received.fetch_add(received, Ordering::Relaxed);
        }
        self.record.asked.size.body = sent;
        self.record.answered.size.body = received;
    }

    /// It has ended: by itself, or because it was refused.
    pub(super) fn end(mut self, refused: Option<&Refused>) {
        self.tell(refused.map(Refused::ending), refused);
    }

    fn tell(&mut self, ending: Option<Ending>, refused: Option<&Refused>) {
        self.is_told = true;
        let record = &mut self.record;
        record.duration = record.began.elapsed();
        record.asked.size.body = record.asked.size.body.max(self.counters.sent());
        record.answered.size.body = record.answered.size.body.max(self.counters.received());
        if let Some(ending) = ending {
            record.answered.reason = ending.details();
            record.answered.details = match refused {
                Some(Refused::Denied(denied)) => Cow::Owned(denied.details.clone()),
                _ => Cow::Borrowed(ending.details()),
            };
            let flag = Flag::ALL.iter().find(|it| it.word() == ending.flag());
            record.answered.flags = flag.copied().map(Into::into).unwrap_or_default();
        }
        // One that went nowhere counts as well, as opened and closed.
        let connection = self.connection.take();
        let mut connection = connection.unwrap_or_else(|| self.connect());
        connection.close(self.record.answered.flags);
        self.observer.closed(&self.settings, &self.record);
    }

    fn connect(&self) -> Connection {
        self.observer.recorder.open(Labels {
            source: Arc::clone(&self.record.source),
            destination: Arc::clone(&self.record.destination),
            service: Arc::clone(&self.record.service),
            rules: self.settings.rules.clone(),
        })
    }
}

impl Drop for Story {
    fn drop(&mut self) {
        if !self.is_told {
            self.tell(Some(Ending::Drained), None);
        }
    }
}
