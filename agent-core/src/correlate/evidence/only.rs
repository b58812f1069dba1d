//! Evidence `only`: exactly one request is open in the process, so there is no choice to get wrong.
//!
//! There is one: work that no open request caused (timers, pollers, what an earlier request left behind). It is told apart by what
//! it does when nothing is open, so nothing must be open often, and long:
//! - the request was alone from its opening until the call, and nothing was open for [`QUIET_NS`] before it;
//! - the call had its answer before the request got its own;
//! - the destination was never called while no request was open, nor by a call that outlived its request, up to the time when the
//!   link was held as long as it may be: a process that does has [`Background`] work there;
//! - so far nothing was open for nine parts in ten of the time: of ten calls that no request causes, nine show it;
//! - as many calls like it ([`PROOFS`]) have stood all this: a poller's first call is not believed.
//!
//! What remains is work that falls into lone requests each time. A load without pauses gives no such evidence at all: there a
//! runtime's own, or the thread's, must do.
use crate::exchange::{ExchangeId, HttpRequest, Opened};
use crate::{correlate::Map, event::Nanos, exchange::Call};
use foldhash::fast::FixedState;
use std::hash::{BuildHasher, Hash, Hasher};

/// How long nothing must have been open before the request.
const QUIET_NS: u64 = 50_000_000;
/// Calls alike that must have stood.
const PROOFS: u32 = 6;
/// Of ten parts of the time, those without an open request.
const IDLE_PARTS: u64 = 9;
/// Kinds of calls whose standing is remembered; those beyond are never believed.
const KINDS_MAX: usize = 256;
/// Segments of a path that tell calls apart.
const SEGMENTS_MAX: usize = 3;

/// Destinations remembered; with more than this the process is at work by itself all the time.
const DESTINATIONS_MAX: usize = 64;

/// The open requests of a process: how many, which if it is one, and for how long there were any.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::correlate) struct OpenRequests {
    count: u32,
    /// Exclusive or of all ids: of one request it is its id.
    ids: u64,
    /// When the first of those open was opened, or the last was over; zero before the first.
    turned_at: Nanos,
    idle_ns: u64,
    busy_ns: u64,
}

impl OpenRequests {
    /// A request opened; whether nothing was open for long before.
    pub(in crate::correlate) fn add(&mut self, id: ExchangeId, at: Nanos) -> bool {
        let mut quiet = false;
        if self.count == 0 {
            let idle = if self.turned_at == Nanos(0) { 0 } else { at.since(self.turned_at) };
            quiet = idle >= QUIET_NS;
            self.idle_ns += idle;
            self.turned_at = at;
        }
        self.count += 1;
        self.ids ^= id.0;
        quiet
    }

    /// It is over.
    pub(in crate::correlate) fn remove(&mut self, id: ExchangeId, at: Nanos) {
        self.count = self.count.saturating_sub(1);
        self.ids ^= id.0;
        if self.count == 0 {
            self.busy_ns += at.since(self.turned_at);
            self.turned_at = at;
        }
    }

    /// How many.
    pub(in crate::correlate) fn count(self) -> u32 {
        self.count
    }

    /// The only one.
    pub(in crate::correlate) fn only(self) -> Option<ExchangeId> {
        (self.count == 1).then_some(ExchangeId(self.ids))
    }

    /// Nothing was open for most of the time.
    fn is_mostly_idle(self) -> bool {
        self.idle_ns > 0 && self.idle_ns / IDLE_PARTS >= self.busy_ns / (10 - IDLE_PARTS)
    }
}

/// What a process calls by itself, and what it called only for requests.
#[derive(Debug, Default)]
pub(in crate::correlate) struct Background {
    destinations: Map<u64, ()>,
    /// Calls that stood, by kind.
    stood: Map<u64, u32>,
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

    /// A call was held as long as it may be and nothing spoke against it; whether calls like it have stood often enough.
    pub(in crate::correlate) fn stood(&mut self, opened: &Opened, requests: OpenRequests) -> bool {
        let kind = kind(opened);
        if self.stood.len() >= KINDS_MAX && !self.stood.contains_key(&kind) {
            return false;
        }
        let count = self.stood.entry(kind).or_default();
        *count = count.saturating_add(1);
        *count > PROOFS && requests.is_mostly_idle()
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

/// Calls are alike that have the destination, the method and the beginning of the path in common, numbers aside.
fn kind(opened: &Opened) -> u64 {
    let Call::Http(HttpRequest { method, target, .. }) = &opened.call;
    let mut hasher = FixedState::default().build_hasher();
    (destination(opened), method).hash(&mut hasher);
    let path = target.split(['?', '#']).next().unwrap_or_default();
    for segment in path.split('/').take(SEGMENTS_MAX + 1) {
        let is_name = !segment.bytes().any(|byte| byte.is_ascii_digit());
        segment.get(..if is_name { segment.len() } else { 0 }).hash(&mut hasher);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests;
