//! Which certificates a node proxy has, before and while anybody calls.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mesh::lifecycle::task;
use mesh::model::TunnelKind;
use mesh::names::WorkloadUid;
use mesh::state::Removal;
use mesh::testing::ca::{Leaf, identity};
use mesh::wire::Update;
use mesh::zds;
use serde_json::Value;

use crate::net::{self, APP_PORT, TWO};
use crate::proxy::{PATIENCE, wait_until};
use crate::world::{World, everything, web};

/// Who has a certificate on node two.
fn certified(world: &World) -> Vec<String> {
    let dump = world.two.dump();
    let all = dump["certificates"].as_array().unwrap().iter();
    let ready = all.filter(|it| it["state"] == "Available");
    let identity = |it: &Value| it["identity"].as_str().unwrap().to_owned();
    ready.map(identity).collect()
}

pub(crate) fn fetched_ahead() {
    const WEB: &str = "spiffe://cluster.local/ns/shop/sa/web";
    let world = World::empty();
    let gone = |uid: &str| vec![Removal::Address(uid.into())];
    let is_certified = || certified(&world) == [WEB];
    let leave = zds::Request::Delete {
        uid: "uid-web".into(),
    };
    assert_eq!(world.two.tell(&leave, None), None);
    assert!(certified(&world).is_empty());

    // The controller is quicker than the node agent; pods of other nodes are nobody's business here.
    world.two.learn(everything(), Vec::new());
    wait_until("it is there before the pod is handed over", is_certified);
    // A second pod of the identity comes, the first one goes.
    let mut second = web();
    second.uid = WorkloadUid::pod("Kubernetes", "shop", "web-2");
    second.name = "web-2".into();
    let uid = web().uid.0;
    world
        .two
        .learn(vec![Update::Workload(Box::new(second))], gone(&uid));
    assert!(is_certified());
    world
        .two
        .learn(Vec::new(), gone("Kubernetes//Pod/shop/web-2"));
    wait_until("it went with the last", || certified(&world).is_empty());

    // One that speaks no HBONE, as the controller sees it, is of interest once it is handed over.
    let mut plain = web();
    plain.tunnel = TunnelKind::None;
    world
        .two
        .learn(vec![Update::Workload(Box::new(plain))], Vec::new());
    world.two.enrol("web", "web", &world.cable.two);
    wait_until("it is there for the pod", is_certified);
    world
        .two
        .learn(vec![Update::Workload(Box::new(web()))], Vec::new());
    assert_eq!(world.two.tell(&leave, None), None);
    assert!(is_certified(), "its workload is still there");
    world.two.learn(Vec::new(), gone(&uid));
    wait_until("nobody is left", || certified(&world).is_empty());
}

pub(crate) fn no_key_in_the_dump() {
    // What every PKCS#8 P-256 private key holds right before its number, and no certificate does.
    const KEY: [u8; 9] = [0x04, 0x6d, 0x30, 0x6b, 0x02, 0x01, 0x01, 0x04, 0x20];
    let world = World::empty();
    world.two.learn(everything(), Vec::new());
    wait_until("there is a certificate", || !certified(&world).is_empty());
    let dump = world.two.dump();
    let mut texts = Vec::new();
    collect(&dump, &mut texts);
    let mut certificates = 0;
    for text in texts {
        assert!(!text.contains("PRIVATE"), "{text}");
        let Ok(bytes) = STANDARD.decode(text) else {
            continue;
        };
        assert!(!bytes.windows(KEY.len()).any(|it| it == KEY), "{text}");
        let pem = String::from_utf8_lossy(&bytes);
        assert!(!pem.contains("PRIVATE"), "{pem}");
        certificates += usize::from(pem.contains("BEGIN CERTIFICATE"));
    }
    assert_eq!(certificates, 2, "leaf and root");
}

/// All texts in a document.
fn collect<'a>(value: &'a Value, texts: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => texts.push(text),
        Value::Array(all) => all.iter().for_each(|it| collect(it, texts)),
        Value::Object(all) => all.values().for_each(|it| collect(it, texts)),
        _ => {}
    }
}

pub(crate) fn no_requests_after_the_end() {
    let world = World::new();
    let application = world.listen(TWO.into());
    std::thread::spawn(move || {
        for stream in application.incoming().flatten() {
            std::thread::spawn(move || std::io::copy(&mut &stream, &mut &stream));
        }
    });
    let client = identity("shop", "client");
    let leaf = Leaf {
        // long enough for a busy machine to open the tunnel before the end
        not_after: SystemTime::now() + Duration::from_secs(6),
        ..Leaf::of(&client)
    };
    let credentials = world.ca.issue_as(&client, &leaf, &world.ca.root_pem());
    let at = SocketAddr::new(TWO.into(), 15008);
    let socket = net::inside(&world.cable.one, move || TcpStream::connect(at).unwrap());
    let socket = socket.join().unwrap();
    socket.set_nonblocking(true).unwrap();
    let expected = [identity("shop", "web")].into();
    let tunnel = async {
        let socket = tokio::net::TcpStream::from_std(socket).unwrap();
        let made = mesh::tls::client::connect(socket, &credentials, &expected, PATIENCE);
        let (sender, connection) = Box::pin(h2::client::handshake(made.await.unwrap().0))
            .await
            .unwrap();
        let driving = task::spawn("tunnel", connection);
        let request = http::Request::connect(format!("{TWO}:{APP_PORT}"));
        let mut sender = sender.ready().await.unwrap();
        let request = request.body(()).unwrap();
        let (answer, mut send) = sender.send_request(request, false).unwrap();
        let mut receive = answer.await.unwrap().into_body();
        let refusal = loop {
            match sender.clone().ready().await {
                Ok(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                Err(error) => break error,
            }
        };
        assert!(refusal.is_go_away(), "{refusal}");
        assert!(SystemTime::now() >= credentials.not_after());
        // the stream that was open goes on to its end, and the tunnel with it
        send.send_data("still".into(), true).unwrap();
        let mut heard = Vec::new();
        while let Some(bytes) = receive.data().await {
            heard.extend_from_slice(&bytes.unwrap());
        }
        assert_eq!(heard, b"still");
        // the proxy closes first; what this end still wanted to say may find nobody
        if let Err(error) = driving.await.unwrap().unwrap() {
            let kind = error.get_io().map(std::io::Error::kind);
            let gone = [ErrorKind::BrokenPipe, ErrorKind::ConnectionReset];
            assert!(kind.is_some_and(|kind| gone.contains(&kind)), "{error}");
        }
    };
    let runtime = &world.one.runtime;
    runtime
        .block_on(async { tokio::time::timeout(PATIENCE, Box::pin(tunnel)).await })
        .unwrap();
}
