//! Pure. Paths of the API server. Source: Kubernetes API concepts, "Resource URIs".

use std::fmt::Write;

use crate::kinds::{Key, Kind};

/// The path of a group and version, `/api/v1` or `/apis/GROUP/VERSION`.
#[must_use]
pub fn version(kind: Kind, version: &str) -> String {
    match kind.facts().group {
        "" => format!("/api/{version}"),
        group => format!("/apis/{group}/{version}"),
    }
}

/// What an object of the kind says in `apiVersion`.
#[must_use]
pub fn group_version(kind: Kind, version: &str) -> String {
    match kind.facts().group {
        "" => version.to_owned(),
        group => format!("{group}/{version}"),
    }
}

/// Every object of a kind, or those of one namespace.
#[must_use]
pub fn collection(kind: Kind, version: &str, namespace: Option<&str>) -> String {
    let (base, plural) = (self::version(kind, version), kind.facts().plural);
    match namespace {
        Some(namespace) => format!("{base}/namespaces/{namespace}/{plural}"),
        None => format!("{base}/{plural}"),
    }
}

/// One object.
#[must_use]
pub fn object(key: &Key, version: &str) -> String {
    let namespace = Some(key.namespace.as_str()).filter(|it| !it.is_empty());
    format!("{}/{}", collection(key.kind, version, namespace), key.name)
}

/// A path with a query; values are escaped.
#[must_use]
pub fn with(path: &str, query: &[(&str, &str)]) -> String {
    let mut text = path.to_owned();
    for (index, (name, value)) in query.iter().enumerate() {
        text.push(if index == 0 { '?' } else { '&' });
        text.push_str(name);
        text.push('=');
        for byte in value.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                    text.push(char::from(byte));
                }
                _ => {
                    let _ = write!(text, "%{byte:02X}");
                }
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{collection, object, with};
    use crate::kinds::{Key, Kind};

    #[test]
    fn paths_are_those_of_the_api() {
        assert_eq!(collection(Kind::Pod, "v1", None), "/api/v1/pods");
        assert_eq!(
            object(&Key::new(Kind::Pod, "shop", "web"), "v1"),
            "/api/v1/namespaces/shop/pods/web"
        );
        assert_eq!(
            object(&Key::new(Kind::Node, "", "a"), "v1"),
            "/api/v1/nodes/a"
        );
        assert_eq!(
            collection(Kind::HTTPRoute, "v1beta1", Some("shop")),
            "/apis/gateway.networking.k8s.io/v1beta1/namespaces/shop/httproutes"
        );
    }

    #[test]
    fn values_of_a_query_are_escaped() {
        assert_eq!(
            with("/a", &[("continue", "x=/+ y"), ("limit", "5")]),
            "/a?continue=x%3D%2F%2B%20y&limit=5"
        );
    }
}
