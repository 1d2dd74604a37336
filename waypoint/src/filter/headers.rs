//! Pure. Header lines removed, set and added, as rules and their backends say.

use std::sync::Arc;

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};
use mesh::model::http::HeaderChanges;

/// Why changes cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} cannot be a header with the value {value:?}")]
pub struct BadHeader {
    /// The name.
    pub name: Arc<str>,
    /// The value; empty for a name alone.
    pub value: Arc<str>,
}

/// Changes with names and values that were looked at.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    remove: Vec<HeaderName>,
    set: Vec<(HeaderName, HeaderValue)>,
    add: Vec<(HeaderName, HeaderValue)>,
}

impl Changes {
    /// Checks names and values.
    ///
    /// # Errors
    /// [`BadHeader`] names the first that no header can have.
    pub fn new(model: &HeaderChanges) -> Result<Self, BadHeader> {
        let name = |name: &Arc<str>, value: &Arc<str>| {
            HeaderName::from_bytes(name.as_bytes()).map_err(|_| BadHeader {
                name: Arc::clone(name),
                value: Arc::clone(value),
            })
        };
        let pair = |(key, value): &(Arc<str>, Arc<str>)| {
            let header = HeaderValue::from_str(value).map_err(|_| BadHeader {
                name: Arc::clone(key),
                value: Arc::clone(value),
            })?;
            Ok((name(key, value)?, header))
        };
        Ok(Self {
            remove: model
                .remove
                .iter()
                .map(|it| name(it, &Arc::default()))
                .collect::<Result<_, _>>()?,
            set: model.set.iter().map(pair).collect::<Result<_, _>>()?,
            add: model.add.iter().map(pair).collect::<Result<_, _>>()?,
        })
    }

    /// Applies them. What is added to a header that is there goes into its line, after a comma.
    pub fn apply(&self, headers: &mut HeaderMap) {
        for name in &self.remove {
            headers.remove(name);
        }
        for (name, value) in &self.set {
            headers.insert(name, value.clone());
        }
        for (name, value) in &self.add {
            match headers.get(name).and_then(|before| joined(before, value)) {
                Some(both) => headers.insert(name, both),
                None => headers.insert(name, value.clone()),
            };
        }
    }
}

fn joined(before: &HeaderValue, value: &HeaderValue) -> Option<HeaderValue> {
    let both = [before.as_bytes(), b",", value.as_bytes()].concat();
    HeaderValue::from_bytes(&both).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(remove: &[&str], set: &[(&str, &str)], add: &[(&str, &str)]) -> Changes {
        let pairs = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter().map(|(k, v)| ((*k).into(), (*v).into()));
            pairs.collect()
        };
        Changes::new(&HeaderChanges {
            remove: remove.iter().map(|it| (*it).into()).collect(),
            set: pairs(set),
            add: pairs(add),
        })
        .unwrap()
    }

    #[test]
    fn removes_sets_and_adds() {
        let mut headers = HeaderMap::new();
        headers.insert("x-one", HeaderValue::from_static("a"));
        headers.append("x-one", HeaderValue::from_static("b"));
        headers.insert("x-two", HeaderValue::from_static("a"));
        headers.insert("x-gone", HeaderValue::from_static("a"));
        let changes = changes(
            &["x-gone", "x-never"],
            &[("x-one", "new"), ("x-three", "new")],
            &[("x-two", "b"), ("x-four", "c")],
        );
        changes.apply(&mut headers);
        let mut all: Vec<_> = headers
            .iter()
            .map(|(k, v)| format!("{k}={}", v.to_str().unwrap()))
            .collect();
        all.sort_unstable();
        assert_eq!(all, ["x-four=c", "x-one=new", "x-three=new", "x-two=a,b"]);
    }

    #[test]
    fn names_what_no_header_can_have() {
        let model = HeaderChanges {
            set: vec![("x-a".into(), "one\r\ntwo".into())],
            ..HeaderChanges::default()
        };
        let error = Changes::new(&model).unwrap_err();
        assert_eq!(&*error.name, "x-a");
    }
}
