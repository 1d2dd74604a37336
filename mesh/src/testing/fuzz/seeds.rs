//! Resources to begin from, put together field by field as the contract numbers them, so that they are
//! there before a version knows what they mean.

/// One length-delimited field.
fn field(number: u32, content: &[u8]) -> Vec<u8> {
    [&key(number, 2)[..], &varint(content.len()), content].concat()
}

/// One number field.
fn number(number: u32, value: usize) -> Vec<u8> {
    [key(number, 0), varint(value)].concat()
}

fn key(number: u32, wire_type: usize) -> Vec<u8> {
    varint((number as usize) << 3 | wire_type)
}

fn varint(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

fn text(at: u32, value: &str) -> Vec<u8> {
    field(at, value.as_bytes())
}

/// `namespace/hostname` with an HBONE port.
fn gateway() -> Vec<u8> {
    let name = [text(1, "shop"), text(2, "waypoint.shop")].concat();
    [field(1, &name), number(3, 15008)].concat()
}

fn origin() -> Vec<u8> {
    let value = [
        text(1, "Pod"),
        text(2, "shop"),
        text(3, "web"),
        text(4, "0"),
    ]
    .concat();
    let url = "type.googleapis.com/weft.mesh.v1.Origin";
    let config = [text(1, url), field(2, &value)].concat();
    [text(1, "weft.dev/origin"), field(2, &config)].concat()
}

fn labels() -> Vec<u8> {
    let value = field(1, &[text(1, "app"), text(2, "web")].concat());
    let url = "type.googleapis.com/weft.mesh.v1.Labels";
    let config = [text(1, url), field(2, &value)].concat();
    [text(1, "weft.dev/labels"), field(2, &config)].concat()
}

/// Address resources: a workload, a service.
pub(super) fn addresses() -> Vec<Vec<u8>> {
    let ports = field(1, &[number(1, 80), number(2, 8080)].concat());
    let service = [text(1, "shop/web.shop"), field(2, &ports)].concat();
    let locality = [text(1, "region"), text(2, "zone"), text(3, "subzone")].concat();
    let workload = [
        text(1, "web"),
        text(2, "shop"),
        field(3, &[10, 0, 0, 1]),
        field(3, &[0xfd; 16]),
        text(4, "network"),
        number(5, 1),
        text(6, "cluster.local"),
        text(7, "web"),
        field(8, &gateway()),
        text(9, "node"),
        text(10, "web"),
        text(11, "v1"),
        number(12, 2),
        text(13, "web"),
        number(14, 1),
        text(16, "shop/policy"),
        number(17, 1),
        text(18, "Kubernetes"),
        field(19, &gateway()),
        text(20, "Kubernetes//Pod/shop/web"),
        field(22, &service),
        field(23, &[number(1, 1), number(2, 9000)].concat()),
        field(24, &locality),
        number(25, 1),
        field(26, &origin()),
        field(26, &labels()),
        field(27, &number(1, 7)),
    ];
    let by_name = [
        text(1, "a"),
        text(2, "n"),
        text(20, "u"),
        text(21, "a.example"),
    ];
    let balancing = [field(1, &[6, 1, 2]), number(2, 2), number(3, 1)].concat();
    let service = [
        text(1, "web"),
        text(2, "shop"),
        text(3, "web.shop"),
        field(4, &[text(1, "network"), field(2, &[10, 96, 0, 1])].concat()),
        field(4, &[field(2, &[10, 97, 0, 0]), number(3, 16)].concat()),
        field(5, &[number(1, 80), number(2, 8080), number(3, 2)].concat()),
        text(6, "spiffe://cluster.local/ns/shop/sa/other"),
        field(7, &gateway()),
        field(8, &balancing),
        number(9, 3),
        field(10, &origin()),
    ];
    vec![
        field(1, &workload.concat()),
        field(1, &by_name.concat()),
        field(2, &service.concat()),
    ]
}

/// Authorization resources: every kind of match, and an empty rule.
pub(super) fn policies() -> Vec<Vec<u8>> {
    let range = |address: &[u8], length| [field(1, address), number(2, length)].concat();
    let account = |name| [text(1, "shop"), text(2, name)].concat();
    let all = [
        field(1, &text(1, "shop")),
        field(2, &text(2, "other")),
        field(3, &text(3, "/sa/web")),
        field(4, &field(4, &[])),
        field(5, &range(&[10, 0, 0, 0], 8)),
        field(6, &range(&[10, 1, 0, 0], 16)),
        field(7, &range(&[0xfd; 16], 8)),
        field(8, &range(&[10, 0, 0, 1], 32)),
        field(9, &[80, 0x90, 0x3f]),
        field(10, &[90]),
        field(11, &account("web")),
        field(12, &account("db")),
    ];
    let clause = field(1, &field(2, &all.concat()));
    let head = [
        text(1, "policy"),
        text(2, "shop"),
        number(3, 2),
        number(4, 1),
    ]
    .concat();
    let rules = [field(5, &clause), field(5, &[])].concat();
    let tail = [number(6, 1), field(7, &origin())].concat();
    vec![[head.clone(), rules, tail].concat(), head]
}

fn plain_origin(kind: &str) -> Vec<u8> {
    [text(1, kind), text(2, "shop"), text(3, "web"), text(4, "0")].concat()
}

fn service() -> Vec<u8> {
    [text(1, "shop"), text(2, "web.shop")].concat()
}

fn time(seconds: usize) -> Vec<u8> {
    [number(1, seconds), number(2, 5)].concat()
}

fn pair() -> Vec<u8> {
    [text(1, "x-name"), text(2, "value")].concat()
}

/// One condition of every field of a request.
fn matches() -> Vec<u8> {
    let named = |negated| [text(1, "x"), field(2, &text(2, "v")), number(3, negated)].concat();
    [
        field(1, &text(2, "/shop")),
        number(2, 1),
        field(3, &text(1, "GET")),
        field(4, &text(1, "http")),
        field(5, &text(3, "web.*")),
        field(6, &named(1)),
        field(7, &named(0)),
        field(8, &[text(1, "a"), field(2, &field(4, &[]))].concat()),
    ]
    .concat()
}

fn changes() -> Vec<u8> {
    [text(1, "gone"), field(2, &pair()), field(3, &pair())].concat()
}

fn backend() -> Vec<u8> {
    let changes = changes();
    [
        number(1, 9),
        number(2, 0),
        field(3, &changes),
        field(4, &changes),
    ]
    .concat()
}

/// A rule with every filter.
fn forward() -> Vec<u8> {
    let share = |at| field(at, &[number(1, 1), number(2, 100)].concat());
    let replaced = [text(1, "/shop"), text(2, "/")].concat();
    let abort = [number(1, 503), share(3)].concat();
    let fault = [
        field(1, &[field(1, &time(1)), share(2)].concat()),
        field(2, &abort),
    ];
    let retry = [
        number(1, 2),
        field(2, &[number(2, 1), number(5, 1)].concat()),
        field(3, &[0xf7, 0x03]),
        field(4, &time(2)),
        field(5, &time(0)),
        number(6, 1),
    ];
    let session = [
        field(1, &[text(1, "c"), text(2, "/")].concat()),
        field(3, &time(9)),
    ];
    [
        field(1, &plain_origin("HTTPRoute")),
        field(2, &field(1, &backend())),
        field(5, &changes()),
        field(6, &changes()),
        field(7, &[text(1, "h"), field(2, &field(2, &replaced))].concat()),
        field(8, &[number(1, 0), share(2)].concat()),
        field(9, &cors()),
        field(10, &fault.concat()),
        field(11, &time(10)),
        field(12, &retry.concat()),
        field(13, &session.concat()),
    ]
    .concat()
}

fn cors() -> Vec<u8> {
    [
        field(1, &field(1, &text(1, "https://a"))),
        field(1, &text(2, "https://*.b")),
        text(2, "GET"),
        text(3, "x"),
        text(4, "y"),
        number(5, 1),
        field(6, &time(60)),
        number(7, 1),
    ]
    .concat()
}

/// Routes with every action and filter.
pub(super) fn routes() -> Vec<Vec<u8>> {
    let redirect = [
        text(1, "https"),
        text(2, "h"),
        number(4, 2),
        number(5, 8443),
        number(6, 301),
    ];
    let redirect = [field(1, &plain_origin("r")), field(3, &redirect.concat())];
    let reply = [number(1, 503), text(2, "no")].concat();
    let reply = [field(1, &plain_origin("r")), field(4, &reply)];
    let tls = [
        field(1, &plain_origin("TLSRoute")),
        text(2, "*.a"),
        field(3, &backend()),
    ];
    let tcp = [field(1, &plain_origin("TCPRoute")), field(2, &backend())];
    let port = [
        number(1, 80),
        text(2, "client"),
        field(3, &[field(1, &matches()), number(2, 2)].concat()),
        field(3, &[]),
        field(4, &forward()),
        field(4, &redirect.concat()),
        field(4, &reply.concat()),
        field(5, &tls.concat()),
        field(6, &tcp.concat()),
    ];
    let all = [
        service(),
        field(3, &port.concat()),
        field(4, &destination()),
        field(4, &[service(), number(3, 81)].concat()),
        field(5, &[number(1, 80), number(2, 1)].concat()),
        field(6, &telemetry()),
    ];
    vec![all.concat(), service()]
}

/// A destination with every part of a traffic policy.
fn destination() -> Vec<u8> {
    let cookie = [text(1, "c"), text(2, "/"), field(3, &time(0))].concat();
    let keys = [field(2, &field(2, &cookie)), field(2, &field(3, &[]))].concat();
    let balancing = [number(1, 3), keys, number(3, 1), number(4, 65_537)].concat();
    let place = [text(1, "r/z/*"), number(2, 100)].concat();
    let distribution = [text(1, "r/*"), field(2, &place)].concat();
    let locality = [
        number(1, 1),
        field(2, &distribution),
        field(3, &pair()),
        text(4, "k"),
    ];
    let aggression = [&[0x19], &1.5_f64.to_le_bytes()[..]].concat();
    let warmup = [field(1, &time(30)), number(2, 10), aggression].concat();
    let limits = [
        number(1, 7),
        number(2, 0),
        field(7, &time(1)),
        field(8, &time(2)),
        number(10, 1),
    ];
    let outlier = [
        number(1, 5),
        number(3, 1),
        field(5, &time(10)),
        field(6, &time(30)),
    ]
    .concat();
    let tls = [
        text(1, "a"),
        text(2, "b"),
        field(3, &text(1, "/roots.pem")),
        field(4, &[text(1, "/chain"), text(2, "/key")].concat()),
        number(5, 1),
    ];
    let policy = [
        field(1, &balancing),
        field(2, &locality.concat()),
        field(3, &warmup),
        field(4, &limits.concat()),
        field(5, &outlier),
        field(6, &[number(1, 20_000), number(2, 3)].concat()),
        field(7, &tls.concat()),
        number(8, 2),
        field(9, &plain_origin("DestinationRule")),
    ];
    [
        service(),
        number(3, 80),
        field(4, &[text(1, "v1"), field(2, &pair())].concat()),
        field(5, &policy.concat()),
    ]
    .concat()
}

fn telemetry() -> Vec<u8> {
    let lookup = [text(1, "x"), text(2, "none")].concat();
    let provider = [field(3, &[10, 0, 0, 1]), number(4, 4317)].concat();
    let tracing = [
        text(1, "otel"),
        field(2, &provider),
        number(4, 100),
        number(5, 1),
        field(8, &[text(1, "t"), field(3, &lookup)].concat()),
        field(8, &[text(1, "u"), text(2, "literal")].concat()),
    ];
    let metric = [text(1, "requests_total"), number(2, 1), field(3, &pair())].concat();
    [
        field(1, &[number(1, 1), text(2, "{}"), text(3, "true")].concat()),
        field(2, &tracing.concat()),
        field(3, &metric),
        field(4, &plain_origin("Telemetry")),
    ]
    .concat()
}

/// Who may ask, with conditions of every sort.
fn authorization() -> Vec<u8> {
    let range = [field(1, &[10, 0, 0, 0]), number(2, 8)].concat();
    let patterns = [
        text(1, "x"),
        field(2, &text(2, "v")),
        field(3, &field(4, &[])),
    ]
    .concat();
    let request = [
        field(1, &text(1, "cluster.local")),
        field(3, &range),
        field(6, &text(1, "a")),
        field(7, &text(3, ".b")),
        field(9, &text(1, "GET")),
        field(11, &field(1, &text(2, "/a"))),
        field(12, &text(2, "/a/{*}/{**}")),
        field(13, &text(1, "i/s")),
        field(15, &patterns),
        field(16, &patterns),
    ];
    let one = [
        field(1, &text(1, "shop")),
        field(5, &[text(1, "shop"), text(2, "web")].concat()),
        field(8, &range),
        field(11, &[80]),
        field(13, &request.concat()),
    ];
    let rule = field(1, &field(1, &one.concat()));
    [number(1, 3), text(2, "x"), field(3, &rule), number(4, 1)].concat()
}

/// A policy of every sort, with every sort of target.
pub(super) fn attached() -> Vec<Vec<u8>> {
    let head = [
        field(1, &plain_origin("AuthorizationPolicy")),
        field(2, &field(1, &[text(1, "shop"), text(2, "gate")].concat())),
        field(2, &field(2, &service())),
        field(2, &field(3, &plain_origin("HTTPRoute"))),
    ]
    .concat();
    let token = [
        text(1, "issuer"),
        text(2, "audience"),
        text(4, "https://keys"),
        field(6, &pair()),
        text(7, "token"),
        text(8, "cookie"),
        text(9, "x-payload"),
        field(10, &pair()),
        number(11, 1),
        field(12, &time(5)),
        text(13, "groups"),
    ];
    let limit = [
        text(1, "l"),
        field(2, &matches()),
        field(3, &text(2, "cluster.local/")),
        field(4, &text(1, "x")),
        field(4, &field(4, &[])),
        number(5, 10),
        field(6, &time(60)),
        number(7, 5),
    ];
    vec![
        [head.clone(), field(3, &authorization())].concat(),
        [head.clone(), field(4, &field(1, &token.concat()))].concat(),
        [head, field(5, &field(1, &limit.concat()))].concat(),
    ]
}

/// Waypoints: with everything, and with what must be there.
pub(super) fn waypoints() -> Vec<Vec<u8>> {
    let key = [text(1, "shop"), text(2, "gate")].concat();
    let server = |host: &[u8]| field(2, &[host, &number(4, 9000)[..]].concat());
    let asked = [
        text(1, "/check"),
        text(2, "x-*"),
        field(3, &pair()),
        text(4, "y"),
        text(5, "z"),
    ];
    let tail = [field(5, &time(600)), number(6, 1), number(7, 403)].concat();
    let body = field(8, &[number(1, 1024), number(2, 1)].concat());
    let grpc = [
        text(1, "g"),
        server(&field(1, &service())),
        field(3, &[]),
        tail.clone(),
    ];
    let http = [
        text(1, "h"),
        server(&text(2, "a.b")),
        field(4, &asked.concat()),
        tail,
        body,
    ];
    let needed = [key, text(4, "cluster.local"), field(7, &time(10))].concat();
    let all = [
        needed.clone(),
        number(3, 2),
        number(5, 3),
        field(6, &[number(1, 2), field(2, &number(5, 1))].concat()),
        field(8, &grpc.concat()),
        field(8, &http.concat()),
        field(9, &telemetry()),
    ];
    vec![all.concat(), needed]
}
