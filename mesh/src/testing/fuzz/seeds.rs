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
