//! Pods, services, names, probes: what a cluster does without a mesh.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context, ensure};
use sandbox::app::echo::Seen;
use sandbox::{Options, PodName, Sandbox, Target};

use crate::Test;
use crate::machine::until;

const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn tests() -> Vec<Test> {
    vec![
        (
            "pods_on_two_nodes_reach_each_other_over_both_families",
            both_families,
        ),
        (
            "a_service_address_reaches_every_ready_pod_by_name_and_address",
            service,
        ),
        ("probes_decide_whether_a_pod_gets_traffic", probes),
        ("a_deployment_follows_its_replicas", deployment),
        (
            "an_image_that_cannot_be_had_is_refused_in_the_pods_status",
            image,
        ),
        (
            "a_bad_manifest_is_refused_as_a_whole_and_nothing_dies",
            bad_manifest,
        ),
        ("a_pod_sees_its_own_names_and_tokens", own_files),
        (
            "a_deleted_pod_leaves_no_process_and_its_successor_is_another",
            deletion,
        ),
        (
            "a_pod_reaches_neither_the_sandbox_s_keys_nor_its_objects_nor_its_control_socket",
            hidden,
        ),
        ("a_pod_may_run_as_another_user", user),
        ("a_command_ends_when_its_asker_hangs_up", hang_up),
        (
            "labels_of_a_namespace_that_is_always_there_can_be_set_and_taken_away",
            labels,
        ),
        ("a_container_that_ends_is_started_again", restart),
        ("init_containers_end_before_the_others_start", init),
        ("a_job_runs_to_its_end", job),
        ("a_capture_sees_the_frames_of_one_pod", capture),
    ]
}

pub(crate) fn up(test: &str) -> anyhow::Result<Sandbox> {
    let name = format!("p-{test}-{}", std::process::id());
    Ok(Sandbox::up(&Options {
        name,
        mesh: false,
        ..Options::default()
    })?)
}

/// An echo pod; `more` goes on in the container (four spaces) or in the pod's specification (two).
fn echo(name: &str, node: &str, more: &str) -> String {
    let probe = match more.contains("readinessProbe") {
        true => "",
        false => "    readinessProbe: {tcpSocket: {port: 8080}, periodSeconds: 1}\n",
    };
    format!(
        "---\napiVersion: v1\nkind: Pod\nmetadata:\n  name: {name}\n  labels: {{app: echo}}\n  \
         annotations: {{weft.dev/ip-families: \"IPv4,IPv6\"}}\nspec:\n  nodeName: {node}\n  \
         terminationGracePeriodSeconds: 1\n  containers:\n  - name: main\n    image: weft.dev/echo:latest\n{probe}{more}"
    )
}

const SERVICE: &str = "---\napiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec:\n  \
    ipFamilyPolicy: PreferDualStack\n  selector: {app: echo}\n  ports: [{name: http, port: 80, targetPort: 8080}]\n";

pub(crate) fn pod(name: &str) -> PodName {
    PodName::parse(name)
}

pub(crate) fn ready(sandbox: &Sandbox, names: &[&str]) -> anyhow::Result<()> {
    for name in names {
        sandbox.wait_ready(&pod(name), PATIENCE)?;
    }
    Ok(())
}

pub(crate) fn addresses(sandbox: &Sandbox, name: &str) -> anyhow::Result<Vec<IpAddr>> {
    let status = sandbox.status()?;
    let found = status.pods.into_iter().find(|one| one.pod == pod(name));
    Ok(found
        .with_context(|| format!("there is no pod {name}"))?
        .addresses)
}

/// What the servers behind `url` saw, asked `count` times from a pod.
fn ask(sandbox: &Sandbox, from: &str, url: &str, count: usize) -> anyhow::Result<Vec<Seen>> {
    let count = count.to_string();
    let command = [
        "/proc/self/exe",
        "run",
        "echo",
        "--get",
        url,
        "--count",
        &count,
    ];
    let output = sandbox.exec(&Target::Pod(pod(from)), &command)?;
    ensure!(
        output.exit.is_success(),
        "{url}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let lines = output.text();
    Ok(lines
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?)
}

fn both_families() -> anyhow::Result<()> {
    let sandbox = up("both")?;
    sandbox
        .apply(&(echo("a", "node-1", "") + &echo("b", "node-2", "") + &echo("c", "node-1", "")))?;
    ready(&sandbox, &["a", "b", "c"])?;
    let own = addresses(&sandbox, "a")?;
    ensure!(own.len() == 2, "{own:?}");
    for other in ["b", "c"] {
        for (address, own) in addresses(&sandbox, other)?.into_iter().zip(&own) {
            let url = format!("http://{}/x", std::net::SocketAddr::new(address, 8080));
            let seen = ask(&sandbox, "a", &url, 1)?.pop().context("no answer")?;
            assert_eq!((seen.pod.as_str(), seen.peer.ip()), (other, *own), "{url}");
        }
    }
    Ok(sandbox.down()?)
}

fn service() -> anyhow::Result<()> {
    let sandbox = up("service")?;
    let client = echo("client", "node-1", "").replace("app: echo", "app: client");
    sandbox.apply(&(echo("a", "node-1", "") + &echo("b", "node-2", "") + &client + SERVICE))?;
    ready(&sandbox, &["a", "b", "client"])?;
    let both: BTreeSet<&str> = BTreeSet::from(["a", "b"]);
    let vips = || {
        sandbox
            .status()
            .ok()
            .and_then(|status| status.services.get("default/web").cloned())
    };
    until("two service addresses", PATIENCE, || {
        vips().is_some_and(|vips| vips.len() == 2)
    })?;
    let mut urls = vec![
        "http://web/".to_owned(),
        "http://web.default/".to_owned(),
        "http://web.default.svc.cluster.local/".to_owned(),
    ];
    for vip in vips().unwrap_or_default() {
        let address: IpAddr = vip.parse()?;
        urls.push(format!(
            "http://{}/",
            std::net::SocketAddr::new(address, 80)
        ));
    }
    for url in urls {
        until(&format!("both pods behind {url}"), PATIENCE, || {
            let seen = ask(&sandbox, "client", &url, 16).unwrap_or_default();
            seen.iter()
                .map(|one| one.pod.as_str())
                .collect::<BTreeSet<_>>()
                == both
        })?;
    }
    // A pod that reaches itself through the service, too.
    ensure!(!ask(&sandbox, "a", "http://web/", 8)?.is_empty());
    let output = sandbox.exec(
        &Target::Pod(pod("client")),
        &["getent", "hosts", "nowhere.default.svc.cluster.local"],
    )?;
    ensure!(
        !output.exit.is_success(),
        "a name that nobody has was answered"
    );
    Ok(sandbox.down()?)
}

fn probes() -> anyhow::Result<()> {
    let sandbox = up("probes")?;
    // The file is the switch: `exec` probes ask the program's own eyes.
    let switch = tempfile::NamedTempFile::new()?;
    let path = switch.path().display().to_string();
    let probe = format!(
        "    readinessProbe:\n      exec: {{command: [test, -s, {path}]}}\n      periodSeconds: 1\n      failureThreshold: 1\n"
    );
    let web = "    readinessProbe:\n      httpGet: {path: /healthy, port: 8080}\n      periodSeconds: 1\n";
    let plain = "    readinessProbe:\n      tcpSocket: {port: 8080}\n      periodSeconds: 1\n";
    let wrong = "    readinessProbe:\n      tcpSocket: {port: 9999}\n      periodSeconds: 1\n";
    sandbox.apply(
        &(echo("switched", "node-1", &probe)
            + &echo("web", "node-2", web)
            + &echo("plain", "node-1", plain)
            + &echo("wrong", "node-1", wrong)),
    )?;
    ready(&sandbox, &["web", "plain"])?;
    let is_ready = |name: &str| {
        let status = sandbox.status().ok();
        status
            .and_then(|status| status.pods.into_iter().find(|one| one.pod == pod(name)))
            .is_some_and(|one| one.ready)
    };
    ensure!(
        !is_ready("wrong") && !is_ready("switched"),
        "a probe that fails made a pod ready"
    );
    std::fs::write(switch.path(), "on")?;
    until("the pod becomes ready", PATIENCE, || is_ready("switched"))?;
    std::fs::write(switch.path(), "")?;
    until("the pod stops being ready", PATIENCE, || {
        !is_ready("switched")
    })?;
    Ok(sandbox.down()?)
}

fn deployment() -> anyhow::Result<()> {
    let sandbox = up("deploy")?;
    let manifest = |replicas: u32, version: &str| {
        format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web}}\nspec:\n  replicas: {replicas}\n  \
             selector: {{matchLabels: {{app: web}}}}\n  template:\n    metadata: {{labels: {{app: web, version: {version}}}}}\n    \
             spec:\n      terminationGracePeriodSeconds: 1\n      containers: [{{name: main, image: weft.dev/echo}}]\n"
        )
    };
    let names = || -> BTreeSet<String> {
        let status = sandbox.status().unwrap_or_default();
        let ready = status
            .pods
            .into_iter()
            .filter(|one| one.pod.name.starts_with("web-") && one.ready);
        ready.map(|one| one.pod.name).collect()
    };
    sandbox.apply(&manifest(3, "v1"))?;
    until("three pods", PATIENCE, || names().len() == 3)?;
    let nodes: BTreeSet<_> = sandbox
        .status()?
        .pods
        .into_iter()
        .filter_map(|one| one.node)
        .collect();
    ensure!(nodes.len() == 2, "all pods are on one node");
    let first = names();
    sandbox.apply(&manifest(1, "v1"))?;
    until("one pod", PATIENCE, || names().len() == 1)?;
    ensure!(names().is_subset(&first), "scaling down made new pods");
    sandbox.apply(&manifest(2, "v2"))?;
    until("two new pods", PATIENCE, || {
        names().len() == 2 && names().is_disjoint(&first)
    })?;
    sandbox.delete("deployment", "default", "web")?;
    until("no pods", PATIENCE, || names().is_empty())?;
    Ok(sandbox.down()?)
}

fn image() -> anyhow::Result<()> {
    let sandbox = up("image")?;
    sandbox.apply("apiVersion: v1\nkind: Pod\nmetadata: {name: db}\nspec: {containers: [{name: db, image: \"postgres:17\"}]}\n")?;
    let message = || {
        let status = sandbox.status().ok()?;
        status
            .pods
            .into_iter()
            .find(|one| one.pod == pod("db"))?
            .message
    };
    until("a message", PATIENCE, || {
        message().is_some_and(|text| text.contains("postgres:17") && text.contains("command"))
    })?;
    let error = sandbox
        .wait_ready(&pod("db"), Duration::from_millis(50))
        .err()
        .context("it is ready")?;
    ensure!(error.to_string().contains("postgres:17"), "{error}");
    Ok(sandbox.down()?)
}

fn bad_manifest() -> anyhow::Result<()> {
    let sandbox = up("bad")?;
    let good = echo("good", "node-1", "");
    for (bad, word) in [
        ("a: [".to_owned(), "not YAML"),
        (
            good.clone() + "---\nkind: Pod\napiVersion: v1\nmetadata: {}\n",
            "metadata.name",
        ),
        (
            good.clone()
                + "---\nkind: Service\napiVersion: v1\nmetadata: {name: s}\nspec: {ports: 7}\n",
            "spec.ports",
        ),
        (
            "kind: Pod\napiVersion: v1\nmetadata: {name: a, namespace: nowhere}\n".to_owned(),
            "nowhere",
        ),
        (
            "kind: Deployment\napiVersion: apps/v1\nmetadata: {name: many}\nspec: {replicas: 4000000000}\n"
                .to_owned(),
            "spec.replicas: 4000000000 pods",
        ),
        (String::new(), "nothing to apply"),
    ] {
        let error = sandbox
            .apply(&bad)
            .err()
            .with_context(|| format!("{bad} was taken"))?;
        ensure!(error.to_string().contains(word), "{error}");
    }
    ensure!(
        !sandbox
            .status()?
            .pods
            .iter()
            .any(|one| one.pod.name == "good"),
        "half of it was applied"
    );
    sandbox.apply(&good)?;
    ready(&sandbox, &["good"])?;
    let lines = sandbox
        .apply("apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: x}\n")?;
    ensure!(
        lines
            .iter()
            .any(|line| line.contains("NetworkPolicy") && line.contains("ignored")),
        "{lines:?}"
    );
    Ok(sandbox.down()?)
}

fn hidden() -> anyhow::Result<()> {
    let sandbox = up("hidden")?;
    sandbox.apply(
        &("apiVersion: v1\nkind: Secret\nmetadata: {name: word}\nstringData: {word: abracadabra}\n"
            .to_owned() + &echo("a", "node-1", "")),
    )?;
    ready(&sandbox, &["a"])?;
    let place = sandbox.place();
    let ask = |command: &[&str]| sandbox.exec(&Target::Pod(pod("a")), command);
    for folder in [place.run(), place.cluster()] {
        let output = ask(&["ls", "-A", &folder.display().to_string()])?;
        ensure!(
            output.exit.is_success() && output.stdout.is_empty(),
            "{output:?}"
        );
    }
    let socket = place.control_socket().display().to_string();
    let output = ask(&["test", "-S", &socket])?;
    ensure!(
        output.exit.code() == 1,
        "the control socket is there: {output:?}"
    );
    // Neither by way of somebody else's view of the file system.
    let way_around =
        format!("for s in /proc/[0-9]*/root{socket}; do test -S $s && echo $s; done; true");
    let output = ask(&["sh", "-c", &way_around])?;
    ensure!(
        output.exit.is_success() && output.stdout.is_empty(),
        "{output:?}"
    );
    Ok(())
}

fn own_files() -> anyhow::Result<()> {
    let sandbox = up("files")?;
    let more = "    volumeMounts: [{name: token, mountPath: /var/run/secrets/tokens}, {name: text, mountPath: /run/text}]\n  \
        volumes:\n  - name: token\n    projected: {sources: [{serviceAccountToken: {audience: istio-ca, path: token}}]}\n  \
        - name: text\n    configMap: {name: words}\n";
    sandbox.apply(
        &("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: words}\ndata: {hello: world}\n"
            .to_owned()
            + &echo("a", "node-1", more)),
    )?;
    ready(&sandbox, &["a"])?;
    let cat = |path: &str| -> anyhow::Result<String> {
        let output = sandbox.exec(&Target::Pod(pod("a")), &["cat", path])?;
        ensure!(
            output.exit.is_success(),
            "{path}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(output.text())
    };
    ensure!(cat("/etc/resolv.conf")?.contains("search default.svc.cluster.local"));
    ensure!(cat("/etc/hosts")?.contains(" a\n"));
    assert_eq!(cat("/run/text/hello")?, "world");
    assert_eq!(cat("/proc/sys/kernel/hostname")?, "a\n");
    assert_eq!(cat("/var/run/secrets/tokens/token")?.split('.').count(), 3);
    let hidden = sandbox.place().run().join("controller");
    let output = sandbox.exec(
        &Target::Pod(pod("a")),
        &["ls", &hidden.display().to_string()],
    )?;
    ensure!(
        !output.exit.is_success(),
        "a pod sees the controller's files"
    );
    Ok(sandbox.down()?)
}

fn deletion() -> anyhow::Result<()> {
    let sandbox = up("delete")?;
    let stubborn = "---\napiVersion: v1\nkind: Pod\nmetadata: {name: stubborn}\nspec:\n  terminationGracePeriodSeconds: 1\n  \
        containers: [{name: main, command: [sh, -c, \"trap '' TERM; setsid sleep 4711 & while :; do sleep 4712; done\"]}]\n";
    sandbox.apply(stubborn)?;
    ready(&sandbox, &["stubborn"])?;
    let sleepers = || -> anyhow::Result<usize> {
        let output = sandbox.exec(&Target::ControlPlane, &["sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -o 'sleep 471[12]' | sort -u | wc -l"])?;
        Ok(output.text().trim().parse()?)
    };
    let node = sandbox
        .status()?
        .pods
        .into_iter()
        .find_map(|one| one.node)
        .context("it is placed nowhere")?;
    let links = || -> anyhow::Result<usize> {
        let output = sandbox.exec(&Target::Node(node.clone()), &["cat", "/proc/net/dev"])?;
        Ok(output
            .text()
            .lines()
            .filter(|line| line.trim_start().starts_with("pod"))
            .count())
    };
    assert_eq!(links()?, 1);
    until("both sleepers", PATIENCE, || {
        sleepers().is_ok_and(|count| count == 2)
    })?;
    sandbox.delete("Pod", "default", "stubborn")?;
    until("no sleepers", PATIENCE, || {
        sleepers().is_ok_and(|count| count == 0)
    })?;
    until("no link", PATIENCE, || {
        links().is_ok_and(|count| count == 0)
    })?;
    sandbox.apply(stubborn)?;
    ready(&sandbox, &["stubborn"])?;
    Ok(sandbox.down()?)
}

fn user() -> anyhow::Result<()> {
    let sandbox = up("user")?;
    let more = "    volumeMounts: [{name: data, mountPath: /run/data}]\n  \
        volumes: [{name: data, emptyDir: {}}]\n  securityContext: {runAsUser: 1001, runAsGroup: 1002}\n";
    sandbox.apply(&echo("a", "node-1", more))?;
    ready(&sandbox, &["a"])?;
    let script = "id -u; id -g; mkdir -m 700 /run/data/own && touch /run/data/own/file && stat -c %u /run/data/own";
    let output = sandbox.exec(&Target::Pod(pod("a")), &["sh", "-c", script])?;
    assert_eq!(output.text(), "1001\n1002\n1001\n", "{output:?}");
    Ok(sandbox.down()?)
}

fn restart() -> anyhow::Result<()> {
    let sandbox = up("restart")?;
    sandbox.apply(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: short}\nspec: {containers: [{name: main, command: [\"false\"]}]}\n---\n\
         apiVersion: v1\nkind: Pod\nmetadata: {name: missing}\nspec: {containers: [{name: main, command: [no-such-program]}]}\n",
    )?;
    let find = |name: &str| {
        sandbox
            .status()
            .ok()?
            .pods
            .into_iter()
            .find(|one| one.pod == pod(name))
    };
    until("two restarts", PATIENCE, || {
        find("short").is_some_and(|one| one.restarts >= 2)
    })?;
    until("a message with the program's name", PATIENCE, || {
        find("missing")
            .and_then(|one| one.message)
            .is_some_and(|text| text.contains("no-such-program"))
    })?;
    Ok(sandbox.down()?)
}

fn init() -> anyhow::Result<()> {
    let sandbox = up("init")?;
    let file = tempfile::NamedTempFile::new()?;
    let path = file.path().display();
    let manifest = format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: a}}\nspec:\n  initContainers: [{{name: first, command: [sh, -c, \"sleep 0.3; echo done > {path}\"]}}]\n  \
         containers: [{{name: main, command: [sh, -c, \"test -s {path} && exec sleep 1000\"]}}]\n  terminationGracePeriodSeconds: 0\n"
    );
    sandbox.apply(&manifest)?;
    ready(&sandbox, &["a"])?;
    let status = sandbox.status()?;
    ensure!(
        status
            .pods
            .iter()
            .any(|one| one.pod == pod("a") && one.restarts == 0),
        "{:?}",
        status.pods
    );
    Ok(sandbox.down()?)
}

fn job() -> anyhow::Result<()> {
    let sandbox = up("job")?;
    sandbox.apply(
        "apiVersion: batch/v1\nkind: Job\nmetadata: {name: sum}\nspec:\n  completions: 2\n  template:\n    \
         spec: {restartPolicy: Never, containers: [{name: main, command: [\"true\"]}]}\n",
    )?;
    until("two pods that succeeded", PATIENCE, || {
        let status = sandbox.status().unwrap_or_default();
        status
            .pods
            .iter()
            .filter(|one| one.phase == "Succeeded")
            .count()
            == 2
    })?;
    Ok(sandbox.down()?)
}

fn capture() -> anyhow::Result<()> {
    let sandbox = up("capture")?;
    sandbox
        .apply(&(echo("a", "node-1", "") + &echo("b", "node-2", "") + &echo("c", "node-2", "")))?;
    ready(&sandbox, &["a", "b", "c"])?;
    let mut of_b = sandbox::capture::recording::Recording::new(sandbox.capture(&pod("b"))?)?;
    let mut of_c = sandbox::capture::recording::Recording::new(sandbox.capture(&pod("c"))?)?;
    let address = addresses(&sandbox, "b")?
        .into_iter()
        .next()
        .context("no address")?;
    ask(&sandbox, "a", &format!("http://{address}:8080/needle"), 1)?;
    let mut frames = Vec::new();
    until("the request on b's link", PATIENCE, || {
        frames.extend(of_b.frames().unwrap_or_default());
        let streams = sandbox::capture::parse::streams(frames.iter().map(Vec::as_slice));
        streams
            .iter()
            .any(|((_, to), bytes)| to.port() == 8080 && bytes.starts_with(b"GET /needle HTTP/1.1"))
    })?;
    let other = of_c.frames()?;
    ensure!(
        !other
            .iter()
            .any(|frame| frame.windows(7).any(|bytes| bytes == b"/needle")),
        "c's link saw it too"
    );
    Ok(sandbox.down()?)
}

fn hang_up() -> anyhow::Result<()> {
    let sandbox = up("hang")?;
    let null = || -> anyhow::Result<std::os::fd::OwnedFd> {
        Ok(std::fs::File::options()
            .read(true)
            .write(true)
            .open("/dev/null")?
            .into())
    };
    let node = Target::Node("node-1".to_owned());
    let running = sandbox.spawn(&node, &["sleep", "4713"], [null()?, null()?, null()?])?;
    let runs = || -> anyhow::Result<bool> {
        let script = "cat /proc/[0-9]*/cmdline | tr '\\0' ' '";
        let output = sandbox.exec(&Target::ControlPlane, &["sh", "-c", script])?;
        Ok(output.text().contains("sleep 4713"))
    };
    until("the command runs", PATIENCE, || {
        runs().is_ok_and(|runs| runs)
    })?;
    drop(running);
    until("the command's end", PATIENCE, || {
        runs().is_ok_and(|runs| !runs)
    })?;
    Ok(sandbox.down()?)
}

fn labels() -> anyhow::Result<()> {
    let sandbox = up("labels")?;
    let labelled =
        "apiVersion: v1\nkind: Namespace\nmetadata: {name: default, labels: {colour: blue}}\n";
    sandbox.apply(labelled)?;
    sandbox.apply(&labelled.replace("colour: blue", ""))?;
    sandbox.apply(&echo("a", "node-1", ""))?;
    ready(&sandbox, &["a"])?;
    ensure!(
        sandbox.status()?.problems.is_empty(),
        "{:?}",
        sandbox.status()?.problems
    );
    Ok(sandbox.down()?)
}
