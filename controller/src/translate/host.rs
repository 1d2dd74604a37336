//! Pure. Host names as Istio's kinds write them: full, short, or with a `*` at the front.
//! Source: docs/compat.md#virtual-service.

use std::borrow::Cow;

/// The full name that a host stands for in an object of `namespace`: one without a dot is a service of
/// that namespace.
pub fn full_name<'a>(host: &'a str, namespace: &str, domain: &str) -> Cow<'a, str> {
    if host.contains(['.', '*']) {
        Cow::Borrowed(host)
    } else {
        Cow::Owned(format!("{host}.{namespace}.svc.{domain}"))
    }
}

/// Whether a full name or a wildcard is about a service's host, which may be a wildcard too.
pub fn covers(pattern: &str, host: &str) -> bool {
    match pattern.strip_prefix('*') {
        None => pattern == host,
        Some(end) => pattern == host || (host.len() > end.len() && host.ends_with(end)),
    }
}

/// How exactly a pattern names hosts: larger is nearer, a full name is nearest.
pub fn rank(pattern: &str) -> usize {
    match pattern.starts_with('*') {
        true => pattern.len(),
        false => usize::MAX,
    }
}

/// Why this cannot be a host of a route or of a rule: wildcards stand at the front only.
pub fn complaint(host: &str) -> Option<String> {
    let rest = host.strip_prefix('*').unwrap_or(host);
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if host.is_empty() {
        return Some("a host is not empty".to_owned());
    }
    let is_good = rest.bytes().all(fits) && !rest.contains("..") && host.len() <= 255;
    (!is_good).then(|| format!("`{host}` is no host name, and no `*` before the end of one"))
}

/// Whether what is exported to these namespaces is seen in `seer`; `own` is the object's namespace. An
/// empty list says nothing, then `default` counts, and all see it when that is empty too.
pub fn is_exported(export_to: &[String], default: &[String], own: &str, seer: &str) -> bool {
    let list = if export_to.is_empty() {
        default
    } else {
        export_to
    };
    list.is_empty()
        || list.iter().any(|it| match it.as_str() {
            "*" => true,
            "." => own == seer,
            namespace => namespace == seer,
        })
}

#[cfg(test)]
mod tests {
    use super::{complaint, covers, full_name, is_exported, rank};

    #[test]
    fn a_name_without_dots_is_one_of_the_namespace() {
        for (host, full) in [
            ("web", "web.shop.svc.cluster.local"),
            ("web.other", "web.other"),
            ("a.example.com", "a.example.com"),
            ("*", "*"),
        ] {
            assert_eq!(full_name(host, "shop", "cluster.local"), full);
        }
    }

    #[test]
    fn wildcards_cover_ends_and_nearer_ones_rank_higher() {
        for (pattern, host, expected) in [
            ("a.b", "a.b", true),
            ("a.b", "x.a.b", false),
            ("*.b", "a.b", true),
            ("*.b", "c.a.b", true),
            ("*.b", ".b", false),
            ("*.b", "b", false),
            ("*", "a.b", true),
            ("*.b", "*.b", true),
            ("*.b", "*.a.b", true),
            ("*.a.b", "*.b", false),
        ] {
            assert_eq!(covers(pattern, host), expected, "{pattern} {host}");
        }
        assert!(rank("a.b") > rank("*.example.com") && rank("*.example.com") > rank("*.com"));
    }

    #[test]
    fn hosts_that_cannot_be_are_told() {
        for host in ["web", "*", "*.a", "a_b.c"] {
            assert_eq!(complaint(host), None, "{host}");
        }
        for host in ["", "a.*.b", "a b", "http://a", "a..b", "a:80"] {
            assert!(complaint(host).is_some(), "{host}");
        }
    }

    #[test]
    fn an_export_list_names_namespaces() {
        let list =
            |words: &[&str]| -> Vec<String> { words.iter().map(|it| (*it).into()).collect() };
        for (export, default, expected) in [
            (&[] as &[&str], &[] as &[&str], [true, true]),
            (&[], &["."], [true, false]),
            (&["*"], &["."], [true, true]),
            (&["."], &[], [true, false]),
            (&["other"], &[], [false, true]),
            (&[".", "other"], &[], [true, true]),
            (&["third"], &[], [false, false]),
        ] {
            let seen = ["own", "other"]
                .map(|seer| is_exported(&list(export), &list(default), "own", seer));
            assert_eq!(seen, expected, "{export:?} {default:?}");
        }
    }
}
