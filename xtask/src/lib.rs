//! Checks of the house rules, and the one test command.
//!
//! Table of contents, top-down: a module may use only modules declared below it.

pub mod steps;
pub mod check;
pub mod layers;
pub mod prose;
pub mod documents;
pub mod crates;
pub mod sources;
