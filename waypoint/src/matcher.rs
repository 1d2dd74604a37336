//! Pure. Conditions on a request, compiled once: text, path, headers, query parameters, claims.

use std::sync::Arc;

use http::header::HeaderName;
use http::{HeaderMap, Method};
use mesh::model::http::{HttpMatch, NamedMatch, PathMatch, TextMatch};
use regex::{Regex, RegexBuilder};

/// Largest compiled expression, in bytes: one user's pattern must not cost everybody's memory.
const REGEX_SIZE: usize = 1 << 20;

/// Why a condition cannot be compiled.
#[derive(Debug, thiserror::Error)]
pub enum BadMatch {
    /// Not a regular expression, or one that is too large.
    #[error("{text:?} is not a regular expression that can be used")]
    Regex {
        /// The expression.
        text: Arc<str>,
        /// Why.
        #[source]
        source: regex::Error,
    },
    /// A name that no header can have.
    #[error("{0:?} is not the name of a header")]
    Header(Arc<str>),
}

/// What conditions are asked of.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// Path without query, made uniform.
    pub path: &'a str,
    /// Query without question mark.
    pub query: Option<&'a str>,
    /// Method.
    pub method: &'a Method,
    /// `http` or `https`.
    pub scheme: &'a str,
    /// Host header or `:authority`.
    pub authority: &'a str,
    /// Headers.
    pub headers: &'a HeaderMap,
    /// Values of a verified token's claim by its path; several for lists, none where it is missing.
    pub claim: &'a dyn Fn(&str) -> Vec<String>,
}

/// A condition on a text.
#[derive(Clone, Debug)]
pub enum Text {
    /// Equal.
    Exact(Arc<str>),
    /// Begins with.
    Prefix(Arc<str>),
    /// Matches as a whole.
    Regex(Regex),
    /// Is there.
    Present,
}

/// A regular expression that must match as a whole.
///
/// # Errors
/// [`BadMatch::Regex`].
pub fn whole(text: &Arc<str>) -> Result<Regex, BadMatch> {
    compile(text, &format!("^(?:{text})$"))
}

/// A regular expression that is looked for anywhere.
///
/// # Errors
/// [`BadMatch::Regex`].
pub fn anywhere(text: &Arc<str>) -> Result<Regex, BadMatch> {
    compile(text, text)
}

fn compile(text: &Arc<str>, pattern: &str) -> Result<Regex, BadMatch> {
    // The user's own text is compiled first: put into a group, one half of a pattern could close it.
    Regex::new(text)
        .and_then(|_| RegexBuilder::new(pattern).size_limit(REGEX_SIZE).build())
        .map_err(|source| BadMatch::Regex {
            text: Arc::clone(text),
            source,
        })
}

impl Text {
    /// Compiles it.
    ///
    /// # Errors
    /// [`BadMatch::Regex`].
    pub fn new(model: &TextMatch) -> Result<Self, BadMatch> {
        Ok(match model {
            TextMatch::Exact(text) => Self::Exact(Arc::clone(text)),
            TextMatch::Prefix(text) => Self::Prefix(Arc::clone(text)),
            TextMatch::Regex(text) => Self::Regex(whole(text)?),
            TextMatch::Present => Self::Present,
        })
    }

    /// Whether `value` is such a text.
    pub fn matches(&self, value: &str) -> bool {
        match self {
            Self::Exact(text) => **text == *value,
            Self::Prefix(text) => value.starts_with(&**text),
            Self::Regex(regex) => regex.is_match(value),
            Self::Present => true,
        }
    }
}

/// A condition on a path.
#[derive(Clone, Debug)]
enum Path {
    Any,
    Exact(Arc<str>),
    Elements(Arc<str>),
    Prefix(Arc<str>),
    Regex(Regex),
}

#[derive(Clone, Debug)]
struct Header {
    name: HeaderName,
    value: Text,
    negated: bool,
}

#[derive(Clone, Debug)]
struct Named {
    name: Arc<str>,
    value: Text,
    negated: bool,
}

/// All conditions of one alternative.
#[derive(Clone, Debug)]
pub struct Matcher {
    path: Path,
    ignore_case: bool,
    method: Option<Text>,
    scheme: Option<Text>,
    authority: Option<Text>,
    headers: Vec<Header>,
    query: Vec<Named>,
    claims: Vec<Named>,
}

impl Matcher {
    /// Compiles it.
    ///
    /// # Errors
    /// [`BadMatch`] names the text that cannot be used.
    pub fn new(model: &HttpMatch) -> Result<Self, BadMatch> {
        let text = |it: &Option<TextMatch>| it.as_ref().map(Text::new).transpose();
        let named = |it: &NamedMatch| {
            Ok(Named {
                name: Arc::clone(&it.name),
                value: Text::new(&it.value)?,
                negated: it.negated,
            })
        };
        let header = |it: &NamedMatch| {
            let name = HeaderName::from_bytes(it.name.as_bytes());
            Ok(Header {
                name: name.map_err(|_| BadMatch::Header(Arc::clone(&it.name)))?,
                value: Text::new(&it.value)?,
                negated: it.negated,
            })
        };
        Ok(Self {
            path: match &model.path {
                None => Path::Any,
                Some(PathMatch::Exact(text)) => Path::Exact(Arc::clone(text)),
                Some(PathMatch::Elements(text)) => Path::Elements(Arc::clone(text)),
                Some(PathMatch::Prefix(text)) => Path::Prefix(Arc::clone(text)),
                Some(PathMatch::Regex(text)) => Path::Regex(whole(text)?),
            },
            ignore_case: model.ignore_path_case,
            method: text(&model.method)?,
            scheme: text(&model.scheme)?,
            authority: text(&model.authority)?,
            headers: model
                .headers
                .iter()
                .map(header)
                .collect::<Result<_, BadMatch>>()?,
            query: model
                .query
                .iter()
                .map(named)
                .collect::<Result<_, BadMatch>>()?,
            claims: model
                .claims
                .iter()
                .map(named)
                .collect::<Result<_, BadMatch>>()?,
        })
    }

    /// Whether all conditions hold.
    pub fn matches(&self, facts: &Facts<'_>) -> bool {
        let holds = |condition: &Option<Text>, value: &str| {
            condition.as_ref().is_none_or(|it| it.matches(value))
        };
        self.path_matches(facts.path)
            && holds(&self.method, facts.method.as_str())
            && holds(&self.scheme, facts.scheme)
            && holds(&self.authority, facts.authority)
            && self.headers.iter().all(|it| it.holds(facts.headers))
            && self.query.iter().all(|it| it.holds_in_query(facts.query))
            && self.claims.iter().all(|it| {
                let values = (facts.claim)(&it.name);
                it.negated != values.iter().any(|value| it.value.matches(value))
            })
    }

    fn path_matches(&self, path: &str) -> bool {
        match &self.path {
            Path::Any => true,
            Path::Regex(regex) => regex.is_match(path),
            Path::Exact(text) if self.ignore_case => path.eq_ignore_ascii_case(text),
            Path::Exact(text) => **text == *path,
            Path::Prefix(text) => starts_with(path, text, self.ignore_case),
            Path::Elements(text) => {
                starts_with(path, text, self.ignore_case)
                    && matches!(path.as_bytes().get(text.len()), None | Some(b'/'))
            }
        }
    }
}

fn starts_with(path: &str, prefix: &str, ignore_case: bool) -> bool {
    let begin = path.as_bytes().get(..prefix.len());
    begin.is_some_and(|begin| match ignore_case {
        true => begin.eq_ignore_ascii_case(prefix.as_bytes()),
        false => begin == prefix.as_bytes(),
    })
}

impl Header {
    /// Lines of one name are tried one by one, values trimmed (contract: docs/compat.md#routes).
    fn holds(&self, headers: &HeaderMap) -> bool {
        let mut lines = headers.get_all(&self.name).iter();
        let any = lines.any(|line| {
            let text = std::str::from_utf8(line.as_bytes());
            text.is_ok_and(|text| self.value.matches(text.trim_matches([' ', '\t'])))
        });
        any != self.negated
    }
}

impl Named {
    fn holds_in_query(&self, query: Option<&str>) -> bool {
        let value = query.and_then(|query| parameter(query, &self.name));
        value.is_some_and(|value| self.value.matches(value)) != self.negated
    }
}

/// The first value of a query parameter, as it stands there; empty without `=`.
pub fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (key == name).then_some(value)
    })
}
