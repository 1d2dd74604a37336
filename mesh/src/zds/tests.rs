//! The node socket over real socket pairs: golden bytes, descriptors, and peers that break the protocol.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use nix::sys::stat::fstat;

use super::conn::Conn;
use super::message::{DecodeError, decode_hello, encode_hello};
use super::{Ack, Client, Error, MAX_PACKET, Order, PodInfo, Request, Session};

fn add() -> Request {
    Request::Add {
        uid: "u1".into(),
        info: Some(PodInfo {
            name: "pod".into(),
            namespace: "ns".into(),
            service_account: "sa".into(),
        }),
    }
}

/// Written out by hand from the contract's field numbers.
#[test]
fn messages_have_the_bytes_of_the_contract() {
    assert_eq!(encode_hello(), [0x08, 1]);
    let info = [&[0x0a, 3][..], b"pod", &[0x12, 2], b"ns", &[0x1a, 2], b"sa"].concat();
    let workload = [&[0x0a, 2][..], b"u1", &[0x12, 13], &info].concat();
    assert_eq!(add().encode(), [&[0x0a, 19][..], &workload].concat());
    let delete = Request::Delete { uid: "u1".into() };
    assert_eq!(
        delete.encode(),
        [0x12, 4, 0x12, 2, b'u', b'1'],
        "the uid of delete is field 2"
    );
    let keep = Request::Keep { uid: "u1".into() };
    assert_eq!(keep.encode(), [0x2a, 4, 0x0a, 2, b'u', b'1']);
    assert_eq!(Request::SnapshotSent.encode(), [0x1a, 0]);
    assert_eq!(Ack::default().encode(), [0x0a, 0]);
    let failed = Ack {
        error: Some("no".into()),
    };
    assert_eq!(failed.encode(), [0x0a, 4, 0x0a, 2, b'n', b'o']);
}

#[test]
fn messages_read_back_what_they_wrote() {
    for request in [
        add(),
        Request::Add {
            uid: "u".into(),
            info: None,
        },
        Request::Keep { uid: "u".into() },
        Request::Delete { uid: "u".into() },
        Request::SnapshotSent,
    ] {
        assert_eq!(Request::decode(&request.encode()), Ok(request));
    }
    for ack in [
        Ack::default(),
        Ack {
            error: Some("why".into()),
        },
    ] {
        assert_eq!(Ack::decode(&ack.encode()), Ok(ack));
    }
    assert_eq!(decode_hello(&encode_hello()), Ok(()));
}

#[test]
fn refuses_what_is_not_a_message() {
    assert!(matches!(
        Request::decode(b"\xff\xff\xff"),
        Err(DecodeError::Malformed { .. })
    ));
    assert!(matches!(
        Request::decode(&[]),
        Err(DecodeError::NoPayload { .. })
    ));
    // Field 4 is unused today: a message of a later version that we cannot follow.
    assert!(matches!(
        Request::decode(&[0x22, 0]),
        Err(DecodeError::NoPayload { .. })
    ));
    assert!(matches!(
        Request::decode(&[0x2a, 0]),
        Err(DecodeError::EmptyUid { payload: "keep" })
    ));
    assert!(matches!(
        decode_hello(&[0x08, 2]),
        Err(DecodeError::Version { version: 2 })
    ));
    assert!(matches!(
        decode_hello(&[]),
        Err(DecodeError::Version { version: 0 })
    ));
}

#[test]
fn an_error_text_is_cut_so_that_the_answer_fits_and_never_reads_as_success() {
    let ack = Ack {
        error: Some("é".repeat(2000)),
    };
    assert!(ack.encode().len() <= MAX_PACKET);
    assert!(
        Ack::decode(&ack.encode())
            .unwrap()
            .error
            .unwrap()
            .starts_with("éé")
    );
    let empty = Ack {
        error: Some(String::new()),
    };
    assert!(Ack::decode(&empty.encode()).unwrap().error.is_some());
}

/// The whole conversation: hello, add with its namespace, a failure, the end.
#[tokio::test]
async fn hands_over_a_pod_with_its_namespace() {
    let (agent, proxy) = Conn::pair().unwrap();
    let netns = OwnedFd::from(std::fs::File::open("/proc/self/ns/net").unwrap());
    let expected = fstat(&netns).unwrap().st_ino;
    let serve = async {
        let mut session = Session::greet(agent).await.unwrap();
        let ack = session.exchange(&add(), Some(netns.as_fd())).await.unwrap();
        assert_eq!(ack.error, None);
        let ack = session
            .exchange(&Request::Keep { uid: "u2".into() }, None)
            .await
            .unwrap();
        assert_eq!(ack.error.as_deref(), Some("unknown pod"));
    };
    let follow = async {
        let client = Client::greet(proxy).await.unwrap();
        let Some(Order::Add { uid, info, netns }) = client.next().await.unwrap() else {
            panic!("an add was sent")
        };
        assert_eq!((uid.as_str(), info.unwrap().name.as_str()), ("u1", "pod"));
        assert_eq!(
            fstat(&netns).unwrap().st_ino,
            expected,
            "it is that very namespace"
        );
        client.acknowledge(None).await.unwrap();
        assert!(matches!(
            client.next().await.unwrap(),
            Some(Order::Keep { .. })
        ));
        client
            .acknowledge(Some("unknown pod".into()))
            .await
            .unwrap();
        client
    };
    let ((), client) = tokio::join!(serve, follow);
    assert!(
        client.next().await.unwrap().is_none(),
        "the agent's end is gone"
    );
}

#[tokio::test]
async fn refuses_an_oversize_packet_on_both_sides() {
    let (one, other) = Conn::pair().unwrap();
    let packet = vec![0; MAX_PACKET + 1];
    assert!(matches!(
        one.send(&packet, None).await,
        Err(Error::TooLarge { length: 1025 })
    ));
    // A peer that does not check.
    let raw = nix::sys::socket::MsgFlags::empty();
    nix::sys::socket::send(one.as_raw_fd(), &packet, raw).unwrap();
    assert!(matches!(other.receive().await, Err(Error::Oversize)));
    one.send(&packet[..MAX_PACKET], None).await.unwrap();
    assert_eq!(other.receive().await.unwrap().unwrap().0.len(), MAX_PACKET);
}

#[tokio::test]
async fn an_add_needs_exactly_one_descriptor_and_nothing_else_may_have_one() {
    let netns = OwnedFd::from(std::fs::File::open("/proc/self/ns/net").unwrap());
    let fd = Some(netns.as_fd());

    let (agent, proxy) = Conn::pair().unwrap();
    let client = Client::greet(proxy).await.unwrap();
    agent.send(&add().encode(), None).await.unwrap();
    assert!(matches!(client.next().await, Err(Error::MissingDescriptor { uid }) if uid == "u1"));
    agent
        .send(&Request::SnapshotSent.encode(), fd)
        .await
        .unwrap();
    assert!(matches!(
        client.next().await,
        Err(Error::UnwantedDescriptor)
    ));
    agent.send(b"\xff\xff\xff", fd).await.unwrap();
    assert!(matches!(client.next().await, Err(Error::Decode(_))));

    let mut session = Session::greet(agent).await.unwrap();
    let missing = session.exchange(&add(), None).await;
    assert!(matches!(missing, Err(Error::MissingDescriptor { .. })));
    let unwanted = session.exchange(&Request::SnapshotSent, fd).await;
    assert!(matches!(unwanted, Err(Error::UnwantedDescriptor)));
}

#[tokio::test]
async fn many_descriptors_are_refused_and_closed() {
    use nix::sys::socket::{ControlMessage, MsgFlags, UnixAddr, sendmsg};
    let (one, other) = Conn::pair().unwrap();
    let (reader, writer) = nix::unistd::pipe().unwrap();
    for count in [2, 9] {
        let raw = vec![writer.as_raw_fd(); count];
        let iov = [std::io::IoSlice::new(b"x")];
        let control = [ControlMessage::ScmRights(&raw)];
        sendmsg::<UnixAddr>(one.as_raw_fd(), &iov, &control, MsgFlags::empty(), None).unwrap();
        assert!(
            matches!(other.receive().await, Err(Error::ManyDescriptors { .. })),
            "{count}"
        );
    }
    drop(writer);
    // End of file proves that no copy of the writing end is left open.
    assert_eq!(nix::unistd::read(&reader, &mut [0; 1]).unwrap(), 0);
}

#[tokio::test]
async fn the_agent_drops_a_peer_that_does_not_speak_the_protocol() {
    let (agent, proxy) = Conn::pair().unwrap();
    proxy.send(b"GET / HTTP/1.1", None).await.unwrap();
    assert!(matches!(Session::greet(agent).await, Err(Error::Decode(_))));

    let (agent, proxy) = Conn::pair().unwrap();
    drop(proxy);
    assert!(matches!(Session::greet(agent).await, Err(Error::Closed)));
}

#[tokio::test]
async fn the_agent_does_not_wait_for_ever() {
    let limit = Duration::from_millis(20);
    let (agent, proxy) = Conn::pair().unwrap();
    let silent = Session::greet_within(agent, limit).await;
    assert!(matches!(silent, Err(Error::Timeout { .. })));

    drop(proxy);
    let (agent, proxy) = Conn::pair().unwrap();
    proxy.send(&encode_hello(), None).await.unwrap();
    let mut session = Session::greet_within(agent, limit).await.unwrap();
    let unanswered = session.exchange(&Request::SnapshotSent, None).await;
    assert!(matches!(unanswered, Err(Error::Timeout { .. })));
}

#[tokio::test]
async fn only_the_agents_own_user_may_dial() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ztunnel.sock");
    let _listener = super::Listener::bind(&path).unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn listens_again_where_a_dead_agent_left_its_socket() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ztunnel.sock");
    std::mem::forget(super::Listener::bind(&path).unwrap());
    let listener = super::Listener::bind(&path).unwrap();
    let (client, conn) = tokio::join!(Client::connect(&path), listener.accept());
    Session::greet(conn.unwrap()).await.unwrap();
    drop(client.unwrap());
    drop(listener);
    assert!(!path.exists());
}
