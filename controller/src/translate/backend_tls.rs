//! Pure. BackendTLSPolicy to the TLS that is spoken to an application. Source: docs/compat.md#backend-tls.
//!
//! Where a policy holds, plain text is never spoken: what cannot be verified as it asks is refused.

pub mod report;
mod authorities;

use std::sync::Arc;

use mesh::model::destination::{TlsOrigination, TlsRoots};
use objects::gateway_api::BackendTlsPolicy;
use objects::gateway_api::backend_tls_policy::SubjectAltName;
use objects::kinds::Key;
use objects::kubernetes::ConfigMap;
use objects::raw::Path;

use super::rule::Rule;
use super::{Finding, age};
use authorities::Authorities;

/// The key of a config map under which certificates of authorities are.
pub const CA_KEY: &str = "ca.crt";

/// The config maps there are, by namespace and name.
pub type Maps<'a> = &'a dyn Fn(&str, &str) -> Option<&'a ConfigMap>;

/// What a policy comes to.
#[derive(Clone, Debug)]
pub struct Origination {
    /// The TLS to be spoken.
    pub tls: TlsOrigination,
    /// What the owner should know.
    pub findings: Vec<Finding>,
    /// Why a reference to certificates leads nowhere: reason and sentence.
    pub unresolved: Option<(&'static str, String)>,
    /// Why connections are refused: reason and sentence.
    pub refused: Option<(&'static str, String)>,
}

/// Which of the policies about an object holds for its port of this name: one for the port before one for all ports,
/// older ones first.
pub fn choose<'a>(
    policies: impl Iterator<Item = &'a BackendTlsPolicy>,
    object: &Key,
    port: &str,
) -> Option<&'a BackendTlsPolicy> {
    let holding = policies.filter_map(|policy| {
        let targets = policy.spec.target_refs.iter();
        let ours = targets.filter(|it| {
            it.object(&policy.metadata.namespace).as_ref() == Some(object)
                && it.section_name.as_deref().is_none_or(|name| name == port)
        });
        let is_wide = ours.map(|it| it.section_name.is_none()).min()?;
        Some((is_wide, age::of(&policy.metadata), policy))
    });
    let first = holding.min_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    first.map(|(_, _, policy)| policy)
}

/// What a policy comes to.
pub fn originate(policy: &BackendTlsPolicy, maps: Maps<'_>) -> Origination {
    let validation = &policy.spec.validation;
    let path = Path::of_keys(&["spec", "validation"]);
    let mut made = Origination {
        tls: TlsOrigination {
            sni: validation.hostname.as_str().into(),
            subject_alt_names: Vec::new(),
            roots: TlsRoots::Missing,
            client: None,
            insecure_skip_verify: false,
        },
        findings: Vec::new(),
        unresolved: None,
        refused: None,
    };
    let Authorities { roots, unresolved } = authorities::read(
        validation,
        &policy.metadata.namespace,
        maps,
        &mut made.findings,
    );
    made.unresolved = unresolved;
    if roots == TlsRoots::Missing {
        let reason = "no certificate of an authority can be read".to_owned();
        made.refused = Some(("NoValidCACertificate", reason));
    }
    made.tls.roots = roots;
    if !is_host(&validation.hostname) {
        let reason = format!("{:?} is no host name", validation.hostname);
        made.refuse(path.clone().key("hostname"), reason);
    }
    for (index, name) in validation.subject_alt_names.iter().enumerate() {
        match alternative(name) {
            Some(name) => made.tls.subject_alt_names.push(name),
            None => {
                let reason = "neither a Hostname nor a URI with its value".to_owned();
                made.refuse(path.clone().key("subjectAltNames").at(index), reason);
            }
        }
    }
    made
}

impl Origination {
    fn refuse(&mut self, path: Path, reason: String) {
        self.tls.roots = TlsRoots::Missing;
        self.refused.get_or_insert(("Invalid", reason.clone()));
        self.findings.push(Finding {
            rule: Rule::BackendTlsRefused,
            path,
            reason: format!("{reason}: connections are refused"),
        });
    }
}

fn alternative(name: &SubjectAltName) -> Option<Arc<str>> {
    let value = match name.r#type.as_str() {
        "Hostname" => name.hostname.as_deref().filter(|it| is_host(it)),
        "URI" => name.uri.as_deref().filter(|it| it.contains("://")),
        _ => None,
    };
    value.map(Into::into)
}

fn is_host(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-.*".contains(&byte);
    !text.is_empty() && text.len() <= 253 && text.bytes().all(fits)
}
