//! Pure. Who must be looked at again when it may have turned whose a host is.

use objects::kinds::Kind;
use objects::object::Object;

use super::{Dirty, members, routes};
use crate::shelf::{Replaced, Shelf};
use crate::translate::{Cluster, namespaces};

/// All service entries that name a host, and who is behind them.
pub(super) fn host(host: &str, shelf: &Shelf, dirty: &mut Dirty) {
    routes::sending_to_host(host, shelf, dirty);
    for entry in shelf.entries_of(host) {
        routes::rebound(Kind::ServiceEntry, &entry.metadata, shelf, dirty);
        members::of_entry(entry, shelf, dirty);
    }
}

/// The service entries of a namespace with their rivals, when others see them now than before.
pub(super) fn namespace(replaced: &Replaced, shelf: &Shelf, cluster: &Cluster, dirty: &mut Dirty) {
    let name = &*replaced.key.name;
    let forms = replaced.both(Object::namespace);
    let [before, after] =
        forms.map(|it| cluster.seen(&namespaces::labels(name, it.map(|it| &it.metadata))));
    if before != after {
        for entry in shelf.service_entries_in(name) {
            dirty.entry(&entry.metadata);
            let named = entry.spec.hosts.iter();
            named.for_each(|it| host(it, shelf, dirty));
        }
    }
}
