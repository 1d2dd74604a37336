//! What is shared, what is dialled, and what happens to connections that die or idle.

use std::cell::RefCell;
use std::time::SystemTime;

use http::StatusCode;

use super::*;
use crate::testing::ca::Leaf;

#[tokio::test]
async fn fifty_that_open_at_once_share_one_dial() {
    on_a_worker(async {
        let (pair, listener) = Pair::new(Settings::default());
        pair.echo(listener, Settings::default());
        let opened = futures_util::future::join_all((0..50).map(|_| pair.open("10.0.0.2:1"))).await;
        assert!(opened.iter().all(Result::is_ok));
        assert_eq!(pair.exchange.dials(), 1);
        let dialled = opened
            .into_iter()
            .filter(|opened| !opened.as_ref().unwrap().was_pooled);
        assert_eq!(dialled.count(), 1);
    })
    .await;
}

#[tokio::test]
async fn the_hundred_and_first_stream_gets_a_second_connection_and_places_are_used_again() {
    on_a_worker(async {
        let (pair, listener) = Pair::new(Settings::default());
        pair.echo(listener, Settings::default());
        let mut held = Vec::new();
        for _ in 0..100 {
            held.push(pair.open("10.0.0.2:1").await.unwrap());
        }
        assert_eq!(pair.exchange.dials(), 1);
        held.push(pair.open("10.0.0.2:1").await.unwrap());
        assert_eq!((pair.exchange.dials(), pair.pool.connections()), (2, 2));
        held.truncate(50);
        for _ in 0..100 {
            held.push(pair.open("10.0.0.2:1").await.unwrap());
        }
        assert_eq!(pair.exchange.dials(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_peer_that_allows_fewer_streams_gets_fewer() {
    on_a_worker(async {
        let (pair, listener) = Pair::new(Settings::default());
        pair.echo(
            listener,
            Settings {
                server_streams: 3,
                ..Settings::default()
            },
        );
        let mut held = Vec::new();
        for _ in 0..7 {
            held.push(pair.open("10.0.0.2:1").await.unwrap());
        }
        assert_eq!(pair.exchange.dials(), 3);
    })
    .await;
}

#[tokio::test]
async fn a_failed_dial_fails_all_who_waited_and_the_next_one_dials_again() {
    on_a_worker(async {
        let (pair, mut listener) = Pair::new(Settings::default());
        let opens = futures_util::future::join_all((0..20).map(|_| pair.open("10.0.0.2:1")));
        let refuse = async { drop(listener.recv().await) };
        let (opened, ()) = tokio::join!(opens, refuse);
        assert!(
            opened
                .iter()
                .all(|opened| matches!(opened, Err(OpenError::Dial(_))))
        );
        assert_eq!(pair.exchange.dials(), 1);
        assert_eq!(pair.pool.keys(), 0, "nothing is left of it");
        pair.echo(listener, Settings::default());
        pair.open("10.0.0.2:1").await.unwrap();
        assert_eq!(pair.exchange.dials(), 2);
    })
    .await;
}

#[tokio::test]
async fn when_the_one_who_dials_gives_up_another_takes_over() {
    on_a_worker(async {
        let (pair, listener) = Pair::new(Settings::default());
        let waiting = async {
            tokio::task::yield_now().await;
            pair.open("10.0.0.2:1").await
        };
        let dialling = tokio::time::timeout(Duration::from_millis(50), pair.open("10.0.0.2:1"));
        let late = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            // the first connection was abandoned by its client; skip it
            let mut listener = listener;
            drop(listener.recv().await);
            pair.echo(listener, Settings::default());
        };
        let (gave_up, opened, ()) = tokio::join!(dialling, waiting, late);
        assert!(gave_up.is_err());
        opened.unwrap();
        assert_eq!(pair.exchange.dials(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_connection_that_died_is_replaced_without_the_caller_noticing() {
    on_a_worker(async {
        let (pair, mut listener) = Pair::new(Settings::default());
        let settings = Settings::default();
        let serve = async {
            let (mut tunnel, _) = accept(&mut listener, &pair.server, &settings)
                .await
                .unwrap();
            let incoming = tunnel.next().await.unwrap().unwrap();
            let stream = incoming.respond.accept(None).unwrap();
            // until the second request arrives, which is never answered
            let _unserved = tunnel.next().await.unwrap().unwrap();
            drop((stream, tunnel));
            pair.echo(listener, Settings::default());
        };
        let opens = async {
            let _held = pair.open("10.0.0.2:1").await.unwrap();
            pair.open("10.0.0.2:1").await
        };
        let (opened, ()) = tokio::join!(opens, serve);
        assert!(!opened.unwrap().was_pooled);
        assert_eq!(pair.exchange.dials(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_draining_server_finishes_its_streams_and_gets_no_new_ones() {
    on_a_worker(async {
        let (pair, mut listener) = Pair::new(Settings::default());
        let settings = Settings::default();
        let drained = Rc::new(RefCell::new(false));
        let is_drained = Rc::clone(&drained);
        let server = Arc::clone(&pair.server);
        task::spawn_local("server", async move {
            let (mut tunnel, _) = accept(&mut listener, &server, &settings).await.unwrap();
            let incoming = tunnel.next().await.unwrap().unwrap();
            task::spawn_local("echo", echo(incoming.respond.accept(None).unwrap()));
            tunnel.drain();
            assert!(tunnel.next().await.is_none(), "no stream after the drain");
            *is_drained.borrow_mut() = true;
            let (mut tunnel, _) = accept(&mut listener, &server, &settings).await.unwrap();
            while let Some(Ok(incoming)) = tunnel.next().await {
                incoming.respond.accept(None).unwrap();
            }
        });
        let (mut source, mut sink) = pair.open("10.0.0.2:1").await.unwrap().stream.split();
        write(&mut sink, Bytes::from_static(b"before"))
            .await
            .unwrap();
        assert_eq!(read(&mut source).await.unwrap().unwrap(), "before");
        until("a new connection is made", || pair.exchange.dials() == 1).await;
        write(&mut sink, Bytes::from_static(b"still"))
            .await
            .unwrap();
        finish(&mut sink).await;
        assert_eq!(read_all(&mut source).await.unwrap(), b"still");
        drop((source, sink));
        until("the server is drained", || *drained.borrow()).await;
        pair.open("10.0.0.2:1").await.unwrap();
        assert_eq!(pair.exchange.dials(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_drained_pool_opens_nothing_and_its_connections_end_with_their_streams() {
    on_a_worker(async {
        let (pair, mut listener) = Pair::new(Settings::default());
        let settings = Settings::default();
        let ended = Rc::new(RefCell::new(false));
        let has_ended = Rc::clone(&ended);
        let server = Arc::clone(&pair.server);
        task::spawn_local("server", async move {
            let (mut tunnel, _) = accept(&mut listener, &server, &settings).await.unwrap();
            let incoming = tunnel.next().await.unwrap().unwrap();
            task::spawn_local("echo", echo(incoming.respond.accept(None).unwrap()));
            assert!(tunnel.next().await.is_none());
            *has_ended.borrow_mut() = true;
        });
        let (mut source, mut sink) = pair.open("10.0.0.2:1").await.unwrap().stream.split();
        pair.pool.drain();
        assert!(matches!(
            pair.open("10.0.0.2:1").await,
            Err(OpenError::Draining)
        ));
        write(&mut sink, Bytes::from_static(b"still here"))
            .await
            .unwrap();
        finish(&mut sink).await;
        assert_eq!(read_all(&mut source).await.unwrap(), b"still here");
        drop((source, sink));
        until("the connection has ended", || *ended.borrow()).await;
    })
    .await;
}

#[tokio::test]
async fn an_idle_connection_is_released_and_one_in_use_is_not() {
    on_a_worker(async {
        let settings = Settings {
            idle_release: Duration::from_millis(50),
            ..Settings::default()
        };
        let (pair, listener) = Pair::new(settings);
        pair.echo(listener, Settings::default());
        let opened = pair.open("10.0.0.2:1").await.unwrap();
        tokio::time::sleep(Duration::from_millis(150)).await;
        assert_eq!(pair.pool.connections(), 1);
        drop(opened);
        until("the pool is empty", || pair.pool.connections() == 0).await;
        pair.open("10.0.0.2:1").await.unwrap();
        assert_eq!(pair.exchange.dials(), 2);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_whose_certificates_have_ended_keeps_its_streams_and_gets_no_new_ones() {
    let hour = Duration::from_secs(3600);
    // whose certificate ends first: the caller's or the peer's
    for ours_is_short in [true, false] {
        let work = async {
            let (mut pair, listener) = Pair::new(Settings::default());
            let ca = Ca::new();
            let issue = |name, lives: Duration| {
                let identity = identity("default", name);
                let leaf = Leaf {
                    not_after: SystemTime::now() + lives,
                    ..Leaf::of(&identity)
                };
                ca.issue_as(&identity, &leaf, &ca.root_pem())
            };
            let (ours, theirs) = if ours_is_short { (1, 9) } else { (9, 1) };
            pair.client = issue("client", ours * hour);
            pair.server = issue("server", theirs * hour);
            pair.echo(listener, Settings::default());
            let (mut source, mut sink) = pair.open("10.0.0.2:1").await.unwrap().stream.split();
            assert!(pair.open("10.0.0.2:1").await.unwrap().was_pooled);

            tokio::time::sleep(hour).await;
            let next = pair.open("10.0.0.2:1").await.unwrap();
            assert!(!next.was_pooled);
            assert_eq!((pair.exchange.dials(), pair.pool.connections()), (2, 1));
            write(&mut sink, Bytes::from_static(b"still"))
                .await
                .unwrap();
            finish(&mut sink).await;
            assert_eq!(read_all(&mut source).await.unwrap(), b"still");
        };
        LocalSet::new().run_until(Box::pin(work)).await;
    }
}

#[tokio::test]
async fn a_refusal_carries_its_status_and_leaves_the_connection_in_use() {
    on_a_worker(async {
        let (pair, listener) = Pair::new(Settings::default());
        pair.serve(listener, Settings::default(), |incoming| {
            incoming.respond.refuse(StatusCode::UNAUTHORIZED);
        });
        for _ in 0..200 {
            let Err(OpenError::Refused(status)) = pair.open("10.0.0.2:1").await else {
                panic!("not refused")
            };
            assert_eq!(status, StatusCode::UNAUTHORIZED);
        }
        assert_eq!(pair.exchange.dials(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_peer_that_never_answers_is_not_waited_for_for_ever() {
    on_a_worker(async {
        let settings = Settings {
            answer_deadline: Duration::from_millis(50),
            ..Settings::default()
        };
        let (pair, listener) = Pair::new(settings);
        let unanswered = Rc::new(RefCell::new(Vec::new()));
        let kept = Rc::clone(&unanswered);
        pair.serve(listener, Settings::default(), move |incoming| {
            kept.borrow_mut().push(incoming.respond);
        });
        let opened = pair.open("10.0.0.2:1").await;
        assert!(matches!(opened, Err(OpenError::Deadline { .. })));
        let mut respond = unanswered.borrow_mut().pop().unwrap();
        respond.gone().await;
        assert_eq!(pair.pool.connections(), 1, "others may go on with it");
    })
    .await;
}

#[tokio::test]
async fn a_client_that_the_server_does_not_accept_learns_that_it_was_tls() {
    on_a_worker(async {
        let (mut pair, mut listener) = Pair::new(Settings::default());
        let stranger = Identity::parse("spiffe://elsewhere/ns/default/sa/client").unwrap();
        let ca = Ca::new();
        pair.client = ca.issue_as(&stranger, &Leaf::of(&stranger), &ca.root_pem());
        pair.server = ca.issue(&identity("default", "server"));
        let server = Arc::clone(&pair.server);
        let serving = async {
            let io = listener.recv().await.unwrap();
            tls::server::accept(io, &server, PATIENCE)
                .await
                .err()
                .unwrap()
        };
        let (opened, refusal) = tokio::join!(pair.open("10.0.0.2:1"), serving);
        assert!(matches!(refusal, tls::Error::WrongTrustDomain { .. }));
        assert!(matches!(
            opened.err(),
            Some(OpenError::Tls(tls::Error::Refused(_)))
        ));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_falls_silent_is_noticed_and_its_streams_end() {
    let work = async {
        let settings = Settings::default();
        // a server that stops polling its connection
        let (pair, mut listener) = Pair::new(settings.clone());
        let silent = async {
            let io = listener.recv().await.unwrap();
            let (io, _) = tls::server::accept(io, &pair.server, PATIENCE)
                .await
                .unwrap();
            let mut connection = super::super::Tunnel::accept(io, &settings).await.unwrap();
            let incoming = connection.next().await.unwrap().unwrap();
            let stream = incoming.respond.accept(None).unwrap();
            let _ = tokio::time::timeout(Duration::from_millis(1), connection.next()).await;
            (connection, stream)
        };
        let (opened, (connection, _stream)) = tokio::join!(pair.open("10.0.0.2:1"), silent);
        let (mut source, _sink) = opened.unwrap().stream.split();
        let started = tokio::time::Instant::now();
        assert!(matches!(
            read_all(&mut source).await,
            Err(End::TunnelLost(_))
        ));
        let waited = started.elapsed();
        assert!((25..=45).contains(&waited.as_secs()), "{waited:?}");
        drop(connection);
    };
    LocalSet::new().run_until(Box::pin(work)).await;
}
