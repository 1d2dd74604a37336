//! Backends that fail, are slow, or are not there: retries, timeouts, limits, ejection.

use anyhow::Result;
use sandbox::app::echo::{Answer, Ask};

use super::filters::counted;
use super::weights::counts;
use super::{CLIENT, SHOP, Shop, get, journey, route};
use crate::{Journey, ensure};

pub(crate) const JOURNEYS: [Journey; 3] = [
    (
        "waypoint_a_retry_hides_a_failing_backend_and_a_timeout_ends_a_slow_one",
        retries_and_timeouts,
    ),
    (
        "waypoint_a_backend_that_fails_again_and_again_is_left_out",
        ejection,
    ),
    (
        "waypoint_more_requests_than_a_limit_admits_are_refused_at_once",
        limits,
    ),
];

/// Where nobody listens in a pod.
const NOBODY: u16 = 8099;

/// One backend of `mixed` that works, and one that answers 503 whatever is asked.
fn mixed() -> String {
    let documents: Vec<&str> = SHOP.split("---\n").collect();
    let pod = |name: &str, half: u16| {
        let is_it = |text: &&&str| text.contains("kind: Pod") && text.contains("name: v1\n");
        let template = documents.iter().find(is_it).copied().unwrap_or_default();
        template
            .replace("name: v1\n", &format!("name: {name}\n"))
            .replace(
                "{app: echo, version: v1}",
                &format!("{{app: mixed, version: {name}}}"),
            )
            .replace("value: v1}", &format!("value: {name}}}"))
            .replace(
                "    ports:\n",
                &format!("    ports:\n    - {{name: half, containerPort: {half}}}\n"),
            )
    };
    let broken = pod("broken", NOBODY).replace(
        "    env:\n",
        "    env:\n    - {name: STATUS, value: \"503\"}\n",
    );
    format!(
        "{}---\n{broken}---\napiVersion: v1\nkind: Service\nmetadata: {{name: mixed, namespace: shop}}\nspec:\n  \
         selector: {{app: mixed}}\n  ports:\n  - {{name: http, port: 80, targetPort: 8080}}\n  - {{name: http-half, port: 81, targetPort: half}}\n",
        pod("good", 8080)
    )
}

fn add_mixed(shop: &Shop) -> Result<()> {
    shop.apply(&mixed())?;
    shop.world.sandbox.wait_settled(super::SETTLED)?;
    shop.world.wait(&["shop/good", "shop/broken"], true)
}

fn retries_and_timeouts() -> Result<()> {
    journey("wp-retries", |shop| {
        add_mixed(shop)?;
        shop.apply(&route(
            "retries",
            "  - matches: [{path: {type: PathPrefix, value: /again}}]\n    retry: {codes: [503], attempts: 2, backoff: 10ms}\n    \
               backendRefs: [{name: echo-v1, port: 80}]\n  \
             - matches: [{path: {type: PathPrefix, value: /once}}]\n    backendRefs: [{name: echo-v1, port: 80}]\n  \
             - matches: [{path: {type: PathPrefix, value: /mixed}}]\n    retry: {codes: [503], attempts: 3, backoff: 10ms}\n    \
               backendRefs: [{name: mixed, port: 80}]\n  \
             - matches: [{path: {type: PathPrefix, value: /slow}}]\n    timeouts: {request: 300ms}\n    \
               backendRefs: [{name: echo-v1, port: 80}]\n  \
             - matches: [{path: {type: PathPrefix, value: /each}}]\n    timeouts: {request: 1s, backendRequest: 300ms}\n    \
               backendRefs: [{name: echo-v1, port: 80}]\n  \
             - matches: [{path: {type: PathPrefix, value: /tries}}]\n    retry: {attempts: 2, backoff: 10ms}\n    \
               timeouts: {request: 9s, backendRequest: 200ms}\n    backendRefs: [{name: echo-v1, port: 80}]\n  \
             - matches: [{path: {type: PathPrefix, value: /half}}]\n    retry: {attempts: 1}\n    \
               backendRefs: [{name: mixed, port: 81}]\n",
        ))?;
        shop.answered_with(&get("/once"), 200)?;
        // A path of its own for every look: the server counts failures by path.
        let one = |path: &str| -> Result<Answer> {
            let answers = shop.answers(CLIENT, &get(path))?;
            answers
                .into_iter()
                .next()
                .ok_or_else(|| anyhow::anyhow!("no answer to {path}"))
        };
        let status = |path: &str, wanted: u16| {
            let answer = one(path)?;
            ensure(answer.status == wanted, || format!("{path}: {answer:?}"))
        };
        status("/again/fail/1/a", 200)?;
        status("/again/fail/2/b", 200)?;
        status("/again/fail/3/c", 503)?;
        status("/once/fail/1/d", 503)?;
        let counts = counts(shop, &get("/mixed").times(100))?;
        ensure(counts.get("good") == Some(&100), || format!("{counts:?}"))?;
        for (path, longest) in [("/slow/delay/5s", 1500), ("/each/delay/5s", 2500)] {
            let answer = one(path)?;
            let is_right = answer.status == 504 && answer.milliseconds < longest;
            ensure(is_right, || format!("{path}: {answer:?}"))?;
        }
        status("/slow/delay/10ms", 200)?;
        // A try that takes too long is tried again, as often as is said.
        status("/tries/delay/10s", 504)?;
        let tries = counted(shop, CLIENT, "shop/v1", "/tries/delay/10s")?;
        ensure(tries == 3, || format!("{tries} tries"))?;
        // At one of two endpoints nobody listens.
        let half = self::counts(shop, &get("/half").times(40))?;
        ensure(half.get("good") == Some(&40), || format!("{half:?}"))?;
        shop.route_is_accepted("httproutes", "retries")?;
        nobody(shop)
    })
}

/// A service without endpoints.
fn nobody(shop: &Shop) -> Result<()> {
    shop.apply(
        "apiVersion: v1\nkind: Service\nmetadata: {name: nobody, namespace: shop}\nspec:\n  selector: {app: nobody}\n  \
         ports: [{name: http, port: 80, targetPort: 8080}]\n",
    )?;
    let ask = Ask::get("http://nobody/");
    shop.answered_with(&ask, 503).map(drop)
}

fn ejection() -> Result<()> {
    journey("wp-ejection", |shop| {
        add_mixed(shop)?;
        let ask = Ask::get("http://mixed/");
        let before = counts(shop, &ask.clone().times(100))?;
        ensure(before.get("503").is_some_and(|it| *it > 10), || {
            format!("{before:?}")
        })?;
        let rule = "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: mixed, namespace: shop}\nspec:\n  \
             host: mixed\n  trafficPolicy:\n    outlierDetection:\n      consecutive5xxErrors: 3\n      interval: 1s\n      \
             baseEjectionTime: 60s\n      maxEjectionPercent: 100\n";
        shop.apply(rule)?;
        let all_good = |it: &Answer| it.status == 200;
        let asks = ask.clone().times(20);
        e2e::expect::eventually("the broken one is left out", e2e::world::PATIENCE, || {
            let answers = shop.answers(CLIENT, &asks)?;
            Ok(answers.iter().all(all_good).then_some(()))
        })?;
        let after = counts(shop, &ask.clone().times(200))?;
        ensure(after.get("good") == Some(&200), || format!("{after:?}"))?;
        // With too few left, those left out are asked all the same.
        shop.apply(&rule.replace("100\n", "100\n      minHealthPercent: 90\n"))?;
        e2e::expect::eventually("everybody is asked", e2e::world::PATIENCE, || {
            let panic = counts(shop, &ask.clone().times(20))?;
            Ok(panic.get("503").is_some_and(|it| *it > 2).then_some(()))
        })
    })
}

fn limits() -> Result<()> {
    journey("wp-limits", |shop| {
        shop.apply(
            "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: echo, namespace: shop}\nspec:\n  \
             host: echo\n  trafficPolicy:\n    connectionPool:\n      http:\n        http2MaxRequests: 1\n        \
             http1MaxPendingRequests: 1\n      tcp:\n        maxConnections: 1\n",
        )?;
        let mut ask = get("/delay/300ms").times(8);
        ask.side_by_side = 8;
        e2e::expect::eventually("some are refused", e2e::world::PATIENCE, || {
            let answers = shop.answers(CLIENT, &ask)?;
            let (good, refused): (Vec<_>, Vec<_>) =
                answers.into_iter().partition(|it| it.status == 200);
            let at_once = |it: &Answer| {
                it.status == 503
                    && it.milliseconds < 250
                    && it.header("x-envoy-overloaded") == Some("true")
            };
            let is_right = !good.is_empty() && refused.iter().any(at_once);
            ensure(is_right, || format!("{good:?} {refused:?}"))?;
            Ok(Some(()))
        })?;
        shop.answered_with(&get("/"), 200).map(drop)
    })
}
