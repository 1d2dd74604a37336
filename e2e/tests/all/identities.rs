//! Who may speak to whom: impostors on both ends of a tunnel are refused, each for its own reason.

use anyhow::{Context, Result};
use e2e::app::client::{Seen, Task};
use e2e::app::impostor::{COUNT, Fate, Heard};
use e2e::expect::eventually;
use e2e::mint::{Flaw, Minted, Signer};
use e2e::world::{PATIENCE, Pod, World};
use sandbox::Target;

use crate::{Journey, ensure};

pub(crate) const JOURNEYS: [Journey; 2] = [
    ("a_client_with_the_wrong_papers_is_refused", wrong_clients),
    (
        "a_server_with_the_wrong_papers_gets_no_request",
        wrong_servers,
    ),
];

/// Papers, and what becomes of whoever shows them.
struct Case {
    name: &'static str,
    signer: Signer,
    uris: &'static [&'static str],
    flaw: Flaw,
    /// The reason for which they are refused, and the alert that their owner hears.
    refusal: (&'static str, &'static str),
}

const fn case(
    name: &'static str,
    signer: Signer,
    uris: &'static [&'static str],
    flaw: Flaw,
    refusal: (&'static str, &'static str),
) -> Case {
    Case {
        name,
        signer,
        uris,
        flaw,
        refusal,
    }
}

const GOOD: &str = "spiffe://cluster.local/ns/street/sa/x";
const ELSEWHERE: &str = "spiffe://elsewhere.example/ns/street/sa/x";
const SOMEBODY_ELSE: &str = "spiffe://cluster.local/ns/street/sa/somebody-else";

/// What is wrong at either end.
const WRONG: [Case; 6] = [
    case(
        "forged",
        Signer::Stranger,
        &[GOOD],
        Flaw::Nothing,
        ("unknown_issuer", "UnknownCA"),
    ),
    case(
        "forged-by-a-namesake",
        Signer::Namesake,
        &[GOOD],
        Flaw::Nothing,
        ("unknown_issuer", "UnknownCA"),
    ),
    case(
        "elsewhere",
        Signer::Mesh,
        &[ELSEWHERE],
        Flaw::Nothing,
        ("wrong_trust_domain", "CertificateUnknown"),
    ),
    case(
        "nameless",
        Signer::Mesh,
        &[],
        Flaw::Nothing,
        ("no_identity", "CertificateUnknown"),
    ),
    case(
        "ended",
        Signer::Mesh,
        &[GOOD],
        Flaw::Ended,
        ("certificate_expired", "CertificateExpired"),
    ),
    case(
        "early",
        Signer::Mesh,
        &[GOOD],
        Flaw::Early,
        ("certificate_not_yet_valid", "CertificateExpired"),
    ),
];

const WRONG_CLIENT: Case = case(
    "a-server",
    Signer::Mesh,
    &[GOOD],
    Flaw::ServersOnly,
    ("wrong_purpose", "UnsupportedCertificate"),
);

const WRONG_SERVERS: [Case; 2] = [
    case(
        "a-client",
        Signer::Mesh,
        &[GOOD],
        Flaw::ClientsOnly,
        ("wrong_purpose", "UnsupportedCertificate"),
    ),
    case(
        "liar",
        Signer::Mesh,
        &[SOMEBODY_ELSE],
        Flaw::Nothing,
        ("wrong_identity", "CertificateUnknown"),
    ),
];

/// How many handshakes at this door ended so.
fn handshakes(world: &World, node: &str, direction: &str, result: &str) -> Result<u64> {
    let target = Target::Node(node.to_owned());
    let page = world.text(&target, "http://127.0.0.1:15020/metrics")?;
    let sample =
        format!("weft_ztunnel_handshakes_total{{direction=\"{direction}\",result=\"{result}\"}} ");
    let mut lines = page.lines();
    let count = lines.find_map(|line| line.strip_prefix(sample.as_str()));
    Ok(count.map_or(Ok(0), str::parse)?)
}

/// That one more handshake was refused for this reason, in the log and in the numbers.
fn refused(
    world: &World,
    (node, direction): (&str, &str),
    reason: &str,
    before: u64,
) -> Result<()> {
    let program = format!("ztunnel/{node}");
    world.logged(&program, &[direction, &format!("reason=\"{reason}\"")])?;
    eventually(&format!("{reason} is counted"), PATIENCE, || {
        let count = handshakes(world, node, direction, reason)?;
        Ok((count == before + 1).then_some(()))
    })
}

fn wrong_clients() -> Result<()> {
    let world = World::start("clients")?;
    let outcome = knock(&world);
    world.finish(outcome)
}

fn knock(world: &World) -> Result<()> {
    const DOOR: (&str, &str) = ("node-2", "inbound");
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
    let honest = world.mint(Signer::Mesh, "honest", &[GOOD])?;
    let admitted = try_in(world, Some(&honest), 0)?;
    ensure(admitted == Fate::Status(200), || format!("{admitted:?}"))?;
    for case in WRONG.iter().chain([&WRONG_CLIENT]) {
        let (reason, alert) = case.refusal;
        let papers = world.mint_with(case.flaw, case.signer, case.name, case.uris)?;
        let before = handshakes(world, DOOR.0, DOOR.1, reason)?;
        let fate = try_in(world, Some(&papers), 0).context(case.name)?;
        let expected = Fate::Alert(alert.to_owned());
        ensure(fate == expected, || format!("{}: {fate:?}", case.name))?;
        refused(world, DOOR, reason, before).context(case.name)?;
    }
    let bare = try_in(world, None, 0)?;
    let expected = Fate::Alert("CertificateRequired".to_owned());
    ensure(bare == expected, || format!("bare: {bare:?}"))?;
    refused(world, DOOR, "no_certificate", 0)?;
    // Who is too wordy is not admitted either, and nobody else suffers from any of them.
    let wordy = try_in(world, Some(&honest), 200_000)?;
    // Too long for a stream, or for the connection when it comes in too many frames.
    ensure(matches!(wordy, Fate::Status(431) | Fate::Ended), || {
        format!("{wordy:?}")
    })?;
    let again = try_in(world, Some(&honest), 0)?;
    ensure(again == Fate::Status(200), || format!("{again:?}"))
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

fn wrong_servers() -> Result<()> {
    let world = World::start("servers")?;
    let outcome = be_dialled(&world);
    world.finish(outcome)
}

fn be_dialled(world: &World) -> Result<()> {
    const DOOR: (&str, &str) = ("node-1", "outbound");
    world.namespace("talk", true)?;
    world.namespace("street", false)?;
    world.pod(&Pod {
        name: "talk/client",
        node: "node-1",
        account: "client",
        labels: &[],
        arguments: &["serve"],
    })?;
    world.wait(&["talk/client"], true)?;
    // It speaks HBONE itself, with whatever papers lie under this name when somebody calls.
    let papers = world.mint(Signer::Mesh, "server", &[GOOD])?;
    let (certificate, key) = (
        papers.certificate.display().to_string(),
        papers.key.display().to_string(),
    );
    world.pod(&Pod {
        name: "street/server",
        node: "node-2",
        account: "x",
        labels: &[("networking.istio.io/tunnel", "http")],
        arguments: &["impostor", "server", &certificate, &key],
    })?;
    world.wait(&["street/server"], false)?;
    let server = world.address("street/server")?;
    let mut expected = Heard::default();
    for case in WRONG.iter().chain(&WRONG_SERVERS) {
        let (reason, alert) = case.refusal;
        world.mint_with(case.flaw, case.signer, "server", case.uris)?;
        let before = handshakes(world, DOOR.0, DOOR.1, reason)?;
        let seen = world.client("talk/client", server, &Task::ExpectRefusal { port: 7777 })?;
        ensure(matches!(&seen, Seen::Ended { received: 0, .. }), || {
            format!("{}: {seen:?}", case.name)
        })?;
        refused(world, DOOR, reason, before).context(case.name)?;
        expected.alerts.push(alert.to_owned());
        let heard = heard(world)?;
        ensure(heard == expected, || format!("{}: {heard:?}", case.name))?;
    }
    // The honest one is sent a request, so the others could have been.
    world.mint(Signer::Mesh, "server", &[GOOD])?;
    world.client("talk/client", server, &Task::ExpectRefusal { port: 7777 })?;
    expected.connects = 1;
    let heard = heard(world)?;
    ensure(heard == expected, || format!("honest: {heard:?}"))
}

/// What the server in the street heard.
fn heard(world: &World) -> Result<Heard> {
    let output = world.run("street/server", &["count", "127.0.0.1", &COUNT.to_string()])?;
    serde_json::from_str(output.text().trim()).context("what the server heard")
}
