//! Checks of the house rules, and the one test command.

pub mod check;
pub mod documents;
pub mod layers;
pub mod lock;
pub mod prose;
pub mod sources;
pub mod steps;
