//! Which endpoint a request goes to: by hash, by session, by place; how many tries and how many requests there may be.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};
use e2e::expect::eventually;
use e2e::world::PATIENCE;
use sandbox::app::echo::{Answer, Ask};

use super::{CLIENT, Shop, get, journey, route, seen};
use crate::{Journey, ensure};

pub(crate) const JOURNEYS: [Journey; 1] = [(
    "waypoint_hashes_sessions_places_and_limits_choose_who_answers",
    balancing,
)];

/// Requests that belong together.
const SAME: usize = 5;
/// Users who ask.
const USERS: usize = 10;

fn rule(policy: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: echo, namespace: shop}}\nspec:\n  \
         host: echo\n  trafficPolicy:\n    {policy}\n"
    )
}

fn balancing() -> Result<()> {
    journey("wp-balance", |shop| {
        hashes(shop)?;
        cookies(shop)?;
        sessions(shop)?;
        budget(shop)?;
        limits(shop)?;
        places(shop)
    })
}

/// Which versions answered.
fn versions(answers: &[Answer]) -> Result<BTreeSet<String>> {
    answers.iter().map(|it| Ok(seen(it)?.version)).collect()
}

/// Every user is answered by one version, and both versions have users.
fn hashes(shop: &Shop) -> Result<()> {
    let by_header = |user: usize| get("/").with("x-user", &format!("user-{user}"));
    let by_query = |user: usize| get(&format!("/?who=user-{user}"));
    let cases: [(&str, &dyn Fn(usize) -> Ask); 2] = [
        ("httpHeaderName: x-user", &by_header),
        (
            "httpQueryParameterName: who, maglev: {tableSize: 1009}",
            &by_query,
        ),
    ];
    for (hash, ask) in cases {
        shop.apply(&rule(&format!(
            "loadBalancer: {{consistentHash: {{{hash}}}}}"
        )))?;
        let mut asks = Vec::new();
        for user in 0..USERS {
            let mut ask = ask(user).times(u32::try_from(SAME)?);
            ask.is_new_each_time = true;
            asks.push(ask);
        }
        eventually(hash, PATIENCE, || {
            let answers = shop.world.ask(CLIENT, &asks)?;
            for of_one in answers.chunks(SAME) {
                ensure(versions(of_one)?.len() == 1, || format!("{of_one:?}"))?;
            }
            ensure(versions(&answers)?.len() == 2, || "all by one".to_owned())?;
            Ok(Some(()))
        })?;
    }
    Ok(())
}

/// `name=value` of the cookie that an answer sets.
fn cookie(answer: &Answer) -> Result<String> {
    let cookie = answer.header("set-cookie").context("no cookie")?;
    Ok(cookie.split(';').next().unwrap_or_default().to_owned())
}

/// Whoever brings a cookie back is answered by the same version, and is not given another.
fn comes_back(shop: &Shop, first: &Answer, name: &str, value: &str) -> Result<()> {
    let answers = shop.answers(CLIENT, &get("/kept").with(name, value).times(12))?;
    let version = seen(first)?.version;
    let is_same = versions(&answers)? == BTreeSet::from([version]);
    ensure(
        is_same && answers.iter().all(|it| it.header("set-cookie").is_none()),
        || format!("{first:?}, then {answers:?}"),
    )
}

fn cookies(shop: &Shop) -> Result<()> {
    shop.apply(&rule(
        "loadBalancer: {consistentHash: {httpCookie: {name: user, path: /kept, ttl: 60s}}}",
    ))?;
    let is_given = |it: &Answer| {
        it.header("set-cookie").is_some_and(|it| {
            it.starts_with("user=") && it.contains("Max-Age=60") && it.contains("Path=/kept")
        })
    };
    let first = shop.becomes(CLIENT, &get("/kept"), "a cookie is given", is_given)?;
    comes_back(shop, &first, "cookie", &cookie(&first)?)?;
    shop.delete("DestinationRule", "echo")
}

fn sessions(shop: &Shop) -> Result<()> {
    let rules = |kind: &str| {
        format!(
            "  - matches: [{{path: {{type: PathPrefix, value: /kept}}}}]\n    sessionPersistence: {{type: {kind}, sessionName: visit}}\n    \
             backendRefs: [{{name: echo, port: 80}}]\n  - backendRefs: [{{name: echo, port: 80}}]\n"
        )
    };
    shop.apply(&route("sessions", &rules("Cookie")))?;
    let is_given = |it: &Answer| {
        it.header("set-cookie")
            .is_some_and(|it| it.starts_with("visit="))
    };
    let first = shop.becomes(CLIENT, &get("/kept"), "a session begins", is_given)?;
    comes_back(shop, &first, "cookie", &cookie(&first)?)?;
    let nonsense = get("/kept").with("cookie", "visit=nonsense");
    shop.becomes(CLIENT, &nonsense, "a session that is none", |it| {
        it.status == 200 && is_given(it)
    })?;
    shop.becomes(CLIENT, &get("/other"), "no session elsewhere", |it| {
        it.status == 200 && it.header("set-cookie").is_none()
    })?;
    shop.apply(&route("sessions", &rules("Header")))?;
    let is_given = |it: &Answer| it.header("visit").is_some() && it.header("set-cookie").is_none();
    let first = shop.becomes(CLIENT, &get("/kept"), "a session in a header", is_given)?;
    comes_back(
        shop,
        &first,
        "visit",
        first.header("visit").unwrap_or_default(),
    )?;
    shop.route_is_accepted("httproutes", "sessions")?;
    shop.delete("HTTPRoute", "sessions")
}

/// Without a budget for retries there are none.
fn budget(shop: &Shop) -> Result<()> {
    shop.apply(&route(
        "again",
        "  - retry: {codes: [503], attempts: 2, backoff: 1ms}\n    backendRefs: [{name: echo-v1, port: 80}]\n",
    ))?;
    let mut number = 0;
    let mut failing = |wanted: u16| {
        eventually(&format!("{wanted} after a failure"), PATIENCE, || {
            number += 1;
            // A path of its own for every look: the server counts failures by path.
            let answers = shop.answers(CLIENT, &get(&format!("/fail/1/{number}")))?;
            match answers.first() {
                Some(answer) if answer.status == wanted => Ok(Some(())),
                other => bail!("{other:?}"),
            }
        })
    };
    failing(200)?;
    let none = rule("retryBudget: {percent: 0, minRetryConcurrency: 0}");
    shop.apply(&none.replace("host: echo\n", "host: echo-v1\n"))?;
    failing(503)?;
    shop.delete("DestinationRule", "echo")?;
    failing(200)?;
    shop.delete("HTTPRoute", "again")
}

/// Every user has requests of their own.
fn limits(shop: &Shop) -> Result<()> {
    shop.apply(
        "apiVersion: policy.weft.dev/v1alpha1\nkind: RateLimitPolicy\nmetadata: {name: few, namespace: shop}\nspec:\n  \
         targetRefs: [{kind: Service, name: echo}]\n  limits:\n  - name: few\n    matches: [{path: {value: /few}}]\n    \
         by: [{header: x-user}]\n    requests: 3\n    per: 1h\n",
    )?;
    let asked = |user: &str| get("/few").with("x-user", user);
    shop.becomes(CLIENT, &asked("nobody"), "requests are counted", |it| {
        it.header("x-ratelimit-limit").is_some()
    })?;
    let answers = shop.answers(CLIENT, &asked("ann").times(5))?;
    let told: Vec<_> = answers
        .iter()
        .map(|it| (it.status, it.header("x-ratelimit-remaining").unwrap_or("")))
        .collect();
    let wanted = [(200, "2"), (200, "1"), (200, "0"), (429, "0"), (429, "0")];
    ensure(told == wanted, || format!("{answers:?}"))?;
    let refused = answers.last().context("no answer")?;
    let is_right = refused.body == "local_rate_limited" && refused.header("retry-after").is_some();
    ensure(is_right, || format!("{refused:?}"))?;
    let of_another = shop.answers(CLIENT, &asked("ben"))?;
    ensure(of_another.iter().all(|it| it.status == 200), || {
        format!("{of_another:?}")
    })?;
    let call = Ask::call("http://echo:7070/few", "x").with("x-user", "ann");
    shop.becomes(CLIENT, &call, "of gRPC too", |it| {
        it.grpc_status() == Some(14)
    })?;
    shop.delete("RateLimitPolicy", "few")
}

/// Shares by place, nearness, and what happens when the near one goes away.
fn places(shop: &Shop) -> Result<()> {
    let only = |what: &str| {
        eventually(what, PATIENCE, || {
            let answers = shop.answers(CLIENT, &get("/").times(20))?;
            let versions = versions(&answers)?;
            ensure(versions.len() == 1, || format!("{versions:?}"))?;
            Ok(versions.into_iter().next())
        })
    };
    for (zone, version) in [("zone-1", "v1"), ("zone-2", "v2")] {
        shop.apply(&rule(&format!(
            "loadBalancer: {{localityLbSetting: {{distribute: [{{from: sandbox/*, to: {{\"sandbox/{zone}/*\": 100}}}}]}}}}"
        )))?;
        eventually(&format!("only {zone} is asked"), PATIENCE, || {
            Ok((only("one version answers")? == version).then_some(()))
        })?;
    }
    shop.apply(&rule("outlierDetection: {baseEjectionTime: 30s}"))?;
    let near = only("the near one is asked")?;
    shop.delete("Pod", &near)?;
    let far = if near == "v1" { "v2" } else { "v1" };
    shop.answered_by(&get("/"), far).map(drop)
}
