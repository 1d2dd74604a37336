//! What the plugin prints for every kind of call, against an agent that follows a script.

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::thread::{self, JoinHandle};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Reply, SOCKET_NAME, answer};
use crate::config::Call;

fn call(command: &str) -> Call {
    Call {
        command: command.into(),
        container: "0123abcd_e.f-9".into(),
        interface: "eth0".into(),
        netns: "/run/netns/web".into(),
        arguments: "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web;K8S_POD_UID=u1".into(),
    }
}

fn configuration(version: &str, run: &TempDir) -> Value {
    json!({
        "cniVersion": version, "name": "n", "type": "weft-cni",
        "cni_agent_run_dir": run.path(),
        "prevResult": {
            "cniVersion": version,
            "interfaces": [{ "name": "eth0", "sandbox": "/run/netns/web" }],
            "ips": [{ "interface": 0, "address": "10.0.0.2/24", "gateway": "10.0.0.1" }],
            "dns": {},
        },
    })
}

fn ask(call: &Call, configuration: &Value) -> Reply {
    answer(call, configuration.to_string().as_bytes())
}

/// An agent that gives one answer; its thread returns what it was asked.
fn agent(run: &TempDir, answer: &'static str) -> JoinHandle<String> {
    let listener = UnixListener::bind(run.path().join(SOCKET_NAME)).unwrap();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut asked = String::new();
        while !asked.contains(r#""PodUID""#) {
            let mut part = [0; 4096];
            let length = stream.read(&mut part).unwrap();
            assert!(length > 0, "the request is cut off: {asked}");
            asked.push_str(std::str::from_utf8(&part[..length]).unwrap());
        }
        stream.write_all(answer.as_bytes()).unwrap();
        asked
    })
}

fn error(reply: &Reply) -> (u64, String) {
    assert!(!reply.is_success);
    let error: Value = serde_json::from_str(&reply.text).unwrap();
    assert!(error["cniVersion"].is_string());
    (error["code"].as_u64().unwrap(), error.to_string())
}

#[test]
fn add_tells_the_agent_and_hands_the_result_on() {
    let run = tempfile::tempdir().unwrap();
    let agent = agent(&run, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
    let reply = ask(&call("ADD"), &configuration("0.4.0", &run));
    assert!(reply.is_success, "{}", reply.text);
    let printed: Value = serde_json::from_str(&reply.text).unwrap();
    assert_eq!(printed, configuration("0.4.0", &run)["prevResult"]);

    let asked = agent.join().unwrap();
    let (head, body) = asked.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /cmdadd HTTP/1.1\r\n"));
    assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())));
    let expected = concat!(
        r#"{"Netns":"/run/netns/web","PodName":"web","PodNamespace":"shop","IPs":[{"Interface":0,"#,
        r#""Address":{"IP":"10.0.0.2","Mask":"////AA=="},"Gateway":"10.0.0.1"}],"PodUID":"u1"}"#
    );
    assert_eq!(body, expected);
}

#[test]
fn add_fails_closed_when_the_agent_says_no_or_is_away() {
    let run = tempfile::tempdir().unwrap();
    let (code, text) = error(&ask(&call("ADD"), &configuration("1.0.0", &run)));
    assert_eq!(code, 11);
    assert!(
        text.contains("pod shop/web") && text.contains("cannot reach the agent"),
        "{text}"
    );

    let agent_thread = agent(
        &run,
        "HTTP/1.1 500 Internal Server Error\r\n\r\nno ztunnel is connected",
    );
    let (code, text) = error(&ask(&call("ADD"), &configuration("1.0.0", &run)));
    assert_eq!(code, 11);
    assert!(text.contains("500: no ztunnel is connected"), "{text}");
    agent_thread.join().unwrap();

    std::fs::remove_file(run.path().join(SOCKET_NAME)).unwrap();
    let agent = agent(&run, "SSH-2.0-what\r\n");
    assert!(
        error(&ask(&call("ADD"), &configuration("1.0.0", &run)))
            .1
            .contains("not HTTP")
    );
    agent.join().unwrap();
}

#[test]
fn pods_that_are_none_of_the_meshs_pass_without_an_agent() {
    let run = tempfile::tempdir().unwrap();
    let mut off = configuration("1.1.0", &run);
    off["ambient_enabled"] = false.into();
    assert!(ask(&call("ADD"), &off).is_success);

    let mut excluded = configuration("1.1.0", &run);
    excluded["exclude_namespaces"] = json!(["kube-system", "shop"]);
    assert!(ask(&call("ADD"), &excluded).is_success);

    let mut own = call("ADD");
    own.arguments = "K8S_POD_NAMESPACE=weft-system;K8S_POD_NAME=weft-cni-x7".into();
    assert!(ask(&own, &configuration("1.1.0", &run)).is_success);
    own.arguments = "K8S_POD_NAMESPACE=weft-system;K8S_POD_NAME=other".into();
    assert!(!ask(&own, &configuration("1.1.0", &run)).is_success);
}

/// A command, what is wrong with its call, and the number and a word of the answer.
type Case = (&'static str, fn(&mut Call, &mut Value), u64, &'static str);

const SPOILT: &[Case] = &[
    (
        "ADD",
        |call, _| call.arguments = "K8S_POD_NAME=web".into(),
        4,
        "K8S_POD_NAMESPACE",
    ),
    ("ADD", |call, _| call.netns.clear(), 4, "CNI_NETNS"),
    (
        "ADD",
        |call, _| call.container.clear(),
        4,
        "CNI_CONTAINERID",
    ),
    (
        "ADD",
        |call, _| call.container = "../up".into(),
        4,
        "CNI_CONTAINERID",
    ),
    (
        "ADD",
        |call, _| call.interface = "eth0/1".into(),
        4,
        "CNI_IFNAME",
    ),
    (
        "ADD",
        |call, _| call.interface = "a-name-too-long-".into(),
        4,
        "CNI_IFNAME",
    ),
    ("CHECK", |call, _| call.netns.clear(), 4, "CNI_NETNS"),
    ("DANCE", |_, _| {}, 4, "DANCE"),
    ("", |_, _| {}, 4, "CNI_COMMAND"),
    (
        "ADD",
        |_, conf| drop(conf.as_object_mut().unwrap().remove("prevResult")),
        7,
        "prevResult",
    ),
    (
        "CHECK",
        |_, conf| drop(conf.as_object_mut().unwrap().remove("prevResult")),
        7,
        "prevResult",
    ),
    (
        "ADD",
        |_, conf| conf["prevResult"]["ips"][0]["address"] = "nowhere".into(),
        7,
        "prevResult.ips",
    ),
    (
        "ADD",
        |_, conf| drop(conf.as_object_mut().unwrap().remove("name")),
        7,
        "name",
    ),
    (
        "ADD",
        |_, conf| drop(conf.as_object_mut().unwrap().remove("cniVersion")),
        7,
        "cniVersion",
    ),
    (
        "ADD",
        |_, conf| conf["prevResult"]["cniVersion"] = "0.2.0".into(),
        1,
        "0.2.0",
    ),
    (
        "ADD",
        |_, conf| conf["ambient_enabled"] = "perhaps".into(),
        6,
        "ambient_enabled",
    ),
];

#[test]
fn calls_that_lack_something_get_the_numbers_of_the_specification() {
    let run = tempfile::tempdir().unwrap();
    for (command, spoil, number, word) in SPOILT.iter().copied() {
        let (mut call, mut configuration) = (call(command), configuration("1.0.0", &run));
        spoil(&mut call, &mut configuration);
        let (code, text) = error(&ask(&call, &configuration));
        assert_eq!(code, number, "{command} {word}: {text}");
        // The name of a field of the wrong type is not said by the reader, only what was found there.
        assert!(
            text.contains(word) || number == 6,
            "{command} {word}: {text}"
        );
    }
    let mut nothing = call("ADD");
    (nothing.container, nothing.netns, nothing.interface) = Default::default();
    let (_, text) = error(&ask(&nothing, &configuration("1.0.0", &run)));
    assert!(
        text.contains("CNI_CONTAINERID, CNI_NETNS, CNI_IFNAME"),
        "all at once: {text}"
    );
}

#[test]
fn bytes_that_are_no_configuration_are_answered_and_end_nothing() {
    let inputs: [&[u8]; 7] = [
        b"",
        b"not json",
        b"[]",
        b"null",
        b"{\"cniVersion\":7}",
        b"\xff\xfe",
        b"{",
    ];
    for input in inputs {
        for command in ["ADD", "CHECK", "STATUS", "GC"] {
            let (code, text) = error(&answer(&call(command), input));
            assert!(code == 6 || code == 7, "{command} {input:?}: {text}");
        }
        for command in ["DEL", "VERSION"] {
            assert!(
                answer(&call(command), input).is_success,
                "{command} {input:?}"
            );
        }
    }
}

#[test]
fn other_commands_answer_as_their_version_asks() {
    let run = tempfile::tempdir().unwrap();
    let at = |command: &str, version: &str| ask(&call(command), &configuration(version, &run));
    let expected =
        r#"{"cniVersion":"0.4.0","supportedVersions":["0.3.1","0.4.0","1.0.0","1.1.0"]}"#;
    assert_eq!(at("VERSION", "0.4.0").text, expected);

    let silent = Reply {
        text: String::new(),
        is_success: true,
    };
    assert_eq!(at("DEL", "1.0.0"), silent);
    assert_eq!(at("STATUS", "1.1.0"), silent, "although no agent is there");
    assert_eq!(
        at("GC", "1.1.0"),
        silent,
        "nothing of the plugin's own is left behind"
    );
    for (command, version) in [("STATUS", "1.0.0"), ("GC", "1.0.0"), ("CHECK", "0.3.1")] {
        let (code, text) = error(&at(command, version));
        assert_eq!(code, 1, "{text}");
        assert!(text.contains(version) && text.contains(command), "{text}");
    }
    for command in ["ADD", "CHECK", "STATUS", "GC"] {
        for version in ["9.0.0", "1.2.0"] {
            assert_eq!(error(&at(command, version)).0, 1, "{command} {version}");
        }
    }
}

#[test]
fn check_repeats_what_the_agent_says_of_the_pod() {
    let check = |run: &TempDir| ask(&call("CHECK"), &configuration("0.4.0", run));
    let run = tempfile::tempdir().unwrap();
    let (code, text) = error(&check(&run));
    assert_eq!(code, 11, "whether it is well cannot be known now: {text}");

    let cases = [
        ("HTTP/1.1 200 OK\r\n\r\n", None),
        (
            "HTTP/1.1 409 Conflict\r\n\r\nthe rules are gone",
            Some((100, "the rules are gone")),
        ),
        (
            "HTTP/1.1 500 Internal Server Error\r\n\r\nno",
            Some((11, "cannot tell")),
        ),
        (
            "HTTP/1.1 404 Not Found\r\n\r\nno such page",
            Some((11, "404")),
        ),
    ];
    for (said, expected) in cases {
        let run = tempfile::tempdir().unwrap();
        let agent = agent(&run, said);
        let reply = check(&run);
        assert!(
            agent
                .join()
                .unwrap()
                .starts_with("POST /cmdcheck HTTP/1.1\r\n")
        );
        match expected {
            None => assert!(reply.is_success && reply.text.is_empty(), "{reply:?}"),
            Some((number, words)) => {
                let (code, text) = error(&reply);
                assert_eq!(code, number, "{text}");
                assert!(text.contains(words) && text.contains("shop/web"), "{text}");
            }
        }
    }
}

/// A pod that the agent need not be asked about, so that only the result counts.
fn handed_on(version: &str, previous: Value) -> Value {
    let run = tempfile::tempdir().unwrap();
    let mut configuration = configuration(version, &run);
    configuration["ambient_enabled"] = false.into();
    configuration["prevResult"] = previous;
    let reply = ask(&call("ADD"), &configuration);
    assert!(reply.is_success, "{}", reply.text);
    serde_json::from_str(&reply.text).unwrap()
}

#[test]
fn a_result_of_another_version_is_handed_on_in_that_of_the_configuration() {
    let old = json!({
        "cniVersion": "0.4.0",
        "interfaces": [{ "name": "eth0", "mac": "00:11:22:33:44:55", "sandbox": "/n" }],
        "ips": [{ "version": "4", "address": "10.0.0.2/24", "interface": 0 },
                { "version": "6", "address": "fd00::2/64", "interface": 0 }],
        "routes": [{ "dst": "0.0.0.0/0", "gw": "10.0.0.1" }],
        "dns": { "nameservers": ["10.0.0.10"] },
    });
    let mut new = old.clone();
    for address in new["ips"].as_array_mut().unwrap() {
        address.as_object_mut().unwrap().remove("version");
    }
    let at = |mut result: Value, version: &str| {
        result["cniVersion"] = version.into();
        result
    };
    let mut newest = at(new.clone(), "1.1.0");
    newest["interfaces"][0]["mtu"] = 1500.into();
    newest["interfaces"][0]["pciID"] = "0000:00:1f.6".into();
    newest["routes"][0]["priority"] = 7.into();

    for (given, version, expected) in [
        (old.clone(), "0.3.1", at(old.clone(), "0.3.1")),
        (old.clone(), "1.0.0", at(new.clone(), "1.0.0")),
        (old.clone(), "1.1.0", at(new.clone(), "1.1.0")),
        (newest.clone(), "1.1.0", newest.clone()),
        (newest.clone(), "1.0.0", at(new.clone(), "1.0.0")),
        (newest.clone(), "0.4.0", old.clone()),
    ] {
        assert_eq!(handed_on(version, given), expected, "to {version}");
    }
    let mut silent = old.clone();
    silent.as_object_mut().unwrap().remove("cniVersion");
    assert_eq!(
        handed_on("0.3.1", silent),
        at(old, "0.3.1"),
        "old results need not say"
    );
    assert_eq!(
        handed_on("1.0.0", json!({})),
        json!({ "cniVersion": "1.0.0" })
    );
}
