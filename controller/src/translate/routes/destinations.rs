//! Pure. The destinations that the routes of one service name, each once.

use std::collections::HashMap;
use std::sync::Arc;

use mesh::model::destination::Destination;
use mesh::names::NamespacedHostname;

use super::Surroundings;

type Place = (NamespacedHostname, u16, Option<Arc<str>>);

/// Destinations by number.
pub struct Destinations<'a> {
    around: &'a dyn Surroundings,
    list: Vec<Destination>,
    numbers: HashMap<Place, u32>,
}

impl<'a> Destinations<'a> {
    /// None.
    pub fn new(around: &'a dyn Surroundings) -> Self {
        Self {
            around,
            list: Vec::new(),
            numbers: HashMap::new(),
        }
    }

    /// What they are looked up in.
    pub fn around(&self) -> &'a dyn Surroundings {
        self.around
    }

    /// The number of a destination; `None` when nobody has defined that part of the service.
    pub fn number(
        &mut self,
        service: &NamespacedHostname,
        port: u16,
        subset: Option<&str>,
    ) -> Option<u32> {
        let place = (service.clone(), port, subset.map(Into::into));
        if let Some(number) = self.numbers.get(&place) {
            return Some(*number);
        }
        let (part, policy) = self.around.policy_of(service, port, subset);
        if subset.is_some() && part.is_none() {
            return None;
        }
        let number = u32::try_from(self.list.len()).ok()?;
        self.list.push(Destination {
            service: service.clone(),
            port,
            subset: part,
            policy,
            reach: self.around.reach(service),
        });
        self.numbers.insert(place, number);
        Some(number)
    }

    /// All of them, in the order of their numbers.
    pub fn into_list(self) -> Vec<Destination> {
        self.list
    }
}
