//! The parts of a waypoint in a directory: made for its Gateway, kept over a restart, gone with it.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use objects::kinds::{Key, Kind};
use objects::object::Object;
use objects::watch::Source;
use objects::watch::directory::DirectorySource;
use serde_json::{Value, json};

use crate::issuer::Issuer;
use crate::program;

const GATEWAY: &str = "\
{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: gate, namespace: shop},
 spec: {gatewayClassName: istio-waypoint, listeners: [{name: mesh, port: 15008, protocol: HBONE}]}}
";
const POD: &str = "\
{apiVersion: v1, kind: Pod, metadata: {name: gate-1, namespace: shop,
  labels: {gateway.networking.k8s.io/gateway-name: gate}},
 status: {phase: Running, conditions: [{type: Ready, status: 'True'}]}}
";
const PATIENCE: Duration = Duration::from_secs(20);

/// A picture of a directory, and a source that keeps it true.
struct View {
    source: DirectorySource,
    objects: std::collections::BTreeMap<Key, std::sync::Arc<Object>>,
}

impl View {
    fn open(directory: &Path) -> Self {
        Self {
            source: DirectorySource::open(directory).unwrap(),
            objects: std::collections::BTreeMap::new(),
        }
    }

    /// Waits until the directory is as wanted.
    async fn until(&mut self, what: &str, is_wanted: impl Fn(&Self) -> bool) {
        let waited = tokio::time::timeout(PATIENCE, async {
            while !is_wanted(self) {
                for change in self.source.next().await.unwrap().changes {
                    match change.object {
                        Some(object) => self.objects.insert(change.key, object),
                        None => self.objects.remove(&change.key),
                    };
                }
            }
        });
        let outcome = waited.await;
        assert!(outcome.is_ok(), "not {what}: {:?}", self.objects.keys());
    }

    /// Kinds of the objects that the controller made in the Gateway's namespace.
    fn made(&self) -> BTreeSet<Kind> {
        let own = self.objects.keys().filter(|key| key.namespace == "shop");
        let made = own.filter(|key| !matches!(key.kind, Kind::Gateway | Kind::Pod));
        made.map(|key| key.kind).collect()
    }

    fn gateway(&self) -> Option<Value> {
        let gateway = self.objects.get(&Key::new(Kind::Gateway, "shop", "gate"))?;
        Some(gateway.raw())
    }

    fn addresses(&self) -> Value {
        let gateway = self.gateway().unwrap_or_default();
        gateway
            .pointer("/status/addresses")
            .cloned()
            .unwrap_or_default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_gets_its_parts_and_takes_them_along() {
    let issuer = Issuer::new("k");
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let objects = path.join("objects");
    std::fs::create_dir(&objects).unwrap();
    std::fs::write(path.join("jwks.json"), issuer.key_set()).unwrap();
    std::fs::write(objects.join("gate.yaml"), GATEWAY).unwrap();
    std::fs::write(objects.join("pod.yaml"), POD).unwrap();

    let program = program::start(path).await;
    let mut view = View::open(&objects);
    let parts = BTreeSet::from([
        Kind::ConfigMap,
        Kind::Service,
        Kind::ServiceAccount,
        Kind::Deployment,
    ]);
    view.until("deployed", |view| view.made() == parts).await;
    let host = json!([{"type": "Hostname", "value": "gate.shop.svc.cluster.local"}]);
    view.until("programmed", |view| view.addresses() == host)
        .await;
    let root = std::fs::read_to_string(path.join("state/root-cert.pem")).unwrap();
    let map = Key::new(Kind::ConfigMap, "shop", "istio-ca-root-cert");
    let data = view.objects[&map].raw();
    assert_eq!(data["data"]["root-cert.pem"], root.as_str());
    let class = Key::new(Kind::GatewayClass, "", "istio-waypoint");
    let is_accepted = |view: &View| {
        let class = view.objects.get(&class).map(|it| it.raw());
        let condition = class.and_then(|it| it.pointer("/status/conditions/0").cloned());
        condition.is_some_and(|it| it["type"] == "Accepted" && it["status"] == "True")
    };
    view.until("accepted", is_accepted).await;

    // The next program finds what this one made, and takes it back although it did not make it.
    program.stop().await;
    std::fs::remove_file(objects.join("gate.yaml")).unwrap();
    let program = program::start(path).await;
    view.until("gone", |view| view.made().is_empty()).await;
    assert!(view.objects.contains_key(&class), "the class stays");
    program.stop().await;
}
