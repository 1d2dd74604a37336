//! Formats and filters of request logs: the controller refuses bad ones, the waypoint follows good ones.
//! Source: docs/compat.md#request-log.

mod filter;
mod format;
mod standard;
mod operator;
mod time;

pub use filter::{Attribute, Facts, Filter, FilterError, Term};
pub use format::{Error, Form, Format, Piece};
pub use operator::{Field, Header, HeaderSource, Operator, Pseudo, Value};
pub use standard::{JSON, TEXT};
pub use time::{TimeFormat, TimePart};
