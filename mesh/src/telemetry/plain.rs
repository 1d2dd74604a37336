//! Pure. Metrics as plain Prometheus text 0.0.4, made of their OpenMetrics text.
//!
//! The two differ in little: plain text names a counter as its samples are named, knows neither
//! units nor info nor an end mark, and calls untyped what OpenMetrics calls unknown. Our metrics have no exemplars.

/// Media type of [`plain`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What `open`, an OpenMetrics page, is in plain text. Source: docs/compat.md#metrics.
pub fn plain(open: &str) -> String {
    let mut text = String::with_capacity(open.len() + open.len() / 32);
    let mut lines = open.lines().peekable();
    while let Some(line) = lines.next() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            // The type, which says how the metric is called, comes after the help.
            let (name, meaning) = help.split_once(' ').unwrap_or((help, ""));
            let next = lines.peek().and_then(|next| read_type(next));
            let kind = next.filter(|(typed, _)| *typed == name).map(|(_, it)| it);
            let suffix = kind.map_or("", suffix);
            push(&mut text, &["# HELP ", name, suffix, " ", meaning]);
        } else if let Some((name, kind)) = read_type(line) {
            push(
                &mut text,
                &["# TYPE ", name, suffix(kind), " ", plain_type(kind)],
            );
        } else if !line.starts_with("# ") {
            push(&mut text, &[line]);
        }
    }
    text
}

/// Name and type of a `TYPE` line.
fn read_type(line: &str) -> Option<(&str, &str)> {
    line.strip_prefix("# TYPE ")?.split_once(' ')
}

/// What the samples of a metric of this type have behind its name.
fn suffix(kind: &str) -> &'static str {
    match kind {
        "counter" => "_total",
        "info" => "_info",
        _ => "",
    }
}

fn plain_type(kind: &str) -> &str {
    match kind {
        "info" | "stateset" => "gauge",
        "unknown" => "untyped",
        _ => kind,
    }
}

fn push(text: &mut String, parts: &[&str]) {
    parts.iter().for_each(|part| text.push_str(part));
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;
    use prometheus_client::metrics::counter::Counter;
    use prometheus_client::metrics::family::Family;
    use prometheus_client::metrics::gauge::Gauge;
    use prometheus_client::metrics::histogram::Histogram;
    use prometheus_client::metrics::info::Info;
    use prometheus_client::registry::{Registry, Unit};

    use super::*;

    #[test]
    fn names_types_and_marks_are_those_of_plain_text() {
        for (open, expected) in [
            (
                "# HELP a_b Things.\n# TYPE a_b counter\na_b_total{x=\"# EOF\"} 1\n# EOF\n",
                "# HELP a_b_total Things.\n# TYPE a_b_total counter\na_b_total{x=\"# EOF\"} 1\n",
            ),
            (
                "# TYPE a counter\na_total 1\n",
                "# TYPE a_total counter\na_total 1\n",
            ),
            (
                "# HELP s_seconds Time.\n# TYPE s_seconds gauge\n# UNIT s_seconds seconds\ns_seconds 2\n",
                "# HELP s_seconds Time.\n# TYPE s_seconds gauge\ns_seconds 2\n",
            ),
            (
                "# HELP h H.\n# TYPE h histogram\nh_sum 1\nh_bucket{le=\"+Inf\"} 1\n",
                "# HELP h H.\n# TYPE h histogram\nh_sum 1\nh_bucket{le=\"+Inf\"} 1\n",
            ),
            (
                "# HELP b B.\n# TYPE b info\nb_info{v=\"1\"} 1\n",
                "# HELP b_info B.\n# TYPE b_info gauge\nb_info{v=\"1\"} 1\n",
            ),
            ("# TYPE u unknown\nu 1\n", "# TYPE u untyped\nu 1\n"),
            // A help without a type of its own takes none from its neighbour.
            (
                "# HELP a A.\n# TYPE b counter\nb_total 1\n",
                "# HELP a A.\n# TYPE b_total counter\nb_total 1\n",
            ),
            ("# EOF\n", ""),
            ("", ""),
        ] {
            assert_eq!(plain(open), expected, "{open}");
        }
    }

    #[test]
    fn a_registry_of_every_kind_reads_as_plain_text() {
        let mut registry = Registry::default();
        let counters = Family::<[(&str, &str); 1], Counter>::default();
        counters.get_or_create(&[("k", "v")]).inc();
        registry.register("calls", "Calls", counters);
        registry.register_with_unit("age", "Age", Unit::Seconds, Gauge::<i64>::default());
        registry.register("size", "Size", Histogram::new([1.0]));
        registry.register("build", "Build", Info::new([("tag", "x")]));
        let mut open = String::new();
        encode(&mut open, &registry).unwrap();
        let text = plain(&open);
        let expected = "# HELP calls_total Calls.\n# TYPE calls_total counter\ncalls_total{k=\"v\"} 1\n\
                        # HELP age_seconds Age.\n# TYPE age_seconds gauge\nage_seconds 0\n\
                        # HELP size Size.\n# TYPE size histogram\nsize_sum 0.0\nsize_count 0\n\
                        size_bucket{le=\"1.0\"} 0\nsize_bucket{le=\"+Inf\"} 0\n\
                        # HELP build_info Build.\n# TYPE build_info gauge\nbuild_info{tag=\"x\"} 1\n";
        assert_eq!(text, expected);
    }
}
