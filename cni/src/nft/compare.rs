//! Pure. Is what the kernel holds what it was told? Wanted rules against installed ones, down to their expressions.
//!
//! The kernel says more of an expression than it was told (defaults), and never less: so everything that was told must
//! be there again.

use super::attribute::{contains, find, text, walk};
use super::dump::InstalledRule;
use super::encode::{comment_of, expressions};
use super::rule::{Rule, Ruleset};

/// Whether the table's chains hold exactly the wanted rules in the wanted order. A table without chains is wanted to be
/// absent. Sets and chains without rules are not looked at.
#[must_use]
pub fn is_installed(wanted: &Ruleset, installed: Option<&[InstalledRule]>) -> bool {
    let Some(installed) = installed else {
        return wanted.chains.is_empty();
    };
    let rules: usize = wanted.chains.iter().map(|chain| chain.rules.len()).sum();
    !wanted.chains.is_empty()
        && installed.len() == rules
        && wanted.chains.iter().all(|chain| {
            let there = installed.iter().filter(|rule| rule.chain == chain.name);
            chain.rules.len() == there.clone().count()
                && chain
                    .rules
                    .iter()
                    .zip(there)
                    .all(|(wanted, there)| is_same(wanted, there))
        })
}

fn is_same(wanted: &Rule, installed: &InstalledRule) -> bool {
    let told = expressions(wanted);
    let told: Vec<(String, &[u8])> = walk(&told)
        .map(|(_, expression)| {
            let name = find(expression, 1).map(text).unwrap_or_default();
            (name, find(expression, 2).unwrap_or_default())
        })
        .collect();
    installed.comment == comment_of(wanted)
        && told.len() == installed.expressions.len()
        && told
            .iter()
            .zip(&installed.expressions)
            .all(|((name, told), (installed, held))| name == installed && contains(held, told))
}
