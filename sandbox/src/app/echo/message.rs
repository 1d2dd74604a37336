//! Pure. gRPC's framing, and the one message that the built-in service speaks: a text in field 1, as in
//! `google.protobuf.StringValue`.
//!
//! Source: the gRPC over HTTP/2 protocol, "Length-Prefixed-Message"; the protobuf encoding, "length-delimited".

/// Length of a frame's head: one byte for compression, four for the length.
const HEAD: usize = 5;
/// Field 1, length-delimited.
const TEXT: u8 = 0x0a;

/// The texts of all messages in a body; `None` when it ends within a message, or one is compressed.
pub(super) fn texts(body: &[u8]) -> Option<Vec<String>> {
    Some(messages(body)?.into_iter().map(text).collect())
}

/// All messages in a body, without their frames; `None` as for [`texts`].
pub(super) fn messages(mut body: &[u8]) -> Option<Vec<&[u8]>> {
    let mut messages = Vec::new();
    while !body.is_empty() {
        let (head, rest) = body.split_at_checked(HEAD)?;
        let &[0, a, b, c, d] = head else {
            return None;
        };
        let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).ok()?;
        let (message, rest) = rest.split_at_checked(length)?;
        messages.push(message);
        body = rest;
    }
    Some(messages)
}

/// The text of a message; empty when its first field is no text.
fn text(message: &[u8]) -> String {
    let Some((&TEXT, rest)) = message.split_first() else {
        return String::new();
    };
    let (mut length, mut shift, mut rest) = (0_usize, 0_u32, rest);
    while let Some((&byte, after)) = rest.split_first() {
        length |= usize::from(byte & 0x7f)
            .checked_shl(shift)
            .unwrap_or_default();
        (rest, shift) = (after, shift.saturating_add(7));
        if byte & 0x80 == 0 {
            break;
        }
    }
    let bytes = rest.get(..length).unwrap_or_default();
    String::from_utf8_lossy(bytes).into_owned()
}

/// One message with this text, framed.
pub(super) fn frame(text: &str) -> Vec<u8> {
    let mut message = vec![TEXT];
    let mut length = text.len();
    while length >= 0x80 {
        message.push(u8::try_from(length & 0x7f).unwrap_or_default() | 0x80);
        length >>= 7;
    }
    message.push(u8::try_from(length).unwrap_or_default());
    message.extend_from_slice(text.as_bytes());
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let mut frame = vec![0];
    frame.extend_from_slice(&length.to_be_bytes());
    frame.append(&mut message);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_framed_is_read_again() {
        let long = "x".repeat(70_000);
        for text in ["", "hello", long.as_str()] {
            let mut body = frame(text);
            body.extend(frame("second"));
            let read = texts(&body).unwrap();
            assert_eq!(read, [text, "second"]);
        }
    }

    #[test]
    fn half_a_message_is_none() {
        let body = frame("hello");
        assert_eq!(texts(&body[..7]), None);
        assert_eq!(texts(&[1, 0, 0, 0, 0]), None, "compressed");
        assert_eq!(texts(&[0, 0, 0, 0, 1, 0x08]), Some(vec![String::new()]));
    }
}
