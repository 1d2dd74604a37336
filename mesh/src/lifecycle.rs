//! Start, drain, stop: the few things every program does the same way.

pub mod drain;
pub mod ready;
pub mod shutdown;
pub mod task;
