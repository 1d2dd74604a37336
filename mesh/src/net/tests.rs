//! Sockets over loopback.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use socket2::SockRef;
use tokio::net::TcpListener;

use super::{dial, listen, sockopt::KeepAlive};

const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

#[tokio::test]
async fn both_ends_of_a_connection_send_without_delay() {
    let keep = KeepAlive::default();
    let listener = listen::bind(LOOPBACK, &listen::SocketOptions::default()).unwrap();
    let address = listener.local_addr().unwrap();
    let listener = TcpListener::from_std(listener).unwrap();
    let options = dial::DialOptions {
        source: Some(Ipv4Addr::new(127, 0, 0, 9).into()),
        ..Default::default()
    };
    let socket = dial::socket(address, &options).unwrap();
    let (accepted, connected) = tokio::join!(
        listen::accept(&listener, &keep),
        dial::connect(socket, address, Duration::from_secs(5), &keep),
    );
    let (accepted, peer) = accepted.unwrap();
    let connected = connected.unwrap();
    assert_eq!(peer, connected.local_addr().unwrap());
    assert_eq!(peer.ip(), Ipv4Addr::new(127, 0, 0, 9));
    for stream in [&accepted, &connected] {
        assert!(stream.nodelay().unwrap());
        let socket = SockRef::from(stream);
        assert!(socket.keepalive().unwrap());
        assert_eq!(
            socket.tcp_keepalive_time().unwrap(),
            Duration::from_secs(180)
        );
    }
}

#[tokio::test]
async fn a_connection_without_probes_may_still_have_a_limit_for_what_is_not_acknowledged() {
    let keep = KeepAlive {
        is_probed: false,
        user_timeout: Some(Duration::from_secs(16)),
        ..KeepAlive::default()
    };
    let listener = std::net::TcpListener::bind(LOOPBACK).unwrap();
    let address = listener.local_addr().unwrap();
    let socket = dial::socket(address, &dial::DialOptions::default()).unwrap();
    let stream = dial::connect(socket, address, Duration::from_secs(5), &keep)
        .await
        .unwrap();
    let socket = SockRef::from(&stream);
    assert!(!socket.keepalive().unwrap());
    assert_eq!(
        socket.tcp_user_timeout().unwrap(),
        Some(Duration::from_secs(16))
    );
}

#[tokio::test]
async fn a_refused_connection_names_its_destination() {
    let closed = std::net::TcpListener::bind(LOOPBACK)
        .unwrap()
        .local_addr()
        .unwrap();
    let socket = dial::socket(closed, &dial::DialOptions::default()).unwrap();
    let error = dial::connect(
        socket,
        closed,
        Duration::from_secs(5),
        &KeepAlive::default(),
    )
    .await
    .unwrap_err();
    assert_eq!(error.to_string(), format!("cannot connect to {closed}"));
}

#[tokio::test]
async fn a_dual_stack_listener_shows_ipv4_peers_as_ipv4() {
    let any = "[::]:0".parse().unwrap();
    let listener = listen::bind(any, &listen::SocketOptions::default()).unwrap();
    let port = listener.local_addr().unwrap().port();
    let listener = TcpListener::from_std(listener).unwrap();
    let destination = SocketAddr::new(LOOPBACK.ip(), port);
    let keep = KeepAlive::default();
    let socket = dial::socket(destination, &dial::DialOptions::default()).unwrap();
    let (accepted, connected) = tokio::join!(
        listen::accept(&listener, &keep),
        dial::connect(socket, destination, Duration::from_secs(5), &keep),
    );
    assert!(accepted.unwrap().1.is_ipv4());
    drop(connected);
}
