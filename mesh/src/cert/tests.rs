//! Certificates from request to renewal, against authorities that do as the test says.

mod ca_client;
mod keeper;

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use proptest::prelude::{Just, Strategy, prop_assert_eq, prop_oneof, proptest};
use x509_parser::prelude::{FromDer, X509CertificationRequest};

use super::schedule::{Due, Priority, Queue, renew_after, retry_after};
use super::{CertificateAuthority, Error, Settings, SignError, request};
use crate::identity::Identity;
use crate::testing::ca::{Ca, Leaf, identity};
use crate::tls::CredentialsError;

fn web() -> Identity {
    identity("default", "web")
}

#[test]
fn renews_at_half_of_the_life_that_was_left_on_receipt() {
    let received = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
    for (left, expected) in [(24 * 3600, 12 * 3600), (130, 65), (2, 1), (1, 1), (0, 1)] {
        let not_after = received + Duration::from_secs(left);
        assert_eq!(
            renew_after(not_after, received),
            Duration::from_secs(expected),
            "{left}"
        );
    }
    let past = received - Duration::from_secs(5);
    assert_eq!(renew_after(past, received), Duration::from_secs(1));
}

#[test]
fn pauses_double_up_to_a_limit_and_are_spread_by_a_fifth() {
    for (failures, middle) in [
        (1, 1),
        (2, 2),
        (3, 4),
        (7, 64),
        (8, 128),
        (9, 150),
        (60, 150),
    ] {
        let middle = Duration::from_secs(middle);
        let least = retry_after(failures, 0.0);
        let most = retry_after(failures, 1.0);
        assert_eq!(
            least.as_millis(),
            middle.mul_f64(0.8).as_millis(),
            "{failures}"
        );
        let limited = middle.mul_f64(1.2).min(Duration::from_secs(150));
        assert_eq!(most.as_millis(), limited.as_millis(), "{failures}");
    }
}

#[test]
fn waiting_connections_go_before_warm_ups_and_those_before_renewals() {
    let mut queue = Queue::default();
    for (name, priority, since) in [
        ("renewal, long due", Priority::Background, 1),
        ("warm-up", Priority::Warmup, 5),
        ("connection, new", Priority::RealTime, 9),
        ("connection, old", Priority::RealTime, 7),
        ("connection, not due", Priority::RealTime, 11),
        ("connection that was a warm-up", Priority::Warmup, 2),
    ] {
        queue.put(name, Due { priority, since });
    }
    queue.advance(10);
    let priority = Priority::RealTime;
    queue.put("connection that was a warm-up", Due { priority, since: 8 });
    queue.advance(10);
    let order: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
    let expected = [
        "connection, old",
        "connection that was a warm-up",
        "connection, new",
        "warm-up",
        "renewal, long due",
    ];
    assert_eq!(order, expected);
    assert_eq!(queue.next_due(), Some(11));
}

/// One step of a queue: who gets which place, who leaves, how time goes on, or who is next.
#[derive(Clone, Debug)]
enum Step {
    Put(u8, u8, u16),
    Remove(u8),
    Advance(u16),
    Pop,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..12_u8, 0..3_u8, 0..100_u16)
            .prop_map(|(key, urgency, since)| { Step::Put(key, urgency, since) }),
        (0..12_u8).prop_map(Step::Remove),
        (0..100_u16).prop_map(Step::Advance),
        Just(Step::Pop),
    ]
}

proptest! {
    #[test]
    fn a_queue_gives_out_what_a_search_through_all_places_would(
        steps in proptest::collection::vec(step(), 0..80),
    ) {
        const URGENCIES: [Priority; 3] =
            [Priority::Background, Priority::Warmup, Priority::RealTime];
        let mut queue = Queue::default();
        // who is there, with what place, and whether time has come to it
        let mut all: Vec<(u8, Due<u16>, bool)> = Vec::new();
        for step in steps {
            match step {
                Step::Put(key, urgency, since) => {
                    let due = Due { priority: URGENCIES[usize::from(urgency)], since };
                    all.retain(|(other, ..)| *other != key);
                    all.push((key, due, false));
                    queue.put(key, due);
                }
                Step::Remove(key) => {
                    all.retain(|(other, ..)| *other != key);
                    queue.remove(&key);
                }
                Step::Advance(now) => {
                    for (_, due, is_due) in &mut all {
                        *is_due |= due.since <= now;
                    }
                    queue.advance(now);
                }
                Step::Pop => {
                    let ready = all.iter().filter(|(.., is_due)| *is_due);
                    let first = ready
                        .min_by_key(|(key, due, _)| (std::cmp::Reverse(due.priority), due.since, *key))
                        .map(|(key, ..)| *key);
                    all.retain(|(key, ..)| Some(*key) != first);
                    prop_assert_eq!(queue.pop(), first);
                }
            }
            let waiting = all.iter().filter(|(.., is_due)| !is_due);
            prop_assert_eq!(queue.next_due(), waiting.map(|(_, due, _)| due.since).min());
        }
    }
}

/// Answers with what `answer` makes of the request.
struct Answering<F>(F);

impl<F> CertificateAuthority for Answering<F>
where
    F: Fn(&str) -> Vec<String> + Send + Sync + 'static,
{
    async fn sign(
        &self,
        _identity: &Identity,
        csr_pem: String,
        _ttl: Duration,
    ) -> Result<Vec<String>, SignError> {
        Ok((self.0)(&csr_pem))
    }
}

async fn certified(
    answer: impl Fn(&str) -> Vec<String> + Send + Sync + 'static,
) -> Result<crate::tls::Credentials, Error> {
    request::certify(
        &Answering(answer),
        web(),
        &Settings::default(),
        &SystemTime::now,
    )
    .await
}

#[tokio::test]
async fn asks_for_a_uri_and_nothing_else_and_takes_all_roots_of_the_last_part() {
    let (ca, older) = (Ca::new(), Ca::named("older root"));
    let seen = Arc::new(Mutex::new(String::new()));
    let asked = Arc::clone(&seen);
    let made = certified(move |csr| {
        csr.clone_into(&mut asked.lock().unwrap());
        let roots = format!("{}{}", ca.root_pem(), older.root_pem());
        vec![ca.sign_request(csr, &Leaf::of(&web())), roots]
    })
    .await
    .unwrap();
    assert_eq!(made.identity(), &web());
    assert_eq!((made.chain().len(), made.roots().len()), (1, 2));

    let csr = seen.lock().unwrap().clone();
    let der = x509_parser::pem::parse_x509_pem(csr.as_bytes())
        .unwrap()
        .1
        .contents;
    let (_, csr) = X509CertificationRequest::from_der(&der).unwrap();
    assert_eq!(csr.certification_request_info.subject.iter().count(), 0);
    let extensions: Vec<_> = csr.requested_extensions().unwrap().collect();
    assert_eq!(extensions.len(), 1);
    let names = format!("{:?}", extensions[0]);
    assert!(
        names.contains("URI(\"spiffe://cluster.local/ns/default/sa/web\")"),
        "{names}"
    );
    assert!(!names.contains("DNS"), "{names}");
    let key = &csr.certification_request_info.subject_pki;
    assert_eq!(
        key.subject_public_key.data.len(),
        65,
        "an uncompressed P-256 point"
    );
}

#[tokio::test]
async fn refuses_answers_for_somebody_else_for_another_key_and_without_roots() {
    let other = identity("default", "other");
    let somebody_else = certified(move |csr| {
        let ca = Ca::new();
        vec![ca.sign_request(csr, &Leaf::of(&other)), ca.root_pem()]
    });
    let Err(Error::Answer { source, .. }) = somebody_else.await else {
        panic!("accepted")
    };
    assert!(
        matches!(
            *source,
            CredentialsError::OtherIdentity { got: Some(_), .. }
        ),
        "{source}"
    );

    let another_key = certified(|_| {
        let ca = Ca::new();
        vec![ca.issue_pem(&Leaf::of(&web())).0, ca.root_pem()]
    });
    let Err(Error::Answer { source, .. }) = another_key.await else {
        panic!("accepted")
    };
    assert!(matches!(*source, CredentialsError::Key(_)), "{source}");

    let leaf_only = certified(|csr| vec![Ca::new().sign_request(csr, &Leaf::of(&web()))]);
    assert!(matches!(
        leaf_only.await,
        Err(Error::Incomplete { parts: 1, .. })
    ));
    assert!(matches!(
        certified(|_| Vec::new()).await,
        Err(Error::Incomplete { parts: 0, .. })
    ));

    let garbage = certified(|_| vec!["leaf".into(), "roots".into()]);
    assert!(matches!(garbage.await, Err(Error::Answer { .. })));

    let expired = certified(|csr| {
        let ca = Ca::new();
        let ended = SystemTime::now() - Duration::from_secs(1);
        vec![
            ca.sign_request(
                csr,
                &Leaf {
                    not_after: ended,
                    ..Leaf::of(&web())
                },
            ),
            ca.root_pem(),
        ]
    });
    assert!(matches!(expired.await, Err(Error::NotValidNow { .. })));
}
