//! What is logged and counted of requests.

use std::time::Instant;

use mesh::model::observe::{AccessLog, Telemetry};
use mesh::model::waypoint::Waypoint;

use crate::client::{PATIENCE, get};
use crate::world::{World, routes, run, settings, split, vip};

/// Has every request logged as `code flags details`.
pub(crate) fn log_everything(world: &mut World) {
    let format =
        "%REQ(:METHOD)% %REQ(:PATH)% %RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS%\n";
    let telemetry = Telemetry {
        access_log: Some(AccessLog {
            format: format.into(),
            ..AccessLog::default()
        }),
        ..Telemetry::default()
    };
    world.writer.set_waypoint(Waypoint {
        telemetry,
        ..settings(world.follow.node.key())
    });
    world.writer.publish();
}

/// Waits until the log holds this line.
pub(crate) async fn logged(world: &World, line: &str) {
    let begun = Instant::now();
    while !world.written.text().lines().any(|it| it == line) {
        assert!(
            begun.elapsed() < PATIENCE,
            "no {line:?} in {:?}",
            world.written.text()
        );
        tokio::task::yield_now().await;
    }
}

#[test]
fn a_request_is_a_line_and_counts_whoever_answers_it() {
    run(|| async {
        let (mut world, _app) = World::web().await;
        log_everything(&mut world);
        assert_eq!(world.client.get(&vip(80), "/a?b=c").await.status, 200);
        logged(&world, "GET /a?b=c 200 - via_upstream").await;
        assert_eq!(world.client.get(&vip(80), "/break").await.status, 503);
        logged(
            &world,
            "GET /break 503 UC upstream_reset_before_response_started{connection_termination}",
        )
        .await;
        world.route(&routes(
            &[],
            vec![(crate::world::below("/never"), split(&[(Some(0), 1)]))],
        ));
        assert_eq!(world.client.get(&vip(80), "/other").await.status, 404);
        logged(&world, "GET /other 404 NR route_not_found").await;
        let page = world.registry.encode().unwrap();
        let counted = |code: &str, flags: &str| {
            page.lines().any(|line| {
                line.starts_with("istio_requests_total{")
                    && line.contains(&format!("response_code=\"{code}\""))
                    && line.contains(&format!("response_flags=\"{flags}\""))
                    && line.contains("reporter=\"waypoint\"")
                    && line
                        .contains("source_principal=\"spiffe://cluster.local/ns/shop/sa/client\"")
                    && line.contains("destination_service=\"web.shop.svc.cluster.local\"")
                    && line.ends_with(" 1")
            })
        };
        assert!(counted("200", "-"), "{page}");
        assert!(counted("503", "UC"), "{page}");
        assert!(counted("404", "NR"), "{page}");
    });
}

#[test]
fn a_client_that_leaves_is_told_too() {
    run(|| async {
        let (mut world, app) = World::web().await;
        log_everything(&mut world);
        let mut client = world.client.http1(&vip(80)).await;
        let asking = client.ask(get("/delay/20000"));
        let leaving = async {
            while app.requests() < 1 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            _ = asking => panic!("answered"),
            () = leaving => {}
        }
        drop(client);
        logged(&world, "GET /delay/20000 0 DC downstream_remote_disconnect").await;
    });
}
