//! Pure. From a question and the picture to an answer.

use std::net::IpAddr;

use objects::kinds::{Key, Kind};

use super::message::{Question, Reply, Wants, question, refusal};
use crate::cluster::View;

/// What services' names end in.
const SUFFIX: &str = ".svc.cluster.local";

/// The bytes to answer with; none for what is no query at all.
pub(super) fn reply(message: &[u8], view: &View, longest: Option<usize>) -> Option<Vec<u8>> {
    Some(match question(message)? {
        Ok(question) => question.reply(&look_up(&question, view), longest),
        Err(reply) => refusal(message, &reply),
    })
}

fn look_up(question: &Question<'_>, view: &View) -> Reply {
    let Some(addresses) = addresses(&question.name, view) else {
        return Reply::NoSuchName;
    };
    let wanted = |address: &IpAddr| match question.wants {
        Wants::V4 => address.is_ipv4(),
        Wants::V6 => address.is_ipv6(),
        Wants::Other => false,
    };
    Reply::Addresses(addresses.into_iter().filter(wanted).collect())
}

/// All addresses behind a name; `None` when there is no such name.
fn addresses(name: &str, view: &View) -> Option<Vec<IpAddr>> {
    let labels: Vec<&str> = name.strip_suffix(SUFFIX)?.split('.').collect();
    match labels.as_slice() {
        [service, namespace] => of_service(service, namespace, view),
        [pod, service, namespace] => of_pod(pod, service, namespace, view),
        _ => None,
    }
}

fn of_service(name: &str, namespace: &str, view: &View) -> Option<Vec<IpAddr>> {
    let service = view
        .get(&Key::new(Kind::Service, namespace, name))?
        .service()?;
    let own = service.addresses();
    if !own.is_empty() {
        return Some(own);
    }
    // Headless: the ready endpoints themselves.
    let endpoints = view
        .of(Kind::EndpointSlice)
        .filter_map(|object| object.endpoint_slice())
        .filter(|slice| slice.metadata.namespace == namespace && slice.service_name() == Some(name))
        .flat_map(|slice| &slice.endpoints)
        .filter(|endpoint| endpoint.conditions.is_ready())
        .flat_map(|endpoint| &endpoint.addresses)
        .filter_map(|text| text.parse().ok());
    Some(endpoints.collect())
}

/// `web-0.web.default`: one pod of a headless service, by its hostname.
fn of_pod(hostname: &str, service: &str, namespace: &str, view: &View) -> Option<Vec<IpAddr>> {
    view.get(&Key::new(Kind::Service, namespace, service))?
        .service()
        .filter(|one| one.is_headless())?;
    let slices = view
        .of(Kind::EndpointSlice)
        .filter_map(|object| object.endpoint_slice())
        .filter(|slice| {
            slice.metadata.namespace == namespace && slice.service_name() == Some(service)
        });
    let found: Vec<IpAddr> = slices
        .flat_map(|slice| &slice.endpoints)
        .filter(|endpoint| {
            endpoint
                .target_ref
                .as_ref()
                .is_some_and(|pod| pod.name == hostname)
        })
        .flat_map(|endpoint| &endpoint.addresses)
        .filter_map(|text| text.parse().ok())
        .collect();
    (!found.is_empty()).then_some(found)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A question about `name`: type 1 is A, 28 is AAAA, 16 is TXT.
    fn query(name: &str, kind: u8) -> Vec<u8> {
        let mut message = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.split('.') {
            message.push(u8::try_from(label.len()).unwrap());
            message.extend(label.as_bytes());
        }
        message.extend([0, 0, kind, 0, 1]);
        message
    }

    /// A service with both families, and a headless one with a ready pod and one that is not.
    fn view() -> View {
        let mut view = View::default();
        view.see(json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "shop"},
            "spec": {"clusterIPs": ["10.96.0.5", "fd00:96::5"], "ports": [{"port": 80}]}}));
        view.see(json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "db", "namespace": "shop"},
            "spec": {"clusterIP": "None", "ports": [{"port": 5432}]}}));
        let endpoint = |pod: &str, address: &str, ready: bool| {
            json!({"addresses": [address], "conditions": {"ready": ready},
                "targetRef": {"kind": "Pod", "namespace": "shop", "name": pod}})
        };
        view.see(json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": "db-v4", "namespace": "shop", "labels": {"kubernetes.io/service-name": "db"}},
            "endpoints": [endpoint("db-0", "10.244.1.2", true), endpoint("db-1", "10.244.2.2", false)],
            "ports": [{"port": 5432}]}));
        view
    }

    /// Code of the answer, and the data of its records.
    fn ask(name: &str, kind: u8) -> (u8, Vec<Vec<u8>>) {
        let query = query(name, kind);
        let reply = reply(&query, &view(), None).unwrap();
        let mut rest = &reply[query.len()..];
        let mut records = Vec::new();
        while !rest.is_empty() {
            // pointer, type, class, time to live: then the length of the data
            let length = usize::from(rest[11]);
            records.push(rest[12..12 + length].to_vec());
            rest = &rest[12 + length..];
        }
        assert_eq!(usize::from(reply[7]), records.len());
        (reply[3] & 0xf, records)
    }

    #[test]
    fn answers_what_kubernetes_would() {
        let v6 = "fd00:96::5".parse::<std::net::Ipv6Addr>().unwrap().octets();
        for (name, kind, code, records) in [
            ("web.shop.svc.cluster.local", 1, 0, vec![vec![10, 96, 0, 5]]),
            ("WEB.Shop.svc.cluster.local", 1, 0, vec![vec![10, 96, 0, 5]]),
            ("web.shop.svc.cluster.local", 28, 0, vec![v6.to_vec()]),
            // the name exists, the record does not
            ("web.shop.svc.cluster.local", 16, 0, vec![]),
            ("db.shop.svc.cluster.local", 1, 0, vec![vec![10, 244, 1, 2]]),
            ("db.shop.svc.cluster.local", 28, 0, vec![]),
            // a pod of a headless service by its hostname, ready or not
            (
                "db-1.db.shop.svc.cluster.local",
                1,
                0,
                vec![vec![10, 244, 2, 2]],
            ),
            ("db-9.db.shop.svc.cluster.local", 1, 3, vec![]),
            ("x.web.shop.svc.cluster.local", 1, 3, vec![]),
            ("web.other.svc.cluster.local", 1, 3, vec![]),
            ("shop.svc.cluster.local", 1, 3, vec![]),
            ("example.com", 1, 3, vec![]),
        ] {
            assert_eq!(ask(name, kind), (code, records), "{name} {kind}");
        }
    }

    #[test]
    fn what_is_no_question_is_refused_or_not_answered() {
        assert_eq!(reply(b"short", &view(), None), None);
        let mut two = query("web.shop.svc.cluster.local", 1);
        two[5] = 2;
        assert_eq!(reply(&two, &view(), None).unwrap()[3] & 0xf, 1);
        let mut update = query("web.shop.svc.cluster.local", 1);
        update[2] = 5 << 3;
        assert_eq!(reply(&update, &view(), None).unwrap()[3] & 0xf, 4);
    }
}
