//! Certificates from request to renewal.
