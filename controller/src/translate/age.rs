//! Pure. Which of two objects is older: where Istio lets the older one win.

use objects::meta::Metadata;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// An object's place in the order of age, older first. Objects whose documents do not say when they were made come
/// last; in doubt the name decides, so that the order is always the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Age {
    is_unknown: bool,
    at: i128,
    name: String,
}

/// The age of an object among those of its namespace.
pub fn of(metadata: &Metadata) -> Age {
    let text = metadata.creation_timestamp.as_deref();
    let at = text.and_then(|text| OffsetDateTime::parse(text, &Rfc3339).ok());
    Age {
        is_unknown: at.is_none(),
        at: at.map_or(0, OffsetDateTime::unix_timestamp_nanos),
        name: metadata.name.clone(),
    }
}

/// The age of an object among those of all namespaces; in doubt `namespace/name` decides.
pub fn across(metadata: &Metadata) -> Age {
    Age {
        name: format!("{}/{}", metadata.namespace, metadata.name),
        ..of(metadata)
    }
}

#[cfg(test)]
mod tests {
    use super::of;
    use objects::meta::Metadata;

    #[test]
    fn the_date_decides_then_the_name_and_no_date_is_youngest() {
        let one = |name: &str, at: Option<&str>| {
            of(&Metadata {
                name: name.to_owned(),
                creation_timestamp: at.map(str::to_owned),
                ..Metadata::default()
            })
        };
        let ages = [
            one("z", Some("2026-01-01T01:00:00+02:00")),
            one("y", Some("2026-01-01T00:00:00Z")),
            one("a", None),
            one("b", Some("not a date")),
        ];
        assert!(ages.is_sorted());
    }
}
