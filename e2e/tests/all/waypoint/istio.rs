//! VirtualServices and DestinationRules, with their own rules: the first match wins, prefixes are characters, subsets.

use anyhow::Result;
use e2e::expect::eventually;
use e2e::world::PATIENCE;
use sandbox::Target;
use sandbox::app::echo::Answer;

use super::weights::counts;
use super::{CLIENT, Shop, get, journey, seen};
use crate::{Journey, ensure};

pub(crate) const JOURNEYS: [Journey; 2] = [
    (
        "waypoint_a_virtual_service_s_first_match_wins_and_subsets_are_chosen_by_labels",
        routes,
    ),
    (
        "waypoint_faults_are_injected_with_their_share_and_nothing_else_is_touched",
        faults,
    ),
];

const SUBSETS: &str = "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: echo, namespace: shop}\n\
    spec:\n  host: echo\n  subsets:\n  - {name: one, labels: {version: v1}}\n  - {name: two, labels: {version: v2}}\n---\n";

fn service(rules: &str) -> String {
    format!(
        "{SUBSETS}apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: echo, namespace: shop}}\n\
         spec:\n  hosts: [echo]\n  http:\n{rules}"
    )
}

/// To a subset.
fn to(subset: &str) -> String {
    format!("    route: [{{destination: {{host: echo, subset: {subset}}}}}]\n")
}

#[expect(
    clippy::too_many_lines,
    reason = "one journey, a match after the other"
)]
fn routes() -> Result<()> {
    journey("wp-virtual", |shop| {
        let rules = [
            format!("  - match: [{{uri: {{prefix: /v2}}}}]\n{}", to("two")),
            format!("  - match: [{{uri: {{prefix: /v2/late}}}}]\n{}", to("one")),
            format!("  - match: [{{uri: {{exact: /CASE}}, ignoreUriCase: true}}]\n{}", to("two")),
            format!("  - match: [{{uri: {{prefix: /not}}, withoutHeaders: {{x-no: {{exact: \"1\"}}}}}}]\n{}", to("two")),
            format!("  - match: [{{queryParams: {{k: {{exact: v}}}}, method: {{exact: PUT}}}}]\n{}", to("two")),
            "  - match: [{uri: {exact: /old}}]\n    redirect: {uri: /new, authority: books.example}\n".to_owned(),
            "  - match: [{uri: {exact: /said}}]\n    directResponse: {status: 418, body: {string: short and stout}}\n".to_owned(),
            format!("  - match: [{{uri: {{prefix: /from}}}}]\n    rewrite: {{uri: /to, authority: elsewhere}}\n    \
                     headers: {{request: {{set: {{x-set: new}}, remove: [x-remove]}}, response: {{add: {{x-said: it}}}}}}\n{}", to("one")),
            format!("  - match: [{{uri: {{prefix: /slow}}}}]\n    timeout: 300ms\n{}", to("one")),
            format!("  - match: [{{uri: {{prefix: /again}}}}]\n    retries: {{attempts: 2, retryOn: \"503\", backoff: 10ms}}\n{}", to("one")),
            "  - match: [{uri: {prefix: /split}}]\n    route:\n    - {destination: {host: echo, subset: one}, weight: 80}\n    \
               - {destination: {host: echo, subset: two}, weight: 20}\n".to_owned(),
            format!("  - match: [{{uri: {{prefix: /labelled}}, sourceLabels: {{app: client}}}}]\n{}", to("two")),
            to("one").replacen("    route", "  - route", 1),
        ];
        shop.apply(&service(&rules.concat()))?;
        for (path, version) in [
            ("/v2", "v2"),
            ("/v2example", "v2"),
            ("/v2/late", "v2"),
            ("/case", "v2"),
            ("/not", "v2"),
            ("/labelled", "v1"),
            ("/whatever", "v1"),
        ] {
            shop.answered_by(&get(path), version)?;
        }
        shop.answered_by(&get("/not").with("x-no", "1"), "v1")?;
        let mut put = get("/?k=v");
        put.method = "PUT".to_owned();
        shop.answered_by(&put, "v2")?;
        shop.becomes(CLIENT, &get("/old"), "a redirect", |it| {
            it.status == 301 && it.header("location") == Some("http://books.example/new")
        })?;
        shop.becomes(CLIENT, &get("/said"), "a direct response", |it| {
            it.status == 418 && it.body == "short and stout"
        })?;
        let asked = get("/from/here?q").with("x-remove", "me");
        shop.becomes(CLIENT, &asked, "rewritten", |it| {
            let is_seen = seen(it).is_ok_and(|seen| {
                seen.path == "/to/here?q"
                    && seen.host == "elsewhere"
                    && seen.headers.get("x-set").is_some_and(|it| it == "new")
                    && !seen.headers.contains_key("x-remove")
            });
            is_seen && it.header("x-said") == Some("it")
        })?;
        let slow = shop.answered_with(&get("/slow/delay/5s"), 504)?;
        ensure(slow.milliseconds < 1500, || format!("{slow:?}"))?;
        let answers = shop.answers(CLIENT, &get("/again/fail/2/x"))?;
        ensure(answers.iter().all(|it| it.status == 200), || {
            format!("{answers:?}")
        })?;
        let split = counts(shop, &get("/split").times(500))?;
        let two = split.get("v2").copied().unwrap_or_default();
        ensure((70..=130).contains(&two) && split.len() == 2, || {
            format!("{split:?}")
        })?;
        reported(shop, "sourceLabels")
    })
}

/// What has no effect at a waypoint is named with its field.
fn reported(shop: &Shop, field: &str) -> Result<()> {
    eventually(&format!("{field} is reported"), PATIENCE, || {
        let url = "http://127.0.0.1:15014/debug/problems";
        let page = shop.world.page(&Target::ControlPlane, url)?;
        let mut problems = page.as_array().into_iter().flatten();
        let names = |it: &serde_json::Value| {
            it.get("field")
                .and_then(serde_json::Value::as_str)
                .is_some_and(|it| it.contains(field))
        };
        Ok(problems.any(names).then_some(()))
    })
}

fn faults() -> Result<()> {
    journey("wp-faults", |shop| {
        let rules = [
            format!(
                "  - match: [{{uri: {{prefix: /abort}}}}]\n    fault: {{abort: {{httpStatus: 503, percentage: {{value: 100}}}}}}\n{}",
                to("one")
            ),
            format!(
                "  - match: [{{uri: {{prefix: /half}}}}]\n    fault: {{abort: {{httpStatus: 555, percentage: {{value: 50}}}}}}\n{}",
                to("one")
            ),
            format!(
                "  - match: [{{uri: {{prefix: /late}}}}]\n    fault: {{delay: {{fixedDelay: 400ms, percentage: {{value: 100}}}}}}\n{}",
                to("one")
            ),
            format!(
                "  - match: [{{uri: {{prefix: /call}}}}]\n    fault: {{abort: {{grpcStatus: UNAVAILABLE, percentage: {{value: 100}}}}}}\n{}",
                to("one")
            ),
            to("two").replacen("    route", "  - route", 1),
        ];
        shop.apply(&service(&rules.concat()))?;
        shop.becomes(CLIENT, &get("/abort"), "an abort", |it| {
            it.status == 503 && it.body == "fault filter abort"
        })?;
        let late = shop.answered_by(&get("/late"), "v1");
        ensure(late.is_ok(), || format!("{late:?}"))?;
        let answers = shop.answers(CLIENT, &get("/late").times(3))?;
        let is_late = |it: &Answer| it.status == 200 && (400..1500).contains(&it.milliseconds);
        ensure(answers.iter().all(is_late), || format!("{answers:?}"))?;
        let half = counts(shop, &get("/half").times(400))?;
        let aborted = half.get("555").copied().unwrap_or_default();
        ensure((140..=260).contains(&aborted) && half.len() == 2, || {
            format!("{half:?}")
        })?;
        let call = sandbox::app::echo::Ask::call("http://echo:7070/call/Me", "x");
        shop.becomes(CLIENT, &call, "a gRPC abort", |it| {
            it.grpc_status() == Some(14)
        })?;
        shop.answered_by(&get("/else"), "v2").map(drop)
    })
}
