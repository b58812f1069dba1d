//! Spans that wait for the name of their container: the kubelet tells of a container only once it runs, a second after its first
//! request, and an engine answers when it has started it.
//!
//! Shape: decided spans → those that may leave. Each waits for a bounded time, and a bounded number does; what leaves unnamed is counted.
//! A process whose name did not come in time is waited for no longer: it may run in a container that the kubelet does not know.
//! Clock: monotonic. What names a process otherwise is known before it is observed, so nothing else is waited for.
use std::{
    collections::{HashSet, VecDeque},
    time::Duration,
};
use wirespan_core::{
    counters,
    event::{Nanos, ProcessId},
    spans::Span,
};

/// Spans that wait at once: what a busy node makes in a second.
const MOST: usize = 4_096;
/// Processes remembered whose name did not come; beyond it all are forgotten, which costs each one wait.
const GIVEN_UP: usize = 4_096;
/// How often it is looked whether a name has come.
const LOOK_EVERY_NS: u64 = 20_000_000;

counters! {
    /// Losses of waiting for names.
    Counts in "names" {
        unnamed: "loss", "spans", "Spans that left without the name of their container, because it did not come in time.";
        crowded: "loss", "spans", "Spans that left without the name of their container, because too many waited.";
    }
}

/// See the file's doc.
pub(super) struct Waiting {
    wait_ns: u64,
    looked: Nanos,
    spans: VecDeque<(Nanos, Span)>,
    given_up: HashSet<ProcessId>,
    counts: Counts,
}

impl Waiting {
    pub(super) fn new(wait: Duration) -> Waiting {
        let wait_ns = u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX);
        let counts = Counts::default();
        Waiting { wait_ns, looked: Nanos(0), spans: VecDeque::new(), given_up: HashSet::new(), counts }
    }

    /// Of `spans` and of those that wait, what may leave now.
    pub(super) fn pass(
        &mut self,
        spans: Vec<Span>,
        now: Nanos,
        awaits_name: impl Fn(ProcessId) -> bool,
    ) -> Vec<Span> {
        if self.wait_ns == 0 || (spans.is_empty() && self.spans.is_empty()) {
            return spans;
        }
        let mut leaving = Vec::new();
        for span in spans {
            match (awaits_name(span.process), self.given_up.contains(&span.process)) {
                (true, false) => self.spans.push_back((now, span)),
                (is_unnamed, _) => {
                    self.counts.unnamed += u64::from(is_unnamed);
                    leaving.push(span);
                }
            }
        }
        let crowded = self.spans.len().saturating_sub(MOST);
        self.counts.crowded += crowded as u64;
        leaving.extend(self.spans.drain(..crowded).map(|(_, span)| span));
        if now.since(self.looked) >= LOOK_EVERY_NS {
            self.looked = now;
            for (since, span) in std::mem::take(&mut self.spans) {
                let is_named = !awaits_name(span.process);
                let is_over = now.since(since) >= self.wait_ns;
                if is_over && !is_named {
                    self.counts.unnamed += 1;
                    self.give_up(span.process);
                }
                if is_named || is_over {
                    leaving.push(span);
                } else {
                    self.spans.push_back((since, span));
                }
            }
        }
        leaving
    }

    /// Nobody waits.
    pub(super) fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// The counters.
    pub(super) fn counts(&self) -> &Counts {
        &self.counts
    }

    fn give_up(&mut self, process: ProcessId) {
        if self.given_up.len() >= GIVEN_UP {
            self.given_up.clear();
        }
        self.given_up.insert(process);
    }

    /// Everything that still waits: the agent stops.
    pub(super) fn all(&mut self) -> impl Iterator<Item = Span> {
        std::mem::take(&mut self.spans).into_iter().map(|(_, span)| span)
    }
}

#[cfg(test)]
mod tests;
