//! Pure. Which of the two forms of the metrics a reader asks for.

const OPEN: &str = "application/openmetrics-text";
const PLAIN: &str = "text/plain";

/// Whether `accept`, the value of that header, asks for OpenMetrics, and for nothing that it would
/// rather have. Wildcards do not ask for it: readers that know it name it.
pub(super) fn asks_for_openmetrics(accept: &str) -> bool {
    let open = weight(accept, OPEN);
    open > 0.0 && open >= weight(accept, PLAIN)
}

/// The highest weight given to a media type; 0 when it is not named or not wanted.
fn weight(accept: &str, media_type: &str) -> f32 {
    let of_range = |range: &str| {
        let mut parts = range.split(';').map(str::trim);
        let is_it = parts.next()?.eq_ignore_ascii_case(media_type);
        let weight = parts.find_map(|it| it.strip_prefix("q=").or(it.strip_prefix("Q=")));
        // A weight that cannot be read is none.
        let weight = weight.map_or(1.0, |it| it.trim().parse().unwrap_or(0.0));
        is_it.then_some(weight)
    };
    accept.split(',').filter_map(of_range).fold(0.0, f32::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openmetrics_is_for_who_names_it_and_likes_it_best() {
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,\
                          application/openmetrics-text;version=0.0.1;q=0.4,\
                          text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        for (accept, expected) in [
            (prometheus, true),
            ("application/openmetrics-text", true),
            ("Application/OpenMetrics-Text; version=1.0.0", true),
            ("text/html, application/openmetrics-text;q=0.1", true),
            ("application/openmetrics-text, text/plain", true),
            (
                "application/openmetrics-text;q=0.2, text/plain;q=0.9",
                false,
            ),
            ("application/openmetrics-text;q=0", false),
            ("application/openmetrics-text;q=often", false),
            ("application/openmetrics", false),
            ("text/plain;version=0.0.4", false),
            ("*/*", false),
            ("", false),
        ] {
            assert_eq!(asks_for_openmetrics(accept), expected, "{accept}");
        }
    }
}
