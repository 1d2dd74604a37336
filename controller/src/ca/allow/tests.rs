//! One row per reason, and the two ways to be allowed.

use std::sync::LazyLock;

use super::*;
use crate::ca::PodReference;
use crate::shelf::residents::Resident;

static NODE_ACCOUNTS: LazyLock<BTreeSet<NamespacedName>> =
    LazyLock::new(|| [NamespacedName::new("weft-system", "ztunnel")].into());

fn resident(uid: &str, account: &str, node: &str) -> Resident {
    Resident {
        uid: uid.into(),
        service_account: account.into(),
        node: node.into(),
        gateway: None,
    }
}

fn world() -> (Rules<'static>, Residents) {
    let mut residents = Residents::default();
    residents.insert("weft-system", "ztunnel-a", resident("u1", "ztunnel", "a"));
    residents.insert("default", "web-0", resident("u2", "web", "a"));
    residents.insert("default", "db-0", resident("u3", "db", "b"));
    let rules = Rules {
        node_accounts: &NODE_ACCOUNTS,
        trust_domain: TrustDomain::default(),
    };
    (rules, residents)
}

fn caller(namespace: &str, account: &str, pod: Option<(&str, &str)>, node: Option<&str>) -> Caller {
    Caller {
        identity: Identity::new(TrustDomain::default(), namespace, account),
        pod: pod.map(|(name, uid)| PodReference {
            name: name.into(),
            uid: uid.into(),
        }),
        node: node.map(Into::into),
    }
}

fn node_proxy() -> Caller {
    caller(
        "weft-system",
        "ztunnel",
        Some(("ztunnel-a", "u1")),
        Some("a"),
    )
}

#[test]
fn a_caller_gets_its_own_identity() {
    let (rules, residents) = world();
    for pod in [None, Some(("web-0", "u2"))] {
        let web = caller("default", "web", pod, None);
        assert_eq!(
            allow(&web, None, &rules, &residents),
            Ok(web.identity.clone())
        );
        let text = web.identity.to_string();
        assert_eq!(
            allow(&web, Some(&text), &rules, &residents),
            Ok(web.identity.clone())
        );
    }
}

#[test]
fn a_node_proxy_gets_the_identities_of_its_node_and_no_others() {
    let (rules, residents) = world();
    let web = "spiffe://cluster.local/ns/default/sa/web";
    let allowed = allow(&node_proxy(), Some(web), &rules, &residents).unwrap();
    assert_eq!(allowed.to_string(), web);
    for elsewhere in ["default/sa/db", "default/sa/nobody", "other/sa/web"] {
        let wanted = format!("spiffe://cluster.local/ns/{elsewhere}");
        let refusal = allow(&node_proxy(), Some(&wanted), &rules, &residents).unwrap_err();
        assert_eq!(refusal.word(), "nobody_there", "{wanted}");
    }
}

#[test]
fn an_identity_leaves_with_the_last_pod_of_its_node() {
    let (rules, mut residents) = world();
    let web = "spiffe://cluster.local/ns/default/sa/web";
    residents.insert("default", "web-1", resident("u9", "web", "a"));
    residents.remove("default", "web-0");
    assert!(allow(&node_proxy(), Some(web), &rules, &residents).is_ok());
    residents.remove("default", "web-1");
    assert!(allow(&node_proxy(), Some(web), &rules, &residents).is_err());
}

#[test]
fn every_other_request_is_refused_with_its_reason() {
    let (rules, residents) = world();
    let web = "spiffe://cluster.local/ns/default/sa/web";
    let foreign = "spiffe://elsewhere/ns/default/sa/web";
    let ztunnel = |pod, node| caller("weft-system", "ztunnel", pod, node);
    let rows: Vec<(Caller, &str, &str)> = vec![
        (
            caller("default", "db", Some(("db-0", "u3")), None),
            web,
            "not_trusted",
        ),
        (caller("default", "ztunnel", None, None), web, "not_trusted"),
        (ztunnel(None, Some("a")), web, "no_pod"),
        (ztunnel(Some(("ztunnel-b", "u1")), None), web, "unknown_pod"),
        (ztunnel(Some(("ztunnel-a", "old")), None), web, "other_pod"),
        (
            ztunnel(Some(("ztunnel-a", "u1")), Some("b")),
            web,
            "other_node",
        ),
        (node_proxy(), foreign, "trust_domain"),
        (node_proxy(), "web", "identity_unreadable"),
        (
            caller("default", "other", Some(("web-0", "u2")), None),
            web,
            "other_account",
        ),
    ];
    for (caller, wanted, word) in rows {
        let refusal = allow(&caller, Some(wanted), &rules, &residents).unwrap_err();
        assert_eq!(refusal.word(), word, "{refusal}");
    }
}

#[test]
fn a_token_of_a_pod_that_is_gone_gets_nothing_not_even_its_own() {
    let (rules, residents) = world();
    let gone = caller("default", "web", Some(("web-7", "u7")), None);
    let refusal = allow(&gone, None, &rules, &residents).unwrap_err();
    assert_eq!(refusal.word(), "unknown_pod");
}
