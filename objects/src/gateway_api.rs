//! Shapes of the Gateway API's kinds: exactly the fields Weft reads, so that what is left over is exact.
//!
//! Words of an enumeration are kept as text: what a word comes to is said where it is translated, and one that is
//! not known must not take the rest of the object with it.

pub mod route;
pub mod backend_tls_policy;
pub mod gateway;
pub mod gateway_class;
pub mod grpc_route;
pub mod http_route;
pub mod opaque_route;
pub mod reference_grant;
pub mod filter;
pub mod reference;
pub mod session;
pub mod span;

pub use backend_tls_policy::BackendTlsPolicy;
pub use gateway::{Gateway, Listener};
pub use gateway_class::GatewayClass;
pub use grpc_route::GrpcRoute;
pub use http_route::HttpRoute;
pub use opaque_route::{TcpRoute, TlsRoute};
pub use reference::{BackendRef, ParentRef};
pub use reference_grant::ReferenceGrant;
pub use route::Written;
