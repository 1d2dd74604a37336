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

#[test]
fn calls_that_lack_something_get_the_numbers_of_the_specification() {
    let run = tempfile::tempdir().unwrap();
    let good = configuration("1.0.0", &run);
    let code = |call: &Call, configuration: &Value| error(&ask(call, configuration)).0;

    let mut unnamed = call("ADD");
    unnamed.arguments = "K8S_POD_NAME=web".into();
    assert_eq!(code(&unnamed, &good), 4);
    let mut homeless = call("ADD");
    homeless.netns.clear();
    assert_eq!(code(&homeless, &good), 4);

    let mut first = good.clone();
    first.as_object_mut().unwrap().remove("prevResult");
    assert_eq!(code(&call("ADD"), &first), 7);
    let mut odd = good.clone();
    odd["prevResult"]["ips"][0]["address"] = "nowhere".into();
    assert_eq!(code(&call("ADD"), &odd), 7);
    let mut future = good.clone();
    future["cniVersion"] = "9.0.0".into();
    assert_eq!(code(&call("ADD"), &future), 1);
    assert_eq!(error(&answer(&call("ADD"), b"not json")).0, 6);
}

#[test]
fn other_commands_answer_as_their_version_asks() {
    let run = tempfile::tempdir().unwrap();
    let at = |command: &str, version: &str| ask(&call(command), &configuration(version, &run));
    let version = at("VERSION", "0.4.0");
    let expected =
        r#"{"cniVersion":"0.4.0","supportedVersions":["0.3.1","0.4.0","1.0.0","1.1.0"]}"#;
    assert_eq!(
        (version.text.as_str(), version.is_success),
        (expected, true)
    );
    assert!(
        answer(&call("VERSION"), b"").is_success,
        "a caller may say nothing"
    );

    assert_eq!(
        at("DEL", "1.0.0"),
        Reply {
            text: String::new(),
            is_success: true
        }
    );
    assert!(
        at("STATUS", "1.1.0").is_success,
        "although no agent is there"
    );
    assert_eq!(error(&at("STATUS", "1.0.0")).0, 1);
    assert_eq!(error(&at("CHECK", "0.3.1")).0, 1);
    assert_eq!(error(&at("CHECK", "1.0.0")).0, 4);
    assert_eq!(error(&at("GC", "1.1.0")).0, 4);
    assert_eq!(error(&at("DANCE", "1.1.0")).0, 4);
}
