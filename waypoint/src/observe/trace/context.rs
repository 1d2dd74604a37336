//! Pure. Trace contexts in headers, both ways: W3C `traceparent` and `tracestate`, and B3 in one header or
//! several. Sources: W3C Trace Context 1; openzipkin/b3-propagation; docs/compat.md#request-traces.

use http::header::{HeaderMap, HeaderName, HeaderValue};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
const B3: HeaderName = HeaderName::from_static("b3");
const B3_TRACE: HeaderName = HeaderName::from_static("x-b3-traceid");
const B3_SPAN: HeaderName = HeaderName::from_static("x-b3-spanid");
const B3_PARENT: HeaderName = HeaderName::from_static("x-b3-parentspanid");
const B3_SAMPLED: HeaderName = HeaderName::from_static("x-b3-sampled");
const B3_FLAGS: HeaderName = HeaderName::from_static("x-b3-flags");

/// What a client says of the trace that its request is part of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Incoming {
    /// The trace and the client's span; `None` when the trace begins here.
    pub parent: Option<Parent>,
    /// Whether the client wants it sampled; `None` leaves that to us.
    pub sampled: Option<bool>,
    /// In which form it came, which is the form it is passed on in.
    pub form: Form,
}

/// A span elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parent {
    /// The trace, never 0.
    pub trace: u128,
    /// The span, never 0.
    pub span: u64,
}

/// In which headers a context travels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// `traceparent`.
    #[default]
    W3c,
    /// `x-b3-*`.
    B3Multi,
    /// `b3`.
    B3Single,
}

impl Incoming {
    /// Reads the headers of the provider's form: W3C, or B3 where it wants that (then W3C where there
    /// is no B3). What cannot be read is as absent.
    pub fn read(headers: &HeaderMap, b3: bool) -> Self {
        if !b3 {
            return w3c(headers).unwrap_or_default();
        }
        let read = single(headers)
            .or_else(|| multi(headers))
            .or_else(|| w3c(headers));
        read.unwrap_or(Self {
            form: Form::B3Multi,
            ..Self::default()
        })
    }
}

/// What is passed on: the span that the next server's is a child of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// The trace.
    pub trace: u128,
    /// Our span.
    pub span: u64,
    /// Its parent; 0 for none. Only B3 tells.
    pub parent: u64,
    /// Whether the trace is sampled.
    pub sampled: bool,
    /// In which headers.
    pub form: Form,
}

impl Outgoing {
    /// Replaces the context in the headers of a request. `tracestate` passes as it came; one that has no
    /// valid `traceparent` with it is removed, as is a second `traceparent`.
    pub fn write(&self, headers: &mut HeaderMap) {
        let flag = u8::from(self.sampled);
        let set = |headers: &mut HeaderMap, name: HeaderName, value: String| {
            // Hexadecimal digits and dashes are always a value.
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(name, value);
            }
        };
        let (trace, span, parent) = (self.trace, self.span, self.parent);
        match self.form {
            Form::W3c => {
                if w3c(headers).is_none() {
                    headers.remove(TRACESTATE);
                }
                let value = format!("00-{trace:032x}-{span:016x}-{flag:02x}");
                set(headers, TRACEPARENT, value);
            }
            Form::B3Single => {
                let mut value = format!("{trace:032x}-{span:016x}-{flag}");
                if parent != 0 {
                    value.push_str(&format!("-{parent:016x}"));
                }
                set(headers, B3, value);
            }
            Form::B3Multi => {
                set(headers, B3_TRACE, format!("{trace:032x}"));
                set(headers, B3_SPAN, format!("{span:016x}"));
                headers.remove(B3_PARENT);
                if parent != 0 {
                    set(headers, B3_PARENT, format!("{parent:016x}"));
                }
                // The debug flag says more than the decision; it passes as it came.
                if !headers.contains_key(B3_FLAGS) {
                    set(headers, B3_SAMPLED, flag.to_string());
                }
            }
        }
    }
}

/// The only value of a header; several are none.
fn only(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    values.next().is_none().then_some(value)?.to_str().ok()
}

fn w3c(headers: &HeaderMap) -> Option<Incoming> {
    let text = only(headers, TRACEPARENT)?;
    let mut parts = text.splitn(5, '-');
    let version = hex::<2>(parts.next()?)?;
    let trace = hex::<32>(parts.next()?)?;
    let span = hex::<16>(parts.next()?)?;
    let flags = hex::<2>(parts.next()?)?;
    let has_more = parts.next().is_some();
    let is_valid = version != 0xff && (version > 0 || !has_more) && trace != 0 && span != 0;
    is_valid.then(|| Incoming {
        parent: Some(Parent {
            trace,
            span: low(span),
        }),
        sampled: Some(flags & 1 == 1),
        form: Form::W3c,
    })
}

fn single(headers: &HeaderMap) -> Option<Incoming> {
    let text = only(headers, B3)?;
    let form = Form::B3Single;
    if let Some(sampled) = decision(text) {
        return Some(Incoming {
            parent: None,
            sampled: Some(sampled),
            form,
        });
    }
    let mut parts = text.splitn(4, '-');
    let parent = b3_parent(parts.next()?, parts.next()?)?;
    let sampled = match parts.next() {
        None => None,
        Some(word) => Some(decision(word)?),
    };
    if let Some(grandparent) = parts.next() {
        hex::<16>(grandparent)?;
    }
    Some(Incoming {
        parent: Some(parent),
        sampled,
        form,
    })
}

fn multi(headers: &HeaderMap) -> Option<Incoming> {
    let parent = match (only(headers, B3_TRACE), only(headers, B3_SPAN)) {
        (Some(trace), Some(span)) => b3_parent(trace, span),
        _ => None,
    };
    let sampled = match only(headers, B3_FLAGS) {
        Some("1") => Some(true),
        _ => only(headers, B3_SAMPLED).and_then(decision),
    };
    (parent.is_some() || sampled.is_some()).then_some(Incoming {
        parent,
        sampled,
        form: Form::B3Multi,
    })
}

fn b3_parent(trace: &str, span: &str) -> Option<Parent> {
    let trace = match trace.len() {
        16 => hex::<16>(trace)?,
        _ => hex::<32>(trace)?,
    };
    let span = low(hex::<16>(span)?);
    (trace != 0 && span != 0).then_some(Parent { trace, span })
}

fn decision(word: &str) -> Option<bool> {
    match word {
        "1" | "d" | "true" => Some(true),
        "0" | "false" => Some(false),
        _ => None,
    }
}

/// Exactly `N` hexadecimal digits, lower case.
fn hex<const N: usize>(text: &str) -> Option<u128> {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if text.len() != N || !text.bytes().all(is_digit) {
        return None;
    }
    u128::from_str_radix(text, 16).ok()
}

fn low(value: u128) -> u64 {
    u64::try_from(value & u128::from(u64::MAX)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
