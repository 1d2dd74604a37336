//! Pure. Host names as service entries write them: full names, or `*.` and the end of one.

/// Whether this stands for many hosts.
#[must_use]
pub fn is_wildcard(host: &str) -> bool {
    host.starts_with('*')
}

/// Why this cannot be a host of a service entry.
pub(super) fn complaint(host: &str) -> Option<&'static str> {
    let rest = match host.strip_prefix('*') {
        Some("") => return Some("a bare `*` would be every host there is"),
        Some(rest) => rest.strip_prefix(['.', '-']).unwrap_or(rest),
        None => host,
    };
    if host.len() > 255 {
        return Some("a host name has at most 255 characters");
    }
    if !rest.split('.').all(is_label) {
        return Some("not a host name: letters, digits, `-` and `_` between dots");
    }
    let last = rest.rsplit('.').next().unwrap_or_default();
    if last.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some("not a host name: its last part is a number");
    }
    None
}

fn is_label(label: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=63).contains(&label.len())
        && label.bytes().all(fits)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::complaint;

    #[test]
    fn takes_full_names_and_leading_wildcards_only() {
        for host in [
            "a",
            "db.example.com",
            "*.example.com",
            "*-x.example.com",
            "a_b.c",
        ] {
            assert_eq!(complaint(host), None, "{host}");
        }
        for host in [
            "",
            "*",
            "a..b",
            "a.*.b",
            "192.0.2.1",
            "-a.b",
            "a b",
            "http://a",
            "a.b.",
        ] {
            assert!(complaint(host).is_some(), "{host}");
        }
        assert!(complaint(&"a.".repeat(200)).is_some());
    }
}
