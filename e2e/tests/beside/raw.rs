//! An application that answers byte by byte as the path wants it, well or badly.

use std::net::SocketAddr;

use mesh::lifecycle::task;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Starts it.
pub(crate) async fn start() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    task::spawn_local("raw application", async move {
        while let Ok((stream, _)) = listener.accept().await {
            task::spawn_local("raw connection", serve(stream));
        }
    });
    at
}

/// Reads one head, answers, and closes.
async fn serve(mut stream: TcpStream) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let path = head.split(' ').nth(1).unwrap_or_default();
    let case = path.strip_prefix("/raw/").unwrap_or_default();
    let _ = stream.write_all(&answer(case)).await;
    match case {
        "websocket" => echo(&mut stream).await,
        "continue" => {
            let mut body = [0; 4];
            let _ = stream.read_exact(&mut body).await;
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                .await;
        }
        _ => {}
    }
}

async fn echo(stream: &mut TcpStream) {
    let mut room = [0; 64];
    while let Ok(read @ 1..) = stream.read(&mut room).await {
        if stream.write_all(&room[..read]).await.is_err() {
            return;
        }
    }
}

fn answer(case: &str) -> Vec<u8> {
    let many: String = (0..120).map(|it| format!("x-{it}: 1\r\n")).collect();
    let text = match case {
        "close" => String::new(),
        "garbage" => "no HTTP at all\r\n\r\n".to_owned(),
        "large" => format!("HTTP/1.1 200 OK\r\nx: {}\r\ncontent-length: 0\r\n\r\n", "x".repeat(90_000)),
        "largish" => format!("HTTP/1.1 200 OK\r\nx: {}\r\ncontent-length: 0\r\n\r\n", "x".repeat(50_000)),
        "many" => format!("HTTP/1.1 200 OK\r\n{many}content-length: 0\r\n\r\n"),
        "cut" => "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf".to_owned(),
        "lengths" => "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nabc".to_owned(),
        "both" => "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n".to_owned(),
        "hop" => "HTTP/1.1 200 OK\r\nconnection: x-hop, close\r\nx-hop: 1\r\nkeep-alive: timeout=5\r\nproxy-connection: close\r\ncontent-length: 2\r\n\r\nok".to_owned(),
        "server" => "HTTP/1.1 200 Fine\r\nServer: mine\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nX-Mixed-Case: A\r\ncontent-length: 2\r\n\r\nok".to_owned(),
        "steering" => "HTTP/1.1 200 OK\r\nx-envoy-upstream-service-time: 7\r\nx-envoy-decorator-operation: a\r\nx-envoy-overloaded: true\r\nx-envoy-ratelimited: true\r\nx-envoy-immediate-health-check-fail: 1\r\ncontent-length: 0\r\n\r\n".to_owned(),
        "chunked" => "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-after\r\n\r\n3\r\nabc\r\n0\r\nx-after: 1\r\n\r\n".to_owned(),
        "until-close" => "HTTP/1.1 200 OK\r\n\r\nto the end".to_owned(),
        "empty" => "HTTP/1.1 204 No Content\r\n\r\n".to_owned(),
        "unchanged" => "HTTP/1.1 304 Not Modified\r\ncontent-length: 10\r\netag: \"a\"\r\n\r\n".to_owned(),
        "hints" => "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_owned(),
        "continue" => "HTTP/1.1 100 Continue\r\n\r\n".to_owned(),
        "old" => "HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok".to_owned(),
        "odd-status" => "HTTP/1.1 799 Odd\r\ncontent-length: 0\r\n\r\n".to_owned(),
        "cookies" => "HTTP/1.1 200 OK\r\nset-cookie: a=1\r\nset-cookie: b=2\r\ncontent-length: 0\r\n\r\n".to_owned(),
        "websocket" => "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: a\r\n\r\n".to_owned(),
        "no-websocket" => "HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\n\r\nno".to_owned(),
        _ => "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_owned(),
    };
    text.into_bytes()
}
