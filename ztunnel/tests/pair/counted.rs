//! Metrics of real connections, at both ends: failed, open, closed, cut and denied ones.

use std::io::Write;
use std::net::TcpStream;

use mesh::wire::Update;

use crate::net::TWO;
use crate::world::{World, ask, deny_all, is_refused, read_all};

pub(crate) fn metrics() {
    let world = World::new();
    let both = [
        "source_workload=\"client\"",
        "source_principal=\"spiffe://cluster.local/ns/shop/sa/client\"",
        "destination_workload=\"web\"",
        "destination_service_name=\"web\"",
        "destination_principal=\"spiffe://cluster.local/ns/shop/sa/web\"",
        "connection_security_policy=\"mutual_tls\"",
    ];
    let ends = [(&world.one, "source"), (&world.two, "destination")];
    let check = |name: &str, flags: [&str; 2], number| {
        for ((proxy, reporter), flag) in ends.iter().zip(flags) {
            let (reporter, flag) = (
                format!("{{reporter=\"{reporter}\""),
                format!("response_flags=\"{flag}\""),
            );
            let parts = [&both[..], &[&reporter, &flag]].concat();
            proxy.wait_for_metric(name, &parts, number);
        }
    };
    // Nobody listens yet.
    assert!(is_refused(&world.call()));
    check(
        "istio_tcp_connections_failed_total",
        ["CONNECT", "CONNECT"],
        1,
    );

    let listener = world.listen(TWO.into());
    let (client, application) = world.connection(&listener);
    // While it is open: one byte each way.
    check("istio_tcp_connections_opened_total", ["-", "-"], 1);
    check("istio_tcp_sent_bytes_total", ["-", "-"], 1);
    check("istio_tcp_received_bytes_total", ["-", "-"], 1);
    assert_eq!(ask_over(&client, application), b"longer");
    check("istio_tcp_connections_closed_total", ["-", "-"], 1);
    check("istio_tcp_received_bytes_total", ["-", "-"], 5);
    check("istio_tcp_sent_bytes_total", ["-", "-"], 7);

    let (client, _application) = world.connection(&listener);
    let deny = vec![Update::Policy(Box::new(deny_all()))];
    world.two.learn(deny, Vec::new());
    assert!(is_refused(&client));
    let denied = [&both[..], &["response_flags=\"DENY\""]].concat();
    let two = &world.two;
    two.wait_for_metric("istio_tcp_connections_closed_total", &denied, 1);
    assert!(is_refused(&world.call()));
    two.wait_for_metric("istio_tcp_connections_failed_total", &denied, 1);
    for reason in ["policy_changed", "policy_denied"] {
        let reason = format!("reason=\"{reason}\"");
        let by = ["policy=\"shop/nobody\"", "rule=\"0\"", &reason];
        two.wait_for_metric("weft_ztunnel_policy_denials_total", &by, 1);
    }
    let handshakes = "weft_ztunnel_handshakes_total";
    two.wait_for_metric(handshakes, &["direction=\"inbound\"", "result=\"ok\""], 1);
    two.wait_for_metric("weft_ztunnel_tunnels_open", &["inbound"], 1);
    world
        .one
        .wait_for_metric("weft_ztunnel_tunnels_open", &["outbound"], 1);
}

/// The client says four bytes, the application six; both finish.
fn ask_over(client: &TcpStream, mut application: TcpStream) -> Vec<u8> {
    let answering = std::thread::spawn(move || {
        read_all(&application);
        application.write_all(b"longer").unwrap();
    });
    let answer = ask(client, b"four");
    answering.join().unwrap();
    answer
}
