//! Pure. The way to a field inside a document, written as users write it.

use std::fmt;

/// One step of a [`Path`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// Into a map.
    Key(String),
    /// Into a list, from 0.
    Index(usize),
}

/// The way to a field; prints as `spec.ports[0].name`, with unusual keys in quotes
/// (`metadata.labels["app.kubernetes.io/name"]`).
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path(Vec<Step>);

impl Path {
    /// The way through these keys.
    #[must_use]
    pub fn of_keys(keys: &[&str]) -> Path {
        keys.iter()
            .map(|key| Step::Key((*key).to_owned()))
            .collect()
    }

    /// The way on, into this key.
    #[must_use]
    pub fn key(mut self, key: &str) -> Path {
        self.0.push(Step::Key(key.to_owned()));
        self
    }

    /// The way on, into this place of a list.
    #[must_use]
    pub fn at(mut self, index: usize) -> Path {
        self.0.push(Step::Index(index));
        self
    }

    /// The steps from the root.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.0
    }
}

impl FromIterator<Step> for Path {
    fn from_iter<I: IntoIterator<Item = Step>>(steps: I) -> Path {
        Path(steps.into_iter().collect())
    }
}

impl From<&serde_path_to_error::Path> for Path {
    fn from(path: &serde_path_to_error::Path) -> Path {
        use serde_path_to_error::Segment;
        path.iter()
            .filter_map(|segment| match segment {
                Segment::Seq { index } => Some(Step::Index(*index)),
                Segment::Map { key } => Some(Step::Key(key.clone())),
                Segment::Enum { variant } => Some(Step::Key(variant.clone())),
                Segment::Unknown => None,
            })
            .collect()
    }
}

impl From<&serde_ignored::Path<'_>> for Path {
    fn from(path: &serde_ignored::Path<'_>) -> Path {
        use serde_ignored::Path as Ignored;
        let mut steps = Vec::new();
        let mut next = Some(path);
        while let Some(here) = next {
            next = match here {
                Ignored::Root => None,
                Ignored::Seq { parent, index } => {
                    steps.push(Step::Index(*index));
                    Some(parent)
                }
                Ignored::Map { parent, key } => {
                    steps.push(Step::Key(key.clone()));
                    Some(parent)
                }
                Ignored::Some { parent }
                | Ignored::NewtypeStruct { parent }
                | Ignored::NewtypeVariant { parent } => Some(parent),
            };
        }
        steps.reverse();
        Path(steps)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key) if !is_plain(key) => write!(f, "[{key:?}]")?,
                Step::Key(key) if position == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
            }
        }
        Ok(())
    }
}

fn is_plain(key: &str) -> bool {
    !key.is_empty()
        && key
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}
