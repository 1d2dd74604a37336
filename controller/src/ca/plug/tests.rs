//! What an operator may plug in, what comes out of it, and every reason for which it is not taken.

use std::path::Path;

use mesh::testing::ca::{Ca, Leaf, identity};
use rcgen::{BasicConstraints, IsCa, KeyUsagePurpose};

use super::*;

const DAY: time::Duration = time::Duration::days(1);

fn write(directory: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        std::fs::write(directory.join(name), text).unwrap();
    }
}

fn open(files: &[(&str, &str)]) -> Result<SigningRoot, PlugError> {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), files);
    let state = directory.path().join("state");
    let (_, root) = Plug::open(directory.path().to_owned(), state.clone())?;
    let public = std::fs::read_to_string(state.join("root-cert.pem")).unwrap();
    assert_eq!(public, root.roots());
    Ok(root)
}

/// The answer to a request for a day, and when its leaf ends.
fn answer(root: &SigningRoot) -> (Vec<String>, OffsetDateTime) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::default();
    let request = params.serialize_request(&key).unwrap().pem().unwrap();
    let lives = Lives {
        default: DAY,
        max: DAY,
    };
    let moment = Moment {
        now: OffsetDateTime::now_utc(),
        serial: [7; 16],
    };
    let web = identity("default", "web");
    let signed = sign::sign(root, lives, moment, &request, &web, 0).unwrap();
    (signed.chain, signed.not_after)
}

/// A PEM text's certificates, one each.
fn parts(text: &str) -> Vec<&str> {
    text.split_inclusive("-----END CERTIFICATE-----\n")
        .collect()
}

/// Two texts with the same certificates, however their lines are cut.
fn is_same(one: &str, other: &str) -> bool {
    let read = |text: &str| -> Vec<CertificateDer<'static>> {
        CertificateDer::pem_slice_iter(text.as_bytes())
            .map(Result::unwrap)
            .collect()
    };
    read(one) == read(other)
}

#[test]
fn the_answer_is_leaf_then_signer_then_those_above_it_then_all_roots() {
    let root = Ca::named("root");
    let cluster = root.intermediate("region").intermediate("cluster");
    let (chain, key) = cluster.plug_pem();
    let [signer, region] = parts(&chain)[..] else {
        panic!("{chain}")
    };
    // while the root is replaced there are two
    let roots = root.root_pem() + &Ca::named("next").root_pem();
    let all_above = format!("{region}{signer}{}", root.root_pem());
    let rows: [&[(&str, &str)]; 3] = [
        &[
            ("ca-cert.pem", signer),
            ("ca-key.pem", &key),
            ("root-cert.pem", &roots),
            ("cert-chain.pem", &chain),
        ],
        // the signer and a root once more, and not in order
        &[
            ("ca-cert.pem", signer),
            ("ca-key.pem", &key),
            ("root-cert.pem", &roots),
            ("cert-chain.pem", &all_above),
        ],
        &[("tls.crt", &chain), ("tls.key", &key), ("ca.crt", &roots)],
    ];
    for files in rows {
        let (answer, _) = answer(&open(files).unwrap());
        assert_eq!(answer.len(), 4, "leaf, signer, region, roots");
        assert!(is_same(&answer[1], signer));
        assert!(is_same(&answer[2], region));
        assert!(is_same(&answer[3], &roots));
    }
}

#[test]
fn a_root_that_signs_itself_adds_nothing_to_the_answer() {
    let root = Ca::named("root");
    let (certificate, key) = root.plug_pem();
    let files = [
        ("ca-cert.pem", &*certificate),
        ("ca-key.pem", &key),
        ("root-cert.pem", &certificate),
    ];
    let (answer, _) = answer(&open(&files).unwrap());
    assert_eq!(answer.len(), 2, "leaf and root");
    assert!(is_same(&answer[1], &certificate));
}

#[test]
fn an_rsa_key_signs_whichever_way_it_is_written_down() {
    let key = KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let certificate = params.self_signed(&key).unwrap().pem();
    // PKCS#8 is a frame around PKCS#1: version, algorithm, and the key as an octet string at the end
    let framed = key.serialize_der();
    let position = framed
        .windows(4)
        .skip(1)
        .position(|it| it[..2] == [0x30, 0x82] && it[2..] != framed[2..4]);
    let bare = pem_text("RSA PRIVATE KEY", &framed[position.unwrap() + 1..]);
    for text in [key.serialize_pem(), bare] {
        let files = [
            ("ca-cert.pem", &*certificate),
            ("ca-key.pem", &text),
            ("root-cert.pem", &certificate),
        ];
        assert_eq!(answer(&open(&files).unwrap()).0.len(), 2);
    }
}

fn pem_text(label: &str, der: &[u8]) -> String {
    use base64::Engine;
    let body = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
}

#[test]
fn nothing_outlives_what_stands_above_it() {
    let (now, hour) = (OffsetDateTime::now_utc(), time::Duration::HOUR);
    let root = Ca::named("root");
    let region = root.intermediate_with("region", |it| it.not_after = now + hour);
    let (chain, key) = region.intermediate("cluster").plug_pem();
    let roots = root.root_pem();
    let files = [("tls.crt", &*chain), ("tls.key", &key), ("ca.crt", &roots)];
    let signer = open(&files).unwrap();
    let (_, not_after) = answer(&signer);
    assert_eq!(not_after, signer.not_after());
    assert!(not_after <= now + hour);
}

/// Files by name, and words of the reason for which they are not taken.
type Fault = (Vec<(&'static str, String)>, &'static [&'static str]);

fn files(certificate: &str, key: &str, roots: &str) -> Vec<(&'static str, String)> {
    vec![
        ("ca-cert.pem", certificate.to_owned()),
        ("ca-key.pem", key.to_owned()),
        ("root-cert.pem", roots.to_owned()),
    ]
}

/// Files that are wrong by themselves.
fn bad_files() -> Vec<Fault> {
    let root = Ca::named("root");
    let (certificate, key) = root.intermediate("cluster").plug_pem();
    let with = |name: &'static str, text: &str| {
        let mut files = files(&certificate, &key, &root.root_pem());
        files.retain(|(other, _)| *other != name);
        files.push((name, text.to_owned()));
        files
    };
    let other_key = root.plug_pem().1;
    let damaged = "-----BEGIN CERTIFICATE-----\nAAAA";
    vec![
        (vec![], &["ca-cert.pem", "cannot read"]),
        (with("ca-key.pem", ""), &["ca-key.pem", "private key"]),
        (
            with("ca-key.pem", &other_key),
            &["ca-key.pem", "not the certificate's"],
        ),
        (
            with("ca-cert.pem", "text"),
            &["ca-cert.pem", "no certificate"],
        ),
        (
            with("root-cert.pem", ""),
            &["root-cert.pem", "no certificate"],
        ),
        (
            with("cert-chain.pem", damaged),
            &["cert-chain.pem", "damaged"],
        ),
        (with("tls.key", &key), &["which of them counts"]),
        (with("ca-crl.pem", ""), &["ca-crl.pem", "revocation list"]),
    ]
}

/// Files that do not lead from a leaf to a root.
fn bad_chains() -> Vec<Fault> {
    let (now, hour) = (OffsetDateTime::now_utc(), time::Duration::HOUR);
    let root = Ca::named("root");
    let of = |ca: &Ca, roots: &str| {
        let (chain, key) = ca.plug_pem();
        files(parts(&chain)[0], &key, roots)
    };
    let below = |change: &dyn Fn(&mut CertificateParams)| {
        of(&root.intermediate_with("cluster", change), &root.root_pem())
    };
    let good = root.intermediate("cluster");
    let without_region = root.intermediate("region").intermediate("cluster");
    let lowest = root.intermediate_with("lowest", |it| {
        it.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    });
    let (too_deep, deep_key) = lowest.intermediate("deeper").plug_pem();
    let (leaf, leaf_key) = root.issue_pem(&Leaf::of(&identity("default", "web")));
    let refused: &[&str] = &["proxies would refuse", "not signed by a root we trust"];
    vec![
        (of(&good, &Ca::named("root").root_pem()), refused),
        (of(&without_region, &root.root_pem()), refused),
        (
            files(&leaf, &leaf_key, &root.root_pem()),
            &["may not sign others"],
        ),
        (
            files(&too_deep, &deep_key, &root.root_pem()),
            &["proxies would refuse"],
        ),
        (
            below(&|it| it.not_after = now - hour),
            &["cannot sign", "expired"],
        ),
        (
            below(&|it| it.not_before = now + hour),
            &["proxies would refuse", "not valid yet"],
        ),
    ]
}

#[test]
fn what_proxies_would_not_accept_is_not_taken_and_the_reason_names_the_file() {
    for (files, words) in bad_files().into_iter().chain(bad_chains()) {
        let names: Vec<_> = files.iter().map(|(name, _)| *name).collect();
        let files: Vec<_> = files.iter().map(|(name, text)| (*name, &**text)).collect();
        let Err(error) = open(&files) else {
            panic!("taken: {words:?}, {names:?}")
        };
        let reason = report(&error);
        for word in words {
            assert!(reason.contains(word), "{word:?} is not in {reason:?}");
        }
    }
}

#[test]
fn what_holds_a_private_key_cannot_be_printed() {
    use std::fmt::Debug;
    use std::marker::PhantomData;
    // An inherent constant goes before a trait's, where its bound holds.
    struct Asked<T>(PhantomData<T>);
    trait Otherwise {
        const IS_PRINTABLE: bool = false;
    }
    impl<T> Otherwise for Asked<T> {}
    impl<T: Debug> Asked<T> {
        const IS_PRINTABLE: bool = true;
    }
    let printable = [
        Asked::<Plug>::IS_PRINTABLE,
        Asked::<SigningRoot>::IS_PRINTABLE,
        Asked::<crate::ca::Authority>::IS_PRINTABLE,
    ];
    assert_eq!(printable, [true, false, false]);
}
