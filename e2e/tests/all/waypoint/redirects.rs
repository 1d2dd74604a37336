//! Where redirects lead: status and Location for every part of an address that a route can replace.

use anyhow::Result;
use sandbox::app::echo::Answer;

use super::{CLIENT, get, journey, route};
use crate::Journey;

pub(crate) const JOURNEYS: [Journey; 1] = [(
    "waypoint_a_redirect_leads_where_the_route_says_with_its_status",
    redirects,
)];

#[expect(clippy::too_many_lines, reason = "one table")]
fn redirects() -> Result<()> {
    journey("wp-redirects", |shop| {
        let prefix = "path: {type: ReplacePrefixMatch, replacePrefixMatch: /new}";
        let full = "path: {type: ReplaceFullPath, replaceFullPath: /whole}";
        let host = "hostname: example.org";
        // What the rule says; what is asked; status; Location.
        let cases: [(String, &str, u16, &str); 16] = [
            (
                host.to_owned(),
                "/x?q=1",
                302,
                "http://example.org/c0/x?q=1",
            ),
            (
                format!("{host}, statusCode: 301"),
                "",
                301,
                "http://example.org/c1",
            ),
            (prefix.to_owned(), "/x", 302, "http://echo/new/x"),
            (full.to_owned(), "/x?q", 302, "http://echo/whole?q"),
            (
                format!("{host}, {prefix}"),
                "/x",
                302,
                "http://example.org/new/x",
            ),
            (
                format!("{host}, {full}"),
                "/x",
                302,
                "http://example.org/whole",
            ),
            (
                format!("{prefix}, statusCode: 301"),
                "/x",
                301,
                "http://echo/new/x",
            ),
            (
                format!("{host}, {full}, statusCode: 301"),
                "",
                301,
                "http://example.org/whole",
            ),
            ("port: 8083".to_owned(), "", 302, "http://echo:8083/c8"),
            (
                format!("port: 8083, {host}"),
                "",
                302,
                "http://example.org:8083/c9",
            ),
            (
                "port: 8083, statusCode: 301".to_owned(),
                "",
                301,
                "http://echo:8083/c10",
            ),
            ("scheme: https".to_owned(), "", 302, "https://echo/c11"),
            (
                format!("scheme: https, {host}, statusCode: 301"),
                "",
                301,
                "https://example.org/c12",
            ),
            (
                format!("{host}, statusCode: 303"),
                "",
                303,
                "http://example.org/c13",
            ),
            (
                format!("{host}, statusCode: 307"),
                "",
                307,
                "http://example.org/c14",
            ),
            (
                format!("{host}, statusCode: 308"),
                "",
                308,
                "http://example.org/c15",
            ),
        ];
        let mut rules = String::new();
        for (number, (what, ..)) in cases.iter().enumerate() {
            rules += &format!(
                "  - matches: [{{path: {{type: PathPrefix, value: /c{number}}}}}]\n    filters:\n    \
                 - type: RequestRedirect\n      requestRedirect: {{{what}}}\n"
            );
        }
        shop.apply(&route("redirects", &rules))?;
        for (number, (rule, rest, status, location)) in cases.iter().enumerate() {
            let ask = get(&format!("/c{number}{rest}"));
            let is_right =
                |it: &Answer| it.status == *status && it.header("location") == Some(location);
            shop.becomes(
                CLIENT,
                &ask,
                &format!("{rule} leads to {location}"),
                is_right,
            )?;
        }
        shop.route_is_accepted("httproutes", "redirects")
    })
}
