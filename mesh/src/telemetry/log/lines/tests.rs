//! Lines to the letter.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use tracing_subscriber::layer::SubscriberExt;

use super::*;

/// What is written while `work` runs.
fn written(format: Format, work: impl FnOnce()) -> String {
    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);
    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let sink = Sink::default();
    let lines = Lines {
        format,
        now: || SystemTime::UNIX_EPOCH + Duration::from_micros(1_700_000_000_000_001),
    };
    let writer = sink.clone();
    let layer = tracing_subscriber::fmt::layer()
        .event_format(lines)
        .with_writer(move || writer.clone());
    let subscriber = tracing_subscriber::registry().with(layer);
    tracing::subscriber::with_default(subscriber, work);
    let bytes = sink.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

fn something() {
    let nothing: Option<&str> = None;
    tracing::info!(
        target: "access",
        {
            src.addr = %"10.0.0.1:4711",
            src.identity = %"spiffe://cluster.local/ns/a/sa/b",
            src.workload = "pod \"x\"\n",
            dst.service = nothing,
            bytes_sent = 7_u64,
            ok = true,
        },
        "connection complete"
    );
}

#[test]
fn text_has_tabs_quotes_strings_and_leaves_numbers_bare() {
    assert_eq!(
        written(Format::Plain, something),
        "2023-11-14T22:13:20.000001Z\tinfo\taccess\tconnection complete\tsrc.addr=10.0.0.1:4711 \
         src.identity=\"spiffe://cluster.local/ns/a/sa/b\" src.workload=\"pod \\\"x\\\"\\n\" \
         bytes_sent=7 ok=true\n"
    );
}

#[test]
fn json_has_the_promised_keys_in_order() {
    assert_eq!(
        written(Format::Json, something),
        "{\"level\":\"info\",\"time\":\"2023-11-14T22:13:20.000001Z\",\"scope\":\"access\",\
         \"message\":\"connection complete\",\"src.addr\":\"10.0.0.1:4711\",\
         \"src.identity\":\"spiffe://cluster.local/ns/a/sa/b\",\"src.workload\":\"pod \\\"x\\\"\\n\",\
         \"bytes_sent\":7,\"ok\":true}\n"
    );
}

#[test]
fn a_line_break_in_a_message_starts_no_line() {
    let text = written(Format::Plain, || tracing::warn!("one\ntwo"));
    assert_eq!(text.lines().count(), 1, "{text}");
    let text = written(Format::Json, || {
        tracing::warn!(number = f64::INFINITY, "one\ntwo")
    });
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["message"], "one\ntwo");
    assert_eq!(value["number"], "inf");
}
