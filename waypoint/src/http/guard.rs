//! Recipe: may this request go on? External authorization -> tokens -> policies. Source: contract order,
//! docs/compat.md#request-authorization.

use std::net::{IpAddr, SocketAddr};
use std::time::SystemTime;

use ::http::HeaderMap;
use ::http::header::CONTENT_LENGTH;
use bytes::BytesMut;
use http_body_util::BodyExt;
use mesh::authz::{Facts, RequestFacts, Token};

use super::Exchange;
use crate::asked::Asked;
use crate::authorize::external::{self, Additions, Part, Whom};
use crate::authorize::{ask, facts_of};
use crate::ending::Ending;
use crate::provider::Reached;
use crate::reply::Reply;
use crate::served::Policies;

/// What was learnt of a request that may go on.
#[derive(Default)]
pub(super) struct Passed {
    /// Its verified token.
    pub(super) token: Option<Token>,
    /// What an authorization server adds to the response.
    pub(super) additions: Option<Additions>,
}

/// Decides whether a request may go on; changes its headers as tokens and authorization servers say.
///
/// # Errors
/// What the client hears.
pub(super) async fn pass(
    exchange: &Exchange<'_>,
    policies: &Policies,
    asked: &mut Asked,
) -> Result<Passed, Reply> {
    if let Some(name) = &policies.rejected {
        let mut reply = Reply::from(Ending::PolicyRejected);
        reply.details = Some(format!("policy_rejected[{name}]"));
        return Err(reply);
    }
    if policies.is_empty() {
        return Ok(Passed::default());
    }
    let place = Place::of(exchange, &asked.headers);
    let additions = Box::pin(external(exchange, policies, asked, &place)).await?;
    let token = policies
        .authentication
        .check(asked, SystemTime::now())
        .await
        .map_err(|rejection| rejection.reply(asked))?;
    let decided = place.with(exchange, asked, token.as_ref(), |facts| {
        for mark in policies.authorization.marks(facts) {
            mark.report(facts.request.and_then(|it| it.http).map(|it| it.path));
        }
        policies.authorization.decide(facts)
    });
    decided.map_err(|refusal| refusal.reply())?;
    Ok(Passed { token, additions })
}

/// Where a request comes from and goes to.
struct Place {
    remote: IpAddr,
    destination: SocketAddr,
}

impl Place {
    fn of(exchange: &Exchange<'_>, headers: &HeaderMap) -> Self {
        Self {
            remote: forwarded_for(headers).unwrap_or(exchange.call.client),
            destination: exchange.call.dialled(),
        }
    }

    fn with<T>(
        &self,
        exchange: &Exchange<'_>,
        asked: &Asked,
        token: Option<&Token>,
        judge: impl FnOnce(&Facts<'_>) -> T,
    ) -> T {
        let request = RequestFacts {
            remote_ip: self.remote,
            server_name: None,
            http: Some(facts_of(asked, token)),
        };
        judge(&Facts {
            source_identity: Some(&exchange.call.link.peer.identity),
            source_ip: exchange.call.client,
            destination_ip: self.destination.ip(),
            destination_port: self.destination.port(),
            request: Some(&request),
        })
    }
}

/// The nearest client that proxies in front name: the last address of `x-forwarded-for`.
fn forwarded_for(headers: &HeaderMap) -> Option<IpAddr> {
    let last = headers.get_all("x-forwarded-for").iter().next_back()?;
    let last = last.to_str().ok()?.rsplit(',').next()?;
    last.trim().parse().ok()
}

/// Asks the authorization server that the policies name, if any.
async fn external(
    exchange: &Exchange<'_>,
    policies: &Policies,
    asked: &mut Asked,
    place: &Place,
) -> Result<Option<Additions>, Reply> {
    let waypoint = exchange.served.waypoint.as_ref();
    let authorizers = waypoint
        .map(|it| it.authorizers.as_slice())
        .unwrap_or_default();
    let whom = place.with(exchange, asked, None, |facts| {
        policies.authorization.whom_to_ask(facts, authorizers)
    });
    let Some(whom) = whom.map_err(|refusal| refusal.reply())? else {
        return Ok(None);
    };
    let body = shown(exchange, &whom).await?;
    let length = asked.headers.get(CONTENT_LENGTH);
    let question = external::Request {
        source_identity: Some(&exchange.call.link.peer.identity),
        source: exchange.call.client_address(),
        destination: place.destination,
        time: SystemTime::now(),
        length: length.and_then(|it| it.to_str().ok()?.parse().ok()),
        body,
    };
    let reached = Reached(exchange.call);
    let additions = Box::pin(ask(whom, question, asked, &reached)).await;
    additions.map(Some).map_err(|refusal| refusal.reply())
}

/// As much of the body as the server wants to see.
async fn shown(exchange: &Exchange<'_>, whom: &Whom<'_>) -> Result<Option<Part>, Reply> {
    let Some(settings) = whom.authorizer.body else {
        return Ok(None);
    };
    let too_long = || Reply::from(Ending::BodyTooLarge);
    let mut reader = exchange.body.replay().ok_or_else(too_long)?;
    let mut read = BytesMut::new();
    let mut is_all = false;
    loop {
        let so_far = read.clone().freeze();
        if let Some(part) = external::part(settings, &so_far, is_all).map_err(|_| too_long())? {
            return Ok(Some(part));
        }
        match reader.frame().await {
            None => is_all = true,
            Some(Err(_)) => {
                let broken = exchange.body.broken();
                let ending = broken.map_or(Ending::ClientGone, Ending::from);
                return Err(ending.into());
            }
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    read.extend_from_slice(&data);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_proxy_says_who_the_client_is() {
        let of = |lines: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append("x-forwarded-for", line.parse().unwrap());
            }
            forwarded_for(&headers).map(|it| it.to_string())
        };
        assert_eq!(of(&["1.1.1.1, 2.2.2.2"]).as_deref(), Some("2.2.2.2"));
        assert_eq!(of(&["1.1.1.1", "::1"]).as_deref(), Some("::1"));
        assert_eq!(of(&["1.1.1.1, unknown"]), None);
        assert_eq!(of(&[]), None);
    }
}
