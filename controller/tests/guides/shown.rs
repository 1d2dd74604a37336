//! Routes and destinations in words, one line each.

use mesh::model::destination::{Destination, TlsRoots};
use mesh::model::http::{
    Backend, HttpAction, HttpMatch, PathMatch, PortRoutes, ServiceRoutes, TextMatch,
};

/// Every line that the routes of a service come to.
pub(crate) fn lines(routes: &ServiceRoutes) -> Vec<String> {
    let mut lines = Vec::new();
    for (port, own) in &routes.own {
        let own = destination(&routes.destinations[usize::try_from(*own).unwrap()]);
        lines.push(format!("own {port}: {own}"));
    }
    routes
        .ports
        .iter()
        .for_each(|it| port(it, routes, &mut lines));
    lines
}

fn port(port: &PortRoutes, routes: &ServiceRoutes, lines: &mut Vec<String>) {
    let number = port.port;
    for entry in &port.http {
        let rule = &port.rules[usize::try_from(entry.rule).unwrap()];
        let action = match &rule.action {
            HttpAction::Forward(all) => backends(all, routes),
            HttpAction::Redirect(redirect) => format!("redirect {}", redirect.status),
            HttpAction::Reply { status, body } => format!("answer {status} {body}"),
        };
        let timeout = rule.timeout.map(|it| format!(" within {it:?}"));
        let retry = rule
            .retry
            .as_ref()
            .map(|it| format!(" retries {}", it.attempts));
        lines.push(format!(
            "http {number} {}: {action}{}{} ({})",
            condition(&entry.matches),
            timeout.unwrap_or_default(),
            retry.unwrap_or_default(),
            rule.origin
        ));
    }
    for rule in &port.tls {
        let names: Vec<&str> = rule.server_names.iter().map(|it| &**it).collect();
        let to = backends(&rule.backends, routes);
        lines.push(format!("tls {number} {}: {to}", names.join(" ")));
    }
    for rule in &port.tcp {
        lines.push(format!(
            "tcp {number}: {}",
            backends(&rule.backends, routes)
        ));
    }
}

fn condition(matches: &HttpMatch) -> String {
    let path = matches.path.as_ref().map(|it| match it {
        PathMatch::Exact(text) => format!("={text}"),
        PathMatch::Prefix(text) | PathMatch::Elements(text) => format!("{text}*"),
        PathMatch::Regex(text) => format!("~{text}"),
    });
    let named = matches.headers.iter().chain(&matches.query).map(|it| {
        let not = if it.negated { "!" } else { "" };
        match &it.value {
            TextMatch::Exact(text) => format!("{not}{}={text}", it.name),
            TextMatch::Prefix(text) => format!("{not}{}={text}*", it.name),
            TextMatch::Regex(text) => format!("{not}{}~{text}", it.name),
            TextMatch::Present => format!("{not}{}", it.name),
        }
    });
    let all: Vec<String> = path.into_iter().chain(named).collect();
    match all.is_empty() {
        true => "any".to_owned(),
        false => all.join(" "),
    }
}

fn backends(all: &[Backend], routes: &ServiceRoutes) -> String {
    let one = |it: &Backend| {
        let to = it.destination.map(|it| usize::try_from(it).unwrap());
        let to = to.map_or("nowhere".to_owned(), |it| {
            destination(&routes.destinations[it])
        });
        format!("{} x {to}", it.weight)
    };
    let all: Vec<String> = all.iter().map(one).collect();
    all.join(", ")
}

fn destination(to: &Destination) -> String {
    let part = to.subset.as_ref().map(|it| {
        let labels = it.labels.iter();
        let labels: Vec<String> = labels
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        format!("#{}[{}]", it.name, labels.join(","))
    });
    let policy = &to.policy;
    let limit = (policy.limits.connections != u32::MAX)
        .then(|| format!(" connections {}", policy.limits.connections));
    let tls = policy.tls.as_ref().map(|it| {
        let roots = match &it.roots {
            TlsRoots::System => "system",
            TlsRoots::File(file) => file,
            TlsRoots::Pem(_) => "pem",
            TlsRoots::Missing => "missing",
        };
        let names: Vec<&str> = it.subject_alt_names.iter().map(|it| &**it).collect();
        format!(
            " tls sni={} names={} roots={roots}",
            it.sni,
            names.join(",")
        )
    });
    let by = policy.origin.as_ref().map(|it| format!(" by {it}"));
    format!(
        "{}:{}{}{}{}{}",
        to.service.hostname,
        to.port,
        part.unwrap_or_default(),
        limit.unwrap_or_default(),
        tls.unwrap_or_default(),
        by.unwrap_or_default()
    )
}
