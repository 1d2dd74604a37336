//! What this waypoint serves: routes, policies and its own settings, as the controller last said.
//!
//! One writer, the task that hears from the controller; readers see consistent versions and never wait. What
//! cannot be used is refused alone: its last good version stays, and without one the service it is for
//! is refused, never served without its rules.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use foldhash::fast::RandomState;
use mesh::model::attached::{AttachedPolicy, PolicyBody, Target};
use mesh::model::http::ServiceRoutes;
use mesh::model::observe::Telemetry;
use mesh::model::waypoint::{Waypoint, WaypointFor};
use mesh::names::{NamespacedHostname, NamespacedName};
use tokio::sync::watch;

use crate::authenticate::Authentication;
use crate::authenticate::keys::KeyRing;
use crate::authorize::Authorization;
use crate::destinations::{Destination, Destinations};
use crate::limit::Limits;
use crate::limit::registry::Registry;
use crate::observe::Settings;
use crate::routes::compile::{self, BadRoutes, Observed, Service};

/// What is served, in one version.
#[derive(Default)]
pub struct Served {
    /// This waypoint's settings, once they have come.
    pub waypoint: Option<Arc<Waypoint>>,
    /// What is logged, counted and traced where a service has no settings of its own.
    pub observed: Arc<Settings>,
    /// Whether the controller has said everything once: before, nobody is served.
    pub is_complete: bool,
    services: HashMap<NamespacedHostname, Arc<Bound>, RandomState>,
    /// Policies of everything that is served.
    pub general: Arc<Policies>,
}

/// A service of which this waypoint is in front.
pub struct Bound {
    /// Its routes; `None` when they could not be used and there is no earlier version.
    pub routes: Option<Arc<Service>>,
    /// Policies of it and of everything that is served.
    pub policies: Arc<Policies>,
}

/// Policies that hold for one target, by what they say.
#[derive(Debug, Default)]
pub struct Policies {
    /// All of them, in order of their names.
    pub all: Vec<Arc<AttachedPolicy>>,
    /// A policy could not be read and has no earlier version: nobody is admitted.
    pub rejected: Option<Box<str>>,
    /// Which tokens count.
    pub authentication: Authentication,
    /// Who may ask.
    pub authorization: Authorization,
    /// How often.
    pub limits: Limits,
}

impl Policies {
    /// Whether requests pass without a look at them.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty() && self.rejected.is_none()
    }
}

impl Served {
    /// What is logged, counted and traced of requests to a service, or to a workload itself.
    pub fn observed(&self, service: Option<&NamespacedHostname>) -> &Arc<Settings> {
        let bound = service.and_then(|key| self.service(key));
        let routes = bound.and_then(|it| it.routes.as_ref());
        let own = routes.and_then(|it| it.telemetry.as_ref());
        own.map_or(&self.observed, |it| &it.settings)
    }

    /// A service by its key.
    pub fn service(&self, key: &NamespacedHostname) -> Option<&Arc<Bound>> {
        self.services.get(key)
    }

    /// Policies that hold for a service, or for a workload itself.
    pub fn policies(&self, service: Option<&NamespacedHostname>) -> &Policies {
        let bound = service.and_then(|key| self.service(key));
        bound.map_or(&self.general, |it| &it.policies)
    }

    /// Whether traffic to the addresses of pods is for this waypoint.
    pub fn serves_workloads(&self) -> bool {
        let serves = self.waypoint.as_ref().map(|it| it.serves);
        matches!(serves, Some(WaypointFor::Workload | WaypointFor::All))
    }

    /// All services, in no particular order.
    pub fn services(&self) -> impl Iterator<Item = (&NamespacedHostname, &Arc<Bound>)> {
        self.services.iter()
    }
}

/// Reads what is served.
#[derive(Clone)]
pub struct Reader {
    current: Arc<ArcSwap<Served>>,
    changed: watch::Receiver<u64>,
}

impl Reader {
    /// The newest version, for a short look.
    pub fn load(&self) -> Guard<Arc<Served>> {
        self.current.load()
    }

    /// The newest version, to keep.
    pub fn snapshot(&self) -> Arc<Served> {
        self.current.load_full()
    }

    /// Changes with every version.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.changed.clone()
    }
}

/// Writes what is served.
pub struct Writer {
    gateway: NamespacedName,
    destinations: Arc<Destinations>,
    keys: KeyRing,
    limits: RefCell<Registry>,
    /// Servers that policies name, so that their endpoints are known before they are asked.
    providers: Vec<Arc<Destination>>,
    observed: Observed,
    waypoint: Option<Arc<Waypoint>>,
    routes: BTreeMap<NamespacedHostname, Option<Arc<Service>>>,
    policies: BTreeMap<String, Option<Arc<AttachedPolicy>>>,
    is_complete: bool,
    current: Arc<ArcSwap<Served>>,
    changed: watch::Sender<u64>,
}

/// What serves nothing yet: a writer for the waypoint of `gateway`, and its reader. Keys of tokens come from
/// `keys`.
pub fn new(
    gateway: NamespacedName,
    destinations: Arc<Destinations>,
    keys: KeyRing,
) -> (Writer, Reader) {
    let observed = Observed::new(&Telemetry::default(), &destinations);
    let current = Arc::new(ArcSwap::default());
    let (sender, changed) = watch::channel(0);
    let writer = Writer {
        gateway,
        destinations,
        keys,
        limits: RefCell::default(),
        providers: Vec::new(),
        observed,
        waypoint: None,
        routes: BTreeMap::new(),
        policies: BTreeMap::new(),
        is_complete: false,
        current: Arc::clone(&current),
        changed: sender,
    };
    (writer, Reader { current, changed })
}

impl Writer {
    /// New routes of a service.
    ///
    /// # Errors
    /// [`BadRoutes`]; the last good version stays.
    pub fn set_routes(&mut self, routes: &ServiceRoutes) -> Result<(), BadRoutes> {
        match compile::service(routes, &self.destinations) {
            Ok(service) => {
                self.routes
                    .insert(routes.key.clone(), Some(Arc::new(service)));
                Ok(())
            }
            Err(error) => {
                self.reject_routes(&routes.key);
                Err(error)
            }
        }
    }

    /// Routes of a service that cannot be used.
    pub fn reject_routes(&mut self, service: &NamespacedHostname) {
        self.routes.entry(service.clone()).or_default();
    }

    /// A service is no longer bound.
    pub fn remove_routes(&mut self, service: &NamespacedHostname) {
        self.routes.remove(service);
    }

    /// A policy by its resource name; `None` when it cannot be used.
    pub fn set_policy(&mut self, name: &str, policy: Option<AttachedPolicy>) {
        match policy {
            Some(policy) => {
                self.policies
                    .insert(name.to_owned(), Some(Arc::new(policy)));
            }
            None => {
                self.policies.entry(name.to_owned()).or_default();
            }
        }
    }

    /// A policy is gone.
    pub fn remove_policy(&mut self, name: &str) {
        self.policies.remove(name);
    }

    /// This waypoint's own settings.
    pub fn set_waypoint(&mut self, waypoint: Waypoint) {
        let servers = waypoint.authorizers.iter().map(|it| &it.server);
        let known = servers.filter_map(|it| self.destinations.of_provider(it));
        self.providers = known.collect();
        self.observed = Observed::new(&waypoint.telemetry, &self.destinations);
        self.waypoint = Some(Arc::new(waypoint));
    }

    /// The controller has said everything once; shown with the next version.
    pub fn complete(&mut self) {
        self.is_complete = true;
    }

    /// Shows everything that was said since the last time.
    pub fn publish(&mut self) {
        let before = self.current.load_full();
        let general = self.policies_for(None, Some(&before.general));
        let services = self.routes.iter().map(|(key, routes)| {
            let same = before.service(key).map(|it| &it.policies);
            let policies = self.policies_for(Some(key), same);
            let routes = routes.clone();
            (key.clone(), Arc::new(Bound { routes, policies }))
        });
        let served = Served {
            waypoint: self.waypoint.clone(),
            observed: Arc::clone(&self.observed.settings),
            is_complete: self.is_complete,
            services: services.collect(),
            general,
        };
        self.current.store(Arc::new(served));
        self.changed.send_modify(|version| *version += 1);
    }

    /// Policies of a service, or of the waypoint as a whole. One that targets single routes counts for
    /// every service: what its requests matched is known only later.
    fn policies_for(
        &self,
        service: Option<&NamespacedHostname>,
        before: Option<&Arc<Policies>>,
    ) -> Arc<Policies> {
        let mut all = Vec::new();
        let mut rejected = None;
        for (name, policy) in &self.policies {
            let Some(policy) = policy else {
                rejected = Some(name.as_str().into());
                continue;
            };
            let concerns = |target: &Target| match target {
                Target::Gateway(gateway) => *gateway == self.gateway,
                Target::Service(key) => service == Some(key),
                Target::Route(_) => service.is_some(),
            };
            if policy.targets.iter().any(concerns) {
                all.push(Arc::clone(policy));
            }
        }
        // What stays the same keeps what was made of it: its keys above all.
        match before {
            Some(before) if before.all == all && before.rejected == rejected => Arc::clone(before),
            _ => Arc::new(self.compile(all, rejected)),
        }
    }

    fn compile(&self, all: Vec<Arc<AttachedPolicy>>, rejected: Option<Box<str>>) -> Policies {
        let rules = all.iter().filter_map(|policy| match &policy.body {
            PolicyBody::Authentication(rules) => Some(rules),
            PolicyBody::Authorization(_) | PolicyBody::RateLimit(_) => None,
        });
        let authentication = Authentication::new(rules.flatten(), &self.keys);
        let authorizations = all.iter().filter_map(|policy| match &policy.body {
            PolicyBody::Authorization(it) => Some((policy.origin.clone(), it.clone())),
            PolicyBody::Authentication(_) | PolicyBody::RateLimit(_) => None,
        });
        let limits = self.limits.borrow_mut().limits(&all);
        let (limits, unusable) = match limits {
            Ok(limits) => (limits, None),
            Err((name, error)) => {
                let error = mesh::telemetry::report(&error);
                tracing::warn!(policy = name, %error, "limits cannot be used");
                (Limits::default(), Some(name.into_boxed_str()))
            }
        };
        Policies {
            authorization: Authorization::new(authorizations),
            authentication,
            limits,
            rejected: rejected.or(unusable),
            all,
        }
    }
}
