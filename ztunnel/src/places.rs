//! Places for what may be under way at a time in one pod, so that it stays bounded.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::IpAddr;

/// One caller gets at most this part of the places that callers share.
const SHARE: usize = 4;

/// Counts what is under way, so that it stays bounded.
#[derive(Debug)]
pub struct Places {
    taken: Cell<usize>,
    limit: usize,
}

/// One of them; given back when dropped.
#[derive(Debug)]
pub struct Place<'a>(&'a Places);

impl Places {
    /// At most `limit` at a time.
    pub fn new(limit: usize) -> Self {
        let taken = Cell::new(0);
        Self { taken, limit }
    }

    /// A place, unless all are taken.
    pub fn enter(&self) -> Option<Place<'_>> {
        let taken = self.taken.get();
        (taken < self.limit).then(|| {
            self.taken.set(taken + 1);
            Place(self)
        })
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.taken.set(self.0.taken.get().saturating_sub(1));
    }
}

/// Places that callers share, of which no single address gets more than a quarter: a neighbour that opens connections
/// and says nothing keeps nobody else out.
#[derive(Debug)]
pub struct SharedPlaces {
    places: Places,
    share: usize,
    /// Never more entries than places are taken.
    by_caller: RefCell<HashMap<IpAddr, usize>>,
}

/// One of them; given back when dropped.
#[derive(Debug)]
pub struct SharedPlace<'a> {
    of: &'a SharedPlaces,
    caller: IpAddr,
    _place: Place<'a>,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// All are taken.
    Everybody,
    /// This caller has its share.
    Caller,
}

impl SharedPlaces {
    /// At most `limit` at a time, and for one caller a quarter of them, but one at least.
    pub fn new(limit: usize) -> Self {
        Self {
            places: Places::new(limit),
            share: (limit / SHARE).max(1),
            by_caller: RefCell::default(),
        }
    }

    /// A place for this caller.
    ///
    /// # Errors
    /// When all are taken, or the caller has its share.
    pub fn enter(&self, caller: IpAddr) -> Result<SharedPlace<'_>, Full> {
        let mut by_caller = self.by_caller.borrow_mut();
        if by_caller.get(&caller).is_some_and(|own| *own >= self.share) {
            return Err(Full::Caller);
        }
        let place = self.places.enter().ok_or(Full::Everybody)?;
        *by_caller.entry(caller).or_default() += 1;
        Ok(SharedPlace {
            of: self,
            caller,
            _place: place,
        })
    }
}

impl Drop for SharedPlace<'_> {
    fn drop(&mut self) {
        let mut by_caller = self.of.by_caller.borrow_mut();
        match by_caller.get_mut(&self.caller) {
            Some(own) if *own > 1 => *own -= 1,
            _ => {
                by_caller.remove(&self.caller);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drawn::ip;

    #[test]
    fn one_caller_gets_a_quarter_and_the_others_the_rest() {
        let places = SharedPlaces::new(8);
        let (greedy, other) = (ip("10.0.0.1"), ip("10.0.0.2"));
        let mut held = vec![places.enter(greedy).unwrap(), places.enter(greedy).unwrap()];
        assert_eq!(places.enter(greedy).unwrap_err(), Full::Caller);
        held.push(places.enter(other).unwrap());
        held.remove(0);
        held.push(places.enter(greedy).unwrap());
        assert_eq!(places.enter(greedy).unwrap_err(), Full::Caller);
    }

    #[test]
    fn all_callers_together_get_no_more_than_there_are() {
        let places = SharedPlaces::new(3);
        let caller = |last: usize| ip(&format!("10.0.0.{last}"));
        let held: Vec<_> = (0..3).map(|it| places.enter(caller(it)).unwrap()).collect();
        assert_eq!(places.enter(caller(9)).unwrap_err(), Full::Everybody);
        drop(held);
        assert!(places.by_caller.borrow().is_empty());
        assert!(places.enter(caller(9)).is_ok());
    }
}
