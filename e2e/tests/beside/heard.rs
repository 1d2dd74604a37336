//! What a client hears of one request, as facts by name that can be compared.

use std::collections::BTreeMap;
use std::io;

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use mesh::lifecycle::task;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use waypoint::upstream::Local;

use crate::client::PATIENCE;

/// By name: `status`, `header x`, `body`, and `seen ...` for what the application was asked.
pub(crate) type Facts = BTreeMap<String, String>;

/// Values that are different each time; only that they are there counts.
const CHANGING: [&str; 3] = ["date", "x-request-id", "x-envoy-upstream-service-time"];

pub(crate) trait Io: AsyncRead + AsyncWrite + Unpin + 'static {}
impl<T: AsyncRead + AsyncWrite + Unpin + 'static> Io for T {}

/// Sends bytes of HTTP/1 and reads one answer. `more` follows an interim or switching answer.
pub(crate) async fn http1(io: impl Io, bytes: &[u8], more: &[u8]) -> Facts {
    let mut facts = Facts::new();
    let asking = async {
        let is_head = bytes.starts_with(b"HEAD ");
        let (reading, mut writing) = tokio::io::split(io);
        let mut reading = BufReader::new(reading);
        // who refuses early need not read it all
        let sending = writing.write_all(bytes);
        let (_, heard) = tokio::join!(sending, answer(&mut reading, is_head, &mut facts));
        let mut heard = heard?;
        if heard == 100 {
            writing.write_all(more).await?;
            heard = answer(&mut reading, is_head, &mut facts).await?;
        }
        if heard == 101 {
            writing.write_all(more).await?;
            let mut back = vec![0; more.len()];
            reading.read_exact(&mut back).await?;
            facts.insert("switched".into(), String::from_utf8_lossy(&back).into());
        }
        Ok::<_, io::Error>(())
    };
    match tokio::time::timeout(PATIENCE, asking).await {
        Ok(Ok(())) => {}
        Ok(Err(_)) => {
            facts.insert("connection".into(), "broken".into());
        }
        Err(_) => {
            facts.insert("connection".into(), "silent".into());
        }
    }
    unfold(&mut facts);
    facts
}

/// Reads one answer, interim ones as `interim`; returns its status.
async fn answer(
    reading: &mut (impl AsyncBufReadExt + Unpin),
    is_head: bool,
    facts: &mut Facts,
) -> io::Result<u16> {
    let mut headers = Vec::new();
    let first = line(reading).await?;
    loop {
        let line = line(reading).await?;
        let Some((name, value)) = line.split_once(':') else {
            break;
        };
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let status = first.split(' ').nth(1).and_then(|it| it.parse().ok());
    let status: u16 = status.ok_or(io::ErrorKind::InvalidData)?;
    if status == 100 || status == 103 {
        facts.insert(format!("interim {status}"), format!("{headers:?}"));
        return match status {
            100 => Ok(100),
            _ => Box::pin(answer(reading, is_head, facts)).await,
        };
    }
    let reason = first.splitn(3, ' ').nth(2).unwrap_or_default();
    facts.insert(
        "version".into(),
        first.split(' ').next().unwrap_or_default().into(),
    );
    facts.insert("status".into(), status.to_string());
    facts.insert("reason".into(), reason.into());
    let find = |wanted: &str| {
        let found = headers
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        found.map(|(_, value)| value.clone())
    };
    let length = find("content-length").and_then(|it| it.parse::<usize>().ok());
    let is_chunked = find("transfer-encoding").is_some();
    for (name, value) in &headers {
        put(facts, name, value);
    }
    let mut body = Vec::new();
    let read = match (status, is_chunked, length) {
        _ if is_head => Ok(()),
        (101 | 204 | 304, ..) => Ok(()),
        (_, true, _) => chunks(reading, &mut body, facts).await,
        (_, _, Some(length)) => {
            let read = reading.take(length as u64).read_to_end(&mut body).await;
            read.map(drop)
        }
        _ => reading.read_to_end(&mut body).await.map(drop),
    };
    let text = String::from_utf8_lossy(&body).into_owned();
    facts.insert("body".into(), text);
    read.map(|()| status)
}

async fn chunks(
    reading: &mut (impl AsyncBufReadExt + Unpin),
    body: &mut Vec<u8>,
    facts: &mut Facts,
) -> io::Result<()> {
    loop {
        let size = line(reading).await?;
        let size = u64::from_str_radix(&size, 16).map_err(io::Error::other)?;
        if size == 0 {
            break;
        }
        (&mut *reading).take(size).read_to_end(body).await?;
        line(reading).await?;
    }
    loop {
        let trailer = line(reading).await?;
        if trailer.is_empty() {
            return Ok(());
        }
        facts.insert("trailer".into(), trailer);
    }
}

async fn line(reading: &mut (impl AsyncBufReadExt + Unpin)) -> io::Result<String> {
    let mut line = String::new();
    if reading.read_line(&mut line).await? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line.trim_end().to_owned())
}

/// Sends one request over HTTP/2 and reads its answer.
pub(crate) async fn http2(io: impl Io, request: Request<Full<Bytes>>) -> Facts {
    let mut facts = Facts::new();
    let asking = async {
        let made = hyper::client::conn::http2::handshake(Local, TokioIo::new(io)).await;
        let (mut sender, connection) = made?;
        task::spawn_local("client", connection);
        let (head, body) = sender.send_request(request).await?.into_parts();
        facts.insert("status".into(), head.status.as_str().into());
        headers(&mut facts, &head.headers);
        let body = body.collect().await?;
        let trailers = body.trailers().cloned().unwrap_or_default();
        for (name, value) in &trailers {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            facts.insert(format!("trailer {name}"), value);
        }
        let text = String::from_utf8_lossy(&body.to_bytes()).into_owned();
        facts.insert("body".into(), text);
        Ok::<_, hyper::Error>(())
    };
    match tokio::time::timeout(PATIENCE, asking).await {
        Ok(Ok(())) => {}
        Ok(Err(_)) => {
            facts.insert("stream".into(), "broken".into());
        }
        Err(_) => {
            facts.insert("stream".into(), "silent".into());
        }
    }
    unfold(&mut facts);
    facts
}

fn headers(facts: &mut Facts, headers: &HeaderMap) {
    for (name, value) in headers {
        put(
            facts,
            name.as_str(),
            &String::from_utf8_lossy(value.as_bytes()),
        );
    }
}

fn put(facts: &mut Facts, name: &str, value: &str) {
    let value = match CHANGING.contains(&name) {
        true => "some",
        false => value,
    };
    let before = facts.entry(format!("header {name}")).or_default();
    if !before.is_empty() {
        before.push_str(" | ");
    }
    before.push_str(value);
}

/// What the application says that it was asked, one by one.
fn unfold(facts: &mut Facts) {
    let body = facts.get("body").map(String::as_str).unwrap_or_default();
    let Ok(Value::Object(said)) = serde_json::from_str(body) else {
        return;
    };
    facts.remove("body");
    // as long as what it says, which is compared by itself
    facts.remove("header content-length");
    for (name, value) in said {
        match value {
            Value::Object(headers) => {
                for (name, value) in headers {
                    let value = match CHANGING.contains(&name.as_str())
                        && value.as_str().is_some_and(|it| it.len() == 36)
                    {
                        true => "some".to_owned(),
                        false => value.as_str().unwrap_or_default().to_owned(),
                    };
                    facts.insert(format!("seen header {name}"), value);
                }
            }
            value => {
                facts.insert(format!("seen {name}"), value.to_string());
            }
        }
    }
}
