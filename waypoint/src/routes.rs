//! The routes of served services, compiled for matching; rebuilt off the request path.

pub mod compile;
pub mod table;
