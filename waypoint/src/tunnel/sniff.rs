//! What is spoken inside of a tunnel: as the port declares, else by the first bytes.
//!
//! HTTP versions are always told apart by their first bytes, also where the port declares one.

use mesh::model::AppProtocol;
use mesh::relay::End;

use crate::bytes::Peeked;

/// First bytes of HTTP/2 (RFC 9113, 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Longest method that is looked for.
const LONGEST_METHOD: usize = 16;
/// Longest ClientHello that is waited for (one TLS record).
const LONGEST_HELLO: usize = 5 + (1 << 14) + 256;

/// What is spoken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spoken {
    /// HTTP/1.
    Http1,
    /// HTTP/2.
    Http2,
    /// TLS that is not terminated, with the server name that was asked for.
    Tls(Option<Box<str>>),
    /// Anything else.
    Bytes,
}

/// What the bytes so far say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Guess {
    Sure(Spoken),
    More,
}

/// Finds out. Without a declaration it waits for the first bytes as long as the client takes: to guess
/// early would take an HTTP client that is slow for something that no HTTP rule holds for.
///
/// # Errors
/// How the stream ended before.
pub async fn sniff(stream: &mut Peeked, declared: AppProtocol) -> Result<Spoken, End> {
    if declared == AppProtocol::Tcp {
        return Ok(Spoken::Bytes);
    }
    loop {
        match guess(stream.ahead(), declared) {
            Guess::Sure(spoken) => return Ok(spoken),
            Guess::More => {
                if !stream.look().await? {
                    return Ok(at_end(declared));
                }
            }
        }
    }
}

/// What an empty or broken-off beginning counts as.
fn at_end(declared: AppProtocol) -> Spoken {
    match declared {
        AppProtocol::Http11 | AppProtocol::Http2 | AppProtocol::Grpc => Spoken::Http1,
        AppProtocol::Unknown | AppProtocol::Tcp | AppProtocol::Tls => Spoken::Bytes,
    }
}

pub(crate) fn guess(bytes: &[u8], declared: AppProtocol) -> Guess {
    let is_http = matches!(
        declared,
        AppProtocol::Http11 | AppProtocol::Http2 | AppProtocol::Grpc
    );
    if bytes.is_empty() {
        return Guess::More;
    }
    if declared != AppProtocol::Tls {
        if bytes.starts_with(PREFACE) {
            return Guess::Sure(Spoken::Http2);
        }
        if PREFACE.starts_with(bytes) {
            return Guess::More;
        }
        if is_http {
            return Guess::Sure(Spoken::Http1);
        }
    }
    if bytes.first() == Some(&22) {
        return match hello(bytes) {
            Hello::More if bytes.len() < LONGEST_HELLO => Guess::More,
            Hello::More | Hello::None => Guess::Sure(Spoken::Tls(None)),
            Hello::Name(name) => Guess::Sure(Spoken::Tls(Some(name))),
        };
    }
    if declared == AppProtocol::Tls {
        return Guess::Sure(Spoken::Bytes);
    }
    let method = bytes
        .iter()
        .take_while(|it| it.is_ascii_uppercase())
        .count();
    match bytes.get(method) {
        Some(b' ') if method > 0 && method <= LONGEST_METHOD => Guess::Sure(Spoken::Http1),
        None if method <= LONGEST_METHOD => Guess::More,
        _ => Guess::Sure(Spoken::Bytes),
    }
}

/// What a beginning of TLS says of the server name.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Hello {
    Name(Box<str>),
    None,
    More,
}

/// Reads the server name of a ClientHello (RFC 8446, 4.1.2; RFC 6066, 3) in the first record.
fn hello(bytes: &[u8]) -> Hello {
    let Some(head) = bytes.get(..5) else {
        return Hello::More;
    };
    let length = usize::from(u16::from_be_bytes([
        head.get(3).copied().unwrap_or_default(),
        head.get(4).copied().unwrap_or_default(),
    ]));
    let Some(record) = bytes.get(5..5 + length) else {
        return Hello::More;
    };
    match server_name(record) {
        Some(name) => Hello::Name(name),
        None => Hello::None,
    }
}

/// Takes `count` bytes off the front.
fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (front, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(front)
}

/// Takes a big-endian number of `width` bytes off the front.
fn number(bytes: &mut &[u8], width: usize) -> Option<usize> {
    let front = take(bytes, width)?;
    Some(
        front
            .iter()
            .fold(0, |sum, byte| sum << 8 | usize::from(*byte)),
    )
}

fn server_name(record: &[u8]) -> Option<Box<str>> {
    let mut rest = record;
    if number(&mut rest, 1)? != 1 {
        return None;
    }
    let length = number(&mut rest, 3)?;
    let mut rest = rest.get(..length.min(rest.len()))?;
    take(&mut rest, 2 + 32)?;
    let session = number(&mut rest, 1)?;
    take(&mut rest, session)?;
    let ciphers = number(&mut rest, 2)?;
    take(&mut rest, ciphers)?;
    let compressions = number(&mut rest, 1)?;
    take(&mut rest, compressions)?;
    let extensions = number(&mut rest, 2)?;
    let mut extensions = rest.get(..extensions.min(rest.len()))?;
    while let Some(kind) = number(&mut extensions, 2) {
        let length = number(&mut extensions, 2)?;
        let mut body = take(&mut extensions, length)?;
        if kind != 0 {
            continue;
        }
        number(&mut body, 2)?;
        if number(&mut body, 1)? != 0 {
            return None;
        }
        let length = number(&mut body, 2)?;
        let name = std::str::from_utf8(take(&mut body, length)?).ok()?;
        return Some(name.to_ascii_lowercase().into());
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_protocols_apart_by_their_first_bytes() {
        use AppProtocol::{Grpc, Http11, Tls, Unknown};
        let sure = |spoken| Guess::Sure(spoken);
        for (bytes, declared, expected) in [
            (&b"GET / HTTP/1.1\r\n"[..], Unknown, sure(Spoken::Http1)),
            (b"GE", Unknown, Guess::More),
            (
                b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                Unknown,
                sure(Spoken::Http2),
            ),
            (b"PRI * HT", Unknown, Guess::More),
            (b"PRI * HT", Grpc, Guess::More),
            (b"PUT /", Unknown, sure(Spoken::Http1)),
            (b"P", Http11, Guess::More),
            (b"x", Http11, sure(Spoken::Http1)),
            (b"\x00\x00\x00", Unknown, sure(Spoken::Bytes)),
            (b"get / HTTP/1.1", Unknown, sure(Spoken::Bytes)),
            (b"SSH-2.0-x", Unknown, sure(Spoken::Bytes)),
            (b"ABCDEFGHIJKLMNOPQRSTUVW", Unknown, sure(Spoken::Bytes)),
            (b"\x16\x03\x01", Tls, Guess::More),
            (b"GET /", Tls, sure(Spoken::Bytes)),
            (b"", Unknown, Guess::More),
        ] {
            assert_eq!(guess(bytes, declared), expected, "{bytes:?} {declared:?}");
        }
    }

    #[test]
    fn reads_the_server_name_of_a_real_client() {
        mesh::tls::install_default();
        let roots = rustls::RootCertStore::empty();
        let config = rustls::ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = "Books.Example.com".to_owned().try_into().unwrap();
        let mut client = rustls::ClientConnection::new(std::sync::Arc::new(config), name).unwrap();
        let mut bytes = Vec::new();
        client.write_tls(&mut bytes).unwrap();
        let expected = Guess::Sure(Spoken::Tls(Some("books.example.com".into())));
        assert_eq!(guess(&bytes, AppProtocol::Unknown), expected);
        for cut in 1..bytes.len() {
            assert_eq!(guess(&bytes[..cut], AppProtocol::Tls), Guess::More, "{cut}");
        }
    }
}
