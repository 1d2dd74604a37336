//! Pure. What a path of the API is about. Source: Kubernetes API concepts, "Resource URIs".

use std::collections::BTreeMap;

/// A path that names a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// `plural` or `plural.group`.
    pub(super) resource: String,
    pub(super) version: String,
    pub(super) namespace: Option<String>,
    pub(super) name: Option<String>,
    pub(super) subresource: Option<String>,
}

/// Reads a path below `/api` or `/apis`; `None` when it names no resource.
pub(super) fn target(path: &str) -> Option<Target> {
    let mut parts = path.trim_matches('/').split('/').map(str::to_owned);
    let group = match parts.next()?.as_str() {
        "api" => String::new(),
        "apis" => parts.next()?,
        _ => return None,
    };
    let version = parts.next()?;
    let mut rest: Vec<String> = parts.collect();
    let mut namespace = None;
    if rest.first().is_some_and(|it| it == "namespaces") && rest.len() > 2 {
        rest.remove(0);
        namespace = Some(rest.remove(0));
    }
    let mut rest = rest.into_iter();
    let plural = rest.next()?;
    let resource = match group.as_str() {
        "" => plural,
        group => format!("{plural}.{group}"),
    };
    Some(Target {
        resource,
        version,
        namespace,
        name: rest.next(),
        subresource: rest.next(),
    })
}

/// A query's names and values.
pub(super) fn query(text: &str) -> BTreeMap<String, String> {
    let pairs = text.split('&').filter(|it| !it.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (unescape(name), unescape(value))
        })
        .collect()
}

fn unescape(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let digits = rest.clone().take(2).collect::<Vec<_>>();
        let digits = std::str::from_utf8(&digits).unwrap_or_default();
        match (byte, u8::from_str_radix(digits, 16)) {
            (b'%', Ok(byte)) => {
                bytes.push(byte);
                rest.nth(1);
            }
            (b'+', _) => bytes.push(b' '),
            _ => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::{query, target};

    #[test]
    fn paths_name_resources() {
        for (path, shown) in [
            ("/api/v1/pods", "pods v1 - - -"),
            ("/api/v1/namespaces", "namespaces v1 - - -"),
            ("/api/v1/namespaces/shop", "namespaces v1 - shop -"),
            (
                "/api/v1/namespaces/shop/pods/web/status",
                "pods v1 shop web status",
            ),
            (
                "/apis/gateway.networking.k8s.io/v1/namespaces/a/gateways",
                "gateways.gateway.networking.k8s.io v1 a - -",
            ),
        ] {
            let it = target(path).unwrap();
            let or = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
            let (namespace, name, sub) = (or(it.namespace), or(it.name), or(it.subresource));
            let text = format!("{} {} {namespace} {name} {sub}", it.resource, it.version);
            assert_eq!(text, shown);
        }
        assert_eq!(target("/version"), None);
        assert_eq!(target("/apis/apps/v1"), None);
    }

    #[test]
    fn queries_are_unescaped() {
        let query = query("watch=1&continue=a%3D%2F+b");
        assert_eq!(query["continue"], "a=/ b");
        assert_eq!(query["watch"], "1");
    }
}
