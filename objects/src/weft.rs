//! Shapes of Weft's own kinds.

pub mod rate_limit_policy;

pub use rate_limit_policy::RateLimitPolicy;
