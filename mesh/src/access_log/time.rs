//! Pure. How `%START_TIME(...)%` is written: a subset of `strftime`.

use super::format::Error;
use super::operator::bad;

/// Parts in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeFormat(pub Vec<TimePart>);

/// One part; all times are UTC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TimePart {
    /// As it stands.
    Literal(Box<str>),
    /// Year, four digits.
    Year,
    /// Month, two digits.
    Month,
    /// Day of the month, two digits.
    Day,
    /// Hour, two digits.
    Hour,
    /// Minute, two digits.
    Minute,
    /// Second, two digits.
    Second,
    /// Seconds since 1970.
    Epoch,
    /// This many digits of the second's fraction, at most 9.
    Fraction(u8),
}

impl TimeFormat {
    /// Reads a format; empty is ISO 8601 with milliseconds.
    ///
    /// # Errors
    /// When it has a letter that is not supported.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let text = match text {
            "" => "%Y-%m-%dT%H:%M:%S.%3fZ",
            text => text,
        };
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut letters = text.chars();
        while let Some(letter) = letters.next() {
            if letter != '%' {
                literal.push(letter);
                continue;
            }
            let mut next = letters.next();
            let mut digits = 9;
            if let Some(digit @ '1'..='9') = next {
                digits = digit as u8 - b'0';
                next = letters.next().filter(|letter| *letter == 'f');
            }
            match short(next) {
                Some(text) => literal.push_str(text),
                None => {
                    flush(&mut literal, &mut parts);
                    long(next, digits, &mut parts)?;
                }
            }
        }
        flush(&mut literal, &mut parts);
        Ok(Self(parts))
    }
}

/// What always is the same text.
fn short(letter: Option<char>) -> Option<&'static str> {
    Some(match letter? {
        '%' => "%",
        'z' => "+0000",
        'Z' => "UTC",
        _ => return None,
    })
}

fn long(letter: Option<char>, digits: u8, parts: &mut Vec<TimePart>) -> Result<(), Error> {
    let literal = |text: &str| TimePart::Literal(text.into());
    let last = match letter {
        Some('T') => {
            parts.extend([TimePart::Hour, literal(":"), TimePart::Minute, literal(":")]);
            TimePart::Second
        }
        Some('F') => {
            parts.extend([TimePart::Year, literal("-"), TimePart::Month, literal("-")]);
            TimePart::Day
        }
        Some('Y') => TimePart::Year,
        Some('m') => TimePart::Month,
        Some('d') => TimePart::Day,
        Some('H') => TimePart::Hour,
        Some('M') => TimePart::Minute,
        Some('S') => TimePart::Second,
        Some('s') => TimePart::Epoch,
        Some('f') => TimePart::Fraction(digits),
        _ => {
            let why = "of time only %Y %m %d %F %H %M %S %T %s %f %1f to %9f %z %Z are supported";
            return Err(bad("START_TIME", why));
        }
    };
    parts.push(last);
    Ok(())
}

fn flush(literal: &mut String, parts: &mut Vec<TimePart>) {
    if !literal.is_empty() {
        parts.push(TimePart::Literal(std::mem::take(literal).into()));
    }
}
