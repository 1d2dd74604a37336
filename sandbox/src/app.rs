//! Applications for pods.
