//! Recipe: find the tokens of a request, verify them, change its headers. Source: docs/compat.md#jwt.
//!
//! A request without a token passes: whether it needs one is a matter of authorization.

pub mod keys;
pub mod fetch;
mod apply;
pub(crate) mod verify;
mod locate;
pub(crate) mod key_set;
pub(crate) mod token;
pub mod rejection;

use std::sync::Arc;
use std::time::SystemTime;

use ::http::Method;
use ::http::header::{ACCESS_CONTROL_REQUEST_METHOD, ORIGIN};
use mesh::authz::Token;
use mesh::model::attached::JwtRule;

use crate::asked::Asked;
use keys::{KeyRing, KeySource};
use rejection::Rejection;

/// The rules of all policies that hold for a request.
#[derive(Debug, Default)]
pub struct Authentication {
    rules: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    words: JwtRule,
    keys: Arc<KeySource>,
}

impl Authentication {
    /// With the keys of each issuer from `ring`. Not for the path of requests: it may start to fetch keys.
    pub fn new<'a>(rules: impl IntoIterator<Item = &'a JwtRule>, ring: &KeyRing) -> Self {
        let rule = |words: &JwtRule| Rule {
            words: words.clone(),
            keys: ring.source(words),
        };
        Self {
            rules: rules.into_iter().map(rule).collect(),
        }
    }

    /// Whether there is nothing to do, ever.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Verifies the tokens of a request and changes its headers as the rules say. The token is that of the first rule
    /// with a good one. Waits only while the keys of an issuer are not there yet, or lack the key that a token names.
    ///
    /// # Errors
    /// [`Rejection`] when there are tokens and none is good.
    pub async fn check(
        &self,
        asked: &mut Asked,
        now: SystemTime,
    ) -> Result<Option<Token>, Rejection> {
        let rules = self.rules.iter();
        rules.for_each(|rule| apply::forget(&rule.words, &mut asked.headers));
        if self.rules.is_empty() || is_preflight(asked) {
            return Ok(None);
        }
        let mut first_token = None;
        let mut first_rejection = None;
        let found = locate::tokens(self.rules.iter().map(|it| &it.words), asked);
        for found in found {
            match self.one(&found, now).await {
                Ok((rule, verified)) => {
                    apply::apply(&rule.words, &found, &verified, asked);
                    let lists = rule.words.space_delimited.iter().map(|it| &**it);
                    first_token = first_token.or(Some(Token::new(verified.payload, lists)));
                }
                Err(rejection) => first_rejection = first_rejection.or(Some(rejection)),
            }
        }
        match (first_token, first_rejection) {
            (None, Some(rejection)) => Err(rejection),
            (token, _) => Ok(token),
        }
    }

    /// The first rule that a token is good for.
    async fn one(
        &self,
        found: &locate::Found,
        now: SystemTime,
    ) -> Result<(&Rule, verify::Verified), Rejection> {
        let unverified = token::parse(&found.text)?;
        let mut rejection = Rejection::UnknownIssuer;
        let rules = self.rules.iter().enumerate();
        let rules = rules.filter(|(index, _)| found.rules.contains(index));
        for (_, rule) in rules.filter(|(_, it)| *it.words.issuer == *unverified.issuer()) {
            let verified = match verify::claims(&rule.words, &unverified, now) {
                Err(rejection) => Err(rejection),
                Ok(()) => match rule.keys.set_with(&unverified).await {
                    None => Err(Rejection::KeysMissing),
                    Some(keys) => verify::signature(&keys, &unverified),
                },
            };
            match verified {
                Ok(verified) => return Ok((rule, verified)),
                Err(reason) if rejection == Rejection::UnknownIssuer => rejection = reason,
                Err(_) => {}
            }
        }
        Err(rejection)
    }
}

/// A browser that asks beforehand sends no token.
fn is_preflight(asked: &Asked) -> bool {
    asked.method == Method::OPTIONS
        && asked.headers.contains_key(ORIGIN)
        && asked.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

#[cfg(test)]
mod tests;
