//! What must hold, one function each.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use mesh::flow::{Direction, Reason};
use mesh::wire::Update;
use mesh::zds;

use crate::net::{self, ONE, ONE6, TWO, TWO6, VIP6};
use crate::proxy::{Proxy, wait_until};
use crate::world::{
    A_WHILE, World, answer_once, ask, client, everything, is_refused, read_all, web,
};
use crate::{certificates, counted, dns, handed, peer, policies, waypoints};

type Case = (&'static str, fn());

/// All of them.
pub(crate) const ALL: &[Case] = &[
    ("bytes_go_both_ways_and_half_closes_are_kept", both_ways),
    ("the_application_sees_the_clients_address", clients_address),
    ("the_same_over_ipv6", over_ipv6),
    ("sixteen_bulk_streams_arrive_whole", bulk),
    (
        "a_reset_by_the_application_reaches_the_client",
        application_resets,
    ),
    (
        "a_reset_by_the_client_reaches_the_application",
        client_resets,
    ),
    ("nobody_listening_refuses_the_client", nobody_listens),
    (
        "a_client_refuses_a_server_of_another_identity",
        wrong_server,
    ),
    (
        "a_server_refuses_a_client_of_another_authority",
        wrong_client,
    ),
    (
        "a_neighbour_that_says_nothing_keeps_nobody_else_out",
        silent_neighbour,
    ),
    (
        "a_denied_client_is_refused_and_both_ends_say_so",
        policies::denied,
    ),
    (
        "a_policy_change_cuts_a_live_connection",
        policies::policy_change,
    ),
    (
        "a_policy_that_the_pods_record_begins_to_name_cuts_a_live_connection",
        policies::policy_named,
    ),
    (
        "policies_that_only_report_are_logged_and_counted_and_refuse_nobody",
        policies::dry_run,
    ),
    (
        "a_policy_change_while_the_pods_record_is_away_cuts_when_it_is_back",
        policies::policy_change_without_record,
    ),
    ("garbage_on_the_tunnel_door_harms_nobody", garbage),
    ("a_connection_waits_for_the_pods_record", record_is_late),
    (
        "nobody_is_admitted_before_the_controller_has_spoken_of_policies",
        policies::policies_are_late,
    ),
    ("drain_lets_a_connection_finish_and_takes_no_more", drain),
    ("drain_cuts_what_does_not_finish", drain_deadline),
    (
        "a_connection_that_is_not_open_yet_goes_with_its_client",
        client_gives_up,
    ),
    (
        "a_connection_that_is_not_open_yet_goes_with_its_pod",
        pod_goes_while_opening,
    ),
    ("a_removed_pod_is_closed_at_once", removed_pod),
    ("a_lost_session_with_the_agent_stops_nothing", lost_session),
    (
        "an_agent_out_of_step_is_dialled_again_and_no_pod_stops",
        violation,
    ),
    (
        "a_pod_that_the_agent_speaks_of_again_goes_on",
        handed::told_again,
    ),
    (
        "a_pod_that_is_handed_over_in_another_namespace_starts_anew",
        handed::moved,
    ),
    (
        "a_pod_whose_doors_are_taken_is_refused_and_retried",
        doors_taken,
    ),
    (
        "a_certificate_is_there_before_anybody_calls_and_goes_with_the_last_workload",
        certificates::fetched_ahead,
    ),
    (
        "no_private_key_is_in_the_dump",
        certificates::no_key_in_the_dump,
    ),
    (
        "a_tunnel_takes_no_requests_after_its_certificates_have_ended_and_its_streams_go_on",
        certificates::no_requests_after_the_end,
    ),
    (
        "without_an_authority_connections_fail_by_name",
        no_certificate,
    ),
    ("no_thread_stays_in_a_pods_namespace", at_home),
    ("the_dump_names_both_ends", dump),
    (
        "a_workload_with_a_host_name_is_reached_by_the_family_that_was_dialled",
        dns::reached,
    ),
    (
        "a_host_name_outside_of_the_mesh_is_reached_in_plain_text",
        dns::reached_plainly,
    ),
    (
        "a_host_name_is_asked_for_again_when_its_records_are_over",
        dns::kept,
    ),
    (
        "a_connection_is_held_until_its_waypoint_comes_which_takes_tunnels_for_its_service",
        waypoints::held,
    ),
    (
        "an_application_that_takes_tunnels_for_others_is_told_who_calls_whom",
        waypoints::announced,
    ),
    ("metrics_tell_what_became_of_connections", counted::metrics),
];

fn both_ways() {
    let world = World::new();
    let application = answer_once(world.listen(TWO.into()), b"answer after the end");
    let client = world.call();
    assert_eq!(ask(&client, b"question"), b"answer after the end");
    assert_eq!(application.join().unwrap().1, b"question");
    World::wait_for_end(&world.one, Direction::Outbound, Reason::Complete);
    World::wait_for_end(&world.two, Direction::Inbound, Reason::Complete);
}

fn clients_address() {
    let world = World::new();
    let application = answer_once(world.listen(TWO.into()), b"");
    ask(&world.call(), b"");
    assert_eq!(application.join().unwrap().0.ip(), IpAddr::from(ONE));
}

fn silent_neighbour() {
    let world = World::half(|start| start.config.limits.handshakes = 4);
    world.two.enrol("web", "web", &world.cable.two);
    world.one.learn(everything(), Vec::new());
    world.two.learn(everything(), Vec::new());
    let _silent = peer::knock(&world);
    assert!(is_refused(&peer::knock(&world)));
    World::wait_for_end(&world.two, Direction::Inbound, Reason::Overloaded);
    // The same neighbour under its other address is another caller.
    let application = answer_once(world.listen(TWO6.into()), b"in");
    assert_eq!(ask(&world.call_at(VIP6.into()), b"?"), b"in");
    application.join().unwrap();
}

fn over_ipv6() {
    let world = World::new();
    let application = answer_once(world.listen(TWO6.into()), b"six");
    assert_eq!(ask(&world.call_at(VIP6.into()), b"?"), b"six");
    assert_eq!(application.join().unwrap().0.ip(), IpAddr::from(ONE6));
}

fn bulk() {
    const BYTES: usize = 4 << 20;
    let world = World::new();
    let listener = world.listen(TWO.into());
    let echo = std::thread::spawn(move || {
        let echoes: Vec<_> = (0..16)
            .map(|_| {
                let (stream, _) = listener.accept().unwrap();
                std::thread::spawn(move || {
                    std::io::copy(&mut &stream, &mut &stream).unwrap();
                    stream.shutdown(std::net::Shutdown::Write).unwrap();
                })
            })
            .collect();
        echoes.into_iter().for_each(|echo| echo.join().unwrap());
    });
    let clients: Vec<_> = (0..16_u32)
        .map(|seed| {
            let stream = world.call();
            std::thread::spawn(move || {
                let data = noise(seed, BYTES);
                let sent = data.clone();
                let writer = stream.try_clone().unwrap();
                let write = std::thread::spawn(move || {
                    (&writer).write_all(&sent).unwrap();
                    writer.shutdown(std::net::Shutdown::Write).unwrap();
                });
                assert!(read_all(&stream) == data, "stream {seed} came back changed");
                write.join().unwrap();
            })
        })
        .collect();
    clients
        .into_iter()
        .for_each(|client| client.join().unwrap());
    echo.join().unwrap();
}

/// Bytes that differ from place to place and from stream to stream.
fn noise(seed: u32, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    (0..length)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .collect()
}

fn application_resets() {
    let world = World::new();
    let (mut client, application) = world.connection(&world.listen(TWO.into()));
    socket2::SockRef::from(&application)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
    drop(application);
    let error = client.read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    World::wait_for_end(&world.two, Direction::Inbound, Reason::DestinationReset);
}

fn client_resets() {
    let world = World::new();
    let (client, mut application) = world.connection(&world.listen(TWO.into()));
    socket2::SockRef::from(&client)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
    drop(client);
    let error = application.read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    World::wait_for_end(&world.one, Direction::Outbound, Reason::ClientReset);
}

fn nobody_listens() {
    let world = World::new();
    assert!(is_refused(&world.call()));
    World::wait_for_end(&world.two, Direction::Inbound, Reason::ConnectRefused);
    World::wait_for_end(&world.one, Direction::Outbound, Reason::RefusedByPeer);
}

fn wrong_server() {
    let world = World::new();
    let mut other = web();
    other.service_account = "somebody-else".into();
    world
        .one
        .learn(vec![Update::Workload(Box::new(other))], Vec::new());
    let _listener = world.listen(TWO.into());
    assert!(is_refused(&world.call()));
    World::wait_for_end(&world.one, Direction::Outbound, Reason::WrongIdentity);
}

fn wrong_client() {
    let world = World::new();
    let stranger = std::sync::Arc::new(mesh::testing::ca::Ca::named("stranger"));
    let rogue = crate::proxy::Proxy::start("one", &stranger, |start| {
        start.config.doors.outbound_port = 8081;
        start.config.doors.plaintext_port = 15007;
        start.config.doors.tunnel_port = 15008;
    });
    rogue.learn(everything(), Vec::new());
    drop(rogue);
    let identity = mesh::testing::ca::identity("shop", "client");
    let credentials = stranger.issue_as(
        &identity,
        &mesh::testing::ca::Leaf::of(&identity),
        &world.ca.root_pem(),
    );
    let at = SocketAddr::new(TWO.into(), 15008);
    let stream = net::inside(&world.cable.one, move || TcpStream::connect(at).unwrap());
    let stream = stream.join().unwrap();
    stream.set_nonblocking(true).unwrap();
    let expected = [mesh::testing::ca::identity("shop", "web")].into();
    let outcome = world.one.runtime.block_on(async {
        let stream = tokio::net::TcpStream::from_std(stream).unwrap();
        let limit = crate::proxy::PATIENCE;
        let mut tls = mesh::tls::client::connect(stream, &credentials, &expected, limit)
            .await
            .map_err(|error| error.to_string())?
            .0;
        let read = tokio::io::AsyncReadExt::read(&mut tls, &mut [0; 64]).await;
        read.map(|_| ()).map_err(|error| error.to_string())
    });
    assert!(outcome.is_err(), "the server spoke to a stranger");
    World::wait_for_end(&world.two, Direction::Inbound, Reason::UnknownIssuer);
}

fn garbage() {
    let world = World::new();
    let at = SocketAddr::new(TWO.into(), 15008);
    for bytes in [
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        vec![0xff; 4096],
        noise(7, 100_000),
    ] {
        let stream = net::inside(&world.cable.one, move || TcpStream::connect(at).unwrap());
        let stream = stream.join().unwrap();
        stream
            .set_read_timeout(Some(crate::proxy::PATIENCE))
            .unwrap();
        // The door may close before everything is written.
        let _ = (&stream).write_all(&bytes);
        let mut answer = Vec::new();
        let _ = (&stream).read_to_end(&mut answer);
        assert!(answer.len() < 64, "more than an alert came back");
    }
    World::wait_for_end(&world.two, Direction::Inbound, Reason::NotTls);
    let application = answer_once(world.listen(TWO.into()), b"still here");
    assert_eq!(ask(&world.call(), b"?"), b"still here");
    application.join().unwrap();
}

fn record_is_late() {
    let world = World::empty();
    world.two.learn(everything(), Vec::new());
    let application = answer_once(world.listen(TWO.into()), b"patience");
    let call = world.call();
    call.set_read_timeout(Some(A_WHILE)).unwrap();
    assert!((&call).read(&mut [0]).is_err(), "nothing can have come yet");
    call.set_read_timeout(Some(crate::proxy::PATIENCE)).unwrap();
    world.one.learn(everything(), Vec::new());
    assert_eq!(ask(&call, b"?"), b"patience");
    application.join().unwrap();
}

fn drain() {
    let mut world = World::new();
    let listener = world.listen(TWO.into());
    let (mut client, mut application) = world.connection(&listener);
    client.write_all(b"before").unwrap();
    application.read_exact(&mut [0; 6]).unwrap();
    std::thread::scope(|scope| {
        let two = &mut world.two;
        let drain = scope.spawn(move || two.drain(Duration::from_secs(20)));
        // The door is closed as soon as the drain has begun.
        let at = SocketAddr::new(TWO.into(), 15008);
        wait_until("the tunnel door is closed", || {
            net::inside(&world.cable.one, move || TcpStream::connect(at).is_err())
                .join()
                .unwrap()
        });
        application.write_all(b"during").unwrap();
        client.read_exact(&mut [0; 6]).unwrap();
        client.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(read_all(&application), b"");
        drop(application);
        assert_eq!(read_all(&client), b"");
        assert!(drain.join().unwrap(), "the connection finished by itself");
    });
}

fn drain_deadline() {
    let mut world = World::new();
    let (client, _application) = world.connection(&world.listen(TWO.into()));
    assert!(!world.two.drain(Duration::from_millis(50)));
    assert_eq!(
        world.two.metrics.ended(Direction::Inbound, Reason::Drained),
        1
    );
    assert!(is_refused(&client));
}

/// A call that waits because the pod's record has not arrived.
fn waiting_call() -> (World, TcpStream) {
    let world = World::empty();
    let call = world.call();
    (&call).write_all(b"?").unwrap();
    wait_until("it is accepted", || world.one.metrics.flows_open.get() == 1);
    (world, call)
}

/// Well before the five seconds that a record is waited for.
fn soon(began: std::time::Instant) {
    assert!(began.elapsed() < ztunnel::pod::PATIENCE / 2, "it was held");
}

fn client_gives_up() {
    let (world, call) = waiting_call();
    let began = std::time::Instant::now();
    socket2::SockRef::from(&call)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
    drop(call);
    World::wait_for_end(&world.one, Direction::Outbound, Reason::ClientReset);
    soon(began);
}

fn pod_goes_while_opening() {
    let (world, call) = waiting_call();
    let began = std::time::Instant::now();
    let gone = zds::Request::Delete {
        uid: "uid-client".into(),
    };
    assert_eq!(world.one.tell(&gone, None), None);
    let error = (&call).read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    World::wait_for_end(&world.one, Direction::Outbound, Reason::Drained);
    soon(began);
}

fn removed_pod() {
    let world = World::new();
    let (client, application) = world.connection(&world.listen(TWO.into()));
    let gone = zds::Request::Delete {
        uid: "uid-web".into(),
    };
    assert_eq!(world.two.tell(&gone, None), None);
    assert!(is_refused(&client));
    assert!(is_refused(&application));
    let at = SocketAddr::new(TWO.into(), 15008);
    let door = net::inside(&world.cable.one, move || TcpStream::connect(at).is_err());
    assert!(door.join().unwrap(), "the door is closed");
}

fn lost_session() {
    let world = World::new();
    world.two.tell(&zds::Request::SnapshotSent, None);
    wait_until("proxy two is ready", || {
        world.two.gates.pending().is_empty()
    });
    let (mut client, mut application) = world.connection(&world.listen(TWO.into()));
    world.two.hang_up();
    client.write_all(b"still").unwrap();
    application.read_exact(&mut [0; 5]).unwrap();
    world.two.enrol("web", "web", &world.cable.two);
    assert_eq!(world.two.tell(&zds::Request::SnapshotSent, None), None);
    client.write_all(b"there").unwrap();
    application.read_exact(&mut [0; 5]).unwrap();
    // A third session whose snapshot does not mention the pod ends it.
    world.two.hang_up();
    assert_eq!(world.two.tell(&zds::Request::SnapshotSent, None), None);
    assert!(is_refused(&client));
}

fn dump() {
    let world = World::new();
    let (_client, _application) = world.connection(&world.listen(TWO.into()));
    wait_until("it is in the table", || {
        let two = world.two.dump();
        !two["workloadState"]["uid-web"]["connections"]["inbound"][0].is_null()
    });
    let two = world.two.dump();
    let inbound = &two["workloadState"]["uid-web"]["connections"]["inbound"][0];
    assert_eq!(
        inbound["peerIdentity"],
        "spiffe://cluster.local/ns/shop/sa/client"
    );
    assert_eq!(inbound["keyExchangeGroup"], "X25519MLKEM768");
    assert_eq!(inbound["protocol"], "HBONE");
    wait_until("it is in the other table", || {
        let one = world.one.dump();
        !one["workloadState"]["uid-client"]["connections"]["outbound"][0].is_null()
    });
    let one = world.one.dump();
    let outbound = &one["workloadState"]["uid-client"]["connections"]["outbound"][0];
    assert_eq!(
        outbound["peerIdentity"],
        "spiffe://cluster.local/ns/shop/sa/web"
    );
    assert_eq!(outbound["originalDst"], "10.96.0.1:8080");
    assert_eq!(outbound["hopAddress"], "10.7.0.2:15008");
    assert_eq!(outbound["actualDst"], "10.7.0.2:9090");
    let text = one.to_string();
    assert!(text.contains("\"Available\"") && !text.contains("PRIVATE KEY"));
    assert_eq!(one["workloads"].as_array().unwrap().len(), 2);
    let _ = client();
}

fn violation() {
    let world = World::new();
    world.two.tell(&zds::Request::SnapshotSent, None);
    let (mut client, mut application) = world.connection(&world.listen(TWO.into()));
    world.two.break_protocol();
    client.write_all(b"still").unwrap();
    application.read_exact(&mut [0; 5]).unwrap();
    world.two.enrol("web", "web", &world.cable.two);
    assert_eq!(world.two.tell(&zds::Request::SnapshotSent, None), None);
    client.write_all(b"there").unwrap();
    application.read_exact(&mut [0; 5]).unwrap();
}

fn doors_taken() {
    let world = World::empty();
    let squatter = net::inside(&world.cable.two, || {
        std::net::TcpListener::bind(("0.0.0.0", 15021)).unwrap()
    });
    let squatter = squatter.join().unwrap();
    let two = Proxy::start("two", &world.ca, |start| {
        let doors = &mut start.config.doors;
        doors.plaintext_port = 15021;
        doors.reuse_port = false;
        doors.outbound_port = 15022;
        doors.tunnel_port = 15023;
    });
    let info = zds::PodInfo {
        name: "web".into(),
        namespace: "shop".into(),
        service_account: "web".into(),
    };
    let add = zds::Request::Add {
        uid: "uid-web".into(),
        info: Some(info),
    };
    let refused = two
        .tell(&add, Some(&world.cable.two))
        .expect("the port is taken");
    assert!(refused.contains("15021"), "{refused}");
    assert_eq!(two.tell(&zds::Request::SnapshotSent, None), None);
    assert_eq!(two.gates.pending(), ["pods"]);
    drop(squatter);
    wait_until("the doors are open after all", || {
        two.gates.pending().is_empty()
    });
}

fn no_certificate() {
    let world = World::empty();
    world.one.refuse_to_sign();
    world.one.learn(everything(), Vec::new());
    world.two.learn(everything(), Vec::new());
    let _listener = world.listen(TWO.into());
    assert!(is_refused(&world.call()));
    World::wait_for_end(&world.one, Direction::Outbound, Reason::NoOwnCertificate);
}

fn at_home() {
    let world = World::new();
    let listener = world.listen(TWO.into());
    for _ in 0..8 {
        drop(world.connection(&listener));
    }
    let home = std::fs::read_link("/proc/self/ns/net").unwrap();
    wait_until("every worker is at home", || {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap();
        // A thread that has just ended has no entry to read; that one is not a worker.
        let workers = tasks.flatten().filter(|task| {
            let name = std::fs::read_to_string(task.path().join("comm"));
            name.is_ok_and(|name| name.starts_with("worker-"))
        });
        let mut places = workers.filter_map(|it| std::fs::read_link(it.path().join("ns/net")).ok());
        places.all(|place| place == home)
    });
}
