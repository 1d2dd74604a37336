//! Pure. Answers that send a client elsewhere.

use mesh::model::http::{Redirect, RedirectPort};
use objects::gateway_api::filter as written;
use objects::raw::Path;

/// Status unless said otherwise.
const STATUS: u16 = 302;

pub(super) fn read(
    redirect: &written::Redirect,
    prefix: Option<&str>,
    path: &Path,
) -> Result<Redirect, (Path, String)> {
    let scheme = redirect.scheme.as_deref();
    if let Some(scheme) = scheme
        && !["http", "https"].contains(&scheme)
    {
        let reason = format!("{scheme:?} is neither http nor https");
        return Err((path.clone().key("scheme"), reason));
    }
    let status = redirect.status_code.unwrap_or(STATUS);
    if ![301, 302, 303, 307, 308].contains(&status) {
        let reason = format!("{status} is no status of a redirect");
        return Err((path.clone().key("statusCode"), reason));
    }
    Ok(Redirect {
        scheme: scheme.map(Into::into),
        host: super::host(redirect.hostname.as_deref(), path)?,
        path: super::new_path(redirect.path.as_ref(), prefix, path)?,
        port: redirect
            .port
            .map_or(RedirectPort::FromScheme, RedirectPort::Fixed),
        status,
    })
}
