//! The same large mesh, read from an API server: time to sync, memory, work and time per event, and a history that is lost.
//!
//! The API server is that of the tests, in this process; the controller is a process of its own, and one client listens to
//! it over loopback.

use std::fmt::Write;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{EVENTS, manifests};
use crate::api_server::{ApiServer, Blow, Proven, Settings};
use crate::bench::{cpu, memory};
use crate::listener::Listener;

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(120);
/// What is heard within this of the last response belongs to one event.
const MOMENT: Duration = Duration::from_millis(30);
const TOKEN: &str = "bench.mark.token";

/// Builds a mesh of `namespaces` hundreds of pods and measures; the answer is Markdown.
///
/// # Errors
/// When a program does not start or something is not known in time.
pub fn run(program: &Path, namespaces: usize) -> Result<String> {
    mesh::tls::install_default();
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(measure(program, namespaces))
}

async fn measure(program: &Path, namespaces: usize) -> Result<String> {
    let folder = std::env::temp_dir().join(format!("weft-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let measured = Box::pin(in_folder(program, namespaces, &folder)).await;
    std::fs::remove_dir_all(&folder)?;
    measured
}

async fn in_folder(program: &Path, namespaces: usize, folder: &Path) -> Result<String> {
    let server = ApiServer::start(Settings::default()).await?;
    fill(&server, namespaces)?;
    let config = folder.join("config");
    server.kubeconfig(&config)?;

    let begun = Instant::now();
    let controller = Controller::start(program, folder, &config)?;
    controller.wait_ready().await?;
    let synced = begun.elapsed();
    let root = std::fs::read_to_string(folder.join("state/root-cert.pem"))?;
    let mut client = Listener::connect(controller.grpc, &root, TOKEN).await??;
    let wanted = manifests::resources(namespaces);
    while (client.known.len() as u64) < wanted {
        let next = tokio::time::timeout(PATIENCE, client.next()).await;
        next.context("everything is not known in time")??;
    }
    let known = begun.elapsed();
    let (now, peak) = memory::of_process(controller.pid()?)?;

    let mut text = format!(
        "{} pods, {} services, {} policies at an API server\n\n\
         | controller, started into it | |\n|---|---|\n\
         | everything listed and translated, ready | {:.2} s |\n\
         | one client knows everything | {:.2} s |\n\
         | memory (peak) | {:.0} MiB ({:.0}) |\n",
        namespaces * manifests::PODS,
        namespaces * manifests::SERVICES,
        namespaces * manifests::POLICIES,
        synced.as_secs_f64(),
        known.as_secs_f64(),
        now as f64 / 1024.0,
        peak as f64 / 1024.0,
    );
    text.push_str(
        "\n| one change of | outputs recomputed | resources sent | change to client, p50 (p99) | CPU of the controller |\n|---|---|---|---|---|\n",
    );
    let changes: [(&str, &dyn Fn(usize) -> String); 3] = [
        ("a pod's revision", &|turn| {
            manifests::pod(0, turn % 100, &format!("v{turn}"))
        }),
        ("a policy's principal", &|turn| {
            manifests::policy(0, 0, &format!("caller-{turn}"))
        }),
        ("a service's target port (10 pods)", &|turn| {
            manifests::service(0, 0, 9000 + turn)
        }),
    ];
    for (what, change) in changes {
        let row = events(&server, &controller, &mut client, what, change).await?;
        let _ = writeln!(text, "{row}");
    }
    let row = relist(&server, &controller, &mut client).await?;
    let _ = writeln!(text, "\n{row}");
    Ok(text)
}

/// The mesh, and the node proxy that the client is.
fn fill(server: &ApiServer, namespaces: usize) -> Result<()> {
    server.put_yaml(
        "{apiVersion: v1, kind: Namespace, metadata: {name: weft-system}}\n---\n\
         {apiVersion: v1, kind: Pod, metadata: {name: ztunnel-a, namespace: weft-system, uid: ztunnel-uid}, \
         spec: {nodeName: a, serviceAccountName: ztunnel}, status: {phase: Running, podIP: 10.0.0.1, podIPs: [{ip: 10.0.0.1}]}}\n",
    )?;
    for namespace in 0..namespaces {
        server.put_yaml(&manifests::namespace(namespace))?;
    }
    let extra = [
        ("authentication.kubernetes.io/pod-name", "ztunnel-a"),
        ("authentication.kubernetes.io/pod-uid", "ztunnel-uid"),
        ("authentication.kubernetes.io/node-name", "a"),
    ];
    let proven = Proven {
        username: "system:serviceaccount:weft-system:ztunnel".to_owned(),
        audiences: vec!["istio-ca".to_owned()],
        extra: extra
            .map(|(key, value)| (key.to_owned(), vec![value.to_owned()]))
            .into(),
    };
    server.trust(TOKEN, proven);
    Ok(())
}

async fn events(
    server: &ApiServer,
    controller: &Controller,
    client: &mut Listener,
    what: &str,
    change: &dyn Fn(usize) -> String,
) -> Result<String> {
    client.listen(Duration::from_millis(500)).await?;
    let (before, cpu_before) = (
        controller.recomputed().await?,
        cpu::of_process(controller.pid()?)?,
    );
    let (mut sent, mut times) = (0, Vec::new());
    for turn in 0..EVENTS {
        let text = change(turn + 1);
        let begun = Instant::now();
        server.put_yaml(text.trim_start_matches("---\n"))?;
        let next = tokio::time::timeout(PATIENCE, client.next()).await;
        sent += next.context("a change is not known in time")??;
        times.push(begun.elapsed().as_secs_f64() * 1e3);
        sent += client.listen(MOMENT).await?;
    }
    let cpu = cpu::of_process(controller.pid()?)? - cpu_before;
    let recomputed = controller.recomputed().await? - before;
    times.sort_by(f64::total_cmp);
    let at = |share: usize| {
        times
            .get(times.len() * share / 100)
            .copied()
            .unwrap_or_default()
    };
    let each = |total: f64| total / EVENTS as f64;
    Ok(format!(
        "| {what} | {:.1} | {:.1} | {:.1} ms ({:.1}) | {:.0} us |",
        each(recomputed as f64),
        each(sent as f64),
        at(50),
        at(99),
        each(cpu as f64) / 1e3,
    ))
}

/// All watches break and the server has forgotten what happened: everything is listed again, nobody hears of it.
async fn relist(
    server: &ApiServer,
    controller: &Controller,
    client: &mut Listener,
) -> Result<String> {
    client.listen(Duration::from_millis(500)).await?;
    let cpu_before = cpu::of_process(controller.pid()?)?;
    let lists = server.asked("GET", "sendInitialEvents=true");
    server.put_yaml(&manifests::namespace(0))?;
    server.strike(Blow::Expire);
    let begun = Instant::now();
    while server.asked("GET", "sendInitialEvents=true") < lists + 20 {
        if begun.elapsed() > PATIENCE {
            bail!("nothing was listed again");
        }
        tokio::time::sleep(MOMENT).await;
    }
    let heard = client.listen(Duration::from_secs(2)).await?;
    let cpu = cpu::of_process(controller.pid()?)? - cpu_before;
    let (now, peak) = memory::of_process(controller.pid()?)?;
    Ok(format!(
        "Every watch expires at once, one namespace as it was in the beginning: {heard} resources sent, {:.2} s of CPU, memory {:.0} MiB (peak {:.0}).",
        cpu as f64 / 1e9,
        now as f64 / 1024.0,
        peak as f64 / 1024.0,
    ))
}

/// A controller of its own process; it is ended when this is dropped.
struct Controller {
    child: Child,
    grpc: SocketAddr,
    admin: SocketAddr,
}

impl Controller {
    fn start(program: &Path, folder: &Path, config: &Path) -> Result<Controller> {
        let mut child = Command::new(program)
            .args(["run", "controller"])
            .env("WEFT_SOURCE", "kubeconfig")
            .env("KUBECONFIG", config)
            .env("WEFT_STATE_DIR", folder.join("state"))
            .env("WEFT_GRPC_ADDRESS", "127.0.0.1:0")
            .env("WEFT_ADMIN_ADDRESS", "127.0.0.1:0")
            .env("LOG_FORMAT", "json")
            .stdout(Stdio::piped())
            .spawn()?;
        let out = child.stdout.take().context("its log")?;
        let mut lines = BufReader::new(out).lines().map_while(Result::ok);
        let listening = lines.find(|line| line.contains("\"listening\""));
        let listening: Value = serde_json::from_str(&listening.context("it does not listen")?)?;
        let address = |key: &str| -> Result<SocketAddr> {
            let fields = listening.get("fields").unwrap_or(&listening);
            let text = fields.get(key).and_then(Value::as_str);
            Ok(text.with_context(|| key.to_owned())?.parse()?)
        };
        let (grpc, admin) = (address("grpc")?, address("admin")?);
        // The rest is read so that the program never waits for us.
        std::thread::spawn(move || lines.for_each(drop));
        Ok(Controller { child, grpc, admin })
    }

    fn pid(&self) -> Result<i32> {
        Ok(self.child.id().try_into()?)
    }

    async fn page(&self, path: &str) -> Result<String> {
        let mut stream = TcpStream::connect(self.admin).await?;
        let head = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        let body = answer.split_once("\r\n\r\n").map(|(_, body)| body);
        Ok(body.unwrap_or_default().to_owned())
    }

    async fn wait_ready(&self) -> Result<()> {
        let begun = Instant::now();
        while self.page("/ready").await? != "ready\n" {
            if begun.elapsed() > PATIENCE {
                bail!("the controller is not ready in time");
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    async fn recomputed(&self) -> Result<u64> {
        let page: Value = serde_json::from_str(&self.page("/debug/counters").await?)?;
        let types = page.get("resources").cloned().unwrap_or(json!({}));
        let types = types.as_object().into_iter().flatten();
        Ok(types
            .filter_map(|(_, one)| one.get("recomputed")?.as_u64())
            .sum())
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
