//! CNI plugin, node agent, redirection rules.
//!
//! Table of contents, top-down: a module may use only modules declared below it.

pub mod host;
pub mod rules;
pub mod netns;
pub mod nft;
