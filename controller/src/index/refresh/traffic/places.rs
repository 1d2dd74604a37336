//! Pure. The destinations of VirtualServices among those of the Gateway API's routes.

use crate::translate::routes::destinations::Destinations as All;
use crate::translate::virtual_service::{Destinations, Wanted};

/// All services there are.
pub(super) struct Places<'a, 'b> {
    pub(super) all: &'a mut All<'b>,
    /// The port that was dialled; `None` where any may be.
    pub(super) dialled: Option<u16>,
}

impl Destinations for Places<'_, '_> {
    fn find(&mut self, wanted: &Wanted<'_>) -> Result<u32, String> {
        let host = wanted.host;
        let known = self.all.around().host(host, wanted.namespace);
        let known = known.ok_or_else(|| format!("there is no service with host {host}"))?;
        let port = match (wanted.port, &*known.ports) {
            (Some(port), _) => port,
            (None, [port]) => *port,
            (None, ports) => {
                let dialled = self.dialled.or(ports.first().copied());
                dialled.ok_or_else(|| format!("{host} has no port"))?
            }
        };
        if !known.ports.contains(&port) {
            return Err(format!("{host} has no port {port}"));
        }
        let number = self.all.number(&known.key, port, wanted.subset);
        number.ok_or_else(|| {
            let subset = wanted.subset.unwrap_or_default();
            format!("no DestinationRule for {host} has a subset {subset}")
        })
    }
}
