//! Pure. The authorities that vouch for an application.

use mesh::model::destination::TlsRoots;
use objects::gateway_api::backend_tls_policy::{CaRef, Validation};
use objects::raw::Path;
use x509_parser::pem::Pem;

use super::{CA_KEY, Maps};
use crate::translate::Finding;
use crate::translate::rule::Rule;

/// What was found.
pub(super) struct Authorities {
    /// Missing when there should be some and none could be read.
    pub(super) roots: TlsRoots,
    /// The first reference that leads nowhere: reason and sentence.
    pub(super) unresolved: Option<(&'static str, String)>,
}

pub(super) fn read(
    validation: &Validation,
    namespace: &str,
    maps: Maps<'_>,
    findings: &mut Vec<Finding>,
) -> Authorities {
    let path = Path::of_keys(&["spec", "validation"]);
    let mut say = |path: Path, reason: String| {
        findings.push(Finding {
            rule: Rule::BackendTlsRefused,
            path,
            reason,
        });
    };
    let references = &validation.ca_certificate_refs;
    let well_known = validation.well_known_ca_certificates.as_deref();
    let missing = Authorities {
        roots: TlsRoots::Missing,
        unresolved: None,
    };
    match (references.as_slice(), well_known) {
        ([], Some("System")) => {
            return Authorities {
                roots: TlsRoots::System,
                unresolved: None,
            };
        }
        ([], Some(word)) => {
            let path = path.key("wellKnownCACertificates");
            let reason = format!("{word:?} is not System: connections are refused");
            say(path, reason);
            return missing;
        }
        ([], None) => {
            let reason = "nobody vouches for the application: connections are refused";
            say(path, reason.to_owned());
            return missing;
        }
        (_, Some(_)) => {
            let reason = "either caCertificateRefs or wellKnownCACertificates, not both: \
                          connections are refused";
            say(path, reason.to_owned());
            return missing;
        }
        (_, None) => {}
    }
    let (mut text, mut unresolved) = (String::new(), None);
    for (index, reference) in references.iter().enumerate() {
        match one(reference, namespace, maps) {
            Ok(pem) => {
                text.push_str(pem.trim_end());
                text.push('\n');
            }
            Err((word, reason)) => {
                let path = path.clone().key("caCertificateRefs").at(index);
                say(path, format!("{reason}: it vouches for nobody"));
                unresolved.get_or_insert((word, reason));
            }
        }
    }
    let roots = match text.is_empty() {
        true => TlsRoots::Missing,
        false => TlsRoots::Pem(text.into()),
    };
    Authorities { roots, unresolved }
}

/// The certificates that a reference leads to.
fn one<'a>(
    reference: &CaRef,
    namespace: &str,
    maps: Maps<'a>,
) -> Result<&'a str, (&'static str, String)> {
    let CaRef { group, kind, name } = reference;
    if !group.is_empty() || kind != "ConfigMap" {
        let reason = format!("{kind} of group {group:?} holds no certificates");
        return Err(("InvalidKind", reason));
    }
    let bad = |reason: String| ("InvalidCACertificateRef", reason);
    let map = maps(namespace, name);
    let map = map.ok_or_else(|| {
        bad(format!(
            "there is no ConfigMap {namespace}/{name} with {CA_KEY}"
        ))
    })?;
    let text = map.data.get(CA_KEY);
    let text = text.ok_or_else(|| bad(format!("ConfigMap {namespace}/{name} has no {CA_KEY}")))?;
    match are_certificates(text) {
        true => Ok(text),
        false => Err(bad(format!(
            "{CA_KEY} of ConfigMap {namespace}/{name} is no certificate"
        ))),
    }
}

/// Whether a text is certificates, at least one, and nothing else that looks like one and is not.
fn are_certificates(text: &str) -> bool {
    let mut count = 0;
    for pem in Pem::iter_from_buffer(text.as_bytes()) {
        let Ok(pem) = pem else {
            return false;
        };
        if pem.label == "CERTIFICATE" {
            if pem.parse_x509().is_err() {
                return false;
            }
            count += 1;
        }
    }
    count > 0
}
