//! Destinations outside of the mesh that have no endpoints: where they are only a call tells.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use mesh::hbone::Baggage;
use mesh::model::Locality;
use mesh::model::destination::Reach;
use mesh::names::WorkloadUid;
use mesh::state::{ServiceView, Snapshot};

use super::{Destination, Target, Ways};
use crate::balance::{EndpointId, EndpointSpec, Labels};
use crate::egress::{self, Forbidden, Outside};
use crate::observe::record::Party;
use crate::upstream::Way;

impl Target {
    /// The target of one call: `authority` is what its tunnel was asked for, `host` what the client asks for inside.
    ///
    /// # Errors
    /// [`Forbidden`] when the target lies outside of the mesh and the call must not go there.
    pub fn of(
        self: &Arc<Self>,
        authority: &str,
        host: Option<&str>,
    ) -> Result<Arc<Self>, Forbidden> {
        let Some(outside) = &self.way.outside else {
            return Ok(Arc::clone(self));
        };
        let mut way = self.way.clone();
        match outside {
            Outside::AsDialled(addresses) => {
                way.address
                    .set_ip(egress::as_dialled(addresses, authority)?);
            }
            Outside::AsAsked(service) => way.host = Some(egress::as_asked(service, host)?),
        }
        let party = Arc::clone(&self.party);
        Ok(Arc::new(Self { way, party }))
    }
}

impl Destination {
    /// The one endpoint of a service outside of the mesh that has none: where it is only a call tells.
    pub(super) fn outside(
        &self,
        snapshot: &Snapshot,
        service: ServiceView<'_>,
    ) -> Option<(Vec<EndpointSpec>, Ways)> {
        let key = &self.key;
        let outside = match key.reach {
            Reach::Endpoints => return None,
            Reach::AsAsked => Outside::AsAsked(Arc::clone(&key.service.hostname)),
            Reach::AsDialled => {
                let network = snapshot.network();
                let all = service.addresses().iter();
                let own = all.filter(|it| *it.network == *network);
                Outside::AsDialled(own.cloned().collect())
            }
        };
        let mut ports = service.ports().iter();
        let declared = ports.find(|it| it.service_port == key.port);
        let Some(declared) = declared.filter(|_| key.subset.is_none()) else {
            return Some(Default::default());
        };
        let port = match declared.target_port {
            0 => declared.service_port,
            port => port,
        };
        let (tls, announced) = self.inside();
        let target = Target {
            way: Way {
                address: SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port),
                host: None,
                tunnel: None,
                tls,
                announced,
                outside: Some(outside),
            },
            party: Arc::new(Party::of_baggage(&Baggage::default(), None)),
        };
        let id = EndpointId::new(WorkloadUid(key.service.to_string().into()), port);
        let spec = EndpointSpec {
            id: id.clone(),
            weight: 1,
            locality: Locality::default(),
            labels: Labels::default(),
            is_healthy: true,
        };
        let before = self.reached.load();
        let same = before.ways.get(&id).filter(|it| ***it == target);
        let target = same.map_or_else(|| Arc::new(target), Arc::clone);
        Some((vec![spec], Ways::from_iter([(id, target)])))
    }
}
