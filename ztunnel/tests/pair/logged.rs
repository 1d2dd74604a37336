//! The access log of this process, and what is said about callers, kept line by line. Lines are told apart by the address that the
//! connection came from: see [`crate::net::port_of_its_own`].

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::net::SocketAddr;
use std::sync::Mutex;

use mesh::flow::{ACCESS, Direction};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

/// One line.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) level: Level,
    pub(crate) fields: BTreeMap<&'static str, String>,
}

impl Line {
    /// A field, or nothing.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }
}

static LINES: Mutex<Vec<Line>> = Mutex::new(Vec::new());

/// From now on the log is kept. To be called once, before any proxy is started.
pub(crate) fn keep() {
    let subscriber = tracing_subscriber::registry().with(Keeper);
    tracing::subscriber::set_global_default(subscriber).unwrap();
}

/// Lines about a connection's end at one door.
pub(crate) fn ends(direction: Direction, source: SocketAddr) -> Vec<Line> {
    let source = source.to_string();
    let is_it = |line: &&Line| {
        line.get("src.addr") == source
            && line.get("direction") == direction.word()
            && line.get("message").starts_with("connection ")
            && line.level != Level::DEBUG
    };
    all().iter().filter(is_it).cloned().collect()
}

/// All lines so far, of all tests.
pub(crate) fn all() -> Vec<Line> {
    LINES.lock().unwrap().clone()
}

struct Keeper;

impl<S: Subscriber> Layer<S> for Keeper {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let target = event.metadata().target();
        if target != ACCESS && !target.starts_with("ztunnel::inbound") {
            return;
        }
        let mut line = Line {
            level: *event.metadata().level(),
            fields: BTreeMap::new(),
        };
        event.record(&mut line);
        LINES.lock().unwrap().push(line);
    }
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.fields.insert(field.name(), value.to_owned());
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.fields.insert(field.name(), value.to_string());
    }
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.fields.insert(field.name(), format!("{value:?}"));
    }
}
