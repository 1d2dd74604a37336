//! A small name server on loopback, one for all tests, and what must hold of workloads that have a
//! host name and no address.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Mutex, OnceLock};

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use mesh::model::Workload;
use mesh::wire::Update;

use crate::logged;
use crate::net::{PLAIN_PORT, TWO, TWO6, VIP, VIP6};
use crate::proxy::wait_until;
use crate::reasons::plain_web;
use crate::world::{World, answer_once, ask, client, service, web};

/// Types of records. RFC 1035, section 3.2.2, and RFC 3596.
const A: u16 = 1;
const AAAA: u16 = 28;

/// How often each question was put.
static ASKED: Mutex<Option<HashMap<(String, u16), u32>>> = Mutex::new(None);

/// The server's address; it runs for as long as this process.
pub(crate) fn server() -> SocketAddr {
    static SERVER: OnceLock<SocketAddr> = OnceLock::new();
    *SERVER.get_or_init(|| {
        let socket = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
        let address = socket.local_addr().unwrap();
        std::thread::spawn(move || serve(&socket));
        address
    })
}

/// Settings of a resolver that asks it.
pub(crate) fn config() -> ResolverConfig {
    let server = server();
    let mut connection = ConnectionConfig::udp();
    connection.port = server.port();
    let mut servers = NameServerConfig::udp(server.ip());
    servers.connections = vec![connection];
    ResolverConfig::from_parts(None, Vec::new(), vec![servers])
}

fn serve(socket: &UdpSocket) {
    let mut buffer = [0; 1024];
    loop {
        let (length, client) = socket.recv_from(&mut buffer).unwrap();
        if let Some(answer) = answer(&buffer[..length]) {
            socket.send_to(&answer, client).unwrap();
        }
    }
}

/// The answer to a query, or none at all. Names say what they want: see [`records`].
fn answer(query: &[u8]) -> Option<Vec<u8>> {
    let (name, end) = name(query, 12);
    let kind = u16::from_be_bytes([query[end], query[end + 1]]);
    let mut asked = ASKED.lock().unwrap();
    *asked
        .get_or_insert_default()
        .entry((name.clone(), kind))
        .or_default() += 1;
    let records = records(&name, kind)?;
    let mut answer = query[..end + 4].to_vec();
    let is_known = name.ends_with("web.example.");
    // A recursive answer: without error, or "no such name".
    answer[2..4].copy_from_slice(&[0x81, if is_known { 0x80 } else { 0x83 }]);
    let count = u16::try_from(records.len()).unwrap();
    for (at, count) in [(4, 1), (6, count), (8, 0), (10, 0)] {
        answer[at..at + 2].copy_from_slice(&u16::to_be_bytes(count));
    }
    let ttl: u32 = if name.starts_with("brief-") { 1 } else { 3600 };
    for record in records {
        let data = match record {
            IpAddr::V4(it) => it.octets().to_vec(),
            IpAddr::V6(it) => it.octets().to_vec(),
        };
        // The name of the question, type, class, life, length.
        answer.extend([0xc0, 12]);
        answer.extend(kind.to_be_bytes());
        answer.extend([0, 1]);
        answer.extend(ttl.to_be_bytes());
        answer.extend(u16::to_be_bytes(u16::try_from(data.len()).unwrap()));
        answer.extend(data);
    }
    Some(answer)
}

/// What is known of a name: pod two is `…web.example`, of `silent…` nothing is ever heard.
fn records(name: &str, kind: u16) -> Option<Vec<IpAddr>> {
    if name.starts_with("silent") {
        return None;
    }
    Some(match kind {
        A if name.ends_with("web.example.") => vec![TWO.into()],
        AAAA if name.ends_with("web.example.") => vec![TWO6.into()],
        _ => Vec::new(),
    })
}

/// The name at a position, in lower case, and the position behind it.
fn name(query: &[u8], mut at: usize) -> (String, usize) {
    let mut name = String::new();
    loop {
        let length = usize::from(query[at]);
        at += 1;
        if length == 0 {
            return (name, at);
        }
        let label = std::str::from_utf8(&query[at..at + length]).unwrap();
        name.push_str(&label.to_lowercase());
        name.push('.');
        at += length;
    }
}

/// How often the server was asked for the IPv4 addresses of a name.
fn times(name: &str) -> u32 {
    let asked = ASKED.lock().unwrap();
    let key = (format!("{name}."), A);
    asked
        .as_ref()
        .and_then(|it| it.get(&key).copied())
        .unwrap_or(0)
}

/// The workload without its addresses, by this name.
pub(crate) fn by_name(workload: Workload, host: &str) -> Workload {
    Workload {
        addresses: Vec::new(),
        hostname: host.into(),
        ..workload
    }
}

/// A world in which pod one knows this workload and no other, and pod two itself.
fn world(other: Workload) -> World {
    let world = World::new();
    let records = [client(), other].map(|it| Update::Workload(Box::new(it)));
    let service = Update::Service(Box::new(service()));
    let records = records.into_iter().chain([service]);
    world.one.learn(records.collect(), Vec::new());
    world
}

/// Through a tunnel, by an address of the family that was dialled; counted in the contract's metric.
pub(crate) fn reached() {
    let world = world(by_name(web(), "one.web.example"));
    for (dialled, expected) in [
        (IpAddr::from(VIP), IpAddr::from(TWO)),
        (VIP6.into(), TWO6.into()),
    ] {
        let application = answer_once(world.listen(expected), b"found");
        let client = world.call_at(dialled);
        assert_eq!(ask(&client, b"?"), b"found");
        application.join().unwrap();
        let source = client.local_addr().unwrap();
        let ends = || logged::ends(mesh::flow::Direction::Outbound, source);
        wait_until("it is logged", || !ends().is_empty());
        let hop = SocketAddr::new(expected, 15008).to_string();
        assert_eq!(ends()[0].get("dst.addr"), hop);
        assert_eq!(ends()[0].get("dst.workload"), "web");
    }
    let labels = [
        "source_workload=\"client\"",
        "source_principal=\"spiffe://cluster.local/ns/shop/sa/client\"",
        "hostname=\"one.web.example\"",
    ];
    world
        .one
        .wait_for_metric("istio_on_demand_dns_total", &labels, 2);
}

/// In plain text, for what is outside of the mesh.
pub(crate) fn reached_plainly() {
    let world = world(by_name(plain_web(TWO), "plain.web.example"));
    let application = answer_once(world.listen_at(TWO.into(), PLAIN_PORT), b"found");
    assert_eq!(ask(&world.call(), b"?"), b"found");
    application.join().unwrap();
}

/// A name is asked for once for as long as its records live, and again when they are over.
pub(crate) fn kept() {
    let long = world(by_name(web(), "kept.web.example"));
    let brief = world(by_name(web(), "brief-web.example"));
    let talk = |world: &World| {
        let application = answer_once(world.listen(TWO.into()), b"");
        ask(&world.call(), b"");
        application.join().unwrap();
    };
    for _ in 0..3 {
        talk(&long);
    }
    assert_eq!(times("kept.web.example"), 1);
    talk(&brief);
    assert_eq!(times("brief-web.example"), 1);
    wait_until("it is asked for again", || {
        talk(&brief);
        times("brief-web.example") > 1
    });
}
