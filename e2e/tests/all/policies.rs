//! Policies as users write them: who is admitted, who is cut off, and what the author of a bad one hears.

use std::net::IpAddr;
use std::path::PathBuf;

use anyhow::{Context, Result};
use e2e::app::client::{Seen, Task};
use e2e::expect::eventually;
use e2e::world::{PATIENCE, Pod, Talk, World};
use sandbox::Target;
use serde_json::Value;

use crate::{Journey, ensure};

pub(crate) const JOURNEYS: [Journey; 2] = [
    (
        "strict_refuses_plain_text_and_policies_tell_identities_apart_until_they_are_edited",
        admission,
    ),
    (
        "a_bad_policy_is_reported_with_its_line_while_its_last_good_version_is_in_force",
        bad_input,
    ),
];

const PROBLEMS: &str = "http://127.0.0.1:15014/debug/problems";
const DUMP: &str = "http://127.0.0.1:15000/config_dump";
const METRICS: &str = "http://127.0.0.1:15020/metrics";
const NODE: &str = "ztunnel/node-2";

/// A server, two clients and a stranger outside the mesh.
fn journey(topic: &str, walk: impl FnOnce(&World, IpAddr) -> Result<()>) -> Result<()> {
    let world = World::start(topic)?;
    let outcome = prepare(&world).and_then(|server| walk(&world, server));
    world.finish(outcome)
}

fn prepare(world: &World) -> Result<IpAddr> {
    world.namespace("talk", true)?;
    world.namespace("street", false)?;
    for (name, node) in [
        ("talk/friend", "node-1"),
        ("talk/other", "node-1"),
        ("talk/server", "node-2"),
        ("street/stranger", "node-2"),
    ] {
        let (_, account) = name.split_once('/').context("namespace/name")?;
        world.pod(&Pod {
            name,
            node,
            account,
            labels: &[("app", account)],
            arguments: &["serve"],
        })?;
    }
    world.wait(&["talk/friend", "talk/other", "talk/server"], true)?;
    world.wait(&["street/stranger"], false)?;
    let server = world.address("talk/server")?;
    for client in ["talk/friend", "talk/other", "street/stranger"] {
        arrives(world, client, server)?;
    }
    Ok(server)
}

/// Checks that bytes arrive and come back.
fn arrives(world: &World, from: &str, to: IpAddr) -> Result<()> {
    let seen = world.client(from, to, &Task::FinishFirst { bytes: 10_000 })?;
    let Seen::Digests(pairs) = &seen else {
        anyhow::bail!("{from}: {seen:?}");
    };
    let whole = pairs.iter().all(|(sent, got)| sent == got);
    ensure(whole && !pairs.is_empty(), || format!("{from}: {pairs:?}"))
}

/// Waits until somebody is turned away.
fn becomes_refused(world: &World, from: &str, to: IpAddr) -> Result<()> {
    eventually(&format!("{from} is refused"), PATIENCE, || {
        Ok(arrives(world, from, to).err().map(drop))
    })
}

/// Waits until somebody is turned away and the server's node says so in these words. (A connection that is open
/// while a policy arrives is cut, which is another reason.)
fn is_refused_because(world: &World, from: &str, to: IpAddr, words: &[&str]) -> Result<()> {
    let what = format!("{from} is refused, and {NODE} logs {words:?}");
    eventually(&what, PATIENCE, || {
        ensure(arrives(world, from, to).is_err(), || {
            format!("{from} is admitted")
        })?;
        let log = std::fs::read_to_string(world.log(NODE)?)?;
        let mut lines = log
            .lines()
            .filter(|line| line.contains("reason=\"policy_denied\""));
        let found = lines.any(|line| words.iter().all(|word| line.contains(word)));
        Ok(found.then_some(()))
    })
}

/// Waits until somebody is let in.
fn becomes_admitted(world: &World, from: &str, to: IpAddr) -> Result<()> {
    let what = format!("{from} is admitted");
    eventually(&what, PATIENCE, || arrives(world, from, to).map(Some))
}

/// Applies a policy: no word of it may be passed over.
fn apply(world: &World, yaml: &str) -> Result<()> {
    let lines = world.sandbox.apply(yaml)?;
    let is_taken = lines.iter().all(|line| !line.contains("ignored"));
    ensure(is_taken && !lines.is_empty(), || format!("{lines:?}"))
}

/// A policy for the server, with these annotations and this specification.
fn policy(annotations: &str, spec: &str) -> String {
    format!(
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata:\n  name: server\n  \
         namespace: talk\n  annotations: {{{annotations}}}\nspec:\n  selector:\n    matchLabels:\n      \
         app: server\n{spec}"
    )
}

/// Everybody but one identity is refused.
fn deny_all_but(account: &str) -> String {
    format!(
        "  action: DENY\n  rules:\n  - from:\n    - source:\n        notPrincipals: \
         [cluster.local/ns/talk/sa/{account}]\n"
    )
}

fn admission() -> Result<()> {
    journey("policies", |world, server| {
        apply(
            world,
            "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata:\n  name: strict\n  \
             namespace: talk\nspec:\n  mtls:\n    mode: STRICT\n",
        )?;
        let strict = "explicitly denied by: weft-system/istio_converted_static_strict";
        is_refused_because(world, "street/stranger", server, &["inbound", strict])?;
        arrives(world, "talk/friend", server)?;
        arrives(world, "talk/other", server)?;
        says(world, "PeerAuthentication", "True", "in force")?;

        // Only one identity: by an ALLOW that names it, and by a DENY of everybody else.
        let allow = "  rules:\n  - from:\n    - source:\n        serviceAccounts: [friend]\n";
        apply(world, &policy("", allow))?;
        let none = "allow policies exist, but none allowed";
        let other = "src.identity=\"spiffe://cluster.local/ns/talk/sa/other\"";
        is_refused_because(world, "talk/other", server, &["inbound", other, none])?;
        arrives(world, "talk/friend", server)?;
        apply(world, &policy("", &deny_all_but("friend")))?;
        let origin = "origin=\"AuthorizationPolicy talk/server rule 0\"";
        is_refused_because(world, "talk/other", server, &["inbound", other, origin])?;
        arrives(world, "talk/friend", server)?;
        denied_in_metrics(world)?;
        edited(world, server)
    })
}

/// The refusals are counted with the contract's flag.
fn denied_in_metrics(world: &World) -> Result<()> {
    let target = Target::Node("node-2".to_owned());
    eventually("refusals are counted", PATIENCE, || {
        let text = world.text(&target, METRICS)?;
        let of_other = "source_principal=\"spiffe://cluster.local/ns/talk/sa/other\"";
        let counted = text.lines().find(|line| {
            line.starts_with("istio_tcp_connections_failed_total{")
                && line.contains("response_flags=\"DENY\"")
                && line.contains(of_other)
        });
        Ok(counted.map(drop))
    })
}

/// An edit cuts a connection that lives, and one that only reports lets everybody in.
fn edited(world: &World, server: IpAddr) -> Result<()> {
    let talk = world.talk("talk/friend", server)?;
    apply(world, &policy("", &deny_all_but("other")))?;
    let seen = talk.ended()?;
    ensure(
        matches!(&seen, Seen::Ended { how, .. } if how != "timeout"),
        || format!("the policy turned, and the client saw {seen:?}"),
    )?;
    world.logged(NODE, &["inbound", "reason=\"policy_changed\""])?;
    becomes_admitted(world, "talk/other", server)?;
    ensure(arrives(world, "talk/friend", server).is_err(), || {
        "talk/friend is still admitted".to_owned()
    })?;

    let reports = "istio.io/dry-run: 'true'";
    apply(world, &policy(reports, &deny_all_but("other")))?;
    becomes_admitted(world, "talk/friend", server)?;
    let friend = "src.identity=\"spiffe://cluster.local/ns/talk/sa/friend\"";
    let origin = "origin=\"AuthorizationPolicy talk/server\"";
    world.logged(
        NODE,
        &[
            "dry-run policy",
            "effect=\"refuses\"",
            "rule=0",
            origin,
            friend,
        ],
    )?;
    arrives(world, "talk/other", server)?;
    let dump = world.page(&Target::Node("node-2".to_owned()), DUMP)?;
    let policies = dump.get("policies").and_then(Value::as_array);
    let shown = policies.into_iter().flatten().find(|it| {
        let is = |key: &str, value: &str| it.get(key).and_then(Value::as_str) == Some(value);
        is("namespace", "talk") && is("name", "server")
    });
    let reports = shown
        .and_then(|it| it.get("dryRun"))
        .and_then(Value::as_bool);
    ensure(reports == Some(true), || format!("{policies:?}"))?;
    says(
        world,
        "AuthorizationPolicy",
        "True",
        "reported, not enforced",
    )
}

fn bad_input() -> Result<()> {
    journey("bad-policy", |world, server| {
        let good = policy("", &deny_all_but("friend"));
        apply(world, &good)?;
        becomes_refused(world, "talk/other", server)?;
        says(world, "AuthorizationPolicy", "True", "in force")?;
        let talk = world.talk("talk/friend", server)?;

        // A value that its type does not have.
        let file = world
            .sandbox
            .place()
            .cluster()
            .join("authorizationpolicies_talk_server.yaml");
        let applied = std::fs::read_to_string(&file)?;
        let broken = policy("", &deny_all_but("friend")).replace("DENY", "REFUSE");
        std::fs::write(&file, &broken)?;
        let line = line_of(&broken, "REFUSE")?;
        problem(world, "unreadable", "spec.action", line)?;
        holds(world, server)?;

        // A value that cannot be.
        let ports =
            deny_all_but("friend") + "    to:\n    - operation:\n        ports: ['80', '65536']\n";
        let broken = policy("", &ports);
        std::fs::write(&file, &broken)?;
        let line = line_of(&broken, "65536")?;
        problem(
            world,
            "invalid-value",
            "spec.rules[0].to[0].operation.ports[1]",
            line,
        )?;
        says(
            world,
            "AuthorizationPolicy",
            "False",
            "its last good version stays in force",
        )?;
        holds(world, server)?;

        // What only a waypoint could enforce refuses more, and is named.
        let methods =
            deny_all_but("friend") + "    to:\n    - operation:\n        methods: [GET]\n";
        let widened = policy("", &methods);
        std::fs::write(&file, &widened)?;
        let line = line_of(&widened, "methods")?;
        problem(
            world,
            "l7-at-l4",
            "spec.rules[0].to[0].operation.methods",
            line,
        )?;
        holds(world, server)?;

        std::fs::write(&file, applied)?;
        corrected(world, server, talk)
    })
}

/// Corrected, nothing is left of it, and who talked all the while has lost nothing.
fn corrected(world: &World, server: IpAddr, talk: Talk) -> Result<()> {
    eventually("the problems are gone", PATIENCE, || {
        let text = world.page(&Target::ControlPlane, PROBLEMS)?.to_string();
        Ok((!text.contains("AuthorizationPolicy")).then_some(()))
    })?;
    says(world, "AuthorizationPolicy", "True", "in force")?;
    holds(world, server)?;
    let seen = talk.finish()?;
    ensure(
        matches!(&seen, Seen::Digests(pairs) if pairs.iter().all(|(sent, got)| sent == got)),
        || format!("traffic went on, but {seen:?}"),
    )
}

/// The policy that was in force before is in force still.
fn holds(world: &World, server: IpAddr) -> Result<()> {
    arrives(world, "talk/friend", server)?;
    ensure(arrives(world, "talk/other", server).is_err(), || {
        "talk/other is admitted".to_owned()
    })
}

fn line_of(text: &str, word: &str) -> Result<u64> {
    let position = text.lines().position(|line| line.contains(word));
    Ok(position.context("the word is in it")? as u64 + 1)
}

/// Waits for a problem of the policy on the controller's page.
fn problem(world: &World, rule: &str, field: &str, line: u64) -> Result<()> {
    eventually(&format!("{rule} {field} is reported"), PATIENCE, || {
        let page = world.page(&Target::ControlPlane, PROBLEMS)?;
        let problems = page.as_array().into_iter().flatten();
        let mut found = problems.filter(|it| {
            let is = |key: &str, value: &str| it.get(key).and_then(Value::as_str) == Some(value);
            is("rule", rule)
                && is("field", field)
                && it.get("line").and_then(Value::as_u64) == Some(line)
        });
        Ok(found.next().map(drop))
    })
}

/// Waits until the policy's status file says so.
fn says(world: &World, kind: &str, status: &str, message: &str) -> Result<()> {
    let file = status_file(world, kind);
    eventually(
        &format!("{} says {message}", file.display()),
        PATIENCE,
        || {
            let Ok(text) = std::fs::read_to_string(&file) else {
                return Ok(None);
            };
            let words: Value = serde_json::from_str(&text)?;
            let condition = words.pointer("/fields/status/conditions/0");
            let field = |key: &str| {
                condition
                    .and_then(|it| it.get(key)?.as_str())
                    .unwrap_or_default()
            };
            let is_it = field("type") == "ZtunnelAccepted"
                && field("status") == status
                && field("message").contains(message);
            Ok(is_it.then_some(()))
        },
    )
}

fn status_file(world: &World, kind: &str) -> PathBuf {
    let resource = match kind {
        "PeerAuthentication" => "peerauthentications.security.istio.io_talk_strict",
        _ => "authorizationpolicies.security.istio.io_talk_server",
    };
    let folder = world.sandbox.place().cluster().join("status");
    folder.join(format!("{resource}@weft-controller.json"))
}
