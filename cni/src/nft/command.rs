//! Pure. What a batch may ask of the kernel.

use super::rule::{Element, Rule, Ruleset, Table};

/// One step of a batch. Steps are idempotent unless they say otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Make the table exactly this, whatever was in it before. No packet sees a state in between.
    Replace(Ruleset),
    /// Remove the table with all in it; fine when there is none.
    Remove(Table),
    /// Add a rule at the end of a chain that exists. Not idempotent.
    Append {
        /// The chain's table.
        table: Table,
        /// The chain's name.
        chain: String,
        /// The rule.
        rule: Rule,
    },
    /// Remove all rules of a chain that exists.
    Flush {
        /// The chain's table.
        table: Table,
        /// The chain's name.
        chain: String,
    },
    /// Put addresses into a set that exists; those that are there already stay.
    AddElements {
        /// The set's table.
        table: Table,
        /// The set's name.
        set: String,
        /// The addresses.
        elements: Vec<Element>,
    },
    /// Take addresses out of a set that exists; those that are not there are no error.
    RemoveElements {
        /// The set's table.
        table: Table,
        /// The set's name.
        set: String,
        /// The addresses; comments are not looked at.
        elements: Vec<Element>,
    },
    /// Take all addresses out of a set that exists.
    FlushSet {
        /// The set's table.
        table: Table,
        /// The set's name.
        set: String,
    },
}
