//! The built-in server and the scripted client talk with each other.

use std::net::SocketAddr;
use std::rc::Rc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::answer::{Seen, Server};
use super::script::{Answer, Ask, Speech};
use super::{ask, serve};

/// Does `work` with a server at the address that it is given.
fn with_server<F: Future<Output = ()>>(work: impl FnOnce(SocketAddr) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = Rc::new(Server {
            pod: "web-1".to_owned(),
            version: "v1".to_owned(),
            ..Server::default()
        });
        tokio::select! {
            () = work(address) => {}
            () = serve::answer_on(&listener, server) => {}
        }
    });
}

async fn one(ask: Ask) -> Answer {
    let mut answers = ask::answers(&ask).await.unwrap();
    assert_eq!(answers.len(), 1);
    answers.remove(0)
}

fn seen(answer: &Answer) -> Seen {
    serde_json::from_str(&answer.body).unwrap()
}

#[test]
fn both_versions_of_http_are_answered_with_what_was_seen() {
    with_server(async |address| {
        for (speech, protocol) in [(Speech::Http1, "HTTP/1.1"), (Speech::Http2, "HTTP/2.0")] {
            let mut wanted = Ask::get("http://books.example/list?page=2").with("x-who", "me");
            (wanted.speech, wanted.connect_to) = (speech, Some(address));
            wanted.body = "hello".to_owned();
            let answer = one(wanted).await;
            assert_eq!((answer.status, &answer.error), (200, &None));
            let seen = seen(&answer);
            assert_eq!((seen.pod.as_str(), seen.version.as_str()), ("web-1", "v1"));
            assert_eq!(seen.protocol, protocol);
            assert_eq!(seen.host, "books.example");
            assert_eq!(seen.path, "/list?page=2");
            assert_eq!(seen.headers["x-who"], "me");
            assert_eq!(seen.body, 5);
        }
    });
}

#[test]
fn an_answer_is_as_it_is_asked_for_and_every_request_is_counted() {
    with_server(async |address| {
        let url = |path: &str| format!("http://{address}{path}");
        let answer = one(Ask::get(&url("/status/418/header/x-colour/blue"))).await;
        assert_eq!(answer.status, 418);
        assert_eq!(answer.header("x-colour"), Some("blue"));
        let mut flaky = Ask::get(&url("/fail/2/mine")).times(4);
        flaky.is_new_each_time = true;
        let answers = ask::answers(&flaky).await.unwrap();
        let statuses: Vec<u16> = answers.iter().map(|it| it.status).collect();
        assert_eq!(statuses, [503, 503, 200, 200]);
        let counts = one(Ask::get(&url("/counts"))).await.body;
        let counts: serde_json::Value = serde_json::from_str(&counts).unwrap();
        assert_eq!(counts["/fail/2/mine"], 4);
    });
}

#[test]
fn grpc_is_answered_with_messages_and_a_status_in_the_trailers() {
    with_server(async |address| {
        let url = format!("http://{address}/weft.echo.Echo/Say");
        let answer = one(Ask::call(&url, "hello")).await;
        assert_eq!(answer.grpc_status(), Some(0));
        let seen: Seen = serde_json::from_str(&answer.messages[0]).unwrap();
        assert_eq!(seen.messages, ["hello"]);
        let answer = one(Ask::call(&url, "hello").with("echo-grpc-status", "14")).await;
        assert_eq!(answer.grpc_status(), Some(14));
        assert!(answer.messages.is_empty());
    });
}

#[test]
fn an_upgrade_is_granted_and_every_byte_comes_back() {
    with_server(async |address| {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = b"GET /chat HTTP/1.1\r\nhost: books\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
        stream.write_all(head).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(stream.read_u8().await.unwrap());
        }
        assert!(answer.starts_with(b"HTTP/1.1 101 "));
        stream.write_all(b"frames").await.unwrap();
        let mut back = [0; 6];
        stream.read_exact(&mut back).await.unwrap();
        assert_eq!(&back, b"frames");
    });
}

#[test]
fn an_answer_that_does_not_come_is_one_with_a_reason() {
    with_server(async |_| {
        let gone = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = gone.local_addr().unwrap();
        drop(gone);
        let answer = one(Ask::get(&format!("http://{address}/"))).await;
        assert_eq!(answer.status, 0);
        assert!(answer.error.unwrap().contains("cannot connect"));
    });
}
