//! Pure. What is served. Source: Kubernetes API concepts, "Discovery API" (the unaggregated form).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::store::{Resource, Store};

/// The answer to a path of discovery; `None` when it is none, or the group or version is not served.
pub(super) fn answer(path: &str, store: &Store) -> Option<Value> {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    match parts.as_slice() {
        ["version"] => Some(
            json!({"major": "1", "minor": "33", "gitVersion": "v1.33.0-test", "platform": "linux/amd64"}),
        ),
        ["api"] => Some(
            json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}),
        ),
        ["apis"] => {
            let groups: Vec<Value> = groups(store)
                .iter()
                .map(|(name, versions)| group(name, versions))
                .collect();
            Some(json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}))
        }
        ["apis", name] => {
            let groups = groups(store);
            let mut found = group(name, groups.get(name)?);
            super::store::set(&mut found, "kind", "APIGroup".into());
            super::store::set(&mut found, "apiVersion", "v1".into());
            Some(found)
        }
        ["api", version] => resources(store, "", version),
        ["apis", group, version] => resources(store, group, version),
        _ => None,
    }
}

fn groups(store: &Store) -> BTreeMap<&'static str, Vec<&'static str>> {
    let mut groups: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for resource in store.resources().filter(|it| !it.group.is_empty()) {
        let versions = groups.entry(resource.group).or_default();
        for version in resource.versions {
            if !versions.contains(version) {
                versions.push(version);
            }
        }
    }
    groups
}

fn group(name: &str, versions: &[&str]) -> Value {
    let shown =
        |version: &&str| json!({"groupVersion": format!("{name}/{version}"), "version": version});
    let versions: Vec<Value> = versions.iter().map(shown).collect();
    json!({"name": name, "preferredVersion": versions.first(), "versions": versions})
}

fn resources(store: &Store, group: &str, version: &str) -> Option<Value> {
    let is_of = |it: &&Resource| it.group == group && it.versions.contains(&version);
    let mut shown = Vec::new();
    for it in store.resources().filter(is_of) {
        let verbs = [
            "create", "delete", "get", "list", "patch", "update", "watch",
        ];
        shown.push(
            json!({"name": it.plural, "singularName": it.kind.to_lowercase(),
            "namespaced": it.namespaced, "kind": it.kind, "verbs": verbs}),
        );
        shown.push(
            json!({"name": format!("{}/status", it.plural), "singularName": "",
            "namespaced": it.namespaced, "kind": it.kind, "verbs": ["get", "patch", "update"]}),
        );
    }
    let group_version = match group {
        "" => version.to_owned(),
        group => format!("{group}/{version}"),
    };
    (!shown.is_empty()).then(|| {
        json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": shown})
    })
}
