//! Pure. Cross-origin rules: what a preflight is answered, what is added to a response.

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, HeaderValue, ORIGIN, VARY,
};
use http::{HeaderMap, Method};
use mesh::model::http::{Cors, OriginMatch};

use crate::matcher::{BadMatch, Text};

/// Rules, compiled.
#[derive(Clone, Debug)]
pub struct Rules {
    origins: Vec<Allowed>,
    methods: Listed,
    headers: Listed,
    expose: Listed,
    credentials: bool,
    max_age: Option<HeaderValue>,
    answer_unmatched: bool,
}

#[derive(Clone, Debug)]
enum Allowed {
    Text(Text),
    Wildcard(Box<[Box<str>]>),
}

/// A list of names; with a star whatever was asked for.
#[derive(Clone, Debug)]
struct Listed {
    any: bool,
    value: Option<HeaderValue>,
}

/// What becomes of a request with cross-origin rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on; its response gets these headers.
    GoOn(HeaderMap),
    /// It is a preflight and answered with 200 and these headers.
    Answer(HeaderMap),
}

impl Listed {
    fn new(names: &[std::sync::Arc<str>]) -> Self {
        let any = names.iter().any(|name| **name == *"*");
        let joined = names.join(",");
        Self {
            any,
            value: HeaderValue::from_str(&joined)
                .ok()
                .filter(|_| !names.is_empty()),
        }
    }

    /// The list, or with a star what was asked for.
    fn answer(&self, asked: Option<&HeaderValue>) -> Option<HeaderValue> {
        match self.any {
            true => asked.cloned().or_else(|| self.value.clone()),
            false => self.value.clone(),
        }
    }
}

impl Rules {
    /// Compiles them.
    ///
    /// # Errors
    /// [`BadMatch`] when an expression cannot be used.
    pub fn new(model: &Cors) -> Result<Self, BadMatch> {
        let allowed = |origin: &OriginMatch| {
            Ok(match origin {
                OriginMatch::Text(text) => Allowed::Text(Text::new(text)?),
                OriginMatch::Wildcard(text) => {
                    Allowed::Wildcard(text.split('*').map(Into::into).collect())
                }
            })
        };
        let seconds = model.max_age.map(|age| age.as_secs().to_string());
        Ok(Self {
            origins: model
                .origins
                .iter()
                .map(allowed)
                .collect::<Result<_, BadMatch>>()?,
            methods: Listed::new(&model.methods),
            headers: Listed::new(&model.headers),
            expose: Listed::new(&model.expose),
            credentials: model.credentials,
            max_age: seconds.and_then(|text| HeaderValue::from_str(&text).ok()),
            answer_unmatched: model.answer_unmatched,
        })
    }

    /// Decides on a request.
    pub fn decide(&self, method: &Method, headers: &HeaderMap) -> Verdict {
        let Some(origin) = headers.get(ORIGIN) else {
            return Verdict::GoOn(HeaderMap::new());
        };
        let asked_method = headers.get(ACCESS_CONTROL_REQUEST_METHOD);
        let preflight = asked_method.filter(|_| method == Method::OPTIONS);
        let allowed = origin.to_str().is_ok_and(|text| self.allows(text));
        let mut answer = HeaderMap::new();
        if !allowed {
            return match preflight {
                Some(_) if self.answer_unmatched => Verdict::Answer(answer),
                _ => Verdict::GoOn(answer),
            };
        }
        answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        if self.credentials {
            answer.insert(
                ACCESS_CONTROL_ALLOW_CREDENTIALS,
                HeaderValue::from_static("true"),
            );
        }
        // Browsers read this in the answer itself; in a preflight it does no harm, and tools look for it there.
        if let Some(expose) = &self.expose.value {
            answer.insert(ACCESS_CONTROL_EXPOSE_HEADERS, expose.clone());
        }
        if preflight.is_none() {
            return Verdict::GoOn(answer);
        }
        let asked_headers = headers.get(ACCESS_CONTROL_REQUEST_HEADERS);
        for (name, value) in [
            (
                ACCESS_CONTROL_ALLOW_METHODS,
                self.methods.answer(asked_method),
            ),
            (
                ACCESS_CONTROL_ALLOW_HEADERS,
                self.headers.answer(asked_headers),
            ),
            (ACCESS_CONTROL_MAX_AGE, self.max_age.clone()),
        ] {
            if let Some(value) = value {
                answer.insert(name, value);
            }
        }
        Verdict::Answer(answer)
    }

    fn allows(&self, origin: &str) -> bool {
        self.origins.iter().any(|allowed| match allowed {
            Allowed::Text(text) => text.matches(origin),
            Allowed::Wildcard(parts) => fits(origin, parts),
        })
    }
}

/// Whether `text` is the parts in order, with at least one letter in every gap (none where the
/// pattern is the star alone).
fn fits(text: &str, parts: &[Box<str>]) -> bool {
    let [first, middle @ .., last] = parts else {
        return parts.first().is_some_and(|only| **only == *text);
    };
    let Some(mut rest) = text.strip_prefix(&**first) else {
        return false;
    };
    for part in middle {
        let Some(at) = rest.get(1..).and_then(|it| it.find(&**part)) else {
            return false;
        };
        rest = rest.get(1 + at + part.len()..).unwrap_or_default();
    }
    if first.is_empty() && last.is_empty() && middle.is_empty() {
        return true;
    }
    rest.len() > last.len() && rest.ends_with(&**last)
}

/// Puts what the rules said into a response; an application's own words on origins are replaced.
pub fn put(answer: &HeaderMap, response: &mut HeaderMap) {
    if answer.is_empty() {
        return;
    }
    for (name, value) in answer {
        response.insert(name, value.clone());
    }
    response.append(VARY, HeaderValue::from_static("origin"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh::model::http::TextMatch;

    fn rules(origins: &[&str], methods: &[&str], headers: &[&str]) -> Rules {
        let list = |names: &[&str]| names.iter().map(|it| (*it).into()).collect();
        Rules::new(&Cors {
            origins: origins
                .iter()
                .map(|it| OriginMatch::Wildcard((*it).into()))
                .collect(),
            methods: list(methods),
            headers: list(headers),
            expose: list(&["x-seen"]),
            credentials: true,
            max_age: Some(std::time::Duration::from_secs(5)),
            answer_unmatched: true,
        })
        .unwrap()
    }

    fn request(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(k, v)| (k.parse().unwrap(), HeaderValue::from_static(v)))
            .collect()
    }

    #[test]
    fn wildcards_stand_for_at_least_one_letter() {
        for (pattern, origin, expected) in [
            ("*", "https://any.where", true),
            ("https://shop.org", "https://shop.org", true),
            ("https://shop.org", "https://shop.org.evil", false),
            ("https://*.shop.org", "https://a.shop.org", true),
            ("https://*.shop.org", "https://.shop.org", false),
            ("https://*.shop.org", "https://shop.org", false),
            ("https://*.shop.org", "https://a.shop.org.evil", false),
            ("*.org", "https://shop.org", true),
        ] {
            let parts: Vec<Box<str>> = pattern.split('*').map(Into::into).collect();
            assert_eq!(fits(origin, &parts), expected, "{pattern} {origin}");
        }
    }

    #[test]
    fn a_preflight_is_answered_here_and_stars_reflect() {
        let rules = rules(&["https://*.shop.org"], &["*"], &["x-a", "x-b"]);
        let asked = request(&[
            ("origin", "https://a.shop.org"),
            ("access-control-request-method", "PUT"),
            ("access-control-request-headers", "x-c"),
        ]);
        let expected = request(&[
            ("access-control-allow-origin", "https://a.shop.org"),
            ("access-control-allow-credentials", "true"),
            ("access-control-allow-methods", "PUT"),
            ("access-control-allow-headers", "x-a,x-b"),
            ("access-control-expose-headers", "x-seen"),
            ("access-control-max-age", "5"),
        ]);
        assert_eq!(
            rules.decide(&Method::OPTIONS, &asked),
            Verdict::Answer(expected)
        );
    }

    #[test]
    fn what_is_no_preflight_goes_on() {
        let rules = rules(&["https://shop.org"], &["GET"], &[]);
        let real = request(&[("origin", "https://shop.org")]);
        let expected = request(&[
            ("access-control-allow-origin", "https://shop.org"),
            ("access-control-allow-credentials", "true"),
            ("access-control-expose-headers", "x-seen"),
        ]);
        assert_eq!(
            rules.decide(&Method::OPTIONS, &real),
            Verdict::GoOn(expected)
        );
        let foreign = request(&[("origin", "https://evil.org")]);
        assert_eq!(
            rules.decide(&Method::GET, &foreign),
            Verdict::GoOn(HeaderMap::new())
        );
        let foreign = request(&[
            ("origin", "https://evil.org"),
            ("access-control-request-method", "PUT"),
        ]);
        assert_eq!(
            rules.decide(&Method::OPTIONS, &foreign),
            Verdict::Answer(HeaderMap::new())
        );
        let text = Rules::new(&Cors {
            origins: vec![OriginMatch::Text(TextMatch::Exact(
                "https://shop.org".into(),
            ))],
            ..Cors::default()
        });
        assert!(text.unwrap().allows("https://shop.org"));
    }
}
