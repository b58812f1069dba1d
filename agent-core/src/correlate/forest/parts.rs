//! Spans for requests that are not over yet: a stream that lasts for hours is seen before it ends.
//!
//! Shape: every so often, for each exchange that is open for that long, one span of kind internal for the time since it was last
//! reported. Its parent is the span that the exchange becomes in the end, so nothing has to be taken back or told twice: backends
//! show the parts under a parent that is yet to come. Only what has its trace already is reported: nothing is decided for it.
use super::{Forest, evidence_name};
use crate::{
    correlate::{Correlator, node::Node},
    event::Nanos,
    exchange::ExchangeId,
    propagate::FLAG_SAMPLED,
    spans::{Attribute, Evidence, Kind, Span, Value, keys},
};
use std::{borrow::Cow, sync::atomic::Ordering};

/// Looks at what is open in each such time: none is told much later than wanted.
const LOOKS: u64 = 4;

impl Correlator {
    /// Reports what is open for the configured time.
    pub(in crate::correlate) fn report_open(&mut self, out: &mut Vec<Span>) {
        let every = self.settings.report_open_ns;
        if every == 0 || self.now.since(self.reported) < every / LOOKS {
            return;
        }
        self.reported = self.now;
        for id in self.forest.unfinished(None) {
            if let Some(part) = self.forest.part(id, self.now, every) {
                self.counts.parts += 1;
                out.push(part);
            }
        }
    }
}

impl Forest {
    /// The time until `at` in which an exchange was open and was not reported yet, if that is long enough to be a span.
    fn part(&mut self, id: ExchangeId, at: Nanos, every_ns: u64) -> Option<Span> {
        let node = self.get(id).filter(|node| self.is_reported(node))?;
        let from = node.reported.unwrap_or(node.start);
        if at.since(from) < every_ns {
            return None;
        }
        let whole = self.unfinished_span(node, at)?;
        let node = self.get_mut(id)?;
        (node.reported, node.named) = (Some(at), true);
        if let Some(trace) = &node.trace {
            trace.spans.fetch_add(1, Ordering::Relaxed);
        }
        Some(Span {
            span_id: self.ids.span_id(),
            parent_id: Some(whole.span_id),
            parent_is_remote: Some(false),
            evidence: Evidence::Part,
            kind: Kind::Internal,
            start: from,
            attributes: of_part(whole.attributes),
            ..whole
        })
    }

    /// Its span is certain to come, and its trace has room.
    fn is_reported(&self, node: &Node) -> bool {
        let has_room = |spans: u32| spans < self.limits.spans;
        let in_trace = node.trace.as_ref().is_some_and(|trace| {
            trace.flags & FLAG_SAMPLED != 0 && has_room(trace.spans.load(Ordering::Relaxed))
        });
        in_trace && !node.suppressed && !node.awaits_peer
    }
}

/// What the whole says of itself, without why it has its parent.
fn of_part(mut attributes: Vec<Attribute>) -> Vec<Attribute> {
    attributes.retain(|(key, _)| ![keys::EVIDENCE, keys::UNPARENTED].contains(&key.as_ref()));
    let evidence = Value::Str(Cow::Borrowed(evidence_name(Evidence::Part)));
    attributes.push((Cow::Borrowed(keys::EVIDENCE), evidence));
    attributes
}
