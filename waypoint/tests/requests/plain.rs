//! An application that is bytes: keeps what it heard on each connection, and asks for bodies in its own manner.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use mesh::lifecycle::task;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::app::App;
use crate::client::PATIENCE;

/// What it does once it has read a head.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Waits for the body, then answers.
    Waits,
    /// Says 100, waits for the body, then answers.
    Asks,
    /// Answers 417 at once.
    Refuses,
    /// As `Waits`, with 503 for every other request.
    Alternates,
}

/// A running application.
pub(crate) struct Plain {
    pub(crate) app: App,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Plain {
    pub(crate) async fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&heard);
        task::spawn_local("application", async move {
            while let Ok((stream, _)) = listener.accept().await {
                kept.lock().unwrap().push(String::new());
                let number = kept.lock().unwrap().len() - 1;
                let kept = Arc::clone(&kept);
                task::spawn_local("application connection", talk(stream, manner, kept, number));
            }
        });
        let requests = Arc::default();
        Self {
            app: App { at, requests },
            heard,
        }
    }

    /// What each connection has heard.
    pub(crate) fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }

    /// Waits until what was heard is so.
    pub(crate) async fn until(&self, is_so: impl Fn(&[String]) -> bool) {
        let begun = Instant::now();
        while !is_so(&self.heard()) {
            assert!(begun.elapsed() < PATIENCE, "{:?}", self.heard());
            tokio::task::yield_now().await;
        }
    }
}

/// Requests in what a connection heard.
pub(crate) fn requests(heard: &str) -> usize {
    heard.matches(" HTTP/1.1\r\n").count()
}

async fn talk(mut stream: TcpStream, manner: Manner, kept: Arc<Mutex<Vec<String>>>, number: usize) {
    let mut rest = String::new();
    let mut has_asked = false;
    loop {
        if let Some((head, body)) = rest.split_once("\r\n\r\n") {
            if manner == Manner::Asks && !has_asked {
                let asked = b"HTTP/1.1 100 Continue\r\n\r\n";
                stream.write_all(asked).await.unwrap();
                has_asked = true;
            }
            let is_whole = match head.split_once("content-length: ") {
                Some((_, length)) => {
                    let length = length.split("\r\n").next().unwrap();
                    body.len() >= length.parse().unwrap()
                }
                None => !head.contains("chunked") || body.ends_with("0\r\n\r\n"),
            };
            if is_whole || manner == Manner::Refuses {
                rest.clear();
                has_asked = false;
                let all: usize = kept.lock().unwrap().iter().map(|it| requests(it)).sum();
                let status = match manner {
                    Manner::Refuses => "417 Expectation Failed",
                    Manner::Alternates if all % 2 == 1 => "503 Service Unavailable",
                    _ => "200 OK",
                };
                let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 4\r\n\r\nword");
                if stream.write_all(answer.as_bytes()).await.is_err() {
                    return;
                }
            }
        }
        let mut piece = vec![0; 4096];
        let Ok(length @ 1..) = stream.read(&mut piece).await else {
            let mut kept = kept.lock().unwrap();
            kept.get_mut(number).unwrap().push_str("<end>");
            return;
        };
        let piece = String::from_utf8_lossy(piece.get(..length).unwrap()).into_owned();
        let mut all = kept.lock().unwrap();
        all.get_mut(number).unwrap().push_str(&piece);
        drop(all);
        rest.push_str(&piece);
    }
}
