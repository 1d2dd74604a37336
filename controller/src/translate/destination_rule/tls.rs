//! Pure. TLS to the application, inside of the mesh's own.

use std::sync::Arc;

use mesh::model::destination::{TlsOrigination, TlsRoots};
use objects::istio::destination_rule::{Tls, TlsMode};
use objects::raw::Path;

use crate::translate::remarks::Remarks;
use crate::translate::rule::Rule;

/// In the mesh's words; `None` when none is spoken beside the mesh's own. What would need something that is not
/// read refuses every connection: plain text, or a certificate that nobody has looked at, is not what was asked for.
pub(super) fn read(tls: &Tls, path: &Path, remarks: &mut Remarks) -> Option<TlsOrigination> {
    let at = |key: &str| path.clone().key(key);
    let word = match tls.mode {
        TlsMode::Disable => "DISABLE",
        TlsMode::IstioMutual => "ISTIO_MUTUAL",
        TlsMode::Simple | TlsMode::Mutual => {
            return Some(origination(tls, path, remarks));
        }
    };
    let reason =
        format!("{word} does not count at waypoints: endpoints in the mesh are reached over HBONE");
    remarks.add(Rule::NotAtWaypoint, at("mode"), reason);
    None
}

fn origination(tls: &Tls, path: &Path, remarks: &mut Remarks) -> TlsOrigination {
    let at = |key: &str| path.clone().key(key);
    let text = |text: &str| Arc::<str>::from(text);
    let has_pair = !tls.client_certificate.is_empty() && !tls.private_key.is_empty();
    let from_secret = !tls.credential_name.is_empty();
    let is_mutual = tls.mode == TlsMode::Mutual;
    if is_mutual && !has_pair && !from_secret {
        let reason = "with MUTUAL both clientCertificate and privateKey are named";
        remarks.invalid(path.clone(), reason);
    }
    let mut roots = match tls.ca_certificates.as_str() {
        "" | "system" => TlsRoots::System,
        file => TlsRoots::File(text(file)),
    };
    if from_secret {
        let reason =
            "Secrets are not read: every connection is refused until files are named instead";
        remarks.add(Rule::TlsNotUsable, at("credentialName"), reason);
        roots = TlsRoots::Missing;
    }
    if !tls.ca_crl.is_empty() {
        let reason =
            "revocation lists are not honoured: every connection is refused until it is removed";
        remarks.add(Rule::TlsNotUsable, at("caCrl"), reason);
        roots = TlsRoots::Missing;
    }
    TlsOrigination {
        sni: text(&tls.sni),
        subject_alt_names: tls.subject_alt_names.iter().map(|it| text(it)).collect(),
        insecure_skip_verify: tls.insecure_skip_verify && roots != TlsRoots::Missing,
        roots,
        client: (is_mutual && has_pair)
            .then(|| (text(&tls.client_certificate), text(&tls.private_key))),
    }
}
