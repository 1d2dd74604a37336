//! The task against a sink that remembers, and one that fails at first; time is simulated.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use objects::change::Change;
use objects::kinds::{Key, Kind};
use objects::object::{Object, Parts, identify};
use objects::raw::Document;
use objects::sink::{Error, Written};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::*;

#[derive(Debug, Default)]
struct Memory {
    calls: Mutex<Vec<String>>,
    failures: AtomicU32,
}

impl Memory {
    fn note(&self, call: String) -> Result<(), Error> {
        let left = self.failures.load(Ordering::Relaxed);
        if left > 0 {
            self.failures.store(left - 1, Ordering::Relaxed);
            return Err(Error::Manager {
                manager: "broken".to_owned(),
            });
        }
        self.calls.lock().unwrap().push(call);
        Ok(())
    }

    fn calls(&self) -> Vec<String> {
        let mut calls = std::mem::take(&mut *self.calls.lock().unwrap());
        calls.sort();
        calls
    }
}

impl Sink for Memory {
    fn apply<'a>(&'a self, manager: &'a str, object: Value) -> Written<'a> {
        let key = identify(&Document::without_lines(object)).unwrap();
        let outcome = self.note(format!("{manager} applies {key}"));
        Box::pin(std::future::ready(outcome))
    }

    fn patch<'a>(&'a self, _: &'a str, _: &'a Key, _: Option<&'a str>, _: Value) -> Written<'a> {
        unreachable!("statuses go another way")
    }

    fn remove<'a>(&'a self, manager: &'a str, key: &'a Key) -> Written<'a> {
        let outcome = self.note(format!("{manager} removes {key}"));
        Box::pin(std::future::ready(outcome))
    }
}

fn change(document: Value) -> Change {
    let document = Document::without_lines(document);
    let key = identify(&document).unwrap();
    let parts = Parts::new(Path::new("test").into(), Arc::new(document.pack()));
    let object = Some(Arc::new(Object::read(key.clone(), parts, 0).unwrap()));
    Change { key, object }
}

fn gone(kind: Kind, name: &str) -> Change {
    let key = Key::new(kind, "shop", name);
    Change { key, object: None }
}

fn gateway() -> Value {
    json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
        "metadata": {"name": "gate", "namespace": "shop", "uid": "u1"},
        "spec": {"gatewayClassName": "istio-waypoint", "listeners": []}})
}

struct Scene {
    memory: Arc<Memory>,
    inbox: Inbox,
    root: watch::Sender<Arc<SigningRoot>>,
    synced: watch::Sender<bool>,
    leads: watch::Sender<bool>,
    _trust_domain: watch::Sender<TrustDomain>,
}

impl Scene {
    fn new(failures: u32) -> Self {
        let memory = Arc::new(Memory::default());
        memory.failures.store(failures, Ordering::Relaxed);
        let (root_sender, root) = watch::channel(some_root());
        let (domain_sender, trust_domain) = watch::channel(TrustDomain::default());
        let (synced_sender, synced) = watch::channel(false);
        let settings = Settings {
            image: "image".to_owned(),
            controller_address: "https://controller:15012".to_owned(),
            root_config_map: "roots".to_owned(),
            cluster: "Kubernetes".into(),
            domain: "cluster.local".into(),
            system_namespace: "weft-system".into(),
        };
        let inbox = Inbox::default();
        let news = News {
            root,
            trust_domain,
            synced,
        };
        let sink = Arc::clone(&memory) as Arc<dyn Sink>;
        let (leads_sender, leads) = watch::channel(true);
        let deployer = Deployer::new(settings, news, inbox.clone(), sink, Statuses::default());
        mesh::lifecycle::task::spawn("deployer", deployer.run(leads));
        Self {
            memory,
            inbox,
            root: root_sender,
            synced: synced_sender,
            leads: leads_sender,
            _trust_domain: domain_sender,
        }
    }

    async fn after(&self, time: Duration) -> Vec<String> {
        tokio::time::sleep(time).await;
        self.memory.calls()
    }
}

fn some_root() -> Arc<SigningRoot> {
    Arc::new(SigningRoot::unkept(OffsetDateTime::now_utc()).unwrap())
}

const MOMENT: Duration = Duration::from_millis(10);

#[tokio::test(start_paused = true)]
async fn a_gateway_is_made_to_exist_kept_and_taken_away() {
    let scene = Scene::new(0);
    scene.inbox.leave(&[change(gateway())]);
    let nothing: [&str; 0] = [];
    assert_eq!(scene.after(MOMENT).await, nothing, "not before all is read");
    scene.synced.send_replace(true);
    let all = [
        "weft-deployer applies ConfigMap shop/roots",
        "weft-deployer applies Deployment shop/gate",
        "weft-deployer applies GatewayClass istio-waypoint",
        "weft-deployer applies Service shop/gate",
        "weft-deployer applies ServiceAccount shop/gate",
    ];
    assert_eq!(scene.after(MOMENT).await, all);

    // Said once more, nothing is to do; taken away by somebody, it comes back.
    scene.inbox.leave(&[change(gateway())]);
    assert_eq!(scene.after(MOMENT).await, nothing);
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "gate", "namespace": "shop",
        "labels": {"gateway.istio.io/managed": "istio.io-mesh-controller",
            "gateway.networking.k8s.io/gateway-name": "gate"}}});
    scene.inbox.leave(&[change(service.clone())]);
    assert_eq!(scene.after(MOMENT).await, nothing);
    scene.inbox.leave(&[gone(Kind::Service, "gate")]);
    let again = ["weft-deployer applies Service shop/gate"];
    assert_eq!(scene.after(MOMENT).await, again);

    scene.inbox.leave(&[change(service)]);
    scene.inbox.leave(&[gone(Kind::Gateway, "gate")]);
    let away = ["weft-deployer removes Service shop/gate"];
    assert_eq!(scene.after(MOMENT).await, away);
}

#[tokio::test(start_paused = true)]
async fn who_does_not_lead_writes_nothing_and_who_leads_again_writes_everything() {
    let scene = Scene::new(0);
    scene.synced.send_replace(true);
    let class = "weft-deployer applies GatewayClass istio-waypoint";
    assert_eq!(scene.after(MOMENT).await, [class]);
    scene.leads.send_replace(false);
    tokio::task::yield_now().await;
    scene.inbox.leave(&[change(gateway())]);
    let nothing: [&str; 0] = [];
    assert_eq!(scene.after(MOMENT).await, nothing);
    scene.leads.send_replace(true);
    let calls = scene.after(MOMENT).await;
    assert_eq!(calls.len(), 5, "{calls:?}");
}

#[tokio::test(start_paused = true)]
async fn another_root_reaches_every_namespace() {
    let scene = Scene::new(0);
    scene.inbox.leave(&[change(gateway())]);
    scene.synced.send_replace(true);
    scene.after(MOMENT).await;
    scene.root.send_replace(some_root());
    let expected = ["weft-deployer applies ConfigMap shop/roots"];
    assert_eq!(scene.after(MOMENT).await, expected);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_written_is_tried_again_after_a_pause() {
    let scene = Scene::new(2);
    scene.synced.send_replace(true);
    let nothing: [&str; 0] = [];
    assert_eq!(scene.after(MOMENT).await, nothing);
    assert_eq!(scene.after(PAUSE).await, nothing, "fails a second time");
    let class = ["weft-deployer applies GatewayClass istio-waypoint"];
    assert_eq!(scene.after(2 * PAUSE).await, class);
}

#[tokio::test(start_paused = true)]
async fn pods_of_others_wake_nobody() {
    let inbox = Inbox::default();
    let pod = |labels: Value| {
        change(json!({"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "p", "namespace": "shop", "labels": labels}}))
    };
    inbox.leave(&[pod(json!({})), gone(Kind::Pod, "p")]);
    assert!(inbox.take().is_empty());
    inbox.leave(&[pod(
        json!({"gateway.networking.k8s.io/gateway-name": "gate"}),
    )]);
    assert_eq!(inbox.take().len(), 1);
    inbox.leave(&[pod(json!({}))]);
    let left = inbox.take();
    assert!(
        left.len() == 1 && left[0].object.is_none(),
        "it is one of them no more"
    );
}
