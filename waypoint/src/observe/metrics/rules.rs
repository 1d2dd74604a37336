//! Pure. Changes to the standard metrics that users ask for: metrics left out, labels set or removed.

use std::borrow::Cow;
use std::sync::Arc;

use mesh::model::observe::MetricOverride;

use super::labels::Pairs;

/// Changes in order; never empty.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MetricRules(Vec<Rule>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Rule {
    /// Without prefix; empty for all.
    metric: Arc<str>,
    is_off: bool,
    labels: Vec<(Arc<str>, Option<Arc<str>>)>,
}

impl MetricRules {
    /// What the controller says; `None` when it changes nothing.
    pub fn compile(overrides: &[MetricOverride]) -> Option<Arc<Self>> {
        let rules: Vec<Rule> = overrides
            .iter()
            .map(|it| Rule {
                metric: Arc::clone(&it.metric),
                is_off: it.disabled,
                labels: it.labels.clone(),
            })
            .collect();
        (!rules.is_empty()).then(|| Arc::new(Self(rules)))
    }

    /// The labels of `metric` (with or without `istio_` and `_total`); `None` when it is left out.
    pub fn apply<'a>(&'a self, metric: &str, mut pairs: Pairs<'a>) -> Option<Pairs<'a>> {
        let bare = bare(metric);
        let of_this = self
            .0
            .iter()
            .filter(|rule| rule.metric.is_empty() || self::bare(&rule.metric) == bare);
        for rule in of_this {
            if rule.is_off {
                return None;
            }
            for (name, value) in &rule.labels {
                set(&mut pairs, name, value.as_deref());
            }
        }
        Some(pairs)
    }
}

fn bare(metric: &str) -> &str {
    let metric = metric.strip_prefix("istio_").unwrap_or(metric);
    metric.strip_suffix("_total").unwrap_or(metric)
}

fn set<'a>(pairs: &mut Pairs<'a>, name: &'a str, value: Option<&'a str>) {
    let at = pairs.iter().position(|(known, _)| known == name);
    match (value, at) {
        (None, Some(at)) => drop(pairs.remove(at)),
        (None, None) => {}
        (Some(value), Some(at)) => {
            if let Some(pair) = pairs.get_mut(at) {
                pair.1 = Cow::Borrowed(value);
            }
        }
        (Some(value), None) => pairs.push((Cow::Borrowed(name), Cow::Borrowed(value))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(metric: &str, rules: &[MetricOverride]) -> Option<String> {
        let rules = MetricRules::compile(rules)?;
        let pairs = vec![("a".into(), "1".into()), ("b".into(), "2".into())];
        let pairs = rules.apply(metric, pairs)?;
        let text: Vec<String> = pairs.iter().map(|(k, v)| format!("{k}={v}")).collect();
        Some(text.join(","))
    }

    fn rule(metric: &str, is_off: bool, labels: &[(&str, Option<&str>)]) -> MetricOverride {
        let labels = labels.iter().map(|(k, v)| ((*k).into(), v.map(Into::into)));
        MetricOverride {
            metric: metric.into(),
            disabled: is_off,
            labels: labels.collect(),
        }
    }

    #[test]
    fn labels_are_set_and_removed_and_metrics_left_out() {
        let all = "istio_requests";
        for (rules, expected) in [
            (
                &[rule("requests_total", false, &[("a", None)])][..],
                Some("b=2"),
            ),
            (
                &[rule("", false, &[("b", Some("3")), ("c", Some("4"))])][..],
                Some("a=1,b=3,c=4"),
            ),
            (&[rule("request_bytes", true, &[])][..], Some("a=1,b=2")),
            (&[rule("", true, &[])][..], None),
            (&[rule("requests_total", true, &[])][..], None),
        ] {
            assert_eq!(changed(all, rules).as_deref(), expected, "{rules:?}");
        }
    }
}
