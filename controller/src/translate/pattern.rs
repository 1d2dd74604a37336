//! Pure. Regular expressions as users write them: whether waypoints can use one.

use regex::RegexBuilder;

/// Largest compiled form, in bytes; beyond it an expression costs more than it can be worth.
const MAX_BYTES: usize = 1 << 20;

/// Why an expression cannot be used. It is matched as a whole, in time that grows with the text alone: look-around and
/// back references do not exist.
pub fn complaint(expression: &str) -> Option<String> {
    let whole = format!("^(?:{expression})$");
    let built = RegexBuilder::new(&whole).size_limit(MAX_BYTES).build();
    let error = built.err()?;
    let reason = match error {
        regex::Error::CompiledTooBig(_) => "it is too large".to_owned(),
        other => other.to_string(),
    };
    let last = reason.lines().last().unwrap_or_default();
    let last = last.trim_start_matches("error: ").to_owned();
    Some(format!("`{expression}` is no regular expression: {last}"))
}

#[cfg(test)]
mod tests {
    use super::complaint;

    #[test]
    fn takes_what_waypoints_take() {
        for good in ["", "a.*", "^/v[0-9]+$", "(?i)a|b", r"\d+/\w"] {
            assert_eq!(complaint(good), None, "{good}");
        }
        for bad in ["(", "*", "(?=a)", r"(a)\1", "a{1000}{1000}{1000}"] {
            assert!(complaint(bad).is_some_and(|it| it.contains(bad)), "{bad}");
        }
    }
}
