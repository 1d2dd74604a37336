//! gRPC through a waypoint: GRPCRoutes choose by service, method and header, with weights; errors are gRPC's own.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use e2e::expect::eventually;
use e2e::world::PATIENCE;
use sandbox::app::echo::{Answer, Ask, Seen};

use super::filters::counted;
use super::{CLIENT, GENERATION, Shop, journey};
use crate::{Journey, ensure};

pub(crate) const JOURNEYS: [Journey; 1] = [(
    "waypoint_grpc_routes_choose_by_service_method_and_header_and_keep_weights",
    routes,
)];

fn route(rules: &str) -> String {
    format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: GRPCRoute\nmetadata: {{name: calls, namespace: shop, generation: {GENERATION}}}\n\
         spec:\n  parentRefs:\n  - {{group: \"\", kind: Service, name: echo, port: 7070}}\n  rules:\n{rules}"
    )
}

fn call(method: &str) -> Ask {
    Ask::call(&format!("http://echo:7070/{method}"), "hello")
}

fn seen(answer: &Answer) -> Result<Seen> {
    let text = answer
        .messages
        .first()
        .with_context(|| format!("{answer:?}"))?;
    serde_json::from_str(text).with_context(|| text.clone())
}

fn answered_by(shop: &Shop, ask: &Ask, version: &str) -> Result<Seen> {
    let what = format!("{version} answers {}", ask.url);
    let is_right = |it: &Answer| {
        it.grpc_status() == Some(0) && seen(it).is_ok_and(|seen| seen.version == version)
    };
    seen(&shop.becomes(CLIENT, ask, &what, is_right)?)
}

fn routes() -> Result<()> {
    journey("wp-grpc", |shop| {
        shop.apply(&route(
            "  - matches: [{method: {service: weft.echo.Echo, method: Say}}]\n    backendRefs: [{name: echo-v1, port: 7070}]\n  \
             - matches: [{method: {service: weft.echo.Echo}}]\n    backendRefs: [{name: echo-v2, port: 7070}]\n  \
             - matches: [{method: {method: Anywhere}}]\n    backendRefs: [{name: echo-v1, port: 7070}]\n  \
             - matches: [{headers: [{name: x-test-case, value: headers}]}]\n    filters:\n    - type: RequestHeaderModifier\n      \
               requestHeaderModifier:\n        set: [{name: x-set, value: new}]\n        add: [{name: x-add, value: more}]\n        remove: [x-remove]\n    \
               backendRefs: [{name: echo-v2, port: 7070}]\n  \
             - name: expression\n    matches: [{method: {type: RegularExpression, service: 'weft[.]exp.*', method: 'A|B'}}]\n    filters:\n    \
             - type: RequestMirror\n      requestMirror: {backendRef: {name: echo-v2, port: 7070}}\n    - type: ResponseHeaderModifier\n      \
               responseHeaderModifier: {set: [{name: x-said, value: so}]}\n    backendRefs: [{name: echo-v1, port: 7070}]\n  \
             - matches: [{headers: [{name: x-test-case, type: RegularExpression, value: 'a.+z'}]}]\n    backendRefs:\n    \
             - name: echo-v1\n      port: 7070\n      filters:\n      - type: RequestHeaderModifier\n        \
               requestHeaderModifier: {set: [{name: x-set, value: by the backend}]}\n",
        ))?;
        answered_by(shop, &call("weft.echo.Echo/Say"), "v1")?;
        answered_by(shop, &call("weft.echo.Echo/Other"), "v2")?;
        answered_by(shop, &call("weft.other.Service/Anywhere"), "v1")?;
        let with = call("weft.other.Service/Some")
            .with("x-test-case", "headers")
            .with("x-add", "some")
            .with("x-remove", "me");
        let seen = answered_by(shop, &with, "v2")?;
        let is_right = seen.headers.get("x-set").map(String::as_str) == Some("new")
            && !seen.headers.contains_key("x-remove")
            && seen
                .headers
                .get("x-add")
                .is_some_and(|it| it.replace(' ', "") == "some,more")
            && seen.messages == ["hello"];
        ensure(is_right, || format!("{seen:?}"))?;
        named_and_mirrored(shop)?;
        // Nothing matches: an answer that a gRPC client understands (12 is UNIMPLEMENTED).
        shop.becomes(CLIENT, &call("weft.other.Service/Some"), "no rule", |it| {
            it.status == 200 && it.grpc_status() == Some(12)
        })?;
        // The server's own errors pass.
        let failing = call("weft.echo.Echo/Say").with("echo-grpc-status", "9");
        shop.becomes(CLIENT, &failing, "a server's error", |it| {
            it.grpc_status() == Some(9)
        })?;
        // As long as the client waits, and no longer; gRPC hears UNAVAILABLE of that.
        let late = call("weft.echo.Echo/Say")
            .with("grpc-timeout", "300m")
            .with("echo-delay", "10s");
        shop.becomes(CLIENT, &late, "the client's deadline", |it| {
            it.grpc_status() == Some(14) && it.milliseconds < 3000
        })?;
        shop.route_is_accepted("grpcroutes", "calls")?;
        weighted(shop)
    })
}

/// A named rule with an expression, and a backend with filters of its own.
fn named_and_mirrored(shop: &Shop) -> Result<()> {
    for method in ["weft.exponent/A", "weft.exp/B"] {
        let ask = call(method);
        answered_by(shop, &ask, "v1")?;
        shop.becomes(CLIENT, &ask, "the named rule's filters hold", |it| {
            it.header("x-said") == Some("so")
        })?;
        let path = format!("/{method}");
        eventually("the mirror is asked", PATIENCE, || {
            Ok((counted(shop, CLIENT, "shop/v2", &path)? > 0).then_some(()))
        })?;
    }
    for method in ["weft.exp/AB", "weft.Exp/A"] {
        shop.becomes(CLIENT, &call(method), "not as a whole", |it| {
            it.grpc_status() == Some(12)
        })?;
    }
    let ask = call("weft.other.Service/Some").with("x-test-case", "a to z");
    let seen = answered_by(shop, &ask, "v1")?;
    ensure(
        seen.headers
            .get("x-set")
            .is_some_and(|it| it == "by the backend"),
        || format!("{seen:?}"),
    )
}

fn weighted(shop: &Shop) -> Result<()> {
    shop.apply(&route(
        "  - backendRefs:\n    - {name: echo-v1, port: 7070, weight: 70}\n    - {name: echo-v2, port: 7070, weight: 30}\n    \
         - {name: echo-v3, port: 7070, weight: 0}\n",
    ))?;
    shop.becomes(
        CLIENT,
        &call("weft.other.Service/Some"),
        "the weights hold",
        |it| it.grpc_status() == Some(0),
    )?;
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    for answer in shop.answers(CLIENT, &call("weft.echo.Echo/Say").times(500))? {
        *counts.entry(seen(&answer)?.version).or_default() += 1;
    }
    let v1 = counts.get("v1").copied().unwrap_or_default();
    ensure((325..=375).contains(&v1) && counts.len() == 2, || {
        format!("{counts:?}")
    })
}
