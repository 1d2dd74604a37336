//! What managers write comes back through the source.

use std::fs;
use std::sync::Arc;

use objects::sink::{Error, Sink};
use serde_json::json;

use crate::support::{View, World, pod, pod_key};

#[tokio::test]
async fn two_managers_add_to_one_object_and_take_back_only_their_own() {
    let mut world = World::new();
    world.write("pod.yaml", &pod("web"));
    let (mut view, sink) = (world.watch(), world.sink());
    view.step().await;
    let uid = view.pod("web").unwrap().metadata.uid.clone();

    let status = json!({"status": {"podIP": "10.0.0.1", "conditions": [{"type": "Ready", "status": "True"}]}});
    sink.patch("sandbox", &pod_key("web"), Some(&uid), status)
        .await
        .unwrap();
    let annotation =
        json!({"metadata": {"annotations": {"ambient.istio.io/redirection": "enabled"}}});
    sink.patch("cni", &pod_key("web"), Some(&uid), annotation)
        .await
        .unwrap();
    let enrolled = |view: &View| {
        let object = view.object(&pod_key("web")).unwrap();
        object
            .metadata()
            .annotations
            .is("ambient.istio.io/redirection", "enabled")
            && object.pod().unwrap().is_ready()
    };
    view.until("both words are seen", enrolled).await;
    assert_eq!(view.pod("web").unwrap().addresses().len(), 1);

    sink.remove("cni", &pod_key("web")).await.unwrap();
    view.until("one manager's words are gone", |view| {
        !view
            .pod("web")
            .unwrap()
            .metadata
            .annotations
            .has("ambient.istio.io/redirection")
    })
    .await;
    assert!(view.pod("web").unwrap().is_ready());
}

/// A secret's file is made with its mode; a file that a crash left open to all is not taken for it.
#[tokio::test]
async fn a_secret_s_file_is_its_owner_s_alone() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new();
    let status = world.path("status");
    fs::create_dir(&status).unwrap();
    for count in 0..64 {
        let left = format!(".{}-{count}.tmp", std::process::id());
        fs::write(status.join(left), "").unwrap();
    }
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "word", "namespace": "a"},
        "stringData": {"word": "abracadabra"}});
    world.sink().apply("sandbox", secret).await.unwrap();
    let file = status.join("secrets_a_word@sandbox.json");
    let mode = fs::metadata(file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn an_applied_object_exists_because_of_its_manager_and_a_patch_makes_none() {
    let world = World::new();
    let (mut view, sink) = (world.watch(), world.sink());
    view.step().await;
    sink.patch(
        "cni",
        &pod_key("web-1"),
        None,
        json!({"spec": {"nodeName": "n1"}}),
    )
    .await
    .unwrap();
    let object =
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web-1", "uid": "u-1"}});
    sink.apply("sandbox", object.clone()).await.unwrap();
    view.until("the applied pod exists with the patch", |view| {
        view.object(&pod_key("web-1"))
            .is_some_and(|pod| pod.pod().unwrap().spec.node_name == "n1")
    })
    .await;
    assert_eq!(view.pod("web-1").unwrap().metadata.uid, "u-1");
    assert_eq!(
        view.seen(&pod_key("web-1")),
        1,
        "the patch alone was not an object"
    );
    sink.remove("sandbox", &pod_key("web-1")).await.unwrap();
    view.until("it is gone with its words", |view| {
        !view.has(&pod_key("web-1"))
    })
    .await;
}

#[tokio::test]
async fn a_write_that_changes_nothing_does_not_happen() {
    let world = World::new();
    let sink = world.sink();
    let patch = json!({"status": {"phase": "Running"}});
    sink.patch_now("sandbox", &pod_key("web"), None, patch.clone())
        .unwrap();
    let file = world.path("status/pods_default_web@sandbox.json");
    let before = fs::metadata(&file).unwrap();
    sink.patch_now("sandbox", &pod_key("web"), None, patch)
        .unwrap();
    use std::os::unix::fs::MetadataExt;
    assert_eq!(before.ino(), fs::metadata(&file).unwrap().ino());
    assert_eq!(
        fs::read_dir(world.path("status")).unwrap().count(),
        1,
        "no temporary file is left"
    );
}

#[tokio::test]
async fn what_cannot_be_written_is_refused_by_name() {
    let world = World::new();
    let sink = world.sink();
    let key = pod_key("web");
    assert!(matches!(
        sink.patch_now("../x", &key, None, json!({})),
        Err(Error::Manager { .. })
    ));
    assert!(matches!(
        sink.patch_now("cni", &key, None, json!([])),
        Err(Error::NotAMap { .. })
    ));
    assert!(matches!(
        sink.apply_now("cni", json!({"kind": "Pod"})),
        Err(Error::Stranger(_))
    ));
}

#[tokio::test]
async fn a_bad_patch_is_left_out_and_named() {
    let mut world = World::new();
    world.write("pod.yaml", &pod("web"));
    let (mut view, sink) = (world.watch(), world.sink());
    view.step().await;
    sink.patch_now(
        "bad",
        &pod_key("web"),
        None,
        json!({"status": {"podIP": "no address"}}),
    )
    .unwrap();
    sink.patch_now(
        "good",
        &pod_key("web"),
        None,
        json!({"spec": {"nodeName": "n1"}}),
    )
    .unwrap();
    view.until("the good patch is seen and the bad one is named", |view| {
        view.pod("web").unwrap().spec.node_name == "n1" && view.problems.len() == 1
    })
    .await;
    let text = view.problems.iter().next().unwrap().to_string();
    assert!(
        text.contains("pods_default_web@bad.json: Pod default/web: status.podIP: invalid IP"),
        "{text}"
    );
    sink.remove_now("bad", &pod_key("web")).unwrap();
    view.until("the problem ends", |view| view.problems.is_empty())
        .await;
}

#[tokio::test]
async fn a_pod_made_anew_has_another_uid_and_no_old_status() {
    let mut world = World::new();
    world.write("pod.yaml", &pod("web"));
    let (mut view, sink) = (world.watch(), world.sink());
    view.step().await;
    let first = view.pod("web").unwrap().metadata.uid.clone();
    let node = |view: &View| {
        view.object(&pod_key("web"))
            .map(|object| object.pod().unwrap().spec.node_name.clone())
    };
    sink.patch_now(
        "sandbox",
        &pod_key("web"),
        Some(&first),
        json!({"spec": {"nodeName": "n1"}}),
    )
    .unwrap();
    view.until("it is placed", |view| node(view).as_deref() == Some("n1"))
        .await;

    fs::remove_file(world.path("pod.yaml")).unwrap();
    view.until("it is gone", |view| !view.has(&pod_key("web")))
        .await;
    sink.retire_now(&pod_key("web"), &first).unwrap();
    sink.retire_now(&pod_key("web"), &first).unwrap();
    // A manager that has not heard yet.
    sink.patch_now(
        "cni",
        &pod_key("web"),
        Some(&first),
        json!({"metadata": {"labels": {"old": "1"}}}),
    )
    .unwrap();
    world.write("pod.yaml", &pod("web"));
    view.until("it is made anew", |view| view.has(&pod_key("web")))
        .await;
    let mut other = world.watch();
    other.step().await;
    for view in [&mut view, &mut other] {
        view.until("the new uid is seen", |view| {
            view.pod("web").unwrap().metadata.uid != first
        })
        .await;
        let object = view.object(&pod_key("web")).unwrap();
        assert_eq!(
            object.metadata().uid,
            objects::uid::derive(&pod_key("web"), 1)
        );
        assert_eq!(object.pod().unwrap().spec.node_name, "");
        assert!(
            !object.metadata().labels.has("old"),
            "a late patch is about the old pod"
        );
    }
}

#[test]
fn the_sink_can_be_shared_as_a_trait_object() {
    let world = World::new();
    let sink: Arc<dyn Sink> = Arc::new(world.sink());
    drop(sink);
}
