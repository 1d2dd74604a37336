//! TLS to the application, both ways.

use proto::waypoint as pb;
use proto::waypoint::tls_roots::Kind;

use crate::model::destination::{TlsOrigination, TlsRoots};
use crate::wire::Error;
use crate::wire::field::{Subject, texts, texts_message};

pub(super) fn origination(
    subject: Subject<'_>,
    message: pb::TlsOrigination,
) -> Result<TlsOrigination, Error> {
    let roots = match message.roots {
        None => TlsRoots::System,
        Some(roots) => match subject.required("tls.roots", roots.kind)? {
            Kind::File(path) => TlsRoots::File(path.into()),
            Kind::Pem(text) => TlsRoots::Pem(text.into()),
            Kind::Missing(pb::MissingRoots {}) => TlsRoots::Missing,
        },
    };
    let client = message.client;
    Ok(TlsOrigination {
        sni: message.sni.into(),
        subject_alt_names: texts(message.subject_alt_names),
        roots,
        client: client.map(|it| (it.chain.into(), it.key.into())),
        insecure_skip_verify: message.insecure_skip_verify,
    })
}

pub(super) fn origination_message(tls: &TlsOrigination) -> pb::TlsOrigination {
    let TlsOrigination {
        sni,
        subject_alt_names,
        roots,
        client,
        insecure_skip_verify,
    } = tls;
    let roots = match roots {
        TlsRoots::System => None,
        TlsRoots::File(path) => Some(Kind::File(path.to_string())),
        TlsRoots::Pem(text) => Some(Kind::Pem(text.to_string())),
        TlsRoots::Missing => Some(Kind::Missing(pb::MissingRoots {})),
    };
    pb::TlsOrigination {
        sni: sni.to_string(),
        subject_alt_names: texts_message(subject_alt_names),
        roots: roots.map(|kind| pb::TlsRoots { kind: Some(kind) }),
        client: client.as_ref().map(|(chain, key)| pb::ClientFiles {
            chain: chain.to_string(),
            key: key.to_string(),
        }),
        insecure_skip_verify: *insecure_skip_verify,
    }
}
