//! Requests: the steps between a client's request and its answer, top-down.

pub mod authenticate;
pub mod authorize;
