//! Address resources byte by byte, from the contract's field numbers.
//!
//! A field's key is number × 8 + wire type (0 varint, 2 length-delimited); from number 16 on it takes
//! two bytes.

use mesh::identity::TrustDomain;
use mesh::model::{
    AppProtocol, ApplicationTunnel, Destination, GatewayAddress, Health, HealthPolicy, IpFamilies,
    LoadBalancing, Locality, Mode, NetworkMode, Origin, Port, PortPair, Scope, Service,
    ServiceAddress, ServiceEndpoint, TunnelKind, Visibility, WeightedWaypoint, Workload,
    WorkloadKind,
};
use mesh::names::{NamespacedHostname, NamespacedName, NetworkAddress, WorkloadUid};
use mesh::wire::{Update, address};

use crate::hex;

const WORKLOAD: &str = "
0a e602                                                    # Address.workload = 1
  0a 01 61                                                 #   name = 1: a
  12 01 6e                                                 #   namespace = 2: n
  1a 04 0a000001                                           #   addresses = 3 (10.0.0.1)
  1a 10 fd000000000000000000000000000001                   #   addresses = 3 (fd00::1)
  22 03 6e6574                                             #   network = 4: net
  28 01                                                    #   tunnel_protocol = 5: 1 (HBONE)
  32 02 7464                                               #   trust_domain = 6: td
  3a 02 7361                                               #   service_account = 7: sa
  42 0d                                                    #   waypoint = 8
    0a 08                                                  #     hostname = 1
      0a 01 6e                                             #       namespace = 1: n
      12 03 772e6e                                         #       hostname = 2: w.n
    18 a075                                                #     hbone_mtls_port = 3: 15008
  4a 04 6e6f6465                                           #   node = 9: node
  52 02 636e                                               #   canonical_name = 10: cn
  5a 02 6372                                               #   canonical_revision = 11: cr
  60 02                                                    #   workload_type = 12: 2 (POD)
  6a 02 776e                                               #   workload_name = 13: wn
  70 01                                                    #   native_tunnel = 14: 1
  8201 03 6e2f70                                           #   authorization_policies = 16: n/p
  8801 01                                                  #   status = 17: 1 (UNHEALTHY)
  9201 01 63                                               #   cluster_id = 18: c
  9a01 10                                                  #   network_gateway = 19
    12 0b                                                  #     address = 2
      0a 03 666172                                         #       network = 1: far
      12 04 c0000201                                       #       address = 2 (192.0.2.1)
    18 a075                                                #     hbone_mtls_port = 3: 15008
  a201 0a 632f2f506f642f6e2f61                             #   uid = 20: c//Pod/n/a
  aa01 09 612e6578616d706c65                               #   hostname = 21: a.example
  b201 10                                                  #   services = 22
    0a 05 6e2f732e6e                                       #     key = 1: n/s.n
    12 07                                                  #     value = 2
      0a 05                                                #       ports = 1
        08 50                                              #         service_port = 1: 80
        10 903f                                            #         target_port = 2: 8080
  b201 0e                                                  #   services = 22
    0a 05 6e2f742e6e                                       #     key = 1: n/t.n
    12 05                                                  #     value = 2
      0a 03                                                #       ports = 1
        08 bb03                                            #         service_port = 1: 443
  ba01 05                                                  #   application_tunnel = 23
    08 01                                                  #     protocol = 1: 1 (PROXY)
    10 a846                                                #     port = 2: 9000
  c201 0a                                                  #   locality = 24
    0a 01 72                                               #     region = 1: r
    12 01 7a                                               #     zone = 2: z
    1a 02 737a                                             #     subzone = 3: sz
  c801 01                                                  #   network_mode = 25: 1 (HOST_NETWORK)
  d201 4c                                                  #   extensions = 26
    0a 0f 776566742e6465762f6f726967696e                   #     name = 1: weft.dev/origin
    12 39                                                  #     config = 2
      0a 27 747970652e676f6f676c65617069732e636f6d2f776566742e6d657368
    2e76312e4f726967696e                                   #       type_url = 1: type.googleapis.com/weft.mesh.v1.Origin
      12 0e                                                #       value = 2
        0a 03 506f64                                       #         kind = 1: Pod
        12 01 6e                                           #         namespace = 2: n
        1a 01 61                                           #         name = 3: a
        22 01 30                                           #         rule = 4: 0
  d201 48                                                  #   extensions = 26
    0a 0f 776566742e6465762f6c6162656c73                   #     name = 1: weft.dev/labels
    12 35                                                  #     config = 2
      0a 27 747970652e676f6f676c65617069732e636f6d2f776566742e6d6573
    682e76312e4c6162656c73                                 #       type_url = 1: type.googleapis.com/weft.mesh.v1.Labels
      12 0a                                                #       value = 2
        0a 08                                              #         labels = 1
          0a 03 617070                                     #           key = 1: app
          12 01 61                                         #           value = 2: a
  da01 02                                                  #   capacity = 27
    08 07                                                  #     value = 1: 7
";

const SERVICE: &str = "
12 c301                                                    # Address.service = 2
  0a 01 73                                                 #   name = 1: s
  12 01 6e                                                 #   namespace = 2: n
  1a 03 732e6e                                             #   hostname = 3: s.n
  22 0b                                                    #   addresses = 4
    0a 03 6e6574                                           #     network = 1: net
    12 04 0a600001                                         #     address = 2 (10.96.0.1)
  22 08                                                    #   addresses = 4
    12 04 0a610000                                         #     address = 2 (10.97.0.0)
    18 10                                                  #     length = 3: 16
  2a 07                                                    #   ports = 5
    08 50                                                  #     service_port = 1: 80
    10 903f                                                #     target_port = 2: 8080
    18 02                                                  #     app_protocol = 3: 2 (HTTP2)
  32 15 7370696666653a2f2f74642f6e732f6e2f73612f78         #   subject_alt_names = 6: spiffe://td/ns/n/sa/x
  3a 0b                                                    #   waypoint = 7
    12 06                                                  #     address = 2
      12 04 0a600002                                       #       address = 2 (10.96.0.2)
    18 a075                                                #     hbone_mtls_port = 3: 15008
  42 09                                                    #   load_balancing = 8
    0a 03 060102                                           #     routing_preference = 1 (packed: NETWORK, REGION, ZONE)
    10 02                                                  #     mode = 2: 2 (FAILOVER)
    18 01                                                  #     health_policy = 3: 1 (ALLOW_ALL)
  48 03                                                    #   ip_families = 9: 3 (DUAL)
  52 4c                                                    #   extensions = 10
    0a 0f 776566742e6465762f6f726967696e                   #     name = 1: weft.dev/origin
    12 39                                                  #     config = 2
      0a 27 747970652e676f6f676c65617069732e636f6d2f776566742e6d657368
    2e76312e4f726967696e                                   #       type_url = 1: type.googleapis.com/weft.mesh.v1.Origin
      12 0e                                                #       value = 2
        0a 03 506f64                                       #         kind = 1: Pod
        12 01 6e                                           #         namespace = 2: n
        1a 01 61                                           #         name = 3: a
        22 01 30                                           #         rule = 4: 0
  58 01                                                    #   canonical = 11: 1
  60 01                                                    #   ingress_use_waypoint = 12: 1
  6a 11                                                    #   weighted_waypoints = 13
    0a 0d                                                  #     destination = 1
      0a 08                                                #       hostname = 1
        0a 01 6e                                           #         namespace = 1: n
        12 03 772e6e                                       #         hostname = 2: w.n
      18 a075                                              #       hbone_mtls_port = 3: 15008
    10 5a                                                  #     weight = 2: 90
  70 01                                                    #   visibility = 14: 1 (NAMESPACE)
";

fn origin() -> Origin {
    Origin {
        rule: "0".into(),
        ..Origin::object("Pod", "n", "a")
    }
}

fn workload() -> Workload {
    Workload {
        uid: WorkloadUid("c//Pod/n/a".into()),
        name: "a".into(),
        namespace: "n".into(),
        addresses: vec!["10.0.0.1".parse().unwrap(), "fd00::1".parse().unwrap()],
        hostname: "a.example".into(),
        network: "net".into(),
        tunnel: TunnelKind::Hbone,
        native_tunnel: true,
        trust_domain: TrustDomain::parse("td").unwrap(),
        service_account: "sa".into(),
        node: "node".into(),
        canonical_name: "cn".into(),
        canonical_revision: "cr".into(),
        workload_kind: WorkloadKind::Pod,
        workload_name: "wn".into(),
        cluster: "c".into(),
        health: Health::Unhealthy,
        services: vec![
            ServiceEndpoint {
                service: NamespacedHostname::new("n", "s.n"),
                ports: vec![PortPair {
                    service_port: 80,
                    target_port: 8080,
                }],
            },
            ServiceEndpoint {
                service: NamespacedHostname::new("n", "t.n"),
                ports: vec![PortPair {
                    service_port: 443,
                    target_port: 0,
                }],
            },
        ],
        waypoint: Some(waypoint()),
        network_gateway: Some(GatewayAddress {
            destination: Destination::Address(NetworkAddress::new(
                "far",
                "192.0.2.1".parse().unwrap(),
            )),
            hbone_port: 15008,
        }),
        application_tunnel: Some(ApplicationTunnel {
            proxy_protocol: true,
            port: 9000,
        }),
        policies: vec![NamespacedName::new("n", "p")],
        locality: Locality {
            region: "r".into(),
            zone: "z".into(),
            subzone: "sz".into(),
        },
        network_mode: NetworkMode::HostNetwork,
        capacity: 7,
        labels: vec![("app".into(), "a".into())],
        origin: Some(origin()),
    }
}

fn waypoint() -> GatewayAddress {
    GatewayAddress {
        destination: Destination::Hostname(NamespacedHostname::new("n", "w.n")),
        hbone_port: 15008,
    }
}

fn service() -> Service {
    Service {
        key: NamespacedHostname::new("n", "s.n"),
        name: "s".into(),
        addresses: vec![
            ServiceAddress {
                network: "net".into(),
                address: "10.96.0.1".parse().unwrap(),
                prefix: None,
            },
            ServiceAddress {
                network: "".into(),
                address: "10.97.0.0".parse().unwrap(),
                prefix: Some(16),
            },
        ],
        ports: vec![Port {
            service_port: 80,
            target_port: 8080,
            app_protocol: AppProtocol::Http2,
        }],
        subject_alt_names: vec!["spiffe://td/ns/n/sa/x".into()],
        waypoint: Some(GatewayAddress {
            destination: Destination::Address(NetworkAddress::new(
                "",
                "10.96.0.2".parse().unwrap(),
            )),
            hbone_port: 15008,
        }),
        weighted_waypoints: vec![WeightedWaypoint {
            gateway: waypoint(),
            weight: 90,
        }],
        load_balancing: LoadBalancing {
            scopes: vec![Scope::Network, Scope::Region, Scope::Zone],
            mode: Mode::Failover,
            health: HealthPolicy::AllowAll,
        },
        ip_families: IpFamilies::Dual,
        canonical: true,
        ingress_use_waypoint: true,
        visibility: Visibility::Namespace,
        origin: Some(origin()),
    }
}

#[test]
fn reads_a_workload_with_every_field() {
    let read = address::decode(&hex(WORKLOAD)).unwrap();
    assert_eq!(read, Update::Workload(Box::new(workload())));
}

#[test]
fn writes_a_workload_with_every_field() {
    assert_eq!(address::encode_workload(&workload()), hex(WORKLOAD));
}

#[test]
fn reads_a_service_with_every_field() {
    let read = address::decode(&hex(SERVICE)).unwrap();
    assert_eq!(read, Update::Service(Box::new(service())));
}

#[test]
fn writes_a_service_with_every_field() {
    assert_eq!(address::encode_service(&service()), hex(SERVICE));
}

#[test]
fn fills_in_what_a_bare_workload_leaves_out() {
    let bytes = hex("0a 06 a201 03 612f62 # Address.workload = 1, uid = 20: a/b");
    let Update::Workload(read) = address::decode(&bytes).unwrap() else {
        panic!("not a workload");
    };
    assert_eq!(read.trust_domain.as_str(), "cluster.local");
    assert_eq!(&*read.service_account, "default");
    assert_eq!(&*read.cluster, "Kubernetes");
    assert_eq!(read.capacity, 1);
    assert_eq!(read.tunnel, TunnelKind::None);
    assert_eq!(read.health, Health::Healthy);
    assert_eq!(read.workload_kind, WorkloadKind::Deployment);
    assert!(read.addresses.is_empty() && read.hostname.is_empty());
    assert_eq!(read.origin, None);
}

#[test]
fn a_capacity_of_zero_is_not_an_absent_one() {
    let bytes = hex("0a 09 a201 03 612f62 da01 00 # uid = 20: a/b, capacity = 27: empty wrapper");
    let Update::Workload(read) = address::decode(&bytes).unwrap() else {
        panic!("not a workload");
    };
    assert_eq!(read.capacity, 0);
}

#[test]
fn what_only_informs_never_costs_the_resource() {
    // workload_type = 12: 99, field 15 (reserved), field 99, an origin that is not one
    let workload = "0a 2f a201 03 612f62 60 63 7a 01 78 9a06 01 78
        d201 1d 0a 0f 776566742e6465762f6f726967696e 12 0a 0a 01 78 12 05 ffffffffff";
    let bytes = hex(workload);
    let Update::Workload(read) = address::decode(&bytes).unwrap() else {
        panic!("not a workload");
    };
    assert_eq!((read.workload_kind, read.origin), (WorkloadKind::Pod, None));

    // hostname = 3, namespace = 2, ports = 5 with app_protocol = 3: 77, visibility = 14: 9
    let bytes = hex("12 0c 12 01 6e 1a 01 68 2a 02 18 4d 70 09");
    let Update::Service(read) = address::decode(&bytes).unwrap() else {
        panic!("not a service");
    };
    assert_eq!(read.ports[0].app_protocol, AppProtocol::Unknown);
    assert_eq!(read.visibility, Visibility::Public);
}

#[test]
fn an_ipv4_mapped_address_is_the_ipv4_address() {
    let bytes = hex("0a 18 a201 03 612f62 1a 10 00000000000000000000ffff0a000001");
    let Update::Workload(read) = address::decode(&bytes).unwrap() else {
        panic!("not a workload");
    };
    assert_eq!(
        read.addresses,
        ["10.0.0.1".parse::<std::net::IpAddr>().unwrap()]
    );
}
