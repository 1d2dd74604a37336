//! To come: the message of this resource. Until then its content only differs where the value does.

use bytes::Bytes;

use crate::model::http::ServiceRoutes;

/// Content that differs where values differ.
pub fn encode(value: &ServiceRoutes) -> Bytes {
    format!("{value:?}").into()
}
