//! Pure. Path templates: `{*}` for one element, `{**}` for anything.
//! Source: docs/compat.md#request-authorization.

/// One element, not empty.
const ONE: &str = "{*}";
/// Anything, also nothing.
const ANY: &str = "{**}";

/// Whether a text is meant as a template.
pub fn is_template(text: &str) -> bool {
    text.contains('{') || text.contains('}')
}

/// What is wrong with a template; `None` when it is good.
pub fn complaint(template: &str) -> Option<&'static str> {
    let Some(rest) = template.strip_prefix('/') else {
        return Some("a path template begins with `/`");
    };
    let mut has_any = false;
    for element in rest.split('/') {
        match element {
            ONE | ANY if has_any => return Some("nothing in braces may follow `{**}`"),
            ONE => {}
            ANY => has_any = true,
            text if text.contains(['{', '}', '*']) => {
                return Some("an element is `{*}`, `{**}` or text without `{`, `}` and `*`");
            }
            _ => {}
        }
    }
    None
}

/// Whether a path matches a good template. What stands before `{**}` must be there with the slash
/// after it, what stands behind it likewise; a bad template matches nothing.
pub fn matches(template: &str, path: &str) -> bool {
    let (Some(mut template), Some(mut path)) = (template.strip_prefix('/'), path.strip_prefix('/'))
    else {
        return false;
    };
    loop {
        if let Some(behind) = template.strip_prefix(ANY) {
            return path.ends_with(behind);
        }
        let (element, more) = split(template);
        let (actual, rest) = split(path);
        let fits = match element {
            ONE => !actual.is_empty(),
            text => text == actual,
        };
        match (fits, more, rest) {
            (true, None, None) => return true,
            (true, Some(more), Some(rest)) => (template, path) = (more, rest),
            _ => return false,
        }
    }
}

/// The first element, and what follows its slash when there is one.
fn split(text: &str) -> (&str, Option<&str>) {
    match text.split_once('/') {
        None => (text, None),
        Some((first, rest)) => (first, Some(rest)),
    }
}

#[cfg(test)]
mod tests {
    use super::{complaint, matches};

    #[test]
    fn templates_match_element_by_element() {
        for (template, path, expected) in [
            ("/a/{*}/c", "/a/b/c", true),
            ("/a/{*}/c", "/a//c", false),
            ("/a/{*}/c", "/a/b/b/c", false),
            ("/a/{*}", "/a/b", true),
            ("/a/{*}", "/a/b/", false),
            ("/a/{*}", "/a", false),
            ("/{*}/{*}", "/a/b", true),
            ("/allow/admin/{**}", "/allow/admin", false),
            ("/allow/admin/{**}", "/allow/admin/", true),
            ("/allow/admin/{**}", "/allow/admin/a/b", true),
            ("/allow/admin/{**}", "/allow/administrator", false),
            ("/a/{**}/z", "/a/b/c/z", true),
            ("/a/{**}/z", "/a/b/c/y", false),
            ("/a/{*}/b/{**}", "/a/x/b/y/z", true),
            ("/a/{*}/b/{**}", "/a/x/c/y/z", false),
            ("/{**}", "/", true),
            ("/{**}", "/a/b", true),
            ("/A/{*}", "/a/b", false),
            ("a/{*}", "/a/b", false),
        ] {
            assert_eq!(matches(template, path), expected, "{template} on {path}");
        }
    }

    #[test]
    fn bad_templates_are_named() {
        for good in ["/{*}", "/a/{**}", "/{*}/b/{**}/c", "/{**}/x.html"] {
            assert_eq!(complaint(good), None, "{good}");
        }
        for bad in [
            "{*}",
            "/{**}/{*}",
            "/{**}/{**}",
            "/a{*}",
            "/{x}",
            "/{*",
            "/*/{*}",
            "",
        ] {
            assert!(complaint(bad).is_some(), "{bad}");
        }
    }
}
