//! Pure. Reads one cookie of a request and writes one for a response.
//!
//! Source: RFC 6265, sections 4.1 and 5.4; docs/compat.md#balancing.

use std::time::Duration;

use http::HeaderMap;
use http::header::COOKIE;

/// Value of the first cookie of this name, without quotation marks around it. Lines that are no text
/// are passed over.
pub fn read<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(COOKIE).iter();
    let pairs = lines.filter_map(|line| line.to_str().ok());
    let mut pairs = pairs.flat_map(|line| line.split(';'));
    pairs.find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        (key.trim() == name).then(|| unquoted(value.trim()))
    })
}

fn unquoted(value: &str) -> &str {
    let inner = value.strip_prefix('"').and_then(|v| v.strip_suffix('"'));
    inner.unwrap_or(value)
}

/// Value of a `Set-Cookie` header. Without `max_age` the cookie lasts as long as the browser's session,
/// as one of zero does; an empty path is left out.
pub fn write(name: &str, value: &str, max_age: Option<Duration>, path: &str) -> String {
    let mut text = format!("{name}=\"{value}\"");
    if let Some(seconds) = max_age.map(|age| age.as_secs()).filter(|s| *s > 0) {
        text.push_str(&format!("; Max-Age={seconds}"));
    }
    if !path.is_empty() {
        text.push_str("; Path=");
        text.push_str(path);
    }
    text.push_str("; HttpOnly");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_first_cookie_of_a_name() {
        for (lines, expected) in [
            (vec!["a=1"], Some("1")),
            (vec!["b=2; a=1; a=3"], Some("1")),
            (vec!["b=2", "c=4;a=1"], Some("1")),
            (vec!["a=\"1\""], Some("1")),
            (vec!["a=\"1"], Some("\"1")),
            (vec!["a="], Some("")),
            (vec!["a=x=y"], Some("x=y")),
            (vec!["aa=1; A=2; a"], None),
            (vec![], None),
        ] {
            let mut headers = HeaderMap::new();
            for line in &lines {
                headers.append(COOKIE, line.parse().unwrap());
            }
            assert_eq!(read(&headers, "a"), expected, "{lines:?}");
        }
    }

    #[test]
    fn writes_what_is_known() {
        let seconds = |n| Some(Duration::from_secs(n));
        for (max_age, path, expected) in [
            (seconds(60), "/p", "c=\"ff\"; Max-Age=60; Path=/p; HttpOnly"),
            (seconds(0), "/", "c=\"ff\"; Path=/; HttpOnly"),
            (None, "", "c=\"ff\"; HttpOnly"),
        ] {
            assert_eq!(write("c", "ff", max_age, path), expected);
        }
    }
}
