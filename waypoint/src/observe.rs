//! What is logged, counted and traced of requests.
//!
//! A request fills a [`record::Record`] on its way; at its end the [`Observer`] of its worker counts it,
//! writes a line and tells spans, each only where [`Settings`] want it.

pub mod settings;
pub mod trace;
pub mod access_log;
pub mod metrics;
pub mod record;

use std::rc::Rc;

use access_log::Lines;
use metrics::Recorder;
use record::Record;
use trace::Trace;
use trace::collectors::Spans;

pub use settings::Settings;

/// One worker's way to metrics, log and collectors.
#[derive(Debug)]
pub struct Observer {
    /// Counts.
    pub recorder: Recorder,
    /// Gathers lines.
    pub lines: Rc<Lines>,
    /// Takes spans; `None` where no collector can be reached from.
    pub spans: Option<Spans>,
}

impl Observer {
    /// A connection of opaque bytes has ended, and was counted.
    pub fn closed(&self, settings: &Settings, record: &Record) {
        self.recorder.events.ended(record.answered.reason);
        if let Some(log) = &settings.log
            && log.wants(record)
        {
            self.lines.write(log, record);
        }
    }

    /// A request has ended.
    pub fn finish(&self, settings: &Settings, record: &Record, trace: Option<Trace>) {
        self.recorder.request(record, &settings.rules);
        if let Some(log) = &settings.log
            && log.wants(record)
        {
            self.lines.write(log, record);
        }
        if let Some(finished) = trace.and_then(|trace| trace.finish(record))
            && let Some(spans) = &self.spans
        {
            spans.push(finished);
        }
    }
}
