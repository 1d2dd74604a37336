//! `weft status` and `weft ztunnel` against a small cluster: each command, both outputs.

#![expect(clippy::unwrap_used, reason = "a test ends where it fails")]

use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Longest wait for a state that takes its time.
const PATIENCE: Duration = Duration::from_secs(30);

/// A sandbox in a runtime directory of its own, which ends with the test.
struct Cluster(tempfile::TempDir);

impl Cluster {
    fn weft(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_weft"))
            .args(arguments)
            .env("XDG_RUNTIME_DIR", self.0.path())
            .output()
            .unwrap()
    }

    /// What a command prints; it must succeed.
    fn shown(&self, arguments: &[&str]) -> String {
        let output = self.weft(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let arguments = [arguments, &["-o", "json"]].concat();
        serde_json::from_str(&self.shown(&arguments)).unwrap()
    }

    /// What a command prints as soon as it has all these words in one line.
    fn line(&self, arguments: &[&str], words: &[&str]) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let text = self.shown(arguments);
            let has_all = |line: &&str| words.iter().all(|word| line.contains(word));
            if let Some(line) = text.lines().find(has_all) {
                return line.to_owned();
            }
            assert!(Instant::now() < deadline, "no {words:?} in\n{text}");
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.weft(&["sandbox", "down"]);
    }
}

/// A server, and a client that holds a connection to it.
fn manifests() -> String {
    let program = env!("CARGO_BIN_EXE_weft");
    let pod = |name: &str, node: &str| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata:\n  name: {name}\n  namespace: shop\n  labels:\n    \
             app: {name}\nspec:\n  nodeName: {node}\n  serviceAccountName: {name}\n  containers:\n    \
             - name: app\n      image: echo\n      \
             command: [\"{program}\", \"run\", \"echo\", \"--tcp-port\", \"9000\"]\n---\n"
        )
    };
    format!(
        "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: shop\n  labels:\n    \
         istio.io/dataplane-mode: ambient\n---\n{}{}apiVersion: v1\nkind: Service\nmetadata:\n  \
         name: web\n  namespace: shop\nspec:\n  selector:\n    app: web\n  ports:\n    \
         - port: 9000\n      targetPort: 9000\n",
        pod("client", "node-1"),
        pod("web", "node-2"),
    )
}

fn apply(cluster: &Cluster, folder: &Path, text: &str) {
    let file = folder.join("objects.yaml");
    std::fs::write(&file, text).unwrap();
    cluster.shown(&["sandbox", "apply", "--wait", "-f", file.to_str().unwrap()]);
}

#[test]
fn every_command_shows_what_the_running_mesh_knows() {
    let cluster = Cluster(tempfile::tempdir().unwrap());
    let folder = tempfile::tempdir().unwrap();
    cluster.shown(&["sandbox", "up"]);
    apply(&cluster, folder.path(), &manifests());

    for program in [
        "controller",
        "ztunnel/node-1",
        "ztunnel/node-2",
        "cni-agent/node-1",
    ] {
        cluster.line(&["status"], &[program, "running", " ready "]);
    }
    cluster.line(&["status"], &["node-1", "in sync"]);
    cluster.line(&["status"], &["node-2", "in sync"]);
    let status = cluster.json(&["status"]);
    assert_eq!(status["proxies"][0]["node"], "node-1");
    assert_eq!(status["proxies"][0]["xds"], "in sync");
    assert!(status["proxies"][0]["workloads"].as_u64().unwrap() >= 2);

    let of_node = |what| vec!["ztunnel", what, "--node", "node-2"];
    cluster.line(
        &of_node("workloads"),
        &["shop", "web", "node-2", "None", "HBONE"],
    );
    cluster.line(&of_node("services"), &["shop", "web", "None", "1"]);
    let identity = "spiffe://cluster.local/ns/shop/sa/web";
    cluster.line(&of_node("certificates"), &[identity, "Leaf", "Available"]);
    cluster.line(&of_node("certificates"), &[identity, "Root", "Available"]);
    assert!(cluster.shown(&of_node("policies")).starts_with("NAMESPACE"));
    let both = cluster.shown(&["ztunnel", "workloads"]);
    assert!(both.starts_with("ZTUNNEL"), "{both}");
    let dump = cluster.json(&["ztunnel", "certificates"]);
    let all = dump["node-2"].as_array().unwrap();
    assert!(all.iter().any(|it| it["identity"] == identity), "{dump}");
    assert!(!dump.to_string().contains("PRIVATE"));

    let mut holding = Command::new(env!("CARGO_BIN_EXE_weft"))
        .args(["sandbox", "exec", "shop/client", "--"])
        .args(["bash", "-c", "exec 3<>/dev/tcp/web/9000; cat <&3"])
        .env("XDG_RUNTIME_DIR", cluster.0.path())
        .spawn()
        .unwrap();
    let inbound = [
        "web.shop",
        "Inbound",
        "HBONE",
        "spiffe://cluster.local/ns/shop/sa/client",
    ];
    cluster.line(&["ztunnel", "connections"], &inbound);
    cluster.line(
        &["ztunnel", "connections"],
        &["client.shop", "Outbound", ":9000", "HBONE"],
    );
    holding.kill().unwrap();
    holding.wait().unwrap();

    let answer = cluster.weft(&["ztunnel", "workloads", "--node", "node-9"]);
    assert!(!answer.status.success());
}
