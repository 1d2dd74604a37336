//! The pages of docs/reference, made from the tables the programs themselves read. Pure.

use std::fmt::Write;

use mesh::flow::{Fault, Reason};
use mesh::settings::Variable;
use mesh::telemetry::metrics::Described;

/// A page: its file in docs/reference, and its text.
pub type Page = (&'static str, String);

/// All pages.
pub fn pages() -> [Page; 3] {
    [
        ("env.md", variables()),
        ("metrics.md", metrics()),
        ("reasons.md", reasons()),
    ]
}

const GENERATED: &str =
    "Made by `cargo run -p cli --example reference`; a test fails when this page is out of date.\n";

fn variables() -> String {
    let programs: [(&str, &[Variable]); 5] = [
        ("ztunnel", ::ztunnel::config::env::VARIABLES),
        ("waypoint", ::waypoint::config::env::VARIABLES),
        ("controller", controller::config::env::VARIABLES),
        ("cni-agent", cni::config::env::VARIABLES),
        ("sandbox and echo", sandbox::options::VARIABLES),
    ];
    let mut page = format!(
        "# Variables\n\n{GENERATED}\n\
         Each program reads its settings from the environment, once, at its start, and names every bad value at once. Durations are \
         `500ms`, `5s`, `5m`, `24h`. All are there since 0.1.0.\n"
    );
    for (program, table) in programs {
        let _ = write!(
            page,
            "\n## {program}\n\n| variable | default | meaning |\n|---|---|---|\n"
        );
        for (name, default, meaning) in table {
            let default = match *default {
                "" => String::new(),
                words if words.contains(' ') => words.to_owned(),
                value => format!("`{value}`"),
            };
            let _ = writeln!(page, "| `{name}` | {default} | {meaning} |");
        }
    }
    page
}

fn metrics() -> String {
    let programs: [(&str, &str, &[Described]); 5] = [
        (
            "all programs",
            "`/metrics` of each",
            mesh::telemetry::process::METRICS,
        ),
        (
            "ztunnel",
            "port 15020, `/metrics` and `/stats/prometheus`",
            ::ztunnel::metrics::reference::METRICS,
        ),
        (
            "waypoint",
            "port 15020, `/metrics` and `/stats/prometheus`",
            ::waypoint::observe::metrics::reference::METRICS,
        ),
        (
            "controller",
            "port 15014, `/metrics`",
            controller::metrics::reference::METRICS,
        ),
        ("cni-agent", "port 15014, `/metrics`", cni::metrics::METRICS),
    ];
    let mut page = format!(
        "# Metrics\n\n{GENERATED}\n\
         A journey holds the pages of running programs against this one. Rules of the labels: [compat.md](../compat.md#metrics). \
         Names that start with `weft_` are Weft's own.\n"
    );
    for (program, place, table) in programs {
        let _ = write!(
            page,
            "\n## {program}\n\n{place}\n\n| metric | type | labels | meaning |\n|---|---|---|---|\n"
        );
        for (name, kind, labels, meaning) in table {
            let _ = writeln!(page, "| `{name}` | {kind} | {labels} | {meaning} |");
        }
    }
    page
}

fn reasons() -> String {
    let mut page = format!(
        "# Reasons\n\n{GENERATED}\n\
         How a connection can end. The word stands in `reason` of the access log; the flag is the label `response_flags` of Istio's \
         metrics; the status is what a tunnel's client hears when the connection ends before it began.\n\n\
         | word | whose fault | retry | flag | status | meaning |\n|---|---|---|---|---|---|\n"
    );
    for reason in Reason::ALL {
        let retry = if reason.may_retry() { "yes" } else { "no" };
        let _ = writeln!(
            page,
            "| `{}` | {} | {retry} | `{}` | {} | {} |",
            reason.word(),
            fault(reason.fault()),
            reason.istio_flag(),
            reason.connect_status(),
            reason.meaning().trim(),
        );
    }
    page
}

const fn fault(fault: Fault) -> &'static str {
    match fault {
        Fault::Nobody => "nobody",
        Fault::Downstream => "client",
        Fault::Upstream => "destination",
        Fault::Us => "this proxy",
        Fault::Policy => "a policy",
        Fault::Config => "configuration",
    }
}
