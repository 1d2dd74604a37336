//! To come: the message of this resource. Until then its content only differs where the value does.

use bytes::Bytes;

use crate::model::waypoint::Waypoint;

/// Content that differs where values differ.
pub fn encode(value: &Waypoint) -> Bytes {
    format!("{value:?}").into()
}
