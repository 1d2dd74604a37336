//! Pure. Spans of time as the Gateway API writes them: `1h30m`, `500ms`, `0s`.

use std::time::Duration;

/// Most parts of a span.
const PARTS: usize = 4;
/// Most digits of a part.
const DIGITS: usize = 5;

/// The span; `None` where the text is none: at most four numbers of at most five digits, each with its unit `h`, `m`,
/// `s` or `ms`.
#[must_use]
pub fn parse(text: &str) -> Option<Duration> {
    let (mut rest, mut total, mut parts) = (text, Duration::ZERO, 0);
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at_checked(digits)?;
        let letters = after.bytes().take_while(u8::is_ascii_lowercase).count();
        let (unit, after) = after.split_at_checked(letters)?;
        parts += 1;
        if digits > DIGITS || parts > PARTS {
            return None;
        }
        let number: u64 = number.parse().ok()?;
        total += match unit {
            "h" => Duration::from_secs(number * 3600),
            "m" => Duration::from_secs(number * 60),
            "s" => Duration::from_secs(number),
            "ms" => Duration::from_millis(number),
            _ => return None,
        };
        rest = after;
    }
    (parts > 0).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn numbers_have_units() {
        for (text, milliseconds) in [
            ("0s", 0),
            ("10s", 10_000),
            ("1h30m", 5_400_000),
            ("500ms", 500),
            ("1m1s1ms", 61_001),
            ("99999h", 359_996_400_000),
        ] {
            let found = parse(text).map(|it| it.as_millis());
            assert_eq!(found, Some(milliseconds), "{text}");
        }
    }

    #[test]
    fn everything_else_is_none() {
        for text in [
            "",
            "10",
            "s",
            "1.5s",
            "-1s",
            "1d",
            "1 s",
            "100000s",
            "1h1h1h1h1h",
            "1µs",
            "1S",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
