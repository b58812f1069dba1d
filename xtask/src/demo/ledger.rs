//! Every span that came out of the agent, beside what truly happened.
//!
//! Shape: visits (ground truth) and spans in any order → per visit one [`Verdict`]. Bounded: the oldest visits go first.
//! Not here: how a verdict is shown (see `table`, `waterfall`).
use super::{
    judge::{self, Verdict},
    otlp::Span,
    visit::{Call, Visit, cart_of},
};
use std::{
    collections::{BTreeMap, HashMap},
    time::Instant,
};

/// Visits that are remembered, with their spans.
const VISITS: usize = 4_096;
/// Spans of one visit that are remembered: four times what the largest one has.
const SPANS: usize = 36;

/// One visit: what was done, and what was seen of it.
pub(super) struct Entry {
    /// What the visitor did.
    pub(super) visit: Visit,
    /// The requests that follow from it.
    pub(super) calls: Vec<Call>,
    /// When the visit began.
    pub(super) since: Instant,
    /// What the agent said, with the service that said it.
    pub(super) seen: Vec<Seen>,
}

/// A span, and whose it truly is.
#[derive(Clone)]
pub(super) struct Seen {
    /// The span.
    pub(super) span: Span,
    /// The service that the process belongs to.
    pub(super) service: &'static str,
}

/// Visits by cart.
#[derive(Default)]
pub(super) struct Ledger {
    visits: BTreeMap<u64, Entry>,
    /// The cart that each trace belongs to.
    traces: HashMap<String, u64>,
    /// Spans whose trace already belongs to another cart.
    mixed: u64,
    /// Spans that no visit explains: of a process or a path that is not the shop's, or of a visit already forgotten.
    strange: u64,
    /// Spans in all.
    spans: u64,
}

impl Ledger {
    /// A visit begins: spans of it may come from now on.
    pub(super) fn begin(&mut self, visit: Visit, calls: Vec<Call>) {
        if self.visits.len() >= VISITS
            && let Some((cart, _)) = self.visits.pop_first()
        {
            self.traces.retain(|_, of| *of != cart);
        }
        self.visits.insert(visit.cart, Entry { visit, calls, since: Instant::now(), seen: Vec::new() });
    }

    /// The agent said this. `service` is whose process it is, if it is one of the shop's.
    pub(super) fn add(&mut self, span: Span, service: Option<&'static str>) {
        self.spans += 1;
        let entry = cart_of(&span.path).and_then(|cart| self.visits.get_mut(&cart));
        let Some((entry, service)) = entry.zip(service) else {
            // The demo's own question whether a service is there: not part of any visit.
            self.strange += u64::from(span.path != super::HEALTH);
            return;
        };
        let cart = entry.visit.cart;
        if *self.traces.entry(span.trace.clone()).or_insert(cart) != cart {
            self.mixed += 1;
        }
        if entry.seen.len() < SPANS {
            entry.seen.push(Seen { span, service });
        }
    }

    /// What is true of each visit from `first` on.
    pub(super) fn verdicts(&self, first: u64) -> impl Iterator<Item = (&Entry, Verdict)> {
        self.visits.range(first..).map(|(_, entry)| (entry, judge::judge(entry)))
    }

    /// True when every span that must come from the visits since `first` has come.
    pub(super) fn is_complete(&self, first: u64) -> bool {
        self.visits.range(first..).all(|(_, entry)| entry.seen.len() >= judge::expected(&entry.calls))
    }

    /// Spans in a trace of another visit: the one thing that must never be.
    pub(super) fn mixed(&self) -> u64 {
        self.mixed
    }

    /// Spans that no visit explains.
    pub(super) fn strange(&self) -> u64 {
        self.strange
    }

    /// Spans in all.
    pub(super) fn spans(&self) -> u64 {
        self.spans
    }
}
