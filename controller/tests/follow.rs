//! Files change, clients hear of exactly that; a second process publishes the same versions.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use proto::discovery::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient;
use proto::discovery::{DeltaDiscoveryRequest, DeltaDiscoveryResponse, Node};
use proto::type_urls::ADDRESS;
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Streaming};

#[path = "follow/deployed.rs"]
mod deployed;
#[path = "world/issuer.rs"]
mod issuer;
#[path = "world/program.rs"]
mod program;

use issuer::{ISSUER, Issuer, Pod};
use program::Program;

const PODS: usize = 2000;
const ZTUNNEL: Pod<'_> = Pod {
    namespace: "weft-system",
    name: "ztunnel-a",
    uid: "u1",
    account: "ztunnel",
    node: "a",
};

fn pod(number: usize, address: usize) -> String {
    format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: p{number}, namespace: n, labels: {{app: a{}}}}}, \
         status: {{podIP: 10.{}.{}.{}}}}}\n",
        number % 50,
        address >> 16,
        (address >> 8) & 255,
        address & 255
    )
}

fn directory(issuer: &Issuer) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let objects = directory.path().join("objects");
    std::fs::create_dir(&objects).unwrap();
    for number in 0..PODS {
        std::fs::write(objects.join(format!("p{number}.yaml")), pod(number, number)).unwrap();
    }
    let services: String = (0..50)
        .map(|number| {
            format!(
                "{{apiVersion: v1, kind: Service, metadata: {{name: s{number}, namespace: n}}, \
                 spec: {{selector: {{app: a{number}}}, ports: [{{port: 80}}]}}}}\n---\n"
            )
        })
        .collect();
    std::fs::write(objects.join("services.yaml"), services).unwrap();
    std::fs::write(directory.path().join("jwks.json"), issuer.key_set()).unwrap();
    directory
}

/// A client of the delta stream, as a node proxy is one.
struct Stream {
    requests: mpsc::Sender<DeltaDiscoveryRequest>,
    responses: Streaming<DeltaDiscoveryResponse>,
    known: BTreeMap<String, String>,
}

impl Stream {
    async fn open(
        program: &Program,
        directory: &Path,
        token: &str,
        known: BTreeMap<String, String>,
    ) -> Self {
        let channel = program.connect(directory).await;
        let mut client =
            AggregatedDiscoveryServiceClient::new(channel).max_decoding_message_size(64 << 20);
        let (requests, receiver) = mpsc::channel(8);
        let node = Node {
            id: "ztunnel~10.0.0.1~ztunnel-a.weft-system~weft-system.svc.cluster.local".to_owned(),
            ..Node::default()
        };
        let first = DeltaDiscoveryRequest {
            node: Some(node),
            type_url: ADDRESS.to_owned(),
            initial_resource_versions: known.clone().into_iter().collect(),
            ..DeltaDiscoveryRequest::default()
        };
        requests.send(first).await.unwrap();
        let mut request = Request::new(ReceiverStream::new(receiver));
        request
            .metadata_mut()
            .insert("authorization", format!("Bearer {token}").parse().unwrap());
        let responses = client
            .delta_aggregated_resources(request)
            .await
            .unwrap()
            .into_inner();
        Self {
            requests,
            responses,
            known,
        }
    }

    /// The names of the next response, acknowledged.
    async fn next(&mut self) -> Vec<String> {
        let next = tokio::time::timeout(Duration::from_secs(20), self.responses.message());
        let response = next.await.unwrap().unwrap().unwrap();
        let ack = DeltaDiscoveryRequest {
            type_url: ADDRESS.to_owned(),
            response_nonce: response.nonce,
            ..DeltaDiscoveryRequest::default()
        };
        self.requests.send(ack).await.unwrap();
        let mut names = response.removed_resources.clone();
        for name in response.removed_resources {
            self.known.remove(&name);
        }
        for resource in response.resources {
            names.push(resource.name.clone());
            self.known.insert(resource.name, resource.version);
        }
        names
    }
}

async fn counters(program: &Program) -> Value {
    serde_json::from_str(&program.page("/debug/counters").await).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_pod_changed_among_two_thousand_costs_one_resource_and_a_restart_resends_nothing() {
    let issuer = Issuer::new("k");
    let directory = directory(&issuer);
    let token = issuer.token(&ZTUNNEL, |_| {});
    let program = program::start(directory.path()).await;
    let mut stream = Stream::open(&program, directory.path(), &token, BTreeMap::new()).await;
    while stream.known.len() < PODS + 50 {
        stream.next().await;
    }
    let before = counters(&program).await;
    std::fs::write(directory.path().join("objects/p7.yaml"), pod(7, 99_999)).unwrap();
    assert_eq!(stream.next().await, ["Kubernetes//Pod/n/p7"]);
    std::fs::remove_file(directory.path().join("objects/p8.yaml")).unwrap();
    assert_eq!(stream.next().await, ["Kubernetes//Pod/n/p8"]);
    let after = counters(&program).await;
    for (path, expected) in [
        ("/index/recomputed~1Pod", 2),
        // A service may have lost its last pod.
        ("/index/recomputed~1Service", 1),
        (
            "/resources/type.googleapis.com~1istio.workload.Address/changed",
            1,
        ),
        (
            "/resources/type.googleapis.com~1istio.workload.Address/removed",
            1,
        ),
        (
            "/discovery/types/type.googleapis.com~1istio.workload.Address/resources",
            1,
        ),
    ] {
        let number = |page: &Value| page.pointer(path).and_then(Value::as_u64).unwrap();
        assert_eq!(number(&after) - number(&before), expected, "{path}");
    }
    let metrics = program.page("/metrics").await;
    for line in [
        "weft_controller_recomputed_total{kind=\"Pod\"} 2002",
        "weft_controller_xds_resources_total{type=\"istio.workload.Address\"} 2051",
        "weft_controller_xds_streams 1",
    ] {
        assert!(metrics.lines().any(|it| it == line), "{line}: {metrics}");
    }
    program.stop().await;

    let program = program::start(directory.path()).await;
    let known = stream.known;
    let mut stream = Stream::open(&program, directory.path(), &token, known).await;
    assert!(
        stream.next().await.is_empty(),
        "everything is known already"
    );
    let sent = counters(&program).await["discovery"]["types"][ADDRESS]["resources"].clone();
    assert_eq!(sent, 0);
    program.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_file_is_named_and_its_last_good_version_keeps_serving() {
    let issuer = Issuer::new("k");
    let directory = directory(&issuer);
    let program = program::start(directory.path()).await;
    let path = directory.path().join("objects/p7.yaml");
    std::fs::write(
        &path,
        pod(7, 7).replace("podIP: ", "podIP: [nonsense], hostIP: "),
    )
    .unwrap();
    let page = program
        .until("/debug/problems", |page| page.contains("p7"))
        .await;
    let problems: Value = serde_json::from_str(&page).unwrap();
    assert!(problems[0]["file"].as_str().unwrap().ends_with("p7.yaml"));
    assert_eq!(
        (&problems[0]["line"], &problems[0]["object"]),
        (&1.into(), &"Pod n/p7".into())
    );
    assert!(
        problems[0]["field"].as_str().unwrap().contains("podIP"),
        "{page}"
    );
    assert!(
        program
            .page("/debug/resources")
            .await
            .contains("Kubernetes//Pod/n/p7")
    );
    std::fs::write(&path, pod(7, 8)).unwrap();
    program
        .until("/debug/problems", |page| page.trim() == "[]")
        .await;
    program.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_was_away_is_followed_again_and_what_it_lost_is_gone() {
    let issuer = Issuer::new("k");
    let directory = directory(&issuer);
    let program = program::start(directory.path()).await;
    let objects = directory.path().join("objects");
    std::fs::rename(&objects, directory.path().join("away")).unwrap();
    let next = directory.path().join("next");
    std::fs::create_dir(&next).unwrap();
    std::fs::write(next.join("p.yaml"), pod(PODS, 1)).unwrap();
    std::fs::rename(&next, &objects).unwrap();
    let added = format!("Kubernetes//Pod/n/p{PODS}");
    let page = program
        .until("/debug/resources", |page| page.contains(&added))
        .await;
    let resources: Value = serde_json::from_str(&page).unwrap();
    assert_eq!(
        resources[ADDRESS].as_array().unwrap().len(),
        1,
        "all others are gone"
    );
    program.stop().await;
}

/// A controller of its own process.
struct Process {
    child: Child,
    admin: String,
}

impl Process {
    /// The program's standard output says where it listens.
    fn start(directory: &Path, state: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_weft-controller"))
            .env_clear()
            .env("WEFT_OBJECTS_DIR", directory.join("objects"))
            .env("WEFT_STATE_DIR", directory.join(state))
            .env("WEFT_JWKS", directory.join("jwks.json"))
            .env("WEFT_TOKEN_ISSUER", ISSUER)
            .env("WEFT_GRPC_ADDRESS", "127.0.0.1:0")
            .env("WEFT_ADMIN_ADDRESS", "127.0.0.1:0")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines.find(|line| line.as_ref().unwrap().contains("listening"));
        let line = line.unwrap().unwrap();
        let admin = line.split("admin=").nth(1).unwrap().trim().to_owned();
        // The rest is read so that the program never waits for us.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, admin }
    }

    async fn resources(&self) -> String {
        let admin = self.admin.parse().unwrap();
        program::until(admin, "/ready", |page| page == "ready\n").await;
        program::page(admin, "/debug/resources").await
    }

    /// Asks it to stop and waits for a clean end.
    fn stop(mut self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").arg(id).status().unwrap().success());
        assert!(self.child.wait().unwrap().success());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_publish_the_same_names_and_versions() {
    let issuer = Issuer::new("k");
    let directory = directory(&issuer);
    let (one, two) = (
        Process::start(directory.path(), "one"),
        Process::start(directory.path(), "two"),
    );
    let resources = one.resources().await;
    assert_eq!(resources, two.resources().await);
    let parsed: Value = serde_json::from_str(&resources).unwrap();
    assert_eq!(parsed[ADDRESS].as_array().unwrap().len(), PODS + 50);
    one.stop();
    two.stop();
}
