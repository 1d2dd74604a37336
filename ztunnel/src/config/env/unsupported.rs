//! Variables of the contract that this version cannot honour. Whoever sets one is told so at start: a program that
//! went on without it would be less, or something else, than what was asked for. Source: docs/compat.md#what-is-missing.

use mesh::settings::Reader;

/// A variable, the value that asks for nothing if there is one, and what is not supported.
pub(super) const UNSUPPORTED: &[(&str, Option<&str>, &str)] = &[
    (
        "ENABLE_PROXY",
        Some("true"),
        "this version is always a proxy; only true is supported",
    ),
    (
        "PROXY_MODE",
        Some("shared"),
        "this version serves a node; only shared is supported",
    ),
    (
        "PROXY_WORKLOAD_INFO",
        None,
        "this version serves a node, no single workload",
    ),
    (
        "PROXY_CONFIG",
        None,
        "this version reads no such YAML; every setting has a variable of its own",
    ),
    (
        "LOCAL_XDS_PATH",
        None,
        "this version knows the mesh only from a discovery server",
    ),
    (
        "LOCAL_XDS",
        None,
        "this version knows the mesh only from a discovery server",
    ),
    (
        "FAKE_CA",
        Some("false"),
        "this version has no certificates of its own making",
    ),
    (
        "CRL_PATH",
        None,
        "this version does not check revocation lists",
    ),
    (
        "TLS12_ENABLED",
        Some("false"),
        "this version speaks TLS 1.3 only",
    ),
    (
        "UNSTABLE_ENABLE_SOCKS5",
        Some("false"),
        "this version has no SOCKS5 door",
    ),
    (
        "ISTIO_META_DNS_PROXY_ADDR",
        None,
        "this version answers no DNS",
    ),
];

/// A problem for every one that is set to something that it would not do.
pub(super) fn refuse(r: &mut Reader) {
    for (name, harmless, words) in UNSUPPORTED {
        let is_harmless = |text: &str| harmless.is_some_and(|it| it.eq_ignore_ascii_case(text));
        if r.text(name).is_some_and(|text| !is_harmless(text)) {
            r.problem(name, &format!("is not supported: {words}"));
        }
    }
}
