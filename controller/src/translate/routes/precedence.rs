//! Pure. Which of two matches is the more exact one.

use std::cmp::Reverse;

/// The place of an HTTP match: what is less comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    /// Exact paths, then prefixes of whole elements, then expressions, then no condition at all.
    pub(super) path: PathRank,
    /// Longer paths, or service names of gRPC, first.
    pub(super) length: Reverse<usize>,
    /// Longer method names of gRPC first.
    pub(super) method_length: Reverse<usize>,
    /// With a method first.
    pub(super) has_method: Reverse<bool>,
    /// With more headers first.
    pub(super) headers: Reverse<usize>,
    /// With more query parameters first.
    pub(super) query: Reverse<usize>,
}

/// Kinds of conditions on a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum PathRank {
    /// Equal.
    Exact,
    /// By whole elements.
    Elements,
    /// By an expression.
    Regex,
    /// Any path: before expressions it would hide all of them.
    Any,
}
