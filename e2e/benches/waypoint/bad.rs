//! Bad input in numbers: what its sender hears, what it costs in memory, and what others notice of it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mesh::lifecycle::task;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::client::get;
use crate::world::vip;
use crate::{Proxy, load, weft};

/// Heads that come byte by byte at once.
const SLOW: usize = 10_000;
/// A byte of each comes so often.
const DRIP: Duration = Duration::from_secs(1);
/// Bytes of a head that is far too long.
const LONG: usize = 1 << 20;
/// Streams that are reset as soon as they are open, at most.
const RESETS: u32 = 100_000;
/// Bytes of one head over HTTP/2 that never ends, at most.
const ENDLESS: usize = 64 << 20;
/// Routes of one service.
const ROUTES: usize = 100_000;
/// Requests a second of a client that does no harm.
const OTHERS: u32 = 200;

/// Sends all of it to waypoints of their own.
pub(crate) async fn input(app: SocketAddr) {
    println!(
        "| load | its sender hears | memory before, at most, after | others meanwhile: answered, slowest |"
    );
    println!("|---|---|---|---|");
    let name = format!("{SLOW} requests whose heads come byte by byte, at once");
    judged(app, 1, &name, slow).await;
    judged(app, 1, "a head of 1 MiB, 100 times", long).await;
    judged(
        app,
        1,
        "streams that are opened and reset, on one connection",
        resets,
    )
    .await;
    judged(app, 1, "a head over HTTP/2 that never ends", endless).await;
    let begun = Instant::now();
    let name = format!("{ROUTES} routes of one service");
    judged(app, ROUTES, &name, async |proxy: &Proxy| {
        let ready = begun.elapsed();
        let path = format!("/r{}", ROUTES - 1);
        let asked = Instant::now();
        let answer = proxy.client.get(&vip(80), &path).await;
        let took = asked.elapsed();
        format!(
            "ready after {ready:.1?}; the last one: {} in {took:.1?}",
            answer.status.as_u16()
        )
    })
    .await;
}

/// One row: an attack on a waypoint of its own, with a client beside it that does no harm.
async fn judged(
    app: SocketAddr,
    routes: usize,
    name: &str,
    attack: impl AsyncFnOnce(&Proxy) -> String,
) {
    let proxy = weft::start(app, routes).await;
    assert_eq!(proxy.client.get(&vip(80), "/r0").await.status, 200);
    let memory = || e2e::bench::memory::of_process(proxy.pid).unwrap();
    // From here on the peak is counted anew.
    std::fs::write(format!("/proc/{}/clear_refs", proxy.pid), "5").unwrap();
    let before = memory().0;
    let others = load::Steady::start(&proxy.client, OTHERS).await;
    let heard = attack(&proxy).await;
    let mut times = others.finish().await;
    times.sort_unstable();
    assert_eq!(
        proxy.client.get(&vip(80), "/r0").await.status,
        200,
        "{name}"
    );
    let (after, most) = memory();
    let mib = |kib: u64| format!("{:.1}", kib as f64 / 1024.0);
    let slowest = times.last().copied().unwrap_or_default();
    println!(
        "| {name} | {heard} | {}, {}, {} MiB | {}, {slowest:.1?} |",
        mib(before),
        mib(most),
        mib(after),
        times.len()
    );
}

async fn slow(proxy: &Proxy) -> String {
    let begun = Instant::now();
    let mut dripping = Vec::new();
    for _ in 0..SLOW {
        let mut stream = proxy.client.stream(&vip(80)).await.unwrap();
        dripping.push(task::spawn_local("slow client", async move {
            let head = b"GET /r0 HTTP/1.1\r\nhost: web.shop\r\nx-slow: ".iter();
            for byte in head.chain(std::iter::repeat(&b'x')) {
                let mut answer = [0; 64];
                if stream.write_all(&[*byte]).await.is_err() {
                    return String::new();
                }
                let heard = tokio::time::timeout(DRIP, stream.read(&mut answer)).await;
                if let Ok(heard) = heard {
                    let text = String::from_utf8_lossy(&answer[..heard.unwrap_or(0)]).into_owned();
                    return text.lines().next().unwrap_or_default().to_owned();
                }
            }
            unreachable!("it drips for ever")
        }));
    }
    let opened = begun.elapsed();
    let mut closed = 0;
    let mut answered = 0;
    for one in dripping {
        match one.await.unwrap().expect("a client").as_str() {
            "" => closed += 1,
            _ => answered += 1,
        }
    }
    let all = begun.elapsed();
    format!(
        "all were open after {opened:.1?}; {answered} were answered and {closed} cut, the last after {all:.1?}"
    )
}

async fn long(proxy: &Proxy) -> String {
    let mut heard = String::new();
    for _ in 0..100 {
        let mut stream = proxy.client.stream(&vip(80)).await.unwrap();
        let mut request = b"GET /r0 HTTP/1.1\r\nhost: web.shop\r\nx-long: ".to_vec();
        request.resize(LONG, b'x');
        request.extend_from_slice(b"\r\n\r\n");
        // Nobody needs to read all of it before answering.
        let _ = stream.write_all(&request).await;
        let mut answer = vec![0; 256];
        let length = stream.read(&mut answer).await.unwrap_or(0);
        let text = String::from_utf8_lossy(&answer[..length]).into_owned();
        heard = text.split(' ').nth(1).unwrap_or("nothing").to_owned();
    }
    heard
}

async fn resets(proxy: &Proxy) -> String {
    let stream = proxy.client.stream(&vip(80)).await.unwrap();
    let (sender, connection) = h2::client::handshake(stream).await.unwrap();
    let ended = task::spawn_local("connection", connection);
    let mut sender = Some(sender);
    let mut sent = 0;
    while sent < RESETS
        && let Some(waiting) = sender.take()
        && let Ok(mut ready) = waiting.ready().await
    {
        let request = http::Request::get("http://web.shop/r0").body(()).unwrap();
        let Ok((answer, mut body)) = ready.send_request(request, false) else {
            break;
        };
        body.send_reset(h2::Reason::CANCEL);
        drop(answer);
        sent += 1;
        sender = Some(ready);
        if sent % 50 == 0 {
            tokio::task::yield_now().await;
        }
    }
    drop(sender);
    let why = match ended.await.unwrap() {
        Some(Err(error)) => error.to_string(),
        _ => "nothing".to_owned(),
    };
    format!("after {sent} streams: {why}")
}

async fn endless(proxy: &Proxy) -> String {
    let mut stream = proxy.client.stream(&vip(80)).await.unwrap();
    let mut begin = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    begin.extend_from_slice(&[0, 0, 0, 4, 0, 0, 0, 0, 0]);
    // HEADERS without END_HEADERS: a block that begins with GET, http and /.
    begin.extend_from_slice(&[0, 0, 3, 1, 0, 0, 0, 0, 1, 0x82, 0x86, 0x84]);
    stream.write_all(&begin).await.unwrap();
    // CONTINUATION with one literal header of 16 000 bytes, again and again.
    let mut block = vec![0x00, 0x01, b'x', 0x7f];
    let value = 16_000_u32;
    let mut rest = value - 127;
    while rest >= 128 {
        block.push(u8::try_from(rest % 128).unwrap() | 0x80);
        rest /= 128;
    }
    block.push(u8::try_from(rest).unwrap());
    block.resize(block.len() + value as usize, b'x');
    let length = u32::try_from(block.len()).unwrap().to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], 9, 0, 0, 0, 0, 1];
    frame.extend_from_slice(&block);
    let mut sent = 0;
    while sent < ENDLESS && stream.write_all(&frame).await.is_ok() {
        sent += frame.len();
    }
    let mut heard = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut heard)).await;
    let code = goaway(&heard).map_or_else(
        || "the end of its connection".to_owned(),
        |code| format!("GOAWAY {:?}", h2::Reason::from(code)),
    );
    assert_eq!(proxy.client.ask(&vip(80), get("/r0")).await.status, 200);
    format!("after {} KiB: {code}", sent / 1024)
}

/// The code of the GOAWAY among frames.
fn goaway(mut frames: &[u8]) -> Option<u32> {
    while let [a, b, c, kind, _, _, _, _, _, rest @ ..] = frames {
        let length = usize::try_from(u32::from_be_bytes([0, *a, *b, *c])).ok()?;
        let body = rest.get(..length)?;
        if *kind == 7 {
            return Some(u32::from_be_bytes(body.get(4..8)?.try_into().ok()?));
        }
        frames = rest.get(length..)?;
    }
    None
}
