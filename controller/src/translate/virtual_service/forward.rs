//! Pure. Destinations of a route and their shares.

use mesh::model::http::{Backend, HeaderChanges};
use objects::istio::virtual_service::opaque::RouteDestination;
use objects::istio::virtual_service::{Destination, HttpDestination};
use objects::raw::Path;

use super::{Reader, Wanted, headers};
use crate::translate::host;
use crate::translate::rule::Rule;

/// Destinations of requests.
pub(super) fn http(
    written: &[HttpDestination],
    namespace: &str,
    path: &Path,
    reader: &mut Reader<'_>,
) -> Vec<Backend> {
    let given: Vec<i32> = written.iter().map(|it| it.weight).collect();
    let weights = weights(&given, path, reader);
    let mut backends = Vec::new();
    for (index, (one, weight)) in written.iter().zip(weights).enumerate() {
        let path = path.clone().at(index);
        let changes = one.headers.clone().unwrap_or_default();
        let at = path.clone().key("headers");
        let request_headers = headers::read(&changes.request, &at.clone().key("request"), reader);
        let response_headers = headers::read(&changes.response, &at.key("response"), reader);
        let destination = find(one.destination.as_ref(), namespace, &path, reader);
        backends.push(Backend {
            weight,
            destination,
            request_headers,
            response_headers,
        });
    }
    backends.retain(|it| it.weight > 0);
    backends
}

/// Destinations of connections.
pub(super) fn opaque(
    written: &[RouteDestination],
    namespace: &str,
    path: &Path,
    reader: &mut Reader<'_>,
) -> Vec<Backend> {
    let given: Vec<i32> = written.iter().map(|it| it.weight).collect();
    let weights = weights(&given, path, reader);
    let mut backends = Vec::new();
    for (index, (one, weight)) in written.iter().zip(weights).enumerate() {
        let path = path.clone().at(index);
        backends.push(Backend {
            weight,
            destination: find(one.destination.as_ref(), namespace, &path, reader),
            request_headers: HeaderChanges::default(),
            response_headers: HeaderChanges::default(),
        });
    }
    backends.retain(|it| it.weight > 0);
    backends
}

/// A single destination gets everything whatever its weight; of several those without get nothing.
fn weights(given: &[i32], path: &Path, reader: &mut Reader<'_>) -> Vec<u32> {
    for (index, weight) in given.iter().enumerate() {
        if *weight < 0 {
            let path = path.clone().at(index).key("weight");
            reader.invalid(path, "a weight is not negative");
        }
    }
    if let [_] = given {
        return vec![1];
    }
    if !given.is_empty() && given.iter().all(|it| *it == 0) {
        reader.invalid(
            path.clone(),
            "of several destinations at least one has a weight",
        );
    }
    let given = given.iter();
    given.map(|it| u32::try_from(*it).unwrap_or(0)).collect()
}

/// The index of a destination; `None` where it leads nowhere, which its owner hears.
pub(super) fn find(
    written: Option<&Destination>,
    namespace: &str,
    path: &Path,
    reader: &mut Reader<'_>,
) -> Option<u32> {
    let path = path.clone().key("destination");
    let Some(written) = written else {
        reader.invalid(path, "where it goes");
        return None;
    };
    let complaint = match host::complaint(&written.host) {
        None if written.host.starts_with('*') => {
            Some("a destination is one host, no wildcard".to_owned())
        }
        complaint => complaint,
    };
    if let Some(complaint) = complaint {
        reader.invalid(path.clone().key("host"), complaint);
        return None;
    }
    let number = written.port.map(|it| it.number).filter(|it| *it != 0);
    let port = number.map(u16::try_from);
    if written.port.is_some() && !matches!(port, Some(Ok(_))) {
        let path = path.clone().key("port").key("number");
        reader.invalid(path, "a port is a number from 1 to 65535");
        return None;
    }
    let wanted = Wanted {
        host: &host::full_name(&written.host, namespace, &reader.cluster.domain),
        namespace,
        port: port.and_then(Result::ok),
        subset: Some(written.subset.as_str()).filter(|it| !it.is_empty()),
    };
    match reader.destinations.find(&wanted) {
        Ok(index) => Some(index),
        Err(reason) => {
            reader.remarks.add(Rule::DestinationMissing, path, reason);
            None
        }
    }
}
