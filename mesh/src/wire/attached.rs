//! To come: the message of this resource. Until then its content only differs where the value does.

use bytes::Bytes;

use crate::model::attached::AttachedPolicy;

/// Content that differs where values differ.
pub fn encode(value: &AttachedPolicy) -> Bytes {
    format!("{value:?}").into()
}
