//! Counts decisions by how they stand to the controller's states since the workload's record.

/// Decisions of the proxy while messages were under way.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// The last state says the same.
    pub(crate) as_of_last: u64,
    /// Not the last state, but an earlier one since the record: the proxy lags behind.
    pub(crate) as_of_earlier: u64,
    /// Admitted, though each state as a whole refuses: objects of several states together admit.
    pub(crate) admitted_by_mixture: u64,
    /// Held back, since a policy that the record names is absent.
    pub(crate) waiting: u64,
    /// Refused, though each state as a whole admits.
    pub(crate) refused_by_mixture: u64,
}

impl Tally {
    /// One decision, and how many of so many states admit.
    pub(crate) fn count(&mut self, is_admitted: bool, admitting: usize, states: usize) {
        let agreeing = if is_admitted {
            admitting
        } else {
            states - admitting
        };
        let count = match (agreeing, is_admitted) {
            (0, true) => &mut self.admitted_by_mixture,
            (0, false) => &mut self.refused_by_mixture,
            (all, _) if all == states => &mut self.as_of_last,
            _ => &mut self.as_of_earlier,
        };
        *count += 1;
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.as_of_last += other.as_of_last;
        self.as_of_earlier += other.as_of_earlier;
        self.admitted_by_mixture += other.admitted_by_mixture;
        self.waiting += other.waiting;
        self.refused_by_mixture += other.refused_by_mixture;
    }
}
