//! Lines arrive after a moment, and a writer that is behind costs lines and nothing else.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use super::*;
use crate::observe::metrics::Metrics;
use crate::observe::record::{Party, Served};

fn parts() -> (Events, AccessLog, Record) {
    let metrics = Metrics::register(&mut mesh::telemetry::metrics::Registry::default());
    let settings = mesh::model::observe::AccessLog {
        format: "%RESPONSE_CODE%".into(),
        ..Default::default()
    };
    let log = AccessLog::compile(&settings, |_| None).unwrap();
    let source = Arc::<Party>::default();
    let record = Record::new(
        SystemTime::now(),
        Instant::now(),
        source,
        Arc::<Served>::default(),
    );
    (metrics.events, log, record)
}

#[tokio::test(start_paused = true)]
async fn a_line_is_handed_over_after_a_moment() {
    let (events, log, record) = parts();
    let (handle, mut writer) = channel(&events);
    let lines = handle.lines();
    lines.write(&log, &record);
    lines.write(&log, &record);
    let buffer = tokio::select! {
        () = Rc::clone(&lines).keep_flushing() => None,
        buffer = writer.buffers.recv() => buffer,
    };
    let buffer = buffer.unwrap();
    assert_eq!((&*buffer.bytes, buffer.lines), (&b"0\n0\n"[..], 2));
}

#[test]
fn what_the_writer_cannot_take_is_dropped_and_counted() {
    let (events, log, record) = parts();
    let (handle, writer) = channel(&events);
    let lines = handle.lines();
    for _ in 0..BUFFERS + 3 {
        lines.write(&log, &record);
        lines.flush();
    }
    assert_eq!(events.lines_dropped.get(), 3);
    drop((lines, handle));
    let mut out = Vec::new();
    writer.run(&mut out);
    assert_eq!(out.len(), BUFFERS * 2);
    assert_eq!(events.lines_written.get(), BUFFERS as u64);
}
