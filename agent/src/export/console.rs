//! A waterfall for a person: one tree per trace.
//!
//! Shape: spans in any order → text, printed when a trace seems whole: nothing is missing and it was quiet for a moment, or it was
//! quiet for longer. What comes after that is printed as a continuation. Clock: tokio's, only for waiting.
//! Not here: reading the environment (see [`super::Console::detect`]). Invariant: what waits is bounded; at the bound the oldest
//! trace is printed as it is, none is dropped.
mod paint;
#[cfg(test)]
mod tests;
mod tree;
mod words;

use super::{
    json::{Output, write, written},
    outcome::Outcome,
    settings,
    stamped::Stamped,
};
use paint::Painter;
use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};
use tokio::time::Instant;
use wirespan_core::spans::{SpanId, TraceId};

/// A whole trace waits so long for a span that nobody knows of yet.
const QUIET_WHOLE: Duration = Duration::from_millis(150);
/// A trace with missing parents waits so long.
const QUIET: Duration = Duration::from_secs(1);
/// No trace waits longer: a long stream is shown in parts.
const LONGEST: Duration = Duration::from_secs(10);
/// Spans that wait.
const SPANS: usize = 8_192;
/// Printed traces that are remembered, to tell a continuation from a beginning.
const PRINTED: usize = 1_024;

/// The console.
pub(super) struct Console {
    output: Output,
    painter: Painter,
    waiting: HashMap<TraceId, Trace>,
    spans: usize,
    printed: Printed,
}

/// A trace that is not printed yet.
struct Trace {
    first: Instant,
    /// When it will be printed if nothing more comes.
    due: Instant,
    spans: Vec<Arc<Stamped>>,
}

impl Trace {
    /// Something came.
    fn settle(&mut self, now: Instant) {
        let quiet = if tree::is_whole(&self.spans) { QUIET_WHOLE } else { QUIET };
        self.due = (now + quiet).min(self.first + LONGEST);
    }
}

impl Console {
    pub(super) fn new(output: Output, settings: settings::Console) -> Console {
        Console {
            output,
            painter: Painter::new(settings),
            waiting: HashMap::new(),
            spans: 0,
            printed: Printed::default(),
        }
    }

    /// Takes spans; prints what has become due.
    pub(super) async fn send(&mut self, spans: &[Arc<Stamped>]) -> Outcome {
        let now = Instant::now();
        self.add(spans, now);
        let text = self.ripe(now);
        self.print(&text).await
    }

    /// When there is something to print.
    pub(super) fn due(&self) -> Option<Instant> {
        self.waiting.values().map(|trace| trace.due).min()
    }

    /// Spans that wait.
    pub(super) fn held(&self) -> usize {
        self.spans
    }

    /// Prints what is due.
    pub(super) async fn tick(&mut self) -> Outcome {
        let text = self.ripe(Instant::now());
        self.print(&text).await
    }

    /// Prints everything.
    pub(super) async fn finish(&mut self) -> Outcome {
        let all = self.waiting.keys().copied().collect();
        let text = self.render(all);
        self.print(&text).await
    }

    fn add(&mut self, spans: &[Arc<Stamped>], now: Instant) {
        let fresh = || Trace { first: now, due: now, spans: Vec::new() };
        for span in spans {
            let trace = self.waiting.entry(span.span.trace_id).or_insert_with(fresh);
            trace.spans.push(Arc::clone(span));
        }
        let changed: HashSet<TraceId> = spans.iter().map(|span| span.span.trace_id).collect();
        for id in changed {
            if let Some(trace) = self.waiting.get_mut(&id) {
                trace.settle(now);
            }
        }
        self.spans += spans.len();
    }

    /// The text of what is due, and of the oldest if too much waits.
    fn ripe(&mut self, now: Instant) -> String {
        let mut by_age: Vec<(Instant, TraceId, usize, bool)> = self
            .waiting
            .iter()
            .map(|(id, trace)| (trace.first, *id, trace.spans.len(), trace.due <= now))
            .collect();
        by_age.sort_unstable();
        let mut excess = self.spans.saturating_sub(SPANS);
        let mut ripe = Vec::new();
        for (_, id, spans, is_due) in by_age {
            if is_due || excess > 0 {
                excess = excess.saturating_sub(spans);
                ripe.push(id);
            }
        }
        self.render(ripe)
    }

    /// Traces in the order in which they began.
    fn render(&mut self, traces: Vec<TraceId>) -> String {
        let mut taken: Vec<Vec<Arc<Stamped>>> =
            traces.into_iter().filter_map(|id| self.waiting.remove(&id)).map(|trace| trace.spans).collect();
        taken.sort_by_key(|spans| spans.iter().map(|span| span.start_unix_ns).min());
        let mut text = String::new();
        for spans in taken {
            self.spans = self.spans.saturating_sub(spans.len());
            let Some(id) = spans.first().map(|span| span.span.trace_id) else { continue };
            let earlier = self.printed.spans(id);
            self.painter.trace(&spans, earlier, &mut text);
            self.printed.add(id, spans.iter().map(|span| span.span.span_id));
        }
        text
    }

    async fn print(&mut self, text: &str) -> Outcome {
        if text.is_empty() {
            return written(Ok(()), 0);
        }
        written(write(&mut self.output, text.as_bytes()).await, text.len() as u64)
    }
}

/// Traces that were printed, with their spans.
#[derive(Default)]
struct Printed {
    spans: HashMap<TraceId, HashSet<SpanId>>,
    order: VecDeque<TraceId>,
}

impl Printed {
    fn spans(&self, trace: TraceId) -> Option<&HashSet<SpanId>> {
        self.spans.get(&trace)
    }

    fn add(&mut self, trace: TraceId, spans: impl Iterator<Item = SpanId>) {
        if !self.spans.contains_key(&trace) {
            self.order.push_back(trace);
        }
        let known = self.spans.entry(trace).or_default();
        known.extend(spans.take(SPANS.saturating_sub(known.len())));
        if self.order.len() > PRINTED
            && let Some(oldest) = self.order.pop_front()
        {
            self.spans.remove(&oldest);
        }
    }
}
