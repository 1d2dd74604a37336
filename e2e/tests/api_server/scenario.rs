//! One story told through a directory and through an API server: clients are served the same bytes, statuses say the same.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use e2e::api_server::{ApiServer, Proven, Settings};
use e2e::listener::Listener;
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use objects::watch::Source;
use objects::watch::directory::DirectorySource;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::program::{self, Program};

const ISSUER: &str = "https://issuer.test";
/// How long both may take to agree.
const DEADLINE: Duration = Duration::from_secs(20);

/// The story: what is written at each turn. A text replaces all objects of its file; an empty one takes them away.
const TURNS: [&[(&str, &str)]; 6] = [
    &[
        ("system.yaml", include_str!("story/system.yaml")),
        ("shop.yaml", include_str!("story/shop.yaml")),
        ("policies.yaml", include_str!("story/policies.yaml")),
        ("traffic.yaml", include_str!("story/traffic.yaml")),
    ],
    // The waypoint goes away from the service, and a policy with it.
    &[("shop.yaml", include_str!("story/shop-moved.yaml"))],
    &[("policies.yaml", include_str!("story/policies-strict.yaml"))],
    &[("traffic.yaml", "")],
    &[("traffic.yaml", include_str!("story/traffic.yaml"))],
    &[
        ("policies.yaml", ""),
        ("shop.yaml", include_str!("story/shop.yaml")),
    ],
];

/// Everything that can be seen of a controller.
#[derive(Debug, PartialEq)]
struct Seen {
    /// Bytes of every resource that a node proxy is served.
    served: BTreeMap<(String, String), Vec<u8>>,
    /// Name and version of every resource that is published, of waypoints too.
    published: Value,
    /// Rule, object, field and reason of every problem.
    problems: Vec<String>,
    /// What exists, also what the mesh made, and what it says in its status.
    statuses: BTreeMap<String, Value>,
}

struct Side {
    program: Program,
    client: Listener,
}

impl Side {
    async fn seen(&mut self, statuses: BTreeMap<String, Value>) -> Seen {
        self.client
            .listen(Duration::from_millis(100))
            .await
            .unwrap();
        let page = |text: String| serde_json::from_str::<Value>(&text).unwrap();
        let problems = page(self.program.page("/debug/problems").await);
        let problems = problems.as_array().unwrap().iter().map(|it| {
            let field = |key: &str| it.get(key).cloned().unwrap_or_default();
            format!(
                "{} {} {}: {}",
                field("rule"),
                field("object"),
                field("field"),
                field("reason")
            )
        });
        let mut problems: Vec<String> = problems.collect();
        problems.sort();
        Seen {
            served: self.client.known.clone(),
            published: page(self.program.page("/debug/resources").await),
            problems,
            statuses,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_and_an_api_server_come_to_the_same() {
    let folder = TempDir::new().unwrap();
    let objects = folder.path().join("objects");
    std::fs::create_dir(&objects).unwrap();
    let server = ApiServer::start(Settings::default()).await.unwrap();
    let mut story = Story {
        objects: objects.clone(),
        server,
        files: BTreeMap::new(),
    };
    story.turn(TURNS[0]);

    let token = keys(folder.path());
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let of_directory = [
        ("WEFT_OBJECTS_DIR", text(&objects)),
        ("WEFT_JWKS", text(&folder.path().join("jwks.json"))),
        ("WEFT_TOKEN_ISSUER", ISSUER.to_owned()),
    ];
    let config = folder.path().join("config");
    story.server.kubeconfig(&config).unwrap();
    let of_server = [
        ("WEFT_SOURCE", "kubeconfig".to_owned()),
        ("KUBECONFIG", text(&config)),
    ];
    let borrowed = |it: &[(&'static str, String)]| -> Vec<(&'static str, String)> { it.to_vec() };
    let mut sides = Vec::new();
    for (name, settings, token) in [
        ("d", borrowed(&of_directory), token.as_str()),
        ("s", borrowed(&of_server), "re.view.ed"),
    ] {
        let settings: Vec<(&str, &str)> = settings
            .iter()
            .map(|(name, it)| (*name, it.as_str()))
            .collect();
        let program = program::start(&folder.path().join(name), &settings).await;
        if name == "s" {
            refused_until_trusted(&program, &story.server).await;
        }
        let client = program.client(token).await.unwrap();
        sides.push(Side { program, client });
    }
    for (number, turn) in TURNS.iter().enumerate() {
        if number > 0 {
            story.turn(turn);
        }
        let begun = Instant::now();
        loop {
            let of_directory = sides[0].seen(directory_statuses(&objects).await).await;
            let of_server = sides[1].seen(story.server_statuses()).await;
            if of_directory == of_server && told(&of_server.statuses) {
                break;
            }
            if begun.elapsed() > DEADLINE {
                assert_eq!(of_directory.statuses, of_server.statuses, "turn {number}");
                assert_eq!(of_directory, of_server, "turn {number}");
            }
        }
    }
    for side in sides {
        side.program.stop().await;
    }
}

/// Whether the leader has begun to write.
fn told(statuses: &BTreeMap<String, Value>) -> bool {
    let gateway = statuses.get("gateways.gateway.networking.k8s.io shop/w");
    gateway.is_some_and(|it| it.get("addresses").is_some())
}

/// A token that the API server does not know opens nothing.
async fn refused_until_trusted(program: &Program, server: &ApiServer) {
    let proven = |audience: &str| Proven {
        username: "system:serviceaccount:weft-system:ztunnel".to_owned(),
        audiences: vec![audience.to_owned()],
        extra: [
            ("authentication.kubernetes.io/pod-name", "ztunnel-a"),
            (
                "authentication.kubernetes.io/pod-uid",
                "00000000-0000-4000-8000-0000000000a1",
            ),
            ("authentication.kubernetes.io/node-name", "a"),
        ]
        .map(|(key, value)| (key.to_owned(), vec![value.to_owned()]))
        .into(),
    };
    server.trust(
        "for.somebody.else",
        proven("https://kubernetes.default.svc"),
    );
    for token in ["re.view.ed", "for.somebody.else", "nonsense"] {
        let status = match program.client(token).await {
            Err(status) => status,
            Ok(mut client) => client.listen(DEADLINE).await.unwrap_err(),
        };
        assert_eq!(
            status.code(),
            tonic::Code::Unauthenticated,
            "{token}: {status}"
        );
    }
    server.trust("re.view.ed", proven("istio-ca"));
}

struct Story {
    objects: PathBuf,
    server: ApiServer,
    files: BTreeMap<String, Vec<Value>>,
}

impl Story {
    fn turn(&mut self, changes: &[(&str, &str)]) {
        for (file, text) in changes {
            let path = self.objects.join(file);
            match text.is_empty() {
                true => std::fs::remove_file(&path).unwrap(),
                false => {
                    let new = self.objects.join(format!(".{file}"));
                    std::fs::write(&new, text).unwrap();
                    std::fs::rename(&new, &path).unwrap();
                }
            }
            let documents = objects::raw::parse(text.as_bytes()).unwrap();
            let now: Vec<Value> = documents.iter().map(|it| it.value().clone()).collect();
            let before = self.files.insert((*file).to_owned(), now.clone());
            for gone in before.into_iter().flatten() {
                if !now.iter().any(|it| name(it) == name(&gone)) {
                    let (resource, namespace, name) = name(&gone);
                    assert!(self.server.remove(&resource, &namespace, &name));
                }
            }
            for object in now {
                self.put(object);
            }
        }
    }

    /// What users write says nothing of statuses, which stay as they are.
    fn put(&self, mut object: Value) {
        let (resource, namespace, name) = name(&object);
        let live = self.server.get(&resource, &namespace, &name);
        let status = live.and_then(|it| it.get("status").cloned());
        if let (Some(status), Value::Object(map)) = (status, &mut object) {
            map.entry("status").or_insert(status);
        }
        self.server.put(object).unwrap();
    }

    fn server_statuses(&self) -> BTreeMap<String, Value> {
        let all = objects::kinds::Kind::ALL.iter();
        let all = all.flat_map(|kind| self.server.all(&kind.resource()));
        all.map(|it| shown(&it)).collect()
    }
}

fn name(object: &Value) -> (String, String, String) {
    let document = objects::raw::Document::without_lines(object.clone());
    let key = objects::object::identify(&document).unwrap();
    (key.kind.resource(), key.namespace, key.name)
}

async fn directory_statuses(directory: &Path) -> BTreeMap<String, Value> {
    let batch = DirectorySource::open(directory)
        .unwrap()
        .next()
        .await
        .unwrap();
    let all = batch.changes.iter().filter_map(|it| it.object.as_ref());
    all.map(|it| shown(&it.raw())).collect()
}

/// An object's status without what differs by nature: when, and for which generation.
fn shown(object: &Value) -> (String, Value) {
    let (resource, namespace, name) = name(object);
    let mut status = object.get("status").cloned().unwrap_or_else(|| json!({}));
    strip(&mut status);
    (format!("{resource} {namespace}/{name}"), status)
}

fn strip(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|key, _| key != "lastTransitionTime" && key != "observedGeneration");
            map.values_mut().for_each(strip);
            map.retain(|_, it| it.as_array().is_none_or(|list| !list.is_empty()));
        }
        Value::Array(items) => items.iter_mut().for_each(strip),
        _ => {}
    }
}

/// Writes a key set, and makes the node proxy's token with its key.
fn keys(folder: &Path) -> String {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let key = EncodingKey::from_ec_pem(key.serialize_pem().as_bytes()).unwrap();
    let mut jwk = Jwk::from_encoding_key(&key, Algorithm::ES256).unwrap();
    jwk.common.key_id = Some("k".to_owned());
    let set = serde_json::to_string(&JwkSet { keys: vec![jwk] }).unwrap();
    std::fs::write(folder.join("jwks.json"), set).unwrap();
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let claims = json!({
        "iss": ISSUER, "aud": ["istio-ca"], "iat": now, "nbf": now, "exp": now + 3600,
        "sub": "system:serviceaccount:weft-system:ztunnel",
        "kubernetes.io": {
            "namespace": "weft-system",
            "serviceaccount": {"name": "ztunnel", "uid": "s"},
            "pod": {"name": "ztunnel-a", "uid": "00000000-0000-4000-8000-0000000000a1"},
            "node": {"name": "a", "uid": "n"},
        },
    });
    let mut header = Header::new(Algorithm::ES256);
    header.kid = Some("k".to_owned());
    jsonwebtoken::encode(&header, &claims, &key).unwrap()
}
