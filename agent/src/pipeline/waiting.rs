//! Spans that wait for the name of their container: the kubelet tells of a container only once it runs, a second after its first request.
//!
//! Shape: decided spans → those that may leave. Each waits for a bounded time, and a bounded number does; what leaves unnamed is counted.
//! Clock: monotonic. What names a process otherwise is known before it is observed, so nothing else is waited for.
use crate::kubernetes::Counts;
use std::{collections::VecDeque, time::Duration};
use wirespan_core::{
    event::{Nanos, ProcessId},
    spans::Span,
};

/// Spans that wait at once: what a busy node makes in a second.
const MOST: usize = 4_096;
/// How often it is looked whether a name has come.
const LOOK_EVERY_NS: u64 = 20_000_000;

/// See the file's doc.
pub(super) struct Waiting {
    wait_ns: u64,
    looked: Nanos,
    spans: VecDeque<(Nanos, Span)>,
}

impl Waiting {
    pub(super) fn new(wait: Duration) -> Waiting {
        let wait_ns = u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX);
        Waiting { wait_ns, looked: Nanos(0), spans: VecDeque::new() }
    }

    /// Of `spans` and of those that wait, what may leave now.
    pub(super) fn pass(
        &mut self,
        spans: Vec<Span>,
        now: Nanos,
        awaits_name: impl Fn(ProcessId) -> bool,
        counts: &mut Counts,
    ) -> Vec<Span> {
        if self.wait_ns == 0 || (spans.is_empty() && self.spans.is_empty()) {
            return spans;
        }
        let (held, mut leaving): (Vec<Span>, Vec<Span>) =
            spans.into_iter().partition(|span| awaits_name(span.process));
        self.spans.extend(held.into_iter().map(|span| (now, span)));
        let crowded = self.spans.len().saturating_sub(MOST);
        counts.crowded += crowded as u64;
        leaving.extend(self.spans.drain(..crowded).map(|(_, span)| span));
        if now.since(self.looked) >= LOOK_EVERY_NS {
            self.looked = now;
            for (since, span) in std::mem::take(&mut self.spans) {
                let is_named = !awaits_name(span.process);
                let is_over = now.since(since) >= self.wait_ns;
                counts.unnamed += u64::from(is_over && !is_named);
                if is_named || is_over {
                    leaving.push(span);
                } else {
                    self.spans.push_back((since, span));
                }
            }
        }
        leaving
    }

    /// Everything that still waits: the agent stops.
    pub(super) fn all(&mut self) -> impl Iterator<Item = Span> {
        std::mem::take(&mut self.spans).into_iter().map(|(_, span)| span)
    }
}

#[cfg(test)]
mod tests;
