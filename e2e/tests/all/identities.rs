//! Who may speak to whom: impostors on both ends of a tunnel are refused, each for its own reason.

use anyhow::{Context, Result};
use e2e::app::client::{Seen, Task};
use e2e::app::impostor::{COUNT, Fate};
use e2e::mint::{Minted, Signer};
use e2e::world::{Pod, World};

use crate::{Journey, ensure};

pub(crate) const JOURNEYS: [Journey; 2] = [
    ("a_client_with_the_wrong_papers_is_refused", wrong_clients),
    (
        "a_server_with_another_identity_gets_no_request",
        wrong_server,
    ),
];

fn wrong_clients() -> Result<()> {
    let world = World::start("clients")?;
    let outcome = knock(&world);
    world.finish(outcome)
}

/// One knock: what it is called, who made its papers, the names in them, the size of a header, and
/// the reason it is refused for (none for the honest, unknown words for the wordy).
type Case = (
    &'static str,
    Option<Signer>,
    &'static [&'static str],
    usize,
    Option<&'static str>,
);

const GOOD: &str = "spiffe://cluster.local/ns/street/sa/x";
const ELSEWHERE: &str = "spiffe://elsewhere.example/ns/street/sa/x";

const CASES: [Case; 7] = [
    ("honest", Some(Signer::Mesh), &[GOOD], 0, None),
    ("bare", None, &[], 0, Some("no_certificate")),
    (
        "forged",
        Some(Signer::Stranger),
        &[GOOD],
        0,
        Some("unknown_issuer"),
    ),
    (
        "elsewhere",
        Some(Signer::Mesh),
        &[ELSEWHERE],
        0,
        Some("wrong_trust_domain"),
    ),
    ("nameless", Some(Signer::Mesh), &[], 0, Some("no_identity")),
    ("wordy", Some(Signer::Mesh), &[GOOD], 200_000, None),
    ("honest-again", Some(Signer::Mesh), &[GOOD], 0, None),
];

fn knock(world: &World) -> Result<()> {
    world.namespace("talk", true)?;
    world.namespace("street", false)?;
    for (name, node, account) in [
        ("talk/server", "node-2", "server"),
        ("street/stranger", "node-1", "x"),
    ] {
        world.pod(&Pod {
            name,
            node,
            account,
            labels: &[],
            arguments: &["serve"],
        })?;
    }
    world.wait(&["talk/server"], true)?;
    world.wait(&["street/stranger"], false)?;
    for (case, signer, uris, header, reason) in CASES {
        let papers = signer
            .map(|signer| world.mint(signer, case, uris))
            .transpose()?;
        let fate = try_in(world, papers.as_ref(), header).context(case)?;
        let is_as_expected = match case {
            "honest" | "honest-again" => fate == Fate::Status(200),
            // too long for a stream, or for the connection when it comes in too many frames
            "wordy" => matches!(fate, Fate::Status(431) | Fate::Ended),
            _ => fate == Fate::Ended,
        };
        ensure(is_as_expected, || format!("{case}: {fate:?}"))?;
        if let Some(reason) = reason {
            world.logged(
                "ztunnel/node-2",
                &["inbound", &format!("reason=\"{reason}\"")],
            )?;
        }
    }
    Ok(())
}

/// Knocks at the server's tunnel port from the street.
fn try_in(world: &World, papers: Option<&Minted>, header: usize) -> Result<Fate> {
    let server = world.address("talk/server")?;
    let (address, authority) = (server.to_string(), format!("{server}:{}", e2e::app::ECHO));
    let header = header.to_string();
    let mut arguments = vec!["impostor", "client", &address, &authority, &header];
    let files = papers.map(|p| {
        [
            p.certificate.display().to_string(),
            p.key.display().to_string(),
        ]
    });
    arguments.extend(files.iter().flatten().map(String::as_str));
    let output = world.run("street/stranger", &arguments)?;
    serde_json::from_slice(&output.stdout)
        .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())
}

fn wrong_server() -> Result<()> {
    let world = World::start("server")?;
    let outcome = be_dialled(&world);
    world.finish(outcome)
}

fn be_dialled(world: &World) -> Result<()> {
    world.namespace("talk", true)?;
    world.namespace("trap", false)?;
    let client = Pod {
        name: "talk/client",
        node: "node-1",
        account: "client",
        labels: &[],
        arguments: &["serve"],
    };
    world.pod(&client)?;
    world.wait(&["talk/client"], true)?;
    // Both speak HBONE themselves and have certificates of the mesh's CA; one of another account.
    for (name, account) in [("honest", "honest"), ("liar", "somebody-else")] {
        let identity = format!("spiffe://cluster.local/ns/trap/sa/{account}");
        let papers = world.mint(Signer::Mesh, name, &[&identity])?;
        let (certificate, key) = (
            papers.certificate.display().to_string(),
            papers.key.display().to_string(),
        );
        world.pod(&Pod {
            name: &format!("trap/{name}"),
            node: "node-2",
            account: name,
            labels: &[("networking.istio.io/tunnel", "http")],
            arguments: &["impostor", "server", &certificate, &key],
        })?;
        world.wait(&[&format!("trap/{name}")], false)?;
    }
    let count = |pod: &str| -> Result<String> {
        let output = world.run(pod, &["count", "127.0.0.1", &COUNT.to_string()])?;
        Ok(output.text().trim().to_owned())
    };
    for (name, connects) in [("honest", "1"), ("liar", "0")] {
        let pod = format!("trap/{name}");
        let server = world.address(&pod)?;
        let seen = world.client("talk/client", server, &Task::ExpectRefusal { port: 7777 })?;
        ensure(matches!(&seen, Seen::Ended { received: 0, .. }), || {
            format!("{name}: {seen:?}")
        })?;
        let counted = count(&pod)?;
        ensure(counted == connects, || {
            format!("{name} was sent {counted} requests")
        })?;
    }
    world.logged("ztunnel/node-1", &["outbound", "reason=\"wrong_identity\""])?;
    Ok(())
}
