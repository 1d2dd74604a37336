//! Pure. Cluster addresses for services that have none yet.

use std::collections::BTreeSet;
use std::net::IpAddr;

use objects::kinds::Kind;
use objects::kubernetes::Service;
use objects::kubernetes::service::ServiceType;
use serde_json::json;

use crate::cluster::{View, Wanted, Words};
use crate::network::addresses::{free_service_v4, free_service_v6};

/// An address (two for services that want both families) for every service that needs one; kept for its life.
pub(crate) fn plan(view: &View, before: &Wanted) -> Wanted {
    let mut wanted = Wanted::new();
    for (key, words) in before {
        let Words::Patch { uid, .. } = words else {
            continue;
        };
        if view
            .get(key)
            .is_some_and(|object| object.metadata().uid == *uid)
        {
            wanted.insert(key.clone(), words.clone());
        }
    }
    let mut taken: BTreeSet<IpAddr> = view.services().flat_map(Service::addresses).collect();
    taken.extend(wanted.values().flat_map(addresses_of));
    for object in view.of(Kind::Service) {
        let Some(service) = object.service() else {
            continue;
        };
        if !needs_address(service) || wanted.contains_key(object.key()) {
            continue;
        }
        let families = families(service);
        let mut addresses: Vec<IpAddr> = Vec::new();
        for family in families {
            let free = match family {
                Family::V4 => free_service_v4(&taken).map(IpAddr::V4),
                Family::V6 => free_service_v6(&taken).map(IpAddr::V6),
            };
            addresses.extend(free);
            taken.extend(free);
        }
        let Some(first) = addresses.first() else {
            continue;
        };
        let names: Vec<&str> = addresses
            .iter()
            .map(|a| if a.is_ipv4() { "IPv4" } else { "IPv6" })
            .collect();
        let fields =
            json!({"spec": {"clusterIP": first, "clusterIPs": addresses, "ipFamilies": names}});
        let uid = service.metadata.uid.clone();
        wanted.insert(object.key().clone(), Words::Patch { uid, fields });
    }
    wanted
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    V4,
    V6,
}

fn needs_address(service: &Service) -> bool {
    service.spec.r#type != ServiceType::ExternalName
        && !service.is_headless()
        && service.addresses().is_empty()
}

/// As asked for by `ipFamilies` and `ipFamilyPolicy`; IPv4 alone when nothing is said.
fn families(service: &Service) -> Vec<Family> {
    let mut families: Vec<Family> = service
        .spec
        .ip_families
        .iter()
        .map(|name| {
            if name == "IPv6" {
                Family::V6
            } else {
                Family::V4
            }
        })
        .collect();
    if families.is_empty() {
        families.push(Family::V4);
    }
    let policy = service.spec.ip_family_policy.as_deref();
    if matches!(policy, Some("PreferDualStack" | "RequireDualStack")) {
        for family in [Family::V4, Family::V6] {
            if !families.contains(&family) {
                families.push(family);
            }
        }
    }
    families
}

fn addresses_of(words: &Words) -> Vec<IpAddr> {
    let Words::Patch { fields, .. } = words else {
        return Vec::new();
    };
    let listed = fields
        .pointer("/spec/clusterIPs")
        .and_then(|value| value.as_array());
    listed
        .into_iter()
        .flatten()
        .filter_map(|value| value.as_str()?.parse().ok())
        .collect()
}
