//! What goes through a waypoint without any route, what goes around it, and what happens when it goes.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use e2e::expect::eventually;
use e2e::world::PATIENCE;
use sandbox::app::echo::{Ask, Speech};
use sandbox::{PodName, Target};

use super::filters::counted;
use super::{CLIENT, GENERATION, Shop, get, journey, route, seen};
use crate::{Journey, ensure};

pub(crate) const JOURNEYS: [Journey; 3] = [
    (
        "waypoint_every_protocol_passes_without_a_route_and_a_pod_s_address_goes_around",
        passes,
    ),
    (
        "waypoint_a_route_holds_for_the_port_it_names_and_for_all_ports_when_it_names_none",
        ports,
    ),
    (
        "waypoint_without_its_waypoint_a_service_is_not_reached_and_no_request_goes_around",
        closes,
    ),
];

/// Header that a waypoint's answers have in these journeys, set by a route.
const MARK: &str = "x-through";

/// Length of a big body, bytes; a script is one argument of a command, which has room for 128 kB.
const BIG: usize = 30_000;

fn marking(name: &str, parent: &str) -> String {
    format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: {name}, namespace: shop, generation: {GENERATION}}}\n\
         spec:\n  parentRefs:\n  - {{group: \"\", kind: Service, name: echo{parent}}}\n  rules:\n  - filters:\n    \
         - type: ResponseHeaderModifier\n      responseHeaderModifier:\n        set:\n        \
         - {{name: {MARK}, value: gate}}\n    backendRefs:\n    - {{name: echo, port: 8080}}\n"
    )
}

fn passes() -> Result<()> {
    journey("wp-passes", |shop| {
        for speech in [Speech::Http1, Speech::Http2] {
            let mut ask = get("/plain?x=1").with("x-mine", "kept");
            ask.speech = speech;
            ask.body = "hello".to_owned();
            let answer = shop.answered_with(&ask, 200)?;
            let seen = seen(&answer)?;
            let is_whole = seen.path == "/plain?x=1"
                && seen.headers.get("x-mine").map(String::as_str) == Some("kept")
                && seen.host.starts_with("echo")
                && seen.body == 5;
            ensure(is_whole, || format!("{seen:?}"))?;
        }
        let call = Ask::call("http://echo:7070/weft.echo.Echo/Say", "hello");
        shop.becomes(CLIENT, &call, "gRPC passes", |it| {
            it.grpc_status() == Some(0) && it.messages.len() == 1
        })?;
        // Status codes and big bodies are the server's own.
        shop.answered_with(&get("/status/418"), 418)?;
        let mut big = get("/big");
        (big.method, big.body) = ("POST".to_owned(), "x".repeat(BIG));
        let answer = shop.answered_with(&big, 200)?;
        ensure(seen(&answer)?.body == BIG, || format!("{answer:?}"))?;
        #[cfg(feature = "packages")]
        others(shop)?;
        upgraded(shop, "echo:80")?;
        spoken(shop)?;

        // The address of a pod is no service: no route, no waypoint.
        shop.apply(&marking("mark", ", port: 80"))?;
        let marked = |it: &sandbox::app::echo::Answer| it.header(MARK) == Some("gate");
        shop.becomes(CLIENT, &get("/"), "the route marks answers", marked)?;
        let pod = shop.world.address("shop/v1")?;
        let direct = Ask::get(&format!("http://{}/", SocketAddr::new(pod, 8080)));
        let around = |it: &sandbox::app::echo::Answer| it.status == 200 && !marked(it);
        shop.becomes(CLIENT, &direct, "a pod's address goes around", around)?;
        // Where a connection leads chooses the route, not whom the request names.
        let other = get("/").with("host", "echo-v2");
        shop.becomes(CLIENT, &other, "another host at this address", marked)?;
        let named = Ask::get("http://echo-v2/").with("host", "echo");
        shop.becomes(CLIENT, &named, "this host at another address", around)?;
        shop.route_is_accepted("httproutes", "mark")
    })
}

/// Clients that Weft did not write: curl over both versions of HTTP, h2load with many streams on few connections.
#[cfg(feature = "packages")]
fn others(shop: &Shop) -> Result<()> {
    let target = Target::Pod(PodName::parse(CLIENT));
    for (option, version) in [("--http1.1", "1.1"), ("--http2-prior-knowledge", "2")] {
        let asked = [
            "curl",
            "-s",
            option,
            "-d",
            "hello",
            "-w",
            "%{http_code} %{http_version}",
            "http://echo/curl?x=1",
        ];
        let output = shop.world.sandbox.exec(&target, &asked)?;
        let text = output.text();
        let (body, told) = text.rsplit_once('\n').context(text.clone())?;
        let seen: sandbox::app::echo::Seen = serde_json::from_str(body)?;
        let is_right =
            told == format!("200 {version}") && seen.path == "/curl?x=1" && seen.body == 5;
        ensure(is_right, || text.clone())?;
    }
    let asked = [
        "h2load",
        "-n",
        "400",
        "-c",
        "4",
        "-m",
        "20",
        "http://echo/h2load",
    ];
    let text = shop.world.sandbox.exec(&target, &asked)?.text();
    let is_right = text.contains("400 succeeded, 0 failed") && text.contains("400 2xx");
    ensure(is_right, || text.clone())?;
    let pods = ["shop/v1", "shop/v2"].map(|pod| counted(shop, CLIENT, pod, "/h2load"));
    let [one, other] = pods;
    let (one, other) = (one?, other?);
    // Streams of one connection go to both.
    ensure(one + other == 400 && one > 50 && other > 50, || {
        format!("{one} and {other}")
    })
}

/// What a service's ports say that their application speaks.
fn spoken(shop: &Shop) -> Result<()> {
    shop.apply(
        "apiVersion: v1\nkind: Service\nmetadata: {name: spoken, namespace: shop}\nspec:\n  selector: {app: echo}\n  ports:\n  \
         - {name: one, port: 80, targetPort: 8080, appProtocol: kubernetes.io/h2c}\n  \
         - {name: two, port: 81, targetPort: 8080, appProtocol: kubernetes.io/ws}\n",
    )?;
    shop.becomes(
        CLIENT,
        &Ask::get("http://spoken/"),
        "HTTP/2 is spoken with the application",
        |it| seen(it).is_ok_and(|seen| seen.protocol == "HTTP/2.0"),
    )?;
    upgraded(shop, "spoken:81")
}

/// WebSocket and whatever else a client upgrades to.
fn upgraded(shop: &Shop, authority: &str) -> Result<()> {
    let program = std::env::current_exe()?;
    let program = program.to_string_lossy();
    let command = [&program, "app", "upgrade", authority];
    let target = Target::Pod(PodName::parse(CLIENT));
    eventually("an upgraded connection carries bytes", PATIENCE, || {
        let output = shop.world.sandbox.exec(&target, &command)?;
        let said = output.text();
        ensure(said.trim() == "frames came back", || format!("{output:?}"))?;
        Ok(Some(()))
    })
}

fn ports() -> Result<()> {
    journey("wp-ports", |shop| {
        let has_mark = |port: &str, wanted: bool| {
            let ask = Ask::get(&format!("http://echo{port}/"));
            let what = format!("{}{port} is marked: {wanted}", ask.url);
            shop.becomes(CLIENT, &ask, &what, |it| {
                it.status == 200 && it.header(MARK).is_some() == wanted
            })
            .map(drop)
        };
        shop.apply(&marking("mark", ", port: 80"))?;
        has_mark("", true)?;
        has_mark(":8080", false)?;
        shop.delete("HTTPRoute", "mark")?;
        has_mark("", false)?;
        shop.apply(&marking("mark", ""))?;
        has_mark("", true)?;
        has_mark(":8080", true)?;
        shop.route_is_accepted("httproutes", "mark")?;
        // A port that the service does not have.
        shop.apply(&marking("nowhere", ", port: 81"))?;
        let resource = "httproutes.gateway.networking.k8s.io";
        shop.status(resource, "shop", "nowhere", |status| {
            super::condition(status, "Accepted")
                .is_some_and(|(status, reason)| status == "False" && reason == "NoMatchingParent")
        })?;
        has_mark("", true)
    })
}

fn closes() -> Result<()> {
    journey("wp-closes", |shop| {
        shop.apply(&route(
            "all",
            "  - backendRefs: [{name: echo, port: 8080}]\n",
        ))?;
        shop.answered_with(&get("/"), 200)?;
        // What is under way when it goes is finished.
        let slow = get("/late/delay/2s");
        let answers = std::thread::scope(|scope| {
            let asked = scope.spawn(|| shop.answers(CLIENT, &slow));
            eventually("the application is asked", PATIENCE, || {
                let counts =
                    ["shop/v1", "shop/v2"].map(|pod| counted(shop, CLIENT, pod, "/late/delay/2s"));
                let asked = counts.into_iter().any(|it| it.is_ok_and(|it| it > 0));
                Ok(asked.then_some(()))
            })?;
            shop.delete("Gateway", "gate")?;
            let answers = asked.join();
            answers.unwrap_or_else(|_| anyhow::bail!("the client's thread"))
        })?;
        ensure(answers.iter().all(|it| it.status == 200), || {
            format!("{answers:?}")
        })?;
        // Each waits for a waypoint before it gives up: at once, not one after the other.
        let mut many = get("/").times(20);
        (many.side_by_side, many.is_new_each_time) = (20, true);
        eventually("nobody answers any more", PATIENCE, || {
            let answers = shop.answers(CLIENT, &many)?;
            let through = answers.iter().find(|it| it.status != 0);
            ensure(through.is_none(), || format!("{through:?}"))?;
            Ok(Some(()))
        })?;
        let gateway = super::SHOP
            .split("---\n")
            .find(|it| it.contains("kind: Gateway"));
        shop.apply(gateway.context("the gateway's document")?)?;
        shop.answered_with(&get("/"), 200).map(drop)
    })
}
