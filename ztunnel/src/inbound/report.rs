//! Says what policies decided, one line each: at INFO when AUTHZ_POLICY_INFO_LOGGING asks for it, else at DEBUG.
//! Source: docs/compat.md#authorization-record.

use std::net::SocketAddr;

use mesh::authz::{Denial, Facts};
use mesh::names::NamespacedName;

/// What was decided: the policy that allows if there is one, or who refuses.
pub(super) type Verdict = Result<Option<NamespacedName>, Denial>;

/// One line for one decision about a connection; `shows` raises it to INFO.
pub(super) fn decided(shows: bool, verdict: &Verdict, facts: &Facts<'_>) {
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                policy = policy(verdict).map(tracing::field::display),
                rule = verdict.as_ref().err().and_then(|it| it.rule),
                src.addr = %facts.source_ip,
                src.identity = facts.source_identity.map(tracing::field::display),
                dst.addr = %SocketAddr::new(facts.destination_ip, facts.destination_port),
                "{}",
                words(verdict)
            )
        };
    }
    if shows {
        line!(info);
    } else {
        line!(debug);
    }
}

fn policy(verdict: &Verdict) -> Option<&NamespacedName> {
    match verdict {
        Ok(policy) => policy.as_ref(),
        Err(denial) => denial.policy.as_ref(),
    }
}

fn words(verdict: &Verdict) -> &'static str {
    match verdict {
        Ok(Some(_)) => "allowed by policy",
        Ok(None) => "allowed: no policy is in the way",
        Err(Denial {
            policy: Some(_), ..
        }) => "denied by policy",
        Err(_) => "denied: allow policies exist, but none allows",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing::field::{Field, Visit};
    use tracing_subscriber::Layer;
    use tracing_subscriber::layer::{Context, SubscriberExt};

    use super::*;
    use crate::drawn;

    /// Keeps level and text of events.
    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<String>>>);

    struct Text<'a>(&'a mut String);

    impl Visit for Text<'_> {
        fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
            *self.0 += &format!(" {}={value:?}", field.name());
        }
    }

    impl<S: tracing::Subscriber> Layer<S> for Kept {
        fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
            let mut text = event.metadata().level().to_string();
            event.record(&mut Text(&mut text));
            self.0.lock().unwrap().push(text);
        }
    }

    fn line(shows: bool, verdict: &Verdict) -> String {
        let kept = Kept::default();
        let subscriber = tracing_subscriber::registry().with(kept.clone());
        let facts = Facts {
            source_identity: None,
            source_ip: drawn::ip("10.0.0.9"),
            destination_ip: drawn::ip("10.0.0.1"),
            destination_port: 80,
            request: None,
        };
        tracing::subscriber::with_default(subscriber, || decided(shows, verdict, &facts));
        kept.0.lock().unwrap().join("\n")
    }

    #[test]
    fn every_decision_is_one_line_with_its_policy_at_the_level_that_was_asked_for() {
        let policy = || Some(NamespacedName::new("ns", "p"));
        let denial = |policy, rule| Denial {
            policy,
            rule,
            origin: None,
        };
        let ends = "src.addr=10.0.0.9 dst.addr=10.0.0.1:80";
        for (verdict, message, fields) in [
            (Ok(policy()), "allowed by policy", "policy=ns/p "),
            (Ok(None), "allowed: no policy is in the way", ""),
            (
                Err(denial(policy(), Some(2))),
                "denied by policy",
                "policy=ns/p rule=2 ",
            ),
            (
                Err(denial(None, None)),
                "denied: allow policies exist, but none allows",
                "",
            ),
        ] {
            for (shows, level) in [(true, "INFO"), (false, "DEBUG")] {
                let expected = format!("{level} message={message} {fields}{ends}");
                assert_eq!(line(shows, &verdict), expected);
            }
        }
    }
}
