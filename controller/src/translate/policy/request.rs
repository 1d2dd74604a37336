//! Pure. Conditions that only waypoints evaluate: patterns of paths, names of headers and claims.

use std::sync::Arc;

use mesh::authz::template;
use mesh::model::{ClaimPatterns, NamedPatterns, PathPattern, RequestMatch, StringMatch};

use super::value::pattern;

/// A path: exact, `x*`, `*x`, `*`, or a template with `{*}` and `{**}`.
pub(super) fn path(text: &str) -> Result<PathPattern, String> {
    if !template::is_template(text) {
        return pattern(text).map(PathPattern::Text);
    }
    match template::complaint(text) {
        None => Ok(PathPattern::Template(text.into())),
        Some(complaint) => Err(format!("{text:?}: {complaint}")),
    }
}

/// A trust domain, or a pattern of it.
pub(super) fn trust_domain(text: &str) -> Result<StringMatch, String> {
    match text.contains('/') {
        true => Err(format!("{text:?}: a trust domain has no `/`")),
        false => pattern(text),
    }
}

/// What a key of conditions is about, where only a waypoint knows.
pub(super) enum Subject {
    /// The client's address as proxies say.
    RemoteIp,
    /// `iss/sub` of the token.
    RequestPrincipal,
    /// The name that the client's TLS asks for.
    ServerName,
    /// The trust domain of the caller.
    TrustDomain,
    /// A header.
    Header(Arc<str>),
    /// A claim.
    Claim(Vec<Arc<str>>),
}

impl Subject {
    /// Whether it is known only after tokens were looked at.
    pub(super) fn is_of_token(&self) -> bool {
        matches!(self, Self::RequestPrincipal | Self::Claim(_))
    }

    /// Puts conditions on texts where they belong; those on addresses belong elsewhere.
    pub(super) fn put(
        self,
        values: Vec<StringMatch>,
        not_values: Vec<StringMatch>,
        request: &mut RequestMatch,
    ) {
        match self {
            Self::RemoteIp => {}
            Self::RequestPrincipal => {
                (request.request_principals, request.not_request_principals) = (values, not_values);
            }
            Self::ServerName => {
                (request.server_names, request.not_server_names) = (values, not_values);
            }
            Self::TrustDomain => {
                (request.trust_domains, request.not_trust_domains) = (values, not_values);
            }
            Self::Header(name) => request.headers.push(NamedPatterns {
                name,
                values,
                not_values,
            }),
            Self::Claim(path) => request.claims.push(ClaimPatterns {
                path,
                values,
                not_values,
            }),
        }
    }
}

/// What a key is about; `Ok(None)` for keys that are none of these.
///
/// # Errors
/// What is wrong with a key that is almost one of these.
pub(super) fn subject(key: &str) -> Result<Option<Subject>, String> {
    let claim = |name: &str| Subject::Claim(vec![name.into()]);
    Ok(Some(match key {
        "remote.ip" => Subject::RemoteIp,
        "request.auth.principal" => Subject::RequestPrincipal,
        "request.auth.audiences" => claim("aud"),
        "request.auth.presenter" => claim("azp"),
        "connection.sni" => Subject::ServerName,
        "source.trustDomain" => Subject::TrustDomain,
        _ => {
            if let Some(rest) = key.strip_prefix("request.headers") {
                Subject::Header(header(key, rest)?)
            } else if let Some(rest) = key.strip_prefix("request.auth.claims") {
                Subject::Claim(brackets(rest).ok_or_else(|| bad(key))?)
            } else {
                return Ok(None);
            }
        }
    }))
}

fn bad(key: &str) -> String {
    format!("{key:?}: write it like request.headers[name] or request.auth.claims[outer][inner]")
}

/// The name of a header in lower case.
fn header(key: &str, rest: &str) -> Result<Arc<str>, String> {
    let names = brackets(rest).ok_or_else(|| bad(key))?;
    let [name] = &names[..] else {
        return Err(bad(key));
    };
    let name = name.to_ascii_lowercase();
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let is_pseudo = [":authority", ":method"].contains(&&*name);
    match is_pseudo || name.bytes().all(is_token) {
        true => Ok(name.into()),
        false => Err(format!("{key:?}: {name:?} is not the name of a header")),
    }
}

/// The texts of `[a][b]`; `None` when it is anything else.
fn brackets(text: &str) -> Option<Vec<Arc<str>>> {
    let inside = text.strip_prefix('[')?.strip_suffix(']')?;
    let names: Vec<Arc<str>> = inside.split("][").map(Into::into).collect();
    let is_good = |it: &Arc<str>| !it.is_empty() && !it.contains(['[', ']']);
    names.iter().all(is_good).then_some(names)
}
