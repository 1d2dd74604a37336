//! Effective settings of one target, made ready: what a request has to know to be observed.

use std::sync::Arc;

use http::HeaderMap;
use mesh::model::observe::{self, Telemetry};

use super::access_log::{AccessLog, Captured, Error};
use super::metrics::MetricRules;
use super::trace::{Trace, Tracer};

/// What is logged, counted and traced of requests to one target; made once, shared by its requests.
#[derive(Debug, Default)]
pub struct Settings {
    /// The log, when there is one.
    pub log: Option<AccessLog>,
    /// Traces, when they are made.
    pub tracer: Option<Arc<Tracer>>,
    /// Changes to metrics.
    pub rules: Option<Arc<MetricRules>>,
}

impl Settings {
    /// Makes settings ready, and says what of them could not be: a log whose format is not understood has
    /// the standard one, a filter that is not understood lets everything through.
    pub fn compile(
        telemetry: &Telemetry,
        environment: impl Fn(&str) -> Option<String>,
    ) -> (Self, Vec<Error>) {
        let mut problems = Vec::new();
        let log = telemetry
            .access_log
            .as_ref()
            .and_then(|log| compile_log(log, &environment, &mut problems));
        let tracer = telemetry.tracing.as_ref();
        let settings = Self {
            log,
            tracer: tracer.map(|tracing| Tracer::compile(tracing, &environment)),
            rules: MetricRules::compile(&telemetry.metrics),
        };
        (settings, problems)
    }

    /// Begins a trace, when traces are made; see [`Tracer::begin`].
    pub fn begin(
        &self,
        headers: &mut HeaderMap,
        random: &mut impl FnMut() -> u64,
    ) -> Option<Trace> {
        let tracer = self.tracer.as_ref()?;
        Some(tracer.begin(headers, random))
    }

    /// What the log needs of a request's head; nothing without a log.
    pub fn capture_request(&self, fields: &HeaderMap) -> Captured {
        let log = self.log.as_ref();
        log.map_or_else(Captured::default, |log| log.capture_request(fields))
    }

    /// What the log needs of an answer's head.
    pub fn capture_response(&self, fields: &HeaderMap) -> Captured {
        let log = self.log.as_ref();
        log.map_or_else(Captured::default, |log| log.capture_response(fields))
    }

    /// What the log needs of an answer's trailers.
    pub fn capture_trailers(&self, fields: &HeaderMap) -> Captured {
        let log = self.log.as_ref();
        log.map_or_else(Captured::default, |log| log.capture_trailers(fields))
    }
}

fn compile_log(
    settings: &observe::AccessLog,
    environment: &impl Fn(&str) -> Option<String>,
    problems: &mut Vec<Error>,
) -> Option<AccessLog> {
    let mut settings = settings.clone();
    // At most the format and the filter can be bad, each is replaced once.
    for _ in 0..2 {
        match AccessLog::compile(&settings, environment) {
            Ok(log) => return Some(log),
            Err(error) => {
                match &error {
                    Error::Format(_) => settings.format = Arc::default(),
                    Error::Filter(_) => settings.filter = Arc::default(),
                }
                problems.push(error);
            }
        }
    }
    AccessLog::compile(&settings, environment).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compiled(json: bool, format: &str, filter: &str) -> (bool, Vec<String>) {
        let telemetry = Telemetry {
            access_log: Some(observe::AccessLog {
                json,
                format: format.into(),
                filter: filter.into(),
            }),
            ..Telemetry::default()
        };
        let (settings, problems) = Settings::compile(&telemetry, |_| None);
        let said = problems.iter().map(ToString::to_string).collect();
        (settings.log.is_some(), said)
    }

    #[test]
    fn a_bad_format_or_filter_costs_itself_and_not_the_log() {
        assert_eq!(compiled(false, "", ""), (true, vec![]));
        let (has_log, said) = compiled(false, "%NO%", "no.such == 1");
        assert!(has_log);
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(
            said[0].contains("%NO%") && said[1].contains("no.such"),
            "{said:?}"
        );
    }

    #[test]
    fn nothing_asked_for_is_nothing_kept() {
        let (settings, problems) = Settings::compile(&Telemetry::default(), |_| None);
        assert!(problems.is_empty() && settings.log.is_none() && settings.rules.is_none());
        let mut headers = HeaderMap::new();
        assert!(settings.begin(&mut headers, &mut || 1).is_none());
        assert!(headers.is_empty());
    }
}
