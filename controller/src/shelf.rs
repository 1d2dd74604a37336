//! The latest object of every kind by key: the view that translation works from.

pub mod residents;
