//! The Kubernetes objects Weft reads, and one way to watch them.
