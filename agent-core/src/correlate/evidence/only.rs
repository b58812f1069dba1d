//! Evidence `only`: exactly one request is open in the process, so there is no choice to get wrong.
//!
//! There is one: work that no request caused (timers, pollers, warm-ups). So the request must have been alone since it opened until
//! the call (work that an earlier request left behind would else be taken for its own), the call must have its answer before the
//! request gets its own, and the destination must never have been called while no request was open, nor by a call that outlived its
//! request: a process that does has [`Background`] work there. What remains is background work whose every call so far fell into a
//! lone request; it is told apart by the first that does not.
use crate::exchange::{ExchangeId, HttpRequest, Opened};
use crate::{correlate::Map, exchange::Call};
use foldhash::fast::FixedState;
use std::hash::BuildHasher;

/// Destinations remembered; with more than this the process is at work by itself all the time.
const DESTINATIONS_MAX: usize = 64;

/// The open requests of a process: how many, and which if it is one.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::correlate) struct OpenRequests {
    count: u32,
    /// Exclusive or of all ids: of one request it is its id.
    ids: u64,
}

impl OpenRequests {
    /// A request opened.
    pub(in crate::correlate) fn add(&mut self, id: ExchangeId) {
        self.count += 1;
        self.ids ^= id.0;
    }

    /// It is over.
    pub(in crate::correlate) fn remove(&mut self, id: ExchangeId) {
        self.count = self.count.saturating_sub(1);
        self.ids ^= id.0;
    }

    /// How many.
    pub(in crate::correlate) fn count(self) -> u32 {
        self.count
    }

    /// The only one.
    pub(in crate::correlate) fn only(self) -> Option<ExchangeId> {
        (self.count == 1).then_some(ExchangeId(self.ids))
    }
}

/// Destinations that a process calls by itself.
#[derive(Debug, Default)]
pub(in crate::correlate) struct Background {
    destinations: Map<u64, ()>,
    /// Calls made while no request was open, or that outlived the only one.
    pub(in crate::correlate) calls: u64,
}

impl Background {
    /// A call was made while no request was open, or outlived the only one.
    pub(in crate::correlate) fn add(&mut self, opened: &Opened) {
        self.calls += 1;
        if self.destinations.len() < DESTINATIONS_MAX {
            self.destinations.insert(destination(opened), ());
        }
    }

    /// Whether a call may be background work.
    pub(in crate::correlate) fn covers(&self, opened: &Opened) -> bool {
        self.destinations.len() >= DESTINATIONS_MAX
            || (!self.destinations.is_empty() && self.destinations.contains_key(&destination(opened)))
    }

    /// How many destinations.
    pub(in crate::correlate) fn destinations(&self) -> usize {
        self.destinations.len()
    }
}

/// A destination is the host as the process names it (replicas have many addresses); without one, the address.
fn destination(opened: &Opened) -> u64 {
    let Call::Http(HttpRequest { host, .. }) = &opened.call;
    let hasher = FixedState::default();
    match host {
        Some(host) if !host.is_empty() => hasher.hash_one(host),
        _ => hasher.hash_one(opened.endpoints.remote),
    }
}

#[cfg(test)]
mod tests;
