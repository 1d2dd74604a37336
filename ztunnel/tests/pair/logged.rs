//! The access log of this process, kept line by line. Lines are told apart by the address that the
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
            && line.level != Level::DEBUG
    };
    let lines = LINES.lock().unwrap();
    lines.iter().filter(is_it).cloned().collect()
}

struct Keeper;

impl<S: Subscriber> Layer<S> for Keeper {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() != ACCESS {
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
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.fields.insert(field.name(), format!("{value:?}"));
    }
}
