//! Pure. What a cluster still waits for after objects were applied.

use objects::kinds::{Key, Kind};
use objects::kubernetes::Pod;
use objects::object::Object;

use crate::cluster::{View, Wanted, Words};
use crate::messages::PodName;
use crate::roles::{endpoints, replicas, scheduler, waypoints};

/// The first thing that is not as the objects wish, in words: a pod that is not there, is not ready, or that a service
/// does not lead to yet; with a `mesh`, a Gateway without its waypoint.
pub(super) fn waits_for(view: &View, mesh: bool) -> Option<String> {
    let missing = replicas::plan(view, &Wanted::new())
        .into_iter()
        .find(|(key, words)| matches!(words, Words::Apply(_)) && view.get(key).is_none())
        .map(|(key, _)| format!("{key} is not there yet"));
    let undeployed = || {
        let gateways = view.of(Kind::Gateway);
        gateways
            .filter(|object| mesh && waypoints::is_awaited(object))
            .map(|object| format!("{} has no waypoint yet", object.key()))
            .next()
    };
    let unwell = || {
        view.of(Kind::Pod).find_map(|object| {
            trouble(object).map(|why| format!("{} is not ready: {why}", object.key()))
        })
    };
    let unreachable = || {
        endpoints::plan(view, &Wanted::new())
            .into_iter()
            .find(|(key, words)| !says(view, key, words))
            .map(|(key, _)| format!("{key} is not up to date yet"))
    };
    missing
        .or_else(unwell)
        .or_else(undeployed)
        .or_else(unreachable)
}

fn says(view: &View, key: &Key, words: &Words) -> bool {
    let Words::Apply(wanted) = words else {
        return true;
    };
    view.get(key)
        .is_some_and(|object| object.raw().pointer("/endpoints") == wanted.pointer("/endpoints"))
}

/// Why a pod is not as wished, in the words of whoever holds it up.
pub(super) fn why_not_ready(view: &View, name: &PodName) -> Option<String> {
    trouble(view.get(&Key::new(Kind::Pod, &name.namespace, &name.name))?)
}

fn trouble(object: &Object) -> Option<String> {
    let pod: &Pod = object.pod()?;
    if pod.is_ready() || pod.has_ended() {
        return None;
    }
    if pod.spec.node_name.is_empty() {
        return Some(scheduler::why_unplaced(object));
    }
    let raw = object.raw();
    let text = |pointer: &str| {
        raw.pointer(pointer)?
            .as_str()
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
    };
    let containers = raw.pointer("/status/containerStatuses");
    let waiting = containers
        .and_then(|containers| containers.as_array())
        .into_iter()
        .flatten()
        .find_map(|one| {
            let message = one.pointer("/state/waiting/message")?.as_str()?;
            (!message.is_empty()).then(|| message.to_owned())
        });
    text("/status/message").or(waiting).or_else(|| {
        let why = match containers {
            None => "it has not been started yet",
            Some(_) => "its probes have not answered yet",
        };
        Some(why.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn waits(view: &View, words: &str) {
        let waits = waits_for(view, true).unwrap_or_default();
        assert!(waits.contains(words), "{waits}");
    }

    #[test]
    fn waits_for_pods_then_their_health_then_the_endpoints() {
        let mut view = View::default();
        assert_eq!(waits_for(&view, true), None);
        view.see(json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {
                "replicas": 1,
                "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": []}},
            }}),
        );
        view.see(
            json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
                "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}}),
        );
        waits(&view, "is not there yet");
        let mut pods = replicas::plan(&view, &Wanted::new()).into_iter();
        let (_, pod) = pods.find(|(key, _)| key.kind == Kind::Pod).unwrap();
        let Words::Apply(mut pod) = pod else {
            panic!("a pod of nobody")
        };
        view.see(pod.clone());
        waits(&view, "no node has been chosen yet");
        pod["spec"]["nodeName"] = json!("node-1");
        view.see(pod.clone());
        waits(&view, "it has not been started yet");
        pod["status"] = json!({"phase": "Running", "podIPs": [{"ip": "10.244.1.2"}], "podIP": "10.244.1.2",
            "conditions": [{"type": "Ready", "status": "True"}]});
        view.see(pod);
        waits(&view, "is not up to date yet");
        for words in endpoints::plan(&view, &Wanted::new()).into_values() {
            if let Words::Apply(slice) = words {
                view.see(slice);
            }
        }
        assert_eq!(waits_for(&view, true), None);
    }
}
