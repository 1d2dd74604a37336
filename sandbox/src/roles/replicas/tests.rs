//! Deployments, StatefulSets and Jobs against pictures.

use objects::change::{Batch, Change};

use super::*;

fn deployment(replicas: u32, version: &str) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {
        "replicas": replicas,
        "template": {"metadata": {"labels": {"app": "web", "version": version}}, "spec": {"containers": []}},
    }})
}

/// The pods of a plan, as the next picture shows them: ready, or in some phase.
fn play(view: &mut View, wanted: &Wanted, status: &Value) {
    for words in wanted.values() {
        if let Words::Apply(pod) = words {
            let mut pod = pod.clone();
            pod["status"] = status.clone();
            view.see(pod);
        }
    }
}

fn ready() -> Value {
    json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]})
}

fn pods(wanted: &Wanted) -> Vec<String> {
    let pods = wanted.iter().filter(|(key, _)| key.kind == Kind::Pod);
    pods.map(|(key, _)| key.name.clone()).collect()
}

#[test]
fn scaling_keeps_the_pods_that_stay() {
    let mut view = View::default();
    view.see(deployment(3, "v1"));
    let three = plan(&view, &Wanted::new());
    assert_eq!(pods(&three).len(), 3);
    view.see(deployment(1, "v1"));
    let one = plan(&view, &three);
    assert_eq!(pods(&one).len(), 1);
    assert!(pods(&three).contains(&pods(&one)[0]));
}

#[test]
fn an_old_pod_goes_for_every_new_one_that_is_ready() {
    let mut view = View::default();
    view.see(deployment(2, "v1"));
    let old = plan(&view, &Wanted::new());
    view.see(deployment(2, "v2"));
    let both = plan(&view, &old);
    assert_eq!(pods(&both).len(), 4);
    play(&mut view, &both, &ready());
    let new = plan(&view, &both);
    assert_eq!(pods(&new).len(), 2);
    assert!(!pods(&new).iter().any(|name| pods(&old).contains(name)));
}

#[test]
fn a_deployment_that_is_gone_takes_its_pods_along() {
    let mut view = View::default();
    view.see(deployment(2, "v1"));
    let before = plan(&view, &Wanted::new());
    let key = Key::new(Kind::Deployment, "default", "web");
    view.take(Batch {
        changes: vec![Change { key, object: None }],
        ..Batch::default()
    });
    assert!(plan(&view, &before).is_empty());
}

#[test]
fn stateful_pods_come_one_after_the_other() {
    let mut view = View::default();
    view.see(
        json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db"},
        "spec": {"replicas": 2, "template": {"spec": {"containers": []}}}}),
    );
    let first = plan(&view, &Wanted::new());
    assert_eq!(pods(&first), ["db-0"]);
    play(&mut view, &first, &ready());
    assert_eq!(pods(&plan(&view, &first)), ["db-0", "db-1"]);
}

#[test]
fn a_job_starts_as_many_as_it_may_at_a_time() {
    let mut view = View::default();
    view.see(
        json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "sum"},
        "spec": {"completions": 3, "parallelism": 2, "template": {"spec": {"containers": []}}}}),
    );
    let first = plan(&view, &Wanted::new());
    assert_eq!(pods(&first).len(), 2);
    play(&mut view, &first, &json!({"phase": "Succeeded"}));
    assert_eq!(pods(&plan(&view, &first)).len(), 3);
}

#[test]
fn nobody_gets_more_pods_than_there_is_room_for() {
    let mut view = View::default();
    view.see(deployment(u32::MAX, "v1"));
    let wanted = plan(&view, &Wanted::new());
    assert_eq!(pods(&wanted).len(), usize::try_from(MOST_PODS).unwrap());
}
