//! What is read of a request, what is not, how long a certificate lives.

use mesh::identity::TrustDomain;
use rcgen::{BasicConstraints, IsCa};
use x509_parser::prelude::{GeneralName, X509Certificate};

use super::*;

const LIVES: Lives = Lives {
    default: Duration::hours(24),
    max: Duration::days(90),
};

fn now() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap()
}

fn root() -> SigningRoot {
    SigningRoot::unkept(now()).unwrap()
}

fn request_of(key: &KeyPair, change: impl FnOnce(&mut CertificateParams)) -> String {
    let mut params = CertificateParams::default();
    change(&mut params);
    params.serialize_request(key).unwrap().pem().unwrap()
}

fn request() -> String {
    request_of(&KeyPair::generate().unwrap(), |_| {})
}

fn ask_at(moment: OffsetDateTime, request: &str, life: i64) -> Result<Signed, SignError> {
    let web = Identity::new(TrustDomain::default(), "default", "web");
    let moment = Moment {
        now: moment,
        serial: [0xff; 16],
    };
    sign(&root(), LIVES, moment, request, &web, life)
}

fn ask(request: &str, life: i64) -> Result<Signed, SignError> {
    ask_at(now(), request, life)
}

fn der(pem: &str) -> Vec<u8> {
    let mut all = Pem::iter_from_buffer(pem.as_bytes());
    all.next().unwrap().unwrap().contents
}

#[test]
fn a_life_is_the_default_or_what_is_asked_for_up_to_the_most() {
    const DAY: i64 = 86_400;
    for (asked, expected) in [
        (0, Some(DAY)),
        (-1, Some(DAY)),
        (i64::MIN, Some(DAY)),
        (1, Some(1)),
        (130, Some(130)),
        (90 * DAY, Some(90 * DAY)),
        (90 * DAY + 1, None),
        (i64::MAX, None),
    ] {
        match ask(&request(), asked) {
            Ok(signed) => {
                let life = (signed.not_after - now()).whole_seconds();
                assert_eq!(Some(life), expected, "{asked}");
            }
            Err(error) => {
                assert_eq!((error.word(), expected), ("ttl", None), "{asked}");
                assert!(error.is_callers_fault());
            }
        }
    }
}

#[test]
fn a_certificate_is_backdated_and_ends_with_its_root_and_no_sooner_nothing_is_signed() {
    let end = root().not_after;
    let shortly_before = end - Duration::minutes(5);
    let signed = ask_at(shortly_before, &request(), 3600).unwrap();
    assert_eq!(signed.not_after, end);
    let leaf = der(&signed.chain[0]);
    let validity = X509Certificate::from_der(&leaf)
        .unwrap()
        .1
        .validity()
        .clone();
    let begins = validity.not_before.to_datetime();
    assert_eq!(begins, shortly_before - Duration::minutes(2));
    let error = ask_at(end, &request(), 3600).unwrap_err();
    assert_eq!(error.word(), "root_expired");
    assert!(!error.is_callers_fault());
}

#[test]
fn of_a_request_only_the_key_counts() {
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    let greedy = request_of(&key, |params| {
        params.subject_alt_names = vec![
            SanType::DnsName("evil.example".try_into().unwrap()),
            SanType::URI(
                "spiffe://cluster.local/ns/kube-system/sa/admin"
                    .try_into()
                    .unwrap(),
            ),
        ];
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::Any];
    });
    let leaf = der(&ask(&greedy, 60).unwrap().chain[0]);
    let leaf = X509Certificate::from_der(&leaf).unwrap().1;
    let names = leaf.subject_alternative_name().unwrap().unwrap().value;
    let expected = GeneralName::URI("spiffe://cluster.local/ns/default/sa/web");
    assert_eq!(names.general_names, [expected]);
    assert!(!leaf.is_ca());
    assert_eq!(leaf.key_usage().unwrap().unwrap().value.flags, 1);
    let purposes = leaf.extended_key_usage().unwrap().unwrap().value;
    assert!(purposes.server_auth && purposes.client_auth && !purposes.any);
    let asked = rcgen::PublicKeyData::subject_public_key_info(&key);
    assert_eq!(leaf.public_key().raw, asked);
    assert!(leaf.raw_serial()[0] < 0x80, "a serial number is positive");
}

#[test]
fn a_request_of_another_shape_is_refused_for_what_is_wrong_with_it() {
    let good = request();
    let bytes = der(&good);
    let with = |label: &str, bytes: &[u8]| {
        let contents = Pem {
            label: label.to_owned(),
            contents: bytes.to_vec(),
        };
        text(&contents)
    };
    let trailing = [&bytes[..], &[0]].concat();
    let cut = &bytes[..bytes.len() - 1];
    // the last byte belongs to the signature, a middle one to what is signed
    let mut other_signature = bytes.clone();
    *other_signature.last_mut().unwrap() ^= 1;
    let mut other_key = bytes.clone();
    let at = other_key.windows(2).position(|it| it == [0, 4]).unwrap();
    other_key[at + 5] ^= 1;
    let label = "CERTIFICATE REQUEST";
    for (what, request, word) in [
        ("empty", String::new(), "csr_unreadable"),
        ("text", "request".to_owned(), "csr_unreadable"),
        ("no end", good.replace("-----END", ""), "csr_unreadable"),
        ("label", with("CERTIFICATE", &bytes), "csr_unreadable"),
        ("trailing", with(label, &trailing), "csr_unreadable"),
        ("cut", with(label, cut), "csr_unreadable"),
        ("nothing in it", with(label, &[]), "csr_unreadable"),
        (
            "long",
            format!("{}{good}", " ".repeat(16 * 1024)),
            "csr_unreadable",
        ),
        ("signature", with(label, &other_signature), "csr_signature"),
        ("key", with(label, &other_key), "csr_signature"),
    ] {
        let error = ask(&request, 60).unwrap_err();
        assert_eq!(error.word(), word, "{what}: {error}");
        assert!(error.is_callers_fault(), "{what}");
    }
    assert!(ask(&with(label, &bytes), 60).is_ok());
    assert!(ask(&with("NEW CERTIFICATE REQUEST", &bytes), 60).is_ok());
}

fn text(pem: &Pem) -> String {
    use base64::Engine;
    let body = base64::engine::general_purpose::STANDARD.encode(&pem.contents);
    let label = &pem.label;
    format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
}
