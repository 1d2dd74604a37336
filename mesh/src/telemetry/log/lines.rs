//! Lines of the log as Istio's proxies write them, as text or as JSON. Source: docs/compat.md#access-log.

use std::fmt;
use std::time::SystemTime;

use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::Format;
use super::value::{Collected, quote};

/// RFC 3339 with microseconds.
const TIME: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");

/// Writes events in a [`Format`].
pub(super) struct Lines {
    /// Which one.
    pub(super) format: Format,
    /// The clock.
    pub(super) now: fn() -> SystemTime,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut collected = Collected::new(self.format == Format::Json);
        event.record(&mut collected);
        let Collected {
            message, fields, ..
        } = collected;
        let time = OffsetDateTime::from((self.now)());
        let time = time.format(TIME).map_err(|_| fmt::Error)?;
        let level = level(*event.metadata().level());
        let scope = event.metadata().target();
        match self.format {
            Format::Plain => {
                // A line break in a message must not look like another event.
                let message = message.replace('\n', "\\n");
                write!(writer, "{time}\t{level}\t{scope}\t{message}")?;
                if !fields.is_empty() {
                    write!(writer, "\t{fields}")?;
                }
                writeln!(writer)
            }
            Format::Json => {
                let (mut scope_text, mut message_text) = (String::new(), String::new());
                quote(&mut scope_text, scope);
                quote(&mut message_text, &message);
                writeln!(
                    writer,
                    "{{\"level\":\"{level}\",\"time\":\"{time}\",\"scope\":{scope_text},\"message\":{message_text}{fields}}}"
                )
            }
        }
    }
}

fn level(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

#[cfg(test)]
mod tests;
