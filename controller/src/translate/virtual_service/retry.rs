//! Pure. When a request is tried again. Source: docs/compat.md#retries.

use std::time::Duration;

use mesh::model::http::{Retry, RetryOn};
use objects::istio::Span;
use objects::istio::virtual_service::Retries;
use objects::raw::Path;

use crate::translate::remarks::Remarks;
use crate::translate::rule::Rule;
use crate::translate::traffic::Traffic;
use crate::translate::{Finding, mesh_config};

/// Tries after the first where nobody says.
const ATTEMPTS: u32 = 2;

/// Retries of routes that have none of their own, as MeshConfig has them or by the contract's default.
pub fn of_mesh(traffic: &Traffic) -> Retry {
    match &traffic.retries {
        Some(written) => read(written, &Path::default(), &mut Remarks::default()),
        None => Retry {
            attempts: ATTEMPTS,
            on: default(),
            ..Retry::default()
        },
    }
}

/// What in MeshConfig's retries has no effect, or cannot be.
pub fn findings_of_mesh(traffic: &Traffic) -> Vec<Finding> {
    let mut remarks = Remarks::default();
    if let Some(written) = &traffic.retries {
        let at = Path::of_keys(&["defaultHttpRetryPolicy"]);
        read(written, &at, &mut remarks);
    }
    let findings = remarks.into_findings().into_iter();
    findings
        .map(|it| {
            let reason = format!("{}: {}", it.path, it.reason);
            Finding::new(it.rule, &["data", mesh_config::DATA_KEY], reason)
        })
        .collect()
}

/// In the mesh's words.
pub(super) fn read(written: &Retries, path: &Path, remarks: &mut Remarks) -> Retry {
    let at = |key: &str| path.clone().key(key);
    if written.attempts < 0 {
        remarks.invalid(at("attempts"), "a number of retries, or 0 for none");
    }
    let attempts = u32::try_from(written.attempts).unwrap_or(0);
    let says_more = written.per_try_timeout.is_some() || !written.retry_on.is_empty();
    if attempts == 0 && says_more {
        let reason = "without attempts nothing is tried again, and the rest has no meaning";
        remarks.invalid(at("attempts"), reason);
    }
    let (on, codes) = conditions(&written.retry_on, &at("retryOn"), remarks);
    Retry {
        attempts,
        on,
        codes,
        per_try_timeout: span(written.per_try_timeout, at("perTryTimeout"), remarks),
        backoff: span(written.backoff, at("backoff"), remarks),
        backoff_is_minimum: false,
        same_endpoint: written.retry_ignore_previous_hosts == Some(false),
        remote_localities: written.retry_remote_localities == Some(true),
    }
}

fn span(given: Option<Span>, path: Path, remarks: &mut Remarks) -> Option<Duration> {
    let span = given?.0;
    if !span.is_zero() && span < Duration::from_millis(1) {
        remarks.invalid(path, "at least 1ms");
    }
    Some(span).filter(|it| !it.is_zero())
}

/// What is tried again where nothing is said: what has certainly not been acted upon.
fn default() -> RetryOn {
    RetryOn {
        connect_failure: true,
        refused_stream: true,
        unavailable: true,
        cancelled: true,
        ..RetryOn::default()
    }
}

fn conditions(text: &str, path: &Path, remarks: &mut Remarks) -> (RetryOn, Vec<u16>) {
    let words = text.split(',').map(str::trim).filter(|it| !it.is_empty());
    let (mut on, mut codes) = (RetryOn::default(), Vec::new());
    let mut is_empty = true;
    for word in words {
        is_empty = false;
        if let Ok(code) = word.parse::<u16>() {
            if !(100..600).contains(&code) {
                remarks.invalid(
                    path.clone(),
                    format!("`{word}` is no status code: 100 to 599"),
                );
            }
            codes.push(code);
            continue;
        }
        match condition(word, &mut on) {
            Known::Yes => {}
            Known::ButNotHere(reason) => {
                let reason = format!("`{word}` has no effect: {reason}");
                remarks.add(Rule::NotHonoured, path.clone(), reason);
            }
            Known::No => {
                let reason = format!("`{word}` is no condition of retries and no status code");
                remarks.invalid(path.clone(), reason);
            }
        }
    }
    match is_empty {
        true => (default(), Vec::new()),
        false => (on, codes),
    }
}

enum Known {
    Yes,
    ButNotHere(&'static str),
    No,
}

fn condition(word: &str, on: &mut RetryOn) -> Known {
    let field = match word {
        "5xx" => &mut on.any_5xx,
        "gateway-error" => &mut on.gateway_error,
        "reset" => &mut on.reset,
        "reset-before-request" => &mut on.reset_before_request,
        "connect-failure" => &mut on.connect_failure,
        "refused-stream" => &mut on.refused_stream,
        "retriable-4xx" => &mut on.retriable_4xx,
        "envoy-ratelimited" => &mut on.rate_limited,
        "cancelled" => &mut on.cancelled,
        "deadline-exceeded" => &mut on.deadline_exceeded,
        "internal" => &mut on.internal,
        "resource-exhausted" => &mut on.resource_exhausted,
        "unavailable" => &mut on.unavailable,
        // The codes beside it are what it stands for.
        "retriable-status-codes" => return Known::Yes,
        "retriable-headers" => return Known::ButNotHere("there is no way to name the headers"),
        "http3-post-connect-failure" => return Known::ButNotHere("waypoints speak no HTTP/3"),
        _ => return Known::No,
    };
    *field = true;
    Known::Yes
}
