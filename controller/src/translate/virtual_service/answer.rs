//! Pure. Redirects, and answers without any destination.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mesh::model::http::{HttpAction, PathRewrite, Redirect, RedirectPort};
use objects::istio::virtual_service::http_action::{Body, DerivePort};
use objects::istio::virtual_service::{DirectResponse, Redirect as Written};
use objects::raw::Path;

use super::Reader;

/// Longest body, in bytes.
const MAX_BODY: usize = 1 << 20;
/// Status codes of redirects.
const REDIRECTS: [u32; 5] = [301, 302, 303, 307, 308];

pub(super) fn redirect(written: &Written, path: &Path, reader: &mut Reader<'_>) -> HttpAction {
    let at = |key: &str| path.clone().key(key);
    let status = match written.redirect_code {
        0 => 301,
        given => given,
    };
    if !REDIRECTS.contains(&status) {
        reader.invalid(at("redirectCode"), "one of 301, 302, 303, 307 and 308");
    }
    let is_empty = written.uri.is_empty() && written.authority.is_empty();
    let has_port = written.port.is_some() || written.derive_port.is_some();
    if is_empty && written.scheme.is_empty() && !has_port {
        reader.invalid(path.clone(), "one of uri, authority, scheme and port");
    }
    if !["", "http", "https"].contains(&written.scheme.as_str()) {
        reader.invalid(at("scheme"), "http or https");
    }
    if written.port.is_some() && written.derive_port.is_some() {
        reader.invalid(path.clone(), "either port or derivePort");
    }
    let port = match written.port.map(u16::try_from) {
        Some(Ok(port @ 1..)) => RedirectPort::Fixed(port),
        Some(_) => {
            reader.invalid(at("port"), "a port is a number from 1 to 65535");
            RedirectPort::AsHost
        }
        None if written.derive_port == Some(DerivePort::FromRequestPort) => {
            RedirectPort::FromRequest
        }
        None => RedirectPort::AsHost,
    };
    let given = |text: &str| (!text.is_empty()).then(|| text.into());
    HttpAction::Redirect(Redirect {
        scheme: given(&written.scheme),
        host: given(&written.authority),
        path: given(&written.uri).map(PathRewrite::Full),
        port,
        status: u16::try_from(status).unwrap_or(301),
    })
}

pub(super) fn reply(written: &DirectResponse, path: &Path, reader: &mut Reader<'_>) -> HttpAction {
    if !(200..600).contains(&written.status) {
        let path = path.clone().key("status");
        reader.invalid(path, "a status from 200 to 599");
    }
    let at = path.clone().key("body");
    let body = match written.body.as_ref().map(body) {
        None => String::new(),
        Some(Ok(body)) if body.len() <= MAX_BODY => body,
        Some(Ok(_)) => {
            reader.invalid(at, format!("at most {MAX_BODY} bytes"));
            String::new()
        }
        Some(Err(complaint)) => {
            reader.invalid(at, complaint);
            String::new()
        }
    };
    HttpAction::Reply {
        status: u16::try_from(written.status).unwrap_or(500),
        body: body.into(),
    }
}

fn body(body: &Body) -> Result<String, &'static str> {
    match (&body.string, &body.bytes) {
        (Some(_), Some(_)) => Err("either string or bytes"),
        (Some(text), None) => Ok(text.clone()),
        (None, Some(bytes)) => {
            let bytes = STANDARD
                .decode(bytes)
                .map_err(|_| "the bytes are not base64")?;
            String::from_utf8(bytes)
                .map_err(|_| "waypoints answer with text: the bytes are not UTF-8")
        }
        (None, None) => Ok(String::new()),
    }
}
