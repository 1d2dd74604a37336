//! The differences that docs/compat.md lists.

/// One difference.
#[derive(Debug)]
pub(crate) struct Difference {
    pub(crate) case: String,
    pub(crate) what: String,
    pub(crate) envoy: String,
    pub(crate) weft: String,
}

/// One row: which fact differs in which cases.
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) cases: Vec<String>,
}

impl Row {
    pub(crate) fn covers(&self, found: &Difference) -> bool {
        self.what == found.what && self.cases.contains(&found.case)
    }
}

const PAGE: &str = include_str!("../../../docs/compat.md");

/// Rows of the table: what, Envoy, Weft, reason, cases (with `;` between them).
pub(crate) fn read() -> Vec<Row> {
    let section = PAGE
        .split("\n## ")
        .find(|it| it.starts_with("Differences from Envoy"));
    let lines = section.unwrap_or_default().lines();
    lines
        .filter_map(|line| line.strip_prefix("| `"))
        .map(|line| {
            let cells: Vec<_> = line
                .trim_end_matches('|')
                .split(" | ")
                .map(str::trim)
                .collect();
            let cases = cells[4]
                .split(';')
                .map(|it| it.trim().trim_matches('`').to_owned());
            Row {
                what: cells[0].trim_matches('`').to_owned(),
                cases: cases.collect(),
            }
        })
        .collect()
}
