//! gRPC with tonic at both ends: streams, metadata and deadlines pass, and whoever is refused hears a status of gRPC.

use anyhow::{Context, Result, bail};
use e2e::app::words::{CHECKED, Call, Kind, LET, LET_IN, SERVICE, Told};
use e2e::expect::eventually;
use e2e::world::{PATIENCE, Pod};
use sandbox::app::echo::Answer;

use super::security::authorizers;
use super::{CLIENT, Shop, get, journey, seen};
use crate::{Journey, ensure};

pub(crate) const JOURNEYS: [Journey; 1] = [(
    "waypoint_a_grpc_client_streams_with_deadlines_and_hears_why_it_is_refused",
    calls,
)];

const URL: &str = "http://words:7070";
/// Codes of gRPC: what the client's own clock says, no such method, not allowed, nobody there.
const CANCELLED: i32 = 1;
const DEADLINE_EXCEEDED: i32 = 4;
const UNIMPLEMENTED: i32 = 12;
const PERMISSION_DENIED: i32 = 7;
const UNAVAILABLE: i32 = 14;

const SERVER: &str = "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: words, namespace: shop}\n---\n\
    apiVersion: v1\nkind: Service\nmetadata: {name: words, namespace: shop}\nspec:\n  selector: {app: words}\n  \
    ports:\n  - {name: grpc, port: 7070, targetPort: 7070}\n";

const ROUTE: &str = "apiVersion: gateway.networking.k8s.io/v1\nkind: GRPCRoute\nmetadata: {name: words, namespace: shop, generation: 7}\n\
    spec:\n  parentRefs:\n  - {group: \"\", kind: Service, name: words, port: 7070}\n  rules:\n  \
    - matches: [{method: {service: weft.words.Words}}]\n    filters:\n    - type: RequestHeaderModifier\n      \
      requestHeaderModifier: {set: [{name: x-set, value: by the route}]}\n    - type: ResponseHeaderModifier\n      \
      responseHeaderModifier: {set: [{name: x-said, value: so}]}\n    backendRefs: [{name: words, port: 7070}]\n";

const SLOW: &str = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: words, namespace: shop}\nspec:\n  \
    hosts: [words]\n  http:\n  - match: [{uri: {prefix: /weft.words.Words/Slow}}]\n    timeout: 300ms\n    \
    route: [{destination: {host: words}}]\n";

const DENY: &str = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: words, namespace: shop}\nspec:\n  \
    targetRefs: [{kind: Service, group: \"\", name: words}]\n  action: DENY\n  rules:\n  \
    - to: [{operation: {paths: [/weft.words.Words/Forbidden]}}]\n";

fn told(shop: &Shop, call: &Call) -> Result<Told> {
    let output = shop
        .world
        .run(CLIENT, &["words", "call", &serde_json::to_string(call)?])?;
    serde_json::from_slice(&output.stdout).with_context(|| format!("{output:?}"))
}

/// Calls until what is told is as expected.
fn becomes(shop: &Shop, call: &Call, what: &str, is_right: impl Fn(&Told) -> bool) -> Result<Told> {
    eventually(what, PATIENCE, || {
        let told = told(shop, call)?;
        if !is_right(&told) {
            bail!("{call:?} was told {told:?}");
        }
        Ok(Some(told))
    })
}

fn calls() -> Result<()> {
    journey("wp-words", |shop| {
        shop.apply(SERVER)?;
        shop.world.pod(&Pod {
            name: "shop/words",
            node: "node-2",
            account: "words",
            labels: &[("app", "words")],
            arguments: &["words", "serve", "7070"],
        })?;
        shop.world.wait(&["shop/words"], true)?;
        shop.apply(ROUTE)?;
        shop.apply(SLOW)?;
        let hello = Call::unary(URL, "hello");
        becomes(shop, &hello, "a unary call passes", |it| {
            let says = |name: &str| it.metadata.get(name).map(String::as_str);
            it.messages == ["hello"]
                && says("x-said") == Some("so")
                && says("x-served-by") == Some("tonic")
        })?;
        shop.route_is_accepted("grpcroutes", "words")?;
        streams(shop)?;
        deadlines(shop)?;
        refusals(shop)?;
        judged(shop)
    })
}

fn streams(shop: &Shop) -> Result<()> {
    let mut many = Call::unary(URL, "many:500:x");
    many.kind = Kind::Stream;
    let answers = told(shop, &many)?;
    ensure(
        answers.code == 0 && answers.messages == vec!["x"; 500],
        || format!("{answers:?}"),
    )?;
    let mut talk = Call::unary(URL, "one");
    talk.kind = Kind::Bidi;
    talk.metadata = vec![("x-mine".to_owned(), "kept".to_owned())];
    talk.messages = ["one", "tell:x-mine", "tell:x-set", "two"]
        .map(str::to_owned)
        .into();
    let answers = told(shop, &talk)?;
    // An answer comes before the next message is sent: nothing on the way waits for the end.
    let is_right = answers.messages == ["one", "kept", "by the route", "two"];
    ensure(is_right && answers.code == 0, || format!("{answers:?}"))?;
    let failed = told(shop, &Call::unary(URL, "fail:9"))?;
    let is_right = failed.code == 9 && failed.why == "as asked for, with 100 %";
    ensure(is_right, || format!("{failed:?}"))
}

fn deadlines(shop: &Shop) -> Result<()> {
    // A server learns how long its client waits.
    let mut call = Call::unary(URL, "tell:grpc-timeout");
    call.deadline = Some(5_000);
    let heard = told(shop, &call)?;
    ensure(
        heard.messages.first().is_some_and(|it| !it.is_empty()),
        || format!("{heard:?}"),
    )?;
    let mut late = Call::unary(URL, "wait:10000");
    late.deadline = Some(300);
    let heard = told(shop, &late)?;
    // Client and waypoint look at the same clock; whoever is first.
    let codes = [CANCELLED, DEADLINE_EXCEEDED, UNAVAILABLE];
    let is_right = codes.contains(&heard.code) && heard.milliseconds < 3000;
    ensure(is_right, || format!("{heard:?}"))?;
    // The route's own limit: 504, of which gRPC hears UNAVAILABLE.
    let mut slow = Call::unary(URL, "wait:10000");
    slow.method = "Slow".to_owned();
    becomes(shop, &slow, "a route's timeout", |it| {
        it.code == UNAVAILABLE && it.why == "upstream request timeout" && it.milliseconds < 3000
    })
    .map(drop)
}

fn refusals(shop: &Shop) -> Result<()> {
    shop.apply(DENY)?;
    let mut forbidden = Call::unary(URL, "hello");
    forbidden.method = "Forbidden".to_owned();
    becomes(shop, &forbidden, "a policy refuses", |it| {
        it.code == PERMISSION_DENIED && it.why == "RBAC: access denied"
    })?;
    let allowed = told(shop, &Call::unary(URL, "hello"))?;
    ensure(allowed.code == 0, || format!("{allowed:?}"))?;
    // A service whose port has routes, none of which is about this call.
    shop.apply(&format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: GRPCRoute\nmetadata: {{name: else, namespace: shop}}\nspec:\n  \
         parentRefs:\n  - {{group: \"\", kind: Service, name: echo, port: 7070}}\n  rules:\n  \
         - matches: [{{method: {{service: {SERVICE}, method: Else}}}}]\n    backendRefs: [{{name: nobody, port: 7070}}]\n"
    ))?;
    let mut call = Call::unary("http://echo:7070", "hello");
    becomes(shop, &call, "no route", |it| it.code == UNIMPLEMENTED)?;
    // A backend without endpoints.
    shop.apply(
        "apiVersion: v1\nkind: Service\nmetadata: {name: nobody, namespace: shop}\nspec:\n  selector: {app: nobody}\n  \
         ports: [{name: grpc, port: 7070}]\n",
    )?;
    call.method = "Else".to_owned();
    becomes(shop, &call, "nobody there", |it| {
        it.code == UNAVAILABLE && it.why == "no healthy upstream"
    })
    .map(drop)
}

/// The same program as the authorization server of another service.
fn judged(shop: &Shop) -> Result<()> {
    shop.apply(&authorizers(
        "envoyExtAuthzGrpc: {service: words.shop.svc.cluster.local, port: 7070, timeout: 2s}",
    ))?;
    let refused = |it: &Answer| it.status == 402 && it.body == "not let in";
    shop.becomes(CLIENT, &get("/judged"), "refused over gRPC", refused)?;
    let admitted = shop.answered_with(&get("/judged").with(LET, LET_IN), 200)?;
    let checked = seen(&admitted)?.headers.get(CHECKED).cloned();
    let caller = "spiffe://cluster.local/ns/shop/sa/client";
    ensure(checked.as_deref() == Some(caller), || {
        format!("{admitted:?}")
    })?;
    shop.answered_with(&get("/else"), 200).map(drop)
}
