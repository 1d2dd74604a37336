//! Recipe: is a request admitted? An external authorization server first, then, after tokens were looked at, DENY and
//! ALLOW. Source: docs/compat.md#request-authorization.

pub mod external;
pub mod refusal;

use mesh::authz::{
    Attached, Facts, HttpFacts, Question, Token, Verdict, audits, decide_request,
    dry_runs_of_requests, question,
};
use mesh::model::Origin;
use mesh::model::attached::{RequestAction, RequestAuthorization};
use mesh::model::provider::ExternalAuthorizer;

use crate::asked::Asked;
use external::{Additions, Decision, Transport, Whom};
use refusal::Refusal;

/// The authorization policies that hold for a request.
#[derive(Clone, Debug, Default)]
pub struct Authorization {
    policies: Vec<(Origin, RequestAuthorization)>,
    asks: bool,
}

/// A policy's rule that is worth a line in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The policy.
    pub policy: Origin,
    /// Its first rule that matches, counted from zero; `None` when none does.
    pub rule: Option<usize>,
    /// Whether it is one that only reports, and not one that audits.
    pub is_dry_run: bool,
}

impl Mark {
    /// Writes it to the log; `path` is the request's, where there is one.
    pub fn report(&self, path: Option<&str>) {
        let (policy, rule, dry_run) = (&self.policy, self.rule, self.is_dry_run);
        tracing::info!(%policy, rule, dry_run, path, "policy reports");
    }
}

impl Authorization {
    /// All policies, each with the object that it is.
    pub fn new(policies: impl IntoIterator<Item = (Origin, RequestAuthorization)>) -> Self {
        let policies: Vec<_> = policies.into_iter().collect();
        let asks = policies
            .iter()
            .any(|(_, it)| matches!(it.action, RequestAction::Custom(_)));
        Self { policies, asks }
    }

    /// Whether there are no policies.
    pub fn is_empty(&self) -> bool {
        self.policies.is_empty()
    }

    /// The external authorization server that has to be asked about a request, if any.
    ///
    /// # Errors
    /// [`Refusal`] when it cannot be known whom to ask: several are named, or one that is not configured.
    pub fn whom_to_ask<'a>(
        &self,
        facts: &Facts<'_>,
        authorizers: &'a [ExternalAuthorizer],
    ) -> Result<Option<Whom<'a>>, Refusal> {
        if !self.asks {
            return Ok(None);
        }
        match question(facts, self.attached()) {
            Question::Nobody => Ok(None),
            Question::Contradiction(by) => Err(Refusal::Denied(Box::new(by))),
            Question::Ask { provider, by } => {
                let named = authorizers.iter().find(|it| it.name == *provider);
                let authorizer = named.ok_or_else(|| Refusal::Denied(Box::new(by.clone())))?;
                Ok(Some(Whom {
                    authorizer,
                    by: Box::new(by),
                }))
            }
        }
    }

    /// DENY, then ALLOW. `facts` have the verified token.
    ///
    /// # Errors
    /// [`Refusal::Denied`] when the request is not admitted.
    pub fn decide(&self, facts: &Facts<'_>) -> Result<(), Refusal> {
        if self.policies.is_empty() {
            return Ok(());
        }
        match decide_request(facts, self.attached()) {
            Verdict::Allowed(_) => Ok(()),
            Verdict::Denied(denial) => Err(Refusal::Denied(Box::new(denial))),
        }
    }

    /// What AUDIT policies and those that only report say of a request, whatever was decided.
    pub fn marks(&self, facts: &Facts<'_>) -> Vec<Mark> {
        let audits = audits(facts, self.attached()).map(|(it, rule)| Mark {
            policy: it.origin.clone(),
            rule: Some(rule),
            is_dry_run: false,
        });
        let dry_runs = dry_runs_of_requests(facts, self.attached()).map(|(it, rule)| Mark {
            policy: it.origin.clone(),
            rule,
            is_dry_run: true,
        });
        audits.chain(dry_runs).collect()
    }

    fn attached(&self) -> impl Iterator<Item = Attached<'_>> {
        let policies = self.policies.iter();
        policies.map(|(origin, policy)| Attached { origin, policy })
    }
}

/// What policies look at of a request.
pub fn facts_of<'a>(asked: &'a Asked, token: Option<&'a Token>) -> HttpFacts<'a> {
    HttpFacts {
        method: asked.method.as_str(),
        host: asked.host(),
        path: &asked.path,
        headers: &asked.headers,
        token,
    }
}

/// Asks, and does what the answer says to the request; what is to be added to the response comes back.
///
/// # Errors
/// [`Refusal`] when the request is refused, or nobody answered and that is not to be overlooked.
pub async fn ask<T: Transport>(
    whom: Whom<'_>,
    question: external::Request<'_>,
    asked: &mut Asked,
    transport: &T,
) -> Result<Additions, Refusal> {
    match external::ask(whom.authorizer, question, asked, transport).await {
        Ok(Decision::Admitted(additions)) => {
            additions.to_request(asked);
            Ok(additions)
        }
        Ok(Decision::Refused(said)) => Err(Refusal::External {
            by: whom.by,
            said: Box::new(said),
        }),
        Err(error) if whom.authorizer.fail_open => {
            tracing::debug!(provider = %whom.authorizer.name, %error, "admitted without an answer");
            Ok(Additions::default())
        }
        Err(error) => Err(Refusal::Unanswered {
            by: whom.by,
            status: whom.authorizer.status_on_error,
            source: error,
        }),
    }
}

/// Asks about a connection of opaque bytes. A server that is asked over HTTP knows requests only: it cannot say yes.
///
/// # Errors
/// [`Refusal`] when the connection is refused, or nobody answered and that is not to be overlooked.
pub async fn ask_of_connection<T: Transport>(
    whom: Whom<'_>,
    question: external::Request<'_>,
    transport: &T,
) -> Result<(), Refusal> {
    match external::ask_of_connection(whom.authorizer, question, transport).await {
        Ok(Decision::Admitted(_)) => Ok(()),
        Ok(Decision::Refused(said)) => Err(Refusal::External {
            by: whom.by,
            said: Box::new(said),
        }),
        Err(error) if whom.authorizer.fail_open && error.is_failure() => {
            tracing::debug!(provider = %whom.authorizer.name, %error, "admitted without an answer");
            Ok(())
        }
        Err(error) => Err(Refusal::Unanswered {
            by: whom.by,
            status: whom.authorizer.status_on_error,
            source: error,
        }),
    }
}

#[cfg(test)]
mod tests;
