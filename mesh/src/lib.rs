//! What the proxies and the controller must agree on.
