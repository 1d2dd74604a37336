//! Pure. Spans of time as Istio's kinds write them: `1.5s` as protobuf does, or `1h1m5s` as Go does.

use std::fmt;
use std::time::Duration;

use serde::de::{self, Deserialize, Deserializer, Visitor};

/// Units and their nanoseconds.
const UNITS: &[(&str, u128)] = &[
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// A span of time, never negative.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(pub Duration);

/// Reads a span: decimal numbers with a unit each, one after the other; or a plain `0`.
///
/// # Errors
/// What is wrong with it, for the reader of the object.
pub fn parse(text: &str) -> Result<Duration, String> {
    let complaint =
        || format!("`{text}` is no span of time: write it like `1.5s`, `250ms` or `1h30m`");
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    if text.starts_with('-') {
        return Err(format!("`{text}`: a span of time is not negative"));
    }
    let (mut rest, mut nanos) = (text, 0_u128);
    if rest.is_empty() {
        return Err(complaint());
    }
    while !rest.is_empty() {
        let number = rest.find(|c: char| !c.is_ascii_digit() && c != '.');
        let (number, after) = rest.split_at(number.ok_or_else(complaint)?);
        let unit = after.find(|c: char| c.is_ascii_digit() || c == '.');
        let (unit, after) = after.split_at(unit.unwrap_or(after.len()));
        let known = UNITS.iter().find(|(name, _)| *name == unit);
        let (_, scale) = known.ok_or_else(complaint)?;
        let part = scaled(number, *scale).ok_or_else(complaint)?;
        nanos = nanos.checked_add(part).ok_or_else(complaint)?;
        rest = after;
    }
    let seconds = u64::try_from(nanos / 1_000_000_000).map_err(|_| complaint())?;
    let rest = u32::try_from(nanos % 1_000_000_000).map_err(|_| complaint())?;
    Ok(Duration::new(seconds, rest))
}

/// A decimal number times `scale`; digits below one nanosecond do not count.
fn scaled(number: &str, scale: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let digits = |text: &str| match text {
        "" => Some(0),
        text if text.len() <= 18 && text.bytes().all(|it| it.is_ascii_digit()) => text.parse().ok(),
        _ => None,
    };
    let (whole, part): (u128, u128) = (digits(whole)?, digits(fraction)?);
    let power = 10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    whole
        .checked_mul(scale)?
        .checked_add(part.checked_mul(scale)? / power)
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Span, D::Error> {
        deserializer.deserialize_str(SpanVisitor)
    }
}

struct SpanVisitor;

impl Visitor<'_> for SpanVisitor {
    type Value = Span;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a span of time such as `1.5s`")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Span, E> {
        parse(text).map(Span).map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::parse;

    #[test]
    fn reads_the_notations_of_protobuf_and_of_go() {
        for (text, nanos) in [
            ("0", 0),
            ("0s", 0),
            ("1s", 1_000_000_000),
            ("1.5s", 1_500_000_000),
            ("0.000000001s", 1),
            (".5s", 500_000_000),
            ("250ms", 250_000_000),
            ("7us", 7_000),
            ("7µs", 7_000),
            ("9ns", 9),
            ("1h1m", 3_660_000_000_000),
            ("1m2.5s", 62_500_000_000),
            ("1.5h", 5_400_000_000_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_nanos(nanos)), "{text}");
        }
    }

    #[test]
    fn refuses_the_rest_with_the_text() {
        for text in [
            "",
            "5",
            "s",
            "1",
            "1x",
            "1 s",
            "-1s",
            "+1s",
            "1s1",
            "1..5s",
            ".s",
            "1e3s",
            "1,5s",
            "999999999999999999999s",
            "999999999999999999h",
        ] {
            let complaint = parse(text).expect_err(text);
            assert!(complaint.contains(text), "{complaint}");
        }
    }
}
