//! How a connection or request ended, told once: the one table of reasons, and the access log line.
//!
//! Both proxies fill a [`Record`] when a flow is over; logs, metrics and what the peer hears are all
//! derived from its [`Reason`], nowhere else.

mod line;
mod reason;

pub use line::{ACCESS, Direction, Party, Record};
pub use reason::{Fault, Reason};

/// An error that can end a flow: it knows the reason it counts as.
pub trait EndsFlow: std::error::Error {
    /// The entry in the one table of reasons.
    fn reason(&self) -> Reason;
}
