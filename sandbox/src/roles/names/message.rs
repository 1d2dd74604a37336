//! Pure. DNS messages, as far as questions about addresses need them (RFC 1035).

use std::net::IpAddr;

/// Longest answer over UDP to a client that does not say more (RFC 1035, 4.2.1).
pub(super) const LONGEST_DATAGRAM: usize = 512;
/// Seconds an answer may be kept; short, since the cluster changes.
const TIME_TO_LIVE: u32 = 5;
const HEADER: usize = 12;
const CLASS_INTERNET: u16 = 1;
const TYPE_A: u16 = 1;
const TYPE_AAAA: u16 = 28;
/// A pointer to the question's name, which always stands behind the header.
const POINTER_TO_QUESTION: u16 = 0xc00c;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Question<'m> {
    /// In lower case, without the last dot.
    pub(super) name: String,
    pub(super) wants: Wants,
    header: &'m [u8],
    /// The question as it was written, to be repeated.
    bytes: &'m [u8],
}

/// Which records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wants {
    V4,
    V6,
    /// Something that we never have.
    Other,
}

/// How a question is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reply {
    /// The name exists; these are its addresses of the wanted family, maybe none.
    Addresses(Vec<IpAddr>),
    /// There is no such name.
    NoSuchName,
    /// Not a question that we answer.
    NotImplemented,
    /// Not a message that we understand.
    BadFormat,
}

/// The single question of a query. `Err` holds what to answer a header with that could be read; `None` is silence.
pub(super) fn question(message: &[u8]) -> Option<Result<Question<'_>, Reply>> {
    let header = message.get(..HEADER)?;
    let flags = number(header, 2)?;
    let is_response = flags & 0x8000 != 0;
    if is_response {
        return None;
    }
    if (flags >> 11) & 0xf != 0 {
        return Some(Err(Reply::NotImplemented));
    }
    if number(header, 4)? != 1 {
        return Some(Err(Reply::BadFormat));
    }
    Some(read_question(message, header).ok_or(Reply::BadFormat))
}

fn read_question<'m>(message: &'m [u8], header: &'m [u8]) -> Option<Question<'m>> {
    let mut at = HEADER;
    let mut labels: Vec<String> = Vec::new();
    loop {
        let length = usize::from(*message.get(at)?);
        at += 1;
        match length {
            0 => break,
            // The name of the first question has nothing to point back to.
            1..64 => labels
                .push(String::from_utf8_lossy(message.get(at..at + length)?).to_ascii_lowercase()),
            _ => return None,
        }
        at += length;
        if at - HEADER > 255 {
            return None;
        }
    }
    let (kind, class) = (number(message, at)?, number(message, at + 2)?);
    let wants = match (class, kind) {
        (CLASS_INTERNET, TYPE_A) => Wants::V4,
        (CLASS_INTERNET, TYPE_AAAA) => Wants::V6,
        _ => Wants::Other,
    };
    let bytes = message.get(HEADER..at + 4)?;
    Some(Question {
        name: labels.join("."),
        wants,
        header,
        bytes,
    })
}

impl Question<'_> {
    /// The answer's bytes, with at most `longest` of them (then marked as cut, so that the client asks over TCP).
    pub(super) fn reply(&self, reply: &Reply, longest: Option<usize>) -> Vec<u8> {
        let whole = self.write(reply, false);
        match longest {
            Some(longest) if whole.len() > longest => {
                self.write(&Reply::Addresses(Vec::new()), true)
            }
            _ => whole,
        }
    }

    fn write(&self, reply: &Reply, is_cut: bool) -> Vec<u8> {
        let addresses = match reply {
            Reply::Addresses(addresses) => addresses.as_slice(),
            _ => &[],
        };
        let count = u16::try_from(addresses.len()).unwrap_or(u16::MAX);
        let mut message = header(self.header, reply, is_cut, 1, count);
        message.extend(self.bytes);
        for address in addresses.iter().take(count.into()) {
            let (kind, bytes) = match address {
                IpAddr::V4(v4) => (TYPE_A, v4.octets().to_vec()),
                IpAddr::V6(v6) => (TYPE_AAAA, v6.octets().to_vec()),
            };
            message.extend(POINTER_TO_QUESTION.to_be_bytes());
            message.extend(kind.to_be_bytes());
            message.extend(CLASS_INTERNET.to_be_bytes());
            message.extend(TIME_TO_LIVE.to_be_bytes());
            message.extend(u16::try_from(bytes.len()).unwrap_or_default().to_be_bytes());
            message.extend(bytes);
        }
        message
    }
}

/// The answer to a query whose question cannot be repeated.
pub(super) fn refusal(query: &[u8], reply: &Reply) -> Vec<u8> {
    header(query, reply, false, 0, 0)
}

fn header(query: &[u8], reply: &Reply, is_cut: bool, questions: u16, answers: u16) -> Vec<u8> {
    let code: u16 = match reply {
        Reply::Addresses(_) => 0,
        Reply::BadFormat => 1,
        Reply::NoSuchName => 3,
        Reply::NotImplemented => 4,
    };
    let asked = number(query, 2).unwrap_or_default();
    // Response, authoritative, recursion available (resolvers insist); operation and "recursion desired" as asked.
    let flags = 0x8480 | (asked & 0x7900) | (u16::from(is_cut) << 9) | code;
    let id = number(query, 0).unwrap_or_default();
    [id, flags, questions, answers, 0, 0]
        .iter()
        .flat_map(|field| field.to_be_bytes())
        .collect()
}

fn number(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `a.B` IN A, id 0x1234, recursion desired.
    const QUERY: [u8; 21] = [
        0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, b'a', 1, b'B', 0, 0, 1, 0, 1,
    ];

    #[test]
    fn repeats_the_question_and_adds_the_addresses() {
        let question = question(&QUERY).unwrap().unwrap();
        assert_eq!((question.name.as_str(), question.wants), ("a.b", Wants::V4));
        let reply = question.reply(&Reply::Addresses(vec!["1.2.3.4".parse().unwrap()]), None);
        assert_eq!(
            reply[..12],
            [0x12, 0x34, 0x85, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]
        );
        assert_eq!(reply[12..21], QUERY[12..]);
        assert_eq!(
            reply[21..],
            [0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4, 1, 2, 3, 4]
        );
    }

    #[test]
    fn a_long_answer_over_udp_is_cut_and_says_so() {
        let question = question(&QUERY).unwrap().unwrap();
        let many = Reply::Addresses(vec!["1.2.3.4".parse().unwrap(); 64]);
        let reply = question.reply(&many, Some(LONGEST_DATAGRAM));
        assert_eq!((reply[2] & 2, reply.len()), (2, QUERY.len()));
    }

    #[test]
    fn cut_and_odd_messages_get_an_error_or_silence() {
        for length in 0..QUERY.len() {
            match question(&QUERY[..length]) {
                None => assert!(length < HEADER),
                Some(outcome) => assert_eq!(outcome, Err(Reply::BadFormat), "{length}"),
            }
        }
        let mut response = QUERY;
        response[2] |= 0x80;
        assert_eq!(question(&response), None);
        let mut pointer = QUERY;
        pointer[12] = 0xc0;
        assert_eq!(question(&pointer), Some(Err(Reply::BadFormat)));
    }
}
