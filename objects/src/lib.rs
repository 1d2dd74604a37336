//! The Kubernetes objects Weft reads, one way to watch them, and one way to write back.
//!
//! Modules stand top-down: a module uses only modules declared below it.
//!
//! *In*: documents (YAML files of a directory, or an API server). *Out*: [`change::Batch`]es of
//! typed [`object::Object`]s that still know their raw document and the line of every field.
//! *Never*: anything of the mesh; what an object means for traffic is decided elsewhere.

pub mod watch;
pub mod sink;
pub mod api;
pub mod status_file;
pub mod change;
pub mod object;
pub mod merge;
pub mod uid;
pub mod kubernetes;
pub mod weft;
pub mod istio;
pub mod gateway_api;
pub mod selector;
pub mod meta;
pub mod labels;
pub mod kinds;
pub mod raw;
