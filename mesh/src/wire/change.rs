//! What rules change of requests and responses, both ways.

use proto::waypoint as pb;

use super::field::{
    Subject, all, duration_message, pairs, pairs_message, some_unless_default, texts, texts_message,
};
use super::{Error, Problem, matches};
use crate::model::http::{
    Cors, Fraction, HeaderChanges, Mirror, OriginMatch, PathRewrite, Redirect, RedirectPort,
    Rewrite,
};

pub(super) fn headers(message: Option<pb::HeaderChanges>) -> HeaderChanges {
    let message = message.unwrap_or_default();
    HeaderChanges {
        remove: texts(message.remove),
        set: pairs(message.set),
        add: pairs(message.add),
    }
}

pub(super) fn headers_message(changes: &HeaderChanges) -> Option<pb::HeaderChanges> {
    let HeaderChanges { remove, set, add } = changes;
    some_unless_default(pb::HeaderChanges {
        remove: texts_message(remove),
        set: pairs_message(set),
        add: pairs_message(add),
    })
}

pub(super) fn rewrite(
    subject: Subject<'_>,
    message: Option<pb::Rewrite>,
) -> Result<Rewrite, Error> {
    let message = message.unwrap_or_default();
    let path = message.path.map(|it| path(subject, "rewrite.path", it));
    Ok(Rewrite {
        host: message.host.into(),
        path: path.transpose()?,
    })
}

pub(super) fn rewrite_message(rewrite: &Rewrite) -> Option<pb::Rewrite> {
    let Rewrite { host, path } = rewrite;
    some_unless_default(pb::Rewrite {
        host: host.to_string(),
        path: path.as_ref().map(path_message),
    })
}

fn path(
    subject: Subject<'_>,
    field: &'static str,
    message: pb::PathRewrite,
) -> Result<PathRewrite, Error> {
    use pb::path_rewrite::Kind;
    Ok(match subject.required(field, message.kind)? {
        Kind::Full(path) => PathRewrite::Full(path.into()),
        Kind::Elements(pb::Replaced { what, with }) => PathRewrite::Elements {
            prefix: what.into(),
            replacement: with.into(),
        },
        Kind::Prefix(pb::Replaced { what, with }) => PathRewrite::Prefix {
            prefix: what.into(),
            replacement: with.into(),
        },
        Kind::Regex(pb::Replaced { what, with }) => PathRewrite::Regex {
            regex: what.into(),
            replacement: with.into(),
        },
    })
}

fn path_message(path: &PathRewrite) -> pb::PathRewrite {
    use pb::path_rewrite::Kind;
    let replaced = |what: &str, with: &str| pb::Replaced {
        what: what.into(),
        with: with.into(),
    };
    let kind = match path {
        PathRewrite::Full(path) => Kind::Full(path.to_string()),
        PathRewrite::Elements {
            prefix,
            replacement,
        } => Kind::Elements(replaced(prefix, replacement)),
        PathRewrite::Prefix {
            prefix,
            replacement,
        } => Kind::Prefix(replaced(prefix, replacement)),
        PathRewrite::Regex { regex, replacement } => Kind::Regex(replaced(regex, replacement)),
    };
    pb::PathRewrite { kind: Some(kind) }
}

pub(super) fn redirect(subject: Subject<'_>, message: pb::Redirect) -> Result<Redirect, Error> {
    let port = match subject.known("redirect.port", message.port)? {
        pb::RedirectPort::FromScheme => RedirectPort::FromScheme,
        pb::RedirectPort::FromRequest => RedirectPort::FromRequest,
        pb::RedirectPort::AsHost => RedirectPort::AsHost,
        pb::RedirectPort::Fixed => {
            RedirectPort::Fixed(subject.port("redirect.fixed_port", message.fixed_port)?)
        }
    };
    let path = message.path.map(|it| path(subject, "redirect.path", it));
    Ok(Redirect {
        scheme: message.scheme.map(Into::into),
        host: message.host.map(Into::into),
        path: path.transpose()?,
        port,
        status: subject.status("redirect.status", message.status)?,
    })
}

pub(super) fn redirect_message(redirect: &Redirect) -> pb::Redirect {
    let Redirect {
        scheme,
        host,
        path,
        port,
        status,
    } = redirect;
    let (port, fixed_port) = match port {
        RedirectPort::FromScheme => (pb::RedirectPort::FromScheme, 0),
        RedirectPort::FromRequest => (pb::RedirectPort::FromRequest, 0),
        RedirectPort::AsHost => (pb::RedirectPort::AsHost, 0),
        RedirectPort::Fixed(port) => (pb::RedirectPort::Fixed, *port),
    };
    pb::Redirect {
        scheme: scheme.as_ref().map(ToString::to_string),
        host: host.as_ref().map(ToString::to_string),
        path: path.as_ref().map(path_message),
        port: port.into(),
        fixed_port: fixed_port.into(),
        status: (*status).into(),
    }
}

pub(super) fn fraction(
    subject: Subject<'_>,
    field: &'static str,
    message: Option<pb::Fraction>,
) -> Result<Fraction, Error> {
    let message = subject.required(field, message)?;
    if message.denominator == 0 {
        return Err(subject.error(field, Problem::Denominator));
    }
    Ok(Fraction {
        numerator: message.numerator,
        denominator: message.denominator,
    })
}

pub(super) fn fraction_message(fraction: Fraction) -> pb::Fraction {
    pb::Fraction {
        numerator: fraction.numerator,
        denominator: fraction.denominator,
    }
}

/// `destinations` is how many there are.
pub(super) fn mirror(
    subject: Subject<'_>,
    message: &pb::Mirror,
    destinations: usize,
) -> Result<Mirror, Error> {
    let field = "mirrors.destination";
    Ok(Mirror {
        destination: subject.index(field, message.destination, destinations)?,
        share: fraction(subject, "mirrors.share", message.share)?,
    })
}

pub(super) fn mirror_message(mirror: &Mirror) -> pb::Mirror {
    pb::Mirror {
        destination: mirror.destination,
        share: Some(fraction_message(mirror.share)),
    }
}

pub(super) fn cors(subject: Subject<'_>, message: pb::Cors) -> Result<Cors, Error> {
    use pb::origin_match::Kind;
    let field = "cors.origins";
    let origin = |message: pb::OriginMatch| {
        Ok(match subject.required(field, message.kind)? {
            Kind::Text(text) => OriginMatch::Text(matches::text(subject, field, text)?),
            Kind::Wildcard(text) => OriginMatch::Wildcard(text.into()),
        })
    };
    Ok(Cors {
        origins: all(message.origins, origin)?,
        methods: texts(message.methods),
        headers: texts(message.headers),
        expose: texts(message.expose),
        credentials: message.credentials,
        max_age: subject.duration("cors.max_age", message.max_age)?,
        answer_unmatched: message.answer_unmatched,
    })
}

pub(super) fn cors_message(cors: &Cors) -> pb::Cors {
    use pb::origin_match::Kind;
    let Cors {
        origins,
        methods,
        headers,
        expose,
        credentials,
        max_age,
        answer_unmatched,
    } = cors;
    let origin = |origin: &OriginMatch| {
        let kind = match origin {
            OriginMatch::Text(text) => Kind::Text(matches::text_message(text)),
            OriginMatch::Wildcard(text) => Kind::Wildcard(text.to_string()),
        };
        pb::OriginMatch { kind: Some(kind) }
    };
    pb::Cors {
        origins: origins.iter().map(origin).collect(),
        methods: texts_message(methods),
        headers: texts_message(headers),
        expose: texts_message(expose),
        credentials: *credentials,
        max_age: max_age.map(duration_message),
        answer_unmatched: *answer_unmatched,
    }
}
