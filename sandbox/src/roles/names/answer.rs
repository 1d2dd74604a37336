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
