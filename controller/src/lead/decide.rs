//! Pure. Whether to take, keep or leave a lease alone, and for how long one leads.
//!
//! Times are local, since some moment of this process; what a lease says of time is only compared for being the
//! same, so clocks of machines need not agree. Source: Kubernetes documentation, "Leases".

use std::time::Duration;

use serde_json::{Value, json};

/// How long after a renewal was first seen others leave the lease alone.
pub const DURATION: Duration = Duration::from_secs(15);
/// How long after the begin of a renewal its holder leads.
pub const HOLD: Duration = Duration::from_secs(10);

/// What to write.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// Nothing: another holds it.
    Nothing,
    /// A lease where there is none; it has no name yet.
    Create(Value),
    /// The lease, on the version that was read.
    Replace(Value),
}

/// One replica's part in the election.
#[derive(Clone, Debug)]
pub struct Bid {
    me: String,
    /// Holder and renewal as they were last seen, and since when they are so.
    seen: Option<(String, String, Duration)>,
    held: Option<Duration>,
}

impl Bid {
    /// Of a process of this name.
    pub fn new(me: &str) -> Bid {
        Bid {
            me: me.to_owned(),
            seen: None,
            held: None,
        }
    }

    /// What to do about the lease as it was read; `stamp` is the time of day.
    pub fn consider(&mut self, now: Duration, lease: Option<&Value>, stamp: &str) -> Next {
        let Some(lease) = lease else {
            let spec = json!({"holderIdentity": self.me, "leaseDurationSeconds": DURATION.as_secs(),
                "acquireTime": stamp, "renewTime": stamp, "leaseTransitions": 0});
            return Next::Create(
                json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "spec": spec}),
            );
        };
        let text = |key: &str| {
            let found = lease.get("spec").and_then(|it| it.get(key)?.as_str());
            found.unwrap_or_default().to_owned()
        };
        let (holder, renewed) = (text("holderIdentity"), text("renewTime"));
        let since = match &self.seen {
            Some((of, at, since)) if *of == holder && *at == renewed => *since,
            _ => now,
        };
        self.seen = Some((holder.clone(), renewed, since));
        let is_mine = holder == self.me;
        let seconds = lease
            .pointer("/spec/leaseDurationSeconds")
            .and_then(Value::as_u64);
        let lasts = seconds.map_or(DURATION, Duration::from_secs).max(DURATION);
        if !is_mine && !holder.is_empty() && now.saturating_sub(since) < lasts {
            self.held = None;
            return Next::Nothing;
        }
        let mut lease = lease.clone();
        let spec = lease.get_mut("spec").and_then(Value::as_object_mut);
        let Some(spec) = spec else {
            return Next::Nothing;
        };
        if !is_mine {
            let turns = spec.get("leaseTransitions").and_then(Value::as_i64);
            spec.insert(
                "leaseTransitions".to_owned(),
                (turns.unwrap_or(0) + 1).into(),
            );
            spec.insert("acquireTime".to_owned(), stamp.into());
        }
        spec.insert("holderIdentity".to_owned(), self.me.as_str().into());
        spec.insert("leaseDurationSeconds".to_owned(), DURATION.as_secs().into());
        spec.insert("renewTime".to_owned(), stamp.into());
        Next::Replace(lease)
    }

    /// The write that was begun then is done.
    pub fn held(&mut self, begun: Duration) {
        self.held = Some(begun);
    }

    /// Another was faster.
    pub fn lost(&mut self) {
        self.held = None;
    }

    /// Whether this replica leads.
    pub fn leads(&self, now: Duration) -> bool {
        self.ends(now).is_some()
    }

    /// How long it still leads, unless it renews.
    pub fn ends(&self, now: Duration) -> Option<Duration> {
        let left = (self.held? + HOLD).checked_sub(now)?;
        (!left.is_zero()).then_some(left)
    }

    /// The lease given back; `None` when it is another's.
    pub fn released(&mut self, mut lease: Value, stamp: &str) -> Option<Value> {
        self.held = None;
        let spec = lease.get_mut("spec").and_then(Value::as_object_mut)?;
        if spec.get("holderIdentity").and_then(Value::as_str) != Some(&self.me) {
            return None;
        }
        spec.insert("holderIdentity".to_owned(), "".into());
        spec.insert("renewTime".to_owned(), stamp.into());
        Some(lease)
    }
}

#[cfg(test)]
mod tests;
