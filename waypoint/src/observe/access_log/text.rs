//! Pure. Values from outside in lines: nothing in them can end a line, a field or a JSON string.

/// Appends `value` for a line of text: control characters, quotes, backslashes, line separators and
/// what is not UTF-8 are escaped.
pub(super) fn plain(value: &[u8], into: &mut Vec<u8>) {
    escape(value, into, |byte, into| {
        into.extend_from_slice(b"\\x");
        hex(byte, into);
    });
}

/// Appends `value` for the inside of a JSON string; what is not UTF-8 becomes U+FFFD.
pub(super) fn json(value: &[u8], into: &mut Vec<u8>) {
    escape(value, into, |byte, into| {
        if byte < 0x80 {
            into.extend_from_slice(b"\\u00");
            hex(byte, into);
        } else {
            into.extend_from_slice("\u{fffd}".as_bytes());
        }
    });
}

/// Most values need no escape: those are copied in one piece.
fn escape(value: &[u8], into: &mut Vec<u8>, other: impl Fn(u8, &mut Vec<u8>)) {
    let is_plain = |byte: &u8| (0x20..0x7f).contains(byte) && *byte != b'"' && *byte != b'\\';
    if value.iter().all(is_plain) {
        into.extend_from_slice(value);
        return;
    }
    for chunk in value.utf8_chunks() {
        for letter in chunk.valid().chars() {
            match letter {
                '"' | '\\' => into.extend_from_slice(&[b'\\', letter as u8]),
                '\n' => into.extend_from_slice(b"\\n"),
                '\r' => into.extend_from_slice(b"\\r"),
                '\t' => into.extend_from_slice(b"\\t"),
                control if control.is_ascii_control() => other(control as u8, into),
                separator
                    if separator.is_control() || matches!(separator, '\u{2028}' | '\u{2029}') =>
                {
                    into.extend_from_slice(b"\\u");
                    let [.., high, low] = u32::from(separator).to_be_bytes();
                    hex(high, into);
                    hex(low, into);
                }
                letter => {
                    let mut bytes = [0; 4];
                    into.extend_from_slice(letter.encode_utf8(&mut bytes).as_bytes());
                }
            }
        }
        for byte in chunk.invalid() {
            other(*byte, into);
        }
    }
}

fn hex(byte: u8, into: &mut Vec<u8>) {
    let digit = |half: u8| char::from_digit(u32::from(half), 16).unwrap_or('0') as u8;
    into.extend_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
}

/// The first `limit` characters; of what is not UTF-8, bytes.
pub(super) fn cut(value: &[u8], limit: usize) -> &[u8] {
    match std::str::from_utf8(value) {
        Ok(text) => {
            let end = text.char_indices().nth(limit).map(|(at, _)| at);
            value.get(..end.unwrap_or(value.len())).unwrap_or(value)
        }
        Err(_) => value.get(..limit).unwrap_or(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_can_end_a_line_or_a_string() {
        for (value, text, as_json) in [
            (&b"plain/path?q=1"[..], "plain/path?q=1", "plain/path?q=1"),
            (b"a\nb\rc\td", "a\\nb\\rc\\td", "a\\nb\\rc\\td"),
            (b"\" x \\", "\\\" x \\\\", "\\\" x \\\\"),
            (
                b"\x1b[2J\x00\x7f",
                "\\x1b[2J\\x00\\x7f",
                "\\u001b[2J\\u0000\\u007f",
            ),
            (
                "\u{85}\u{2028}é".as_bytes(),
                "\\u0085\\u2028é",
                "\\u0085\\u2028é",
            ),
            (b"\xff\xfe", "\\xff\\xfe", "\u{fffd}\u{fffd}"),
        ] {
            let mut line = Vec::new();
            plain(value, &mut line);
            assert_eq!(String::from_utf8(line).unwrap(), text);
            let mut line = Vec::new();
            json(value, &mut line);
            let line = String::from_utf8(line).unwrap();
            assert_eq!(line, as_json);
            assert!(serde_json::from_str::<String>(&format!("\"{line}\"")).is_ok());
        }
    }

    #[test]
    fn cuts_between_characters() {
        assert_eq!(cut("aéb".as_bytes(), 2), "aé".as_bytes());
        assert_eq!(cut(b"ab", 5), b"ab");
        assert_eq!(cut(b"\xffab", 2), b"\xffa");
    }
}
