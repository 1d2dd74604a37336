//! Resources of waypoints byte by byte, from the field numbers of the message files.

use std::time::Duration;

use mesh::identity::TrustDomain;
use mesh::model::attached::{
    AttachedPolicy, PolicyBody, RequestAction, RequestAuthorization, Target,
};
use mesh::model::destination::{Balancing, Destination, TrafficPolicy};
use mesh::model::http::{
    Backend, Fault, HeaderChanges, HttpAction, HttpEntry, HttpMatch, HttpRule, NamedMatch,
    PathMatch, PathRewrite, PortRoutes, Retry, RetryOn, Rewrite, ServiceRoutes, TextMatch,
};
use mesh::model::observe::Telemetry;
use mesh::model::provider::{
    AuthorizerProtocol, ExternalAuthorizer, ProviderAddress, ProviderHost,
};
use mesh::model::waypoint::{PathNormalization, Waypoint, WaypointFor};
use mesh::model::{Clause, Match, Origin, PathPattern, RequestMatch, Rule, StringMatch};
use mesh::names::{NamespacedHostname, NamespacedName};
use mesh::wire::{attached, routes, waypoint};

use crate::hex;

const ROUTES: &str = "
0a 01 6e                                                    # namespace = 1: n
12 01 68                                                    # hostname = 2: h
1a 5a                                                       # ports = 3
  08 50                                                     #   port = 1: 80
  1a 14                                                     #   http = 3
    0a 12                                                   #     matches = 1
      0a 04                                                 #       path = 1
        12 02 2f61                                          #         elements = 2: /a
      32 0a                                                 #       headers = 6
        0a 01 76                                            #         name = 1: v
        12 03                                               #         value = 2
          0a 01 32                                          #           exact = 1: 2
        18 01                                               #         negated = 3: 1
  22 40                                                     #   rules = 4
    0a 14                                                   #     origin = 1
      0a 09 48545450526f757465                              #       kind = 1: HTTPRoute
      12 01 6e                                              #       namespace = 2: n
      1a 01 72                                              #       name = 3: r
      22 01 30                                              #       rule = 4: 0
    12 0a                                                   #     forward = 2
      0a 04                                                 #       backends = 1
        08 09                                               #         weight = 1: 9
        10 00                                               #         destination = 2: 0
      0a 02                                                 #       backends = 1
        08 01                                               #         weight = 1: 1
    3a 0c                                                   #     rewrite = 7
      12 0a                                                 #       path = 2
        12 08                                               #         elements = 2
          0a 02 2f61                                        #           what = 1: /a
          12 02 2f62                                        #           with = 2: /b
    5a 02                                                   #     timeout = 11
      08 0a                                                 #       seconds = 1: 10
    62 0a                                                   #     retry = 12
      08 02                                                 #       attempts = 1: 2
      12 02                                                 #       on = 2
        10 01                                               #         gateway_error = 2: 1
      1a 02 f703                                            #       codes (packed: 503) = 3
22 0e                                                       # destinations = 4
  0a 01 6e                                                  #   namespace = 1: n
  12 01 68                                                  #   hostname = 2: h
  18 50                                                     #   port = 3: 80
  2a 04                                                     #   policy = 5
    0a 02                                                   #     balancing = 1
      08 01                                                 #       mode = 1: 1
2a 02                                                       # own = 5
  08 50                                                     #   port = 1: 80
";

const POLICY: &str = "
0a 1b                                                       # origin = 1
  0a 13 417574686f72697a6174696f6e506f6c696379              #   kind = 1: AuthorizationPolicy
  12 01 6e                                                  #   namespace = 2: n
  1a 01 70                                                  #   name = 3: p
12 08                                                       # targets = 2
  12 06                                                     #   service = 2
    0a 01 6e                                                #     namespace = 1: n
    12 01 68                                                #     hostname = 2: h
1a 24                                                       # authorization = 3
  08 01                                                     #   action = 1: 1
  1a 20                                                     #   rules = 3
    0a 1e                                                   #     clauses = 1
      0a 1c                                                 #       matches = 1
        1a 07                                               #         principals = 3
          1a 05 2f73612f63                                  #           suffix = 3: /sa/c
        6a 11                                               #         request = 13
          4a 05                                             #           methods = 9
            0a 03 474554                                    #             exact = 1: GET
          5a 08                                             #           paths = 11
            12 06 2f612f7b2a7d                              #             template = 2: /a/{*}
";

const WAYPOINT: &str = "
0a 01 6e                                                    # namespace = 1: n
12 04 67617465                                              # name = 2: gate
18 02                                                       # serves = 3: 2
22 0d 636c75737465722e6c6f63616c                            # trust_domain = 4: cluster.local
28 02                                                       # path_normalization = 5: 2
32 06                                                       # default_retry = 6
  08 02                                                     #   attempts = 1: 2
  12 02                                                     #   on = 2
    28 01                                                   #     connect_failure = 5: 1
3a 02                                                       # connect_timeout = 7
  08 0a                                                     #   seconds = 1: 10
42 1a                                                       # authorizers = 8
  0a 01 78                                                  #   name = 1: x
  12 0b                                                     #   server = 2
    0a 06                                                   #     service = 1
      0a 01 6e                                              #       namespace = 1: n
      12 01 68                                              #       hostname = 2: h
    20 a8 46                                                #     port = 4: 9000
  1a 00                                                     #   grpc = 3
  2a 03                                                     #   timeout = 5
    08 d8 04                                                #     seconds = 1: 600
  38 93 03                                                  #   status_on_error = 7: 403
";

fn key() -> NamespacedHostname {
    NamespacedHostname::new("n", "h")
}

fn rule() -> HttpRule {
    let backend = |weight, destination| Backend {
        weight,
        destination,
        request_headers: HeaderChanges::default(),
        response_headers: HeaderChanges::default(),
    };
    HttpRule {
        origin: Origin {
            rule: "0".into(),
            ..Origin::object("HTTPRoute", "n", "r")
        },
        action: HttpAction::Forward(vec![backend(9, Some(0)), backend(1, None)]),
        request_headers: HeaderChanges::default(),
        response_headers: HeaderChanges::default(),
        rewrite: Rewrite {
            host: "".into(),
            path: Some(PathRewrite::Elements {
                prefix: "/a".into(),
                replacement: "/b".into(),
            }),
        },
        mirrors: Vec::new(),
        cors: None,
        fault: Fault::default(),
        timeout: Some(Duration::from_secs(10)),
        retry: Some(Retry {
            attempts: 2,
            on: RetryOn {
                gateway_error: true,
                ..RetryOn::default()
            },
            codes: vec![503],
            ..Retry::default()
        }),
        session: None,
    }
}

fn service_routes() -> ServiceRoutes {
    let matches = HttpMatch {
        path: Some(PathMatch::Elements("/a".into())),
        headers: vec![NamedMatch {
            name: "v".into(),
            value: TextMatch::Exact("2".into()),
            negated: true,
        }],
        ..HttpMatch::default()
    };
    ServiceRoutes {
        key: key(),
        ports: vec![PortRoutes {
            port: 80,
            http: vec![HttpEntry { matches, rule: 0 }],
            rules: vec![rule()],
            ..PortRoutes::default()
        }],
        destinations: vec![Destination {
            service: key(),
            port: 80,
            subset: None,
            policy: TrafficPolicy {
                balancing: Balancing::RoundRobin,
                ..TrafficPolicy::default()
            },
            reach: Default::default(),
        }],
        own: vec![(80, 0)],
        telemetry: None,
    }
}

#[test]
fn routes_of_a_service() {
    let value = service_routes();
    assert_eq!(routes::encode(&value), hex(ROUTES));
    assert_eq!(routes::decode(&hex(ROUTES)).unwrap(), value);
}

#[test]
fn a_policy() {
    let request = RequestMatch {
        methods: vec![StringMatch::Exact("GET".into())],
        paths: vec![PathPattern::Template("/a/{*}".into())],
        ..RequestMatch::default()
    };
    let one = Match {
        principals: vec![StringMatch::Suffix("/sa/c".into())],
        request: Some(Box::new(request)),
        ..Match::default()
    };
    let clause = Clause { matches: vec![one] };
    let value = AttachedPolicy {
        origin: Origin::object("AuthorizationPolicy", "n", "p"),
        targets: vec![Target::Service(key())],
        body: PolicyBody::Authorization(RequestAuthorization {
            action: RequestAction::Deny,
            rules: vec![Rule {
                clauses: vec![clause],
            }],
            dry_run: false,
        }),
    };
    assert_eq!(value.resource_name(), "AuthorizationPolicy/n/p");
    assert_eq!(attached::encode(&value), hex(POLICY));
    assert_eq!(attached::decode(&hex(POLICY)).unwrap(), value);
}

#[test]
fn a_waypoint() {
    let value = Waypoint {
        key: NamespacedName::new("n", "gate"),
        serves: WaypointFor::All,
        trust_domain: TrustDomain::default(),
        path_normalization: PathNormalization::MergeSlashes,
        default_retry: Retry {
            attempts: 2,
            on: RetryOn {
                connect_failure: true,
                ..RetryOn::default()
            },
            ..Retry::default()
        },
        connect_timeout: Duration::from_secs(10),
        authorizers: vec![ExternalAuthorizer {
            name: "x".into(),
            server: ProviderAddress {
                host: ProviderHost::Service(key()),
                port: 9000,
            },
            protocol: AuthorizerProtocol::Grpc,
            timeout: Duration::from_secs(600),
            fail_open: false,
            status_on_error: 403,
            body: None,
        }],
        telemetry: Telemetry::default(),
    };
    assert_eq!(waypoint::encode(&value), hex(WAYPOINT));
    assert_eq!(waypoint::decode(&hex(WAYPOINT)).unwrap(), value);
}

/// What the error says about routes that are changed so.
#[track_caller]
fn refused(change: impl FnOnce(&mut ServiceRoutes)) -> String {
    let mut value = service_routes();
    change(&mut value);
    let error = routes::decode(&routes::encode(&value)).unwrap_err();
    error.to_string()
}

#[test]
fn an_index_that_leads_nowhere_is_refused() {
    let own = refused(|it| it.own = vec![(80, 1)]);
    let end = "index 1 is out of range, there are 1";
    assert_eq!(own, format!("routes \"n/h\": own.destination: {end}"));
    let entry = refused(|it| it.ports[0].http[0].rule = 1);
    assert_eq!(entry, format!("routes \"n/h\": ports.http.rule: {end}"));
    let backend = refused(|it| {
        if let HttpAction::Forward(backends) = &mut it.ports[0].rules[0].action {
            backends[1].destination = Some(1);
        }
    });
    assert_eq!(
        backend,
        format!("routes \"n/h\": backends.destination: {end}")
    );
    let none = refused(|it| it.destinations.clear());
    assert!(
        none.ends_with("index 0 is out of range, there are 0"),
        "{none}"
    );
}

#[test]
fn values_that_must_not_be_guessed_are_refused() {
    let code = refused(|it| it.ports[0].rules[0].retry.as_mut().unwrap().codes = vec![7]);
    assert_eq!(code, "routes \"n/h\": retry.codes: 7 is not an HTTP status");
    // serves = 3: 4, after namespace and name
    let error = waypoint::decode(&hex("0a 01 6e 12 01 67 22 01 74 18 04")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "waypoint \"n/g\": serves: value 4 is unknown"
    );
    // authorization = 3: action = 1: 4
    let error = attached::decode(&hex("0a 03 0a 01 6b 1a 02 08 04")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "attached policy \"k//\": authorization.action: value 4 is unknown"
    );
    // connect_timeout = 7: seconds = 1: -1
    let bytes = "0a 01 6e 12 01 67 22 01 74 3a 0b 08 ffffffffffffffffff 01";
    let error = waypoint::decode(&hex(bytes)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "waypoint \"n/g\": connect_timeout: not a time of zero or more"
    );
}
