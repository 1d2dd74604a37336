//! Services outside of the mesh without endpoints: reached as they were dialled or asked for, and by nobody as a way in.

use std::net::IpAddr;

use mesh::model::destination::Reach;
use mesh::model::http::ServiceRoutes;
use mesh::model::{AppProtocol, Workload};
use mesh::state::{Settings, Store};
use mesh::wire::Update;
use waypoint::egress::{Forbidden, Outside, check};

use crate::app::{App, Speaks};
use crate::client::get;
use crate::world::{World, bound, key, pod, run, service, vip};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn what_is_not_outside_is_never_dialled() {
    let (mut store, reader) = Store::new(Settings::default());
    let pod = Workload {
        addresses: vec![ip("10.1.0.7"), ip("fd00::7")],
        ..pod(1, &key("web"), 80, "10.1.0.7:80".parse().unwrap())
    };
    let web = service("web", &["10.96.0.1"], 80, AppProtocol::Tcp);
    let updates = [
        Update::Workload(Box::new(pod)),
        Update::Service(Box::new(web)),
    ];
    store.apply(updates, []);
    let snapshot = reader.load();
    let own = Some(ip("10.1.0.1"));
    let asked = Outside::AsAsked("*.example".into());
    for (address, is_outside) in [
        ("203.0.113.7", true),
        ("10.1.0.8", true),
        ("2001:db8::1", true),
        ("64:ff9b::203.0.113.7", true),
        ("127.0.0.1", false),
        ("127.9.9.9", false),
        ("0.0.0.0", false),
        ("0.1.2.3", false),
        ("169.254.169.254", false),
        ("224.0.0.1", false),
        ("255.255.255.255", false),
        ("::1", false),
        ("::", false),
        ("::127.0.0.1", false),
        ("::ffff:127.0.0.1", false),
        ("::ffff:10.1.0.7", false),
        ("64:ff9b::127.0.0.1", false),
        ("64:ff9b::169.254.169.254", false),
        ("fe80::1", false),
        ("ff02::1", false),
        ("10.1.0.1", false),
        ("10.1.0.7", false),
        ("10.96.0.1", false),
        ("fd00::7", false),
    ] {
        let checked = check(&snapshot, own, &asked, ip(address));
        assert_eq!(checked.is_ok(), is_outside, "{address}: {checked:?}");
    }
    let of = |address| check(&snapshot, own, &asked, ip(address)).unwrap_err();
    assert_eq!(of("10.1.0.1"), Forbidden::Itself(ip("10.1.0.1")));
    assert_eq!(of("10.1.0.7"), Forbidden::OfMesh(ip("10.1.0.7")));
    assert_eq!(of("::1"), Forbidden::Special(ip("::1")));
    // An address that was dialled is the service's own; that it is one does not make it another's.
    let dialled = Outside::AsDialled([].into());
    assert_eq!(check(&snapshot, own, &dialled, ip("10.96.0.1")), Ok(()));
    assert!(check(&snapshot, own, &dialled, ip("10.1.0.7")).is_err());
}

/// A bound service without endpoints.
fn outside(name: &str, port: u16, reach: Reach) -> ServiceRoutes {
    let mut routes = bound(name, port);
    for destination in &mut routes.destinations {
        destination.reach = reach;
    }
    routes
}

#[test]
fn nobody_is_led_to_the_waypoints_own_machine() {
    run(|| async {
        let app = App::start("secret", Speaks::Http1).await;
        let port = app.at.port();
        // Whoever wrote the service said that the address is outside.
        let mut world = World::new().await;
        world.outside(service("web", &["127.0.0.1"], port, AppProtocol::Http11));
        world.route(&outside("web", port, Reach::AsDialled));
        let answer = world.client.get(&format!("127.0.0.1:{port}"), "/a").await;
        assert_eq!(answer.status, 503);
        assert!(answer.text().contains("remote connection failure"));
        // A host of theirs leads there.
        let mut world = World::new().await;
        let mut named = service("web", &["10.0.0.1"], port, AppProtocol::Http11);
        named.key.hostname = "localhost".into();
        let mut routes = outside("web", port, Reach::AsAsked);
        routes.key = named.key.clone();
        for destination in &mut routes.destinations {
            destination.service = named.key.clone();
        }
        world.outside(named);
        world.route(&routes);
        let answer = world.client.get(&vip(port), "/a").await;
        assert_eq!(answer.status, 503);
        assert!(answer.text().contains("remote connection failure"));
        assert_eq!(app.requests(), 0);
    });
}

#[test]
fn a_host_that_the_service_does_not_cover_is_not_known() {
    run(|| async {
        let mut world = World::new().await;
        let mut wild = service("web", &["10.0.0.1"], 80, AppProtocol::Http11);
        wild.key.hostname = "*.bank.invalid".into();
        let mut routes = outside("web", 80, Reach::AsAsked);
        routes.key = wild.key.clone();
        for destination in &mut routes.destinations {
            destination.service = wild.key.clone();
        }
        world.outside(wild);
        world.route(&routes);
        for (host, status) in [("evil.example", 404), ("bank.invalid", 404)] {
            let mut request = get("/a");
            request.headers_mut().insert("host", host.parse().unwrap());
            let answer = world.client.ask(&vip(80), request).await;
            assert_eq!(answer.status, status, "{host}");
        }
    });
}
