//! Seeing what goes over a pod's link: a packet socket, its frames, and what they say.

pub mod recording;
pub mod parse;
pub(crate) mod open;
