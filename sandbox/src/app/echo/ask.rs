//! The scripted client: asks as it is told and prints an answer per line, as JSON. No answer is an answer too.

use std::io::{self, Write};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::header::{HeaderName, HeaderValue};
use hyper::{HeaderMap, Method, Request, Response, Uri, header};
use hyper_util::rt::TokioIo;
use mesh::lifecycle::task;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::answer::{is_grpc, words};
use super::get::{Error, PATIENCE, target};
use super::here::Here;
use super::message;
use super::script::{Answer, Ask, Speech};

/// Asks as each line of the script says, one after the other, and prints the answers.
pub(super) async fn ask(script: &str) -> Result<(), Error> {
    let asks: Vec<Ask> = serde_json::from_str(script).map_err(|source| Error::Script { source })?;
    for ask in &asks {
        print(&answers(ask).await?)?;
    }
    Ok(())
}

/// Asks as often as told.
pub(super) async fn answers(ask: &Ask) -> Result<Vec<Answer>, Error> {
    let plan = Plan::of(ask)?;
    let lanes = ask.side_by_side.max(1);
    let mut tasks = Vec::new();
    for lane in 0..lanes {
        let share = ask.times / lanes + u32::from(lane < ask.times % lanes);
        let plan = plan.clone();
        let work = async move { plan.ask(share).await };
        tasks.push(task::spawn_local("lane", work));
    }
    let mut answers = Vec::new();
    for task in tasks {
        answers.extend(task.await.ok().flatten().unwrap_or_default());
    }
    Ok(answers)
}

fn print(answers: &[Answer]) -> Result<(), Error> {
    let mut output = io::stdout().lock();
    for answer in answers {
        let line = serde_json::to_string(answer).map_err(|error| Error::Print(error.into()))?;
        writeln!(output, "{line}").map_err(Error::Print)?;
    }
    output.flush().map_err(Error::Print)
}

/// A line of the script, read.
#[derive(Clone)]
struct Plan {
    uri: Uri,
    address: String,
    method: Method,
    headers: HeaderMap,
    body: Bytes,
    speech: Speech,
    is_new_each_time: bool,
}

/// A connection that is asked over.
enum Line {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

impl Plan {
    fn of(ask: &Ask) -> Result<Self, Error> {
        let (uri, authority, address) = target(&ask.url)?;
        let mut headers = HeaderMap::new();
        for (name, value) in &ask.headers {
            let name = HeaderName::try_from(name).map_err(hyper::http::Error::from)?;
            let value = HeaderValue::try_from(value).map_err(hyper::http::Error::from)?;
            headers.append(name, value);
        }
        if !headers.contains_key(header::HOST) && ask.speech == Speech::Http1 {
            let value = HeaderValue::try_from(authority).map_err(hyper::http::Error::from)?;
            headers.insert(header::HOST, value);
        }
        Ok(Self {
            uri,
            address: ask.connect_to.map_or(address, |it| it.to_string()),
            method: ask.method.parse().map_err(hyper::http::Error::from)?,
            headers,
            body: match ask.messages.as_slice() {
                [] => Bytes::from(ask.body.clone()),
                messages => messages.iter().flat_map(|it| message::frame(it)).collect(),
            },
            speech: ask.speech,
            is_new_each_time: ask.is_new_each_time,
        })
    }

    async fn ask(&self, times: u32) -> Vec<Answer> {
        let mut answers = Vec::new();
        let mut line = None;
        for _ in 0..times {
            let begun = Instant::now();
            let mut answer = Answer::default();
            match timeout(PATIENCE, self.once(&mut line, &mut answer)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    answer.error = Some(mesh::telemetry::report(&error));
                    line = None;
                }
                Err(_) => {
                    answer.error = Some(format!("nothing within {PATIENCE:?}"));
                    line = None;
                }
            }
            let took: Duration = begun.elapsed();
            answer.milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
            answers.push(answer);
            if self.is_new_each_time {
                line = None;
            }
        }
        answers
    }

    async fn once(&self, line: &mut Option<Line>, answer: &mut Answer) -> Result<(), Error> {
        let is_gone = match line {
            Some(Line::Http1(line)) => line.ready().await.is_err(),
            Some(Line::Http2(line)) => line.ready().await.is_err(),
            None => true,
        };
        if is_gone {
            *line = Some(self.connect().await?);
        }
        let response = match line {
            Some(Line::Http1(line)) => line.send_request(self.request()?).await?,
            Some(Line::Http2(line)) => line.send_request(self.request()?).await?,
            None => return Ok(()),
        };
        read(response, answer).await
    }

    async fn connect(&self) -> Result<Line, Error> {
        let failed = |source| Error::Connect {
            authority: self.address.clone(),
            source,
        };
        let stream = TcpStream::connect(&self.address).await.map_err(failed)?;
        let _ = stream.set_nodelay(true);
        let stream = TokioIo::new(stream);
        match self.speech {
            Speech::Http1 => {
                let (line, connection) = http1::handshake(stream).await?;
                task::spawn_local("http client", async move { drop(connection.await) });
                Ok(Line::Http1(line))
            }
            Speech::Http2 => {
                let (line, connection) = http2::handshake(Here, stream).await?;
                task::spawn_local("http client", async move { drop(connection.await) });
                Ok(Line::Http2(line))
            }
        }
    }

    fn request(&self) -> Result<Request<Full<Bytes>>, Error> {
        // HTTP/2 has scheme and host in the URL; HTTP/1.1 has the path alone.
        let uri = match self.speech {
            Speech::Http2 => self.uri.clone(),
            Speech::Http1 => {
                let path = self.uri.path_and_query().map_or("/", |path| path.as_str());
                path.parse().map_err(hyper::http::Error::from)?
            }
        };
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = uri;
        *request.headers_mut() = self.headers.clone();
        Ok(request)
    }
}

async fn read(response: Response<Incoming>, answer: &mut Answer) -> Result<(), Error> {
    answer.status = response.status().as_u16();
    answer.headers = words(response.headers());
    let is_grpc = is_grpc(response.headers());
    let body = response.into_body().collect().await?;
    if let Some(trailers) = body.trailers() {
        answer.trailers = words(trailers);
    }
    let body = body.to_bytes();
    match is_grpc {
        true => answer.messages = message::texts(&body).unwrap_or_default(),
        false => answer.body = String::from_utf8_lossy(&body).into_owned(),
    }
    Ok(())
}
