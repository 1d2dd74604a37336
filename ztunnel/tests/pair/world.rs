//! Two pods, `client` on node one and `web` on node two, each behind a node proxy; a service in
//! front of `web`.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use mesh::flow::{Direction, Reason};
use mesh::identity::TrustDomain;
use mesh::model::{
    AppProtocol, Health, IpFamilies, LoadBalancing, Locality, NetworkMode, Port, PortPair, Service,
    ServiceAddress, ServiceEndpoint, TunnelKind, Visibility, Workload, WorkloadKind,
};
use mesh::names::{NamespacedHostname, NamespacedName, WorkloadUid};
use mesh::testing::ca::Ca;
use mesh::wire::Update;

use crate::net::{self, APP_PORT, Cable, ONE, ONE6, TWO, TWO6, VIP, VIP6};
use crate::proxy::{PATIENCE, Proxy, Start, wait_until};

pub(crate) use crate::net::SERVICE_PORT;

/// Everything a test needs.
pub(crate) struct World {
    pub(crate) one: Proxy,
    pub(crate) two: Proxy,
    pub(crate) cable: Cable,
    pub(crate) ca: Arc<Ca>,
}

impl World {
    /// Both pods enrolled, both proxies knowing everything.
    pub(crate) fn new() -> Self {
        let world = Self::empty();
        world.one.learn(everything(), Vec::new());
        world.two.learn(everything(), Vec::new());
        world
    }

    /// Both pods enrolled, nothing known.
    pub(crate) fn empty() -> Self {
        let world = Self::half(|_| {});
        world.two.enrol("web", "web", &world.cable.two);
        world
    }

    /// Only the client is enrolled: in the other pod, the test may play the proxy. Nothing known.
    pub(crate) fn half(change: impl Fn(&mut Start)) -> Self {
        let cable = net::build();
        let ca = Arc::new(Ca::new());
        let one = Proxy::start("one", &ca, |start| {
            // Captures what is dialled at the service's address without a redirection.
            start.config.doors.outbound_port = SERVICE_PORT;
            change(start);
        });
        let two = Proxy::start("two", &ca, &change);
        one.enrol("client", "client", &cable.one);
        Self {
            one,
            two,
            cable,
            ca,
        }
    }

    /// The application in pod two starts to listen.
    pub(crate) fn listen(&self, address: IpAddr) -> TcpListener {
        self.listen_at(address, APP_PORT)
    }

    /// The same at another port.
    pub(crate) fn listen_at(&self, address: IpAddr, port: u16) -> TcpListener {
        let at = SocketAddr::new(address, port);
        net::inside(&self.cable.two, move || TcpListener::bind(at).unwrap())
            .join()
            .unwrap()
    }

    /// The application in pod one calls the service.
    pub(crate) fn call(&self) -> TcpStream {
        self.call_at(VIP.into())
    }

    /// The application in pod one calls an address of the service.
    pub(crate) fn call_at(&self, address: IpAddr) -> TcpStream {
        let from = match address {
            IpAddr::V4(_) => ONE.into(),
            IpAddr::V6(_) => ONE6.into(),
        };
        let at = SocketAddr::new(address, SERVICE_PORT);
        timed(net::connect(&self.cable.one, from, at))
    }

    /// A connection over both proxies: the client's end and the application's.
    pub(crate) fn connection(&self, listener: &TcpListener) -> (TcpStream, TcpStream) {
        let mut client = self.call();
        let (application, _) = listener.accept().unwrap();
        let mut application = timed(application);
        client.write_all(b"?").unwrap();
        application.read_exact(&mut [0]).unwrap();
        application.write_all(b"!").unwrap();
        client.read_exact(&mut [0]).unwrap();
        (client, application)
    }

    /// Waits until a proxy has seen a connection end for this reason.
    pub(crate) fn wait_for_end(proxy: &Proxy, direction: Direction, reason: Reason) {
        wait_until(&format!("{direction:?} ended with {reason:?}"), || {
            let count = |reason| proxy.metrics.ended(direction, reason);
            if count(reason) > 0 {
                return true;
            }
            let others = Reason::ALL.iter().filter(|other| **other != reason);
            let others = others.filter(|other| count(**other) > 0);
            let others: Vec<_> = others.collect();
            assert!(
                others.is_empty(),
                "{direction:?} ended with {others:?}, not {reason:?}"
            );
            false
        });
    }
}

/// Nothing in a test may wait for ever.
pub(crate) fn timed(stream: TcpStream) -> TcpStream {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Writes `text`, finishes, and reads until the other side has finished.
pub(crate) fn ask(mut stream: &TcpStream, text: &[u8]) -> Vec<u8> {
    stream.write_all(text).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    read_all(stream)
}

/// Reads until the other side has finished.
pub(crate) fn read_all(mut stream: &TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    bytes
}

/// Whether the other side closed or reset without a byte.
pub(crate) fn is_refused(mut stream: &TcpStream) -> bool {
    let mut byte = [0];
    match stream.read(&mut byte) {
        Ok(count) => count == 0,
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
    }
}

/// Serves one connection on a thread: reads all, answers, ends. Gives the peer's address.
pub(crate) fn answer_once(
    listener: TcpListener,
    answer: &'static [u8],
) -> std::thread::JoinHandle<(SocketAddr, Vec<u8>)> {
    std::thread::spawn(move || {
        let (stream, peer) = listener.accept().unwrap();
        let stream = timed(stream);
        let question = read_all(&stream);
        (&stream).write_all(answer).unwrap();
        (peer, question)
    })
}

/// All records.
pub(crate) fn everything() -> Vec<Update> {
    vec![
        Update::Workload(Box::new(client())),
        Update::Workload(Box::new(web())),
        Update::Service(Box::new(service())),
    ]
}

/// The workload in pod one.
pub(crate) fn client() -> Workload {
    workload("client", "one", vec![ONE.into(), ONE6.into()])
}

/// The workload in pod two.
pub(crate) fn web() -> Workload {
    let mut web = workload("web", "two", vec![TWO.into(), TWO6.into()]);
    let ports = vec![PortPair {
        service_port: SERVICE_PORT,
        target_port: APP_PORT,
    }];
    web.services = vec![ServiceEndpoint {
        service: service().key,
        ports,
    }];
    web
}

fn workload(name: &str, node: &str, addresses: Vec<IpAddr>) -> Workload {
    Workload {
        uid: WorkloadUid::pod("Kubernetes", "shop", name),
        name: name.into(),
        namespace: "shop".into(),
        addresses,
        hostname: "".into(),
        network: "".into(),
        tunnel: TunnelKind::Hbone,
        native_tunnel: false,
        trust_domain: TrustDomain::default(),
        service_account: name.into(),
        node: node.into(),
        canonical_name: name.into(),
        canonical_revision: "v1".into(),
        workload_kind: WorkloadKind::Deployment,
        workload_name: name.into(),
        cluster: "Kubernetes".into(),
        health: Health::Healthy,
        services: Vec::new(),
        waypoint: None,
        network_gateway: None,
        application_tunnel: None,
        policies: Vec::new(),
        locality: Locality::default(),
        network_mode: NetworkMode::Standard,
        capacity: 1,
        labels: Vec::new(),
        origin: None,
    }
}

/// The service in front of `web`.
pub(crate) fn service() -> Service {
    let address = |address: IpAddr| ServiceAddress {
        network: "".into(),
        address,
        prefix: None,
    };
    Service {
        key: NamespacedHostname::new("shop", "web.shop.svc.cluster.local"),
        name: "web".into(),
        addresses: vec![address(VIP.into()), address(VIP6.into())],
        ports: vec![Port {
            service_port: SERVICE_PORT,
            target_port: APP_PORT,
            app_protocol: AppProtocol::Unknown,
        }],
        subject_alt_names: Vec::new(),
        waypoint: None,
        weighted_waypoints: Vec::new(),
        load_balancing: LoadBalancing::default(),
        ip_families: IpFamilies::Dual,
        canonical: true,
        ingress_use_waypoint: false,
        visibility: Visibility::Public,
        origin: None,
    }
}

/// A policy of the mesh that refuses everybody, named so that tests can tell it.
pub(crate) fn deny_all() -> mesh::model::Policy {
    mesh::model::Policy {
        key: NamespacedName::new("shop", "nobody"),
        scope: mesh::model::PolicyScope::Namespace,
        action: mesh::model::Action::Deny,
        rules: vec![mesh::model::Rule::default()],
        dry_run: false,
        origin: Some(mesh::model::Origin::object(
            "AuthorizationPolicy",
            "shop",
            "nobody",
        )),
    }
}

/// Time in which something that must not happen would have happened.
pub(crate) const A_WHILE: Duration = Duration::from_millis(200);
