//! Shapes of the Gateway API's kinds: exactly the fields Weft reads, so that what is left over is exact.

pub mod gateway;
pub mod gateway_class;

pub use gateway::{Gateway, Listener};
pub use gateway_class::GatewayClass;
