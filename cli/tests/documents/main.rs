//! What the documents say is true: reference pages are current, and the README's commands do what it shows.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends where it fails"
)]

mod commands;

use std::fs;
use std::path::{Path, PathBuf};

/// The top of the tree.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

#[test]
fn reference_pages_are_current() {
    for (name, text) in cli::reference::pages() {
        let committed = fs::read_to_string(root().join("docs/reference").join(name));
        assert!(
            committed.is_ok_and(|committed| committed == text),
            "docs/reference/{name} is out of date: run `cargo run -p cli --example reference`"
        );
    }
}

/// A program's variables and the file that reads them.
const READERS: [(&[mesh::settings::Variable], &str); 4] = [
    (ztunnel::config::env::VARIABLES, "ztunnel/src/config/env.rs"),
    (
        waypoint::config::env::VARIABLES,
        "waypoint/src/config/env.rs",
    ),
    (
        controller::config::env::VARIABLES,
        "controller/src/config/env.rs",
    ),
    (cni::config::env::VARIABLES, "cni/src/config/env.rs"),
];

#[test]
fn a_deployed_waypoint_is_told_only_what_it_reads() {
    let known: Vec<&str> = waypoint::config::env::VARIABLES
        .iter()
        .map(|(name, _, _)| *name)
        .collect();
    for name in controller::deploy::TOLD {
        assert!(known.contains(&name), "{name} is read by nobody");
    }
}

/// Settings of the controller's servers.
const SERVERS: &str = "mesh/src/xds/server.rs";

#[test]
fn every_variable_that_is_read_is_in_its_table_and_the_other_way_round() {
    for (table, file) in READERS {
        let text = fs::read_to_string(root().join(file)).unwrap();
        let text = text.split("#[cfg(test)]").next().unwrap_or_default();
        let (_, code) = text.split_once("\n];\n").unwrap();
        // What both proxies read alike is read in one place, by whoever uses it.
        let shared = fs::read_to_string(root().join(SERVERS)).unwrap();
        let shared = if code.contains("Server::read") {
            shared.as_str()
        } else {
            ""
        };
        let all = [code, shared].into_iter();
        let read: Vec<&str> = all
            .flat_map(|it| it.split('"').skip(1).step_by(2))
            .collect();
        for (name, ..) in table {
            let name = name.trim_end_matches('*');
            assert!(read.contains(&name), "{file}: {name} is never read");
        }
        let is_name = |text: &&&str| {
            text.contains('_') && text.chars().all(|c| c.is_ascii_uppercase() || c == '_')
        };
        for name in read
            .iter()
            .filter(is_name)
            .filter(|n| !n.starts_with("CNI_"))
        {
            let is_known = table.iter().any(|(known, default, meaning)| {
                known.trim_end_matches('*') == *name
                    || default.contains(name)
                    || meaning.contains(name)
            });
            assert!(is_known, "{file}: {name} is not in its table");
        }
    }
}
