//! Pure. What rules do to requests and responses, each filter by itself.

pub mod fault;
pub mod cors;
pub mod redirect;
pub mod rewrite;
pub mod headers;
