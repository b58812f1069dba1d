//! The exchanges that are not spans yet, as trees whose trace may come late.
//!
//! Shape: causes in, spans out. A node whose cause is decided takes its trace from it, at once or when the cause has one, and hands
//! it to those who wait for theirs. A node that has ended, has a trace and waits for nobody becomes a span and goes, unless an
//! undecided call may still name it.
//! **Invariant:** a parent that lives is emitted sooner or later (it ends, is cut short, or the agent stops), so nothing dangles.
//! Not here: what is evidence (see `evidence`), who decides (see `client`, `server`).
mod parts;

use super::{
    Map, Unparented,
    evidence::wire::Received,
    node::{Cause, Node, Trace},
    reason::evidence_name,
};
use crate::{
    event::{Nanos, ProcessId},
    exchange::{End, Ended, ExchangeId, Incomplete, Opened, Role},
    propagate::{Context, FLAG_RANDOM, FLAG_SAMPLED},
    sample::{Asked, Exclude, Sampler},
    spans::{self, Evidence, Kind, Rules, Span, SpanId, Value, ids::Ids, keys},
};
use foldhash::fast::FixedState;
use smallvec::{SmallVec, smallvec};
use std::{
    borrow::Cow,
    collections::VecDeque,
    sync::{Arc, atomic::Ordering},
};

/// Steps up a tree before it counts as endless.
const DEPTH_MAX: usize = 256;

/// All of them.
pub(super) struct Forest {
    nodes: Map<ExchangeId, Box<Node>>,
    /// By opening; those gone are skipped.
    order: VecDeque<ExchangeId>,
    ids: Ids,
    sampler: Sampler,
    exclude: Exclude,
    rules: Rules,
    emitted: u64,
    excluded: u64,
    /// What one trace may grow to.
    limits: Limits,
    /// Spans that began a trace anew, because theirs was full or old, since they were last asked for.
    begun_anew: SmallVec<[(ExchangeId, Unparented); 2]>,
}

/// What one trace may grow to on this node; whatever would come after begins another.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Spans.
    pub(super) spans: u32,
    /// From its first span's start to its last one's.
    pub(super) age_ns: u64,
}

/// An ending that nobody saw.
pub(super) fn cut_short(id: ExchangeId, at: Nanos, end: End) -> Box<Ended> {
    Box::new(Ended {
        id,
        at,
        request_end: None,
        answer: None,
        request_body_bytes: None,
        response_body_bytes: None,
        end,
        incomplete: Incomplete::default(),
    })
}

impl Forest {
    pub(super) fn new(
        sampler: Sampler,
        exclude: Exclude,
        rules: Rules,
        limits: Limits,
        seed: [u8; 32],
        hasher: FixedState,
    ) -> Forest {
        let nodes = Map::with_hasher(hasher);
        Forest {
            nodes,
            order: VecDeque::new(),
            ids: Ids::new(seed),
            sampler,
            exclude,
            rules,
            emitted: 0,
            excluded: 0,
            limits,
            begun_anew: SmallVec::new(),
        }
    }

    pub(super) fn get(&self, id: ExchangeId) -> Option<&Node> {
        self.nodes.get(&id).map(|node| &**node)
    }

    pub(super) fn get_mut(&mut self, id: ExchangeId) -> Option<&mut Node> {
        self.nodes.get_mut(&id).map(|node| &mut **node)
    }

    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Spans that began a trace anew since the last call, and why.
    pub(super) fn take_begun_anew(&mut self) -> SmallVec<[(ExchangeId, Unparented); 2]> {
        std::mem::take(&mut self.begun_anew)
    }

    /// Spans handed on since the last call.
    pub(super) fn take_emitted(&mut self) -> u64 {
        std::mem::take(&mut self.emitted)
    }

    /// Requests that were left out since the last call.
    pub(super) fn take_excluded(&mut self) -> u64 {
        std::mem::take(&mut self.excluded)
    }

    pub(super) fn insert(&mut self, opened: Box<Opened>, received: Received) {
        let id = opened.id;
        let span_id = self.ids.span_id();
        // Ids that are gone are swept when they are the most, so the queue stays within twice the nodes.
        if self.order.len() > 2 * self.nodes.len() + 1024 {
            self.order.retain(|id| self.nodes.contains_key(id));
        }
        self.order.push_back(id);
        self.nodes.insert(id, Box::new(Node::new(opened, span_id, received)));
    }

    /// The exchange that opened first.
    pub(super) fn oldest(&mut self) -> Option<ExchangeId> {
        while let Some(id) = self.order.front() {
            if self.nodes.contains_key(id) {
                return Some(*id);
            }
            self.order.pop_front();
        }
        None
    }

    pub(super) fn remove(&mut self, id: ExchangeId) {
        self.nodes.remove(&id);
    }

    /// Exchanges without an end, of one process or of all, in order of opening.
    pub(super) fn unfinished(&self, process: Option<ProcessId>) -> Vec<ExchangeId> {
        self.ids_where(|node| {
            node.ended.is_none() && process.is_none_or(|process| node.opened.actor.process == process)
        })
    }

    /// Exchanges without a cause, in order of opening.
    pub(super) fn undecided(&self) -> Vec<ExchangeId> {
        self.ids_where(|node| !node.suppressed && matches!(node.cause, Cause::Undecided))
    }

    fn ids_where(&self, wanted: impl Fn(&Node) -> bool) -> Vec<ExchangeId> {
        let mut ids: Vec<ExchangeId> =
            self.nodes.iter().filter(|(_, node)| wanted(node)).map(|(id, _)| *id).collect();
        ids.sort_unstable();
        ids
    }

    /// Whether `ancestor` is above `id`, by what is decided and by what may be.
    pub(super) fn is_above(&self, ancestor: ExchangeId, id: ExchangeId) -> bool {
        let mut at = id;
        for _ in 0..DEPTH_MAX {
            if at == ancestor {
                return true;
            }
            let Some(next) = self.get(at).and_then(above) else { return false };
            at = next;
        }
        true
    }

    /// The topmost exchange whose trace `id` waits for, and which is undecided itself.
    pub(super) fn undecided_above(&self, id: ExchangeId) -> Option<ExchangeId> {
        let mut at = id;
        for _ in 0..DEPTH_MAX {
            let node = self.get(at)?;
            match node.cause {
                Cause::Undecided => return Some(at),
                Cause::Parent { exchange: Some(parent), .. } if node.trace.is_none() => at = parent,
                _ => return None,
            }
        }
        None
    }

    /// Gives a cause, and what follows from it.
    pub(super) fn decide(&mut self, id: ExchangeId, cause: Cause, out: &mut Vec<Span>) {
        let Some(node) = self.nodes.get_mut(&id) else { return };
        node.cause = cause;
        let trace = match cause {
            Cause::Undecided => return,
            Cause::Parent { exchange: Some(parent), .. } => {
                let Some(parent) = self.nodes.get_mut(&parent) else { return };
                if parent.trace.is_none() {
                    parent.children.push(id);
                    return;
                }
                parent.trace.clone()
            }
            Cause::Parent { exchange: None, .. } | Cause::TraceOnly => {
                let since = node.start;
                node.received.context.as_deref().map(|context| continued(self.sampler, context, since))
            }
            Cause::Root(_) => {
                let (asked, since) = (node.received.decision, node.start);
                Some(self.begun(asked, since))
            }
        };
        if let Some(trace) = trace {
            self.spread(id, &trace, out);
        }
    }

    /// The exchange has a trace: so have those who waited for it.
    fn spread(&mut self, id: ExchangeId, trace: &Trace, out: &mut Vec<Span>) {
        let mut reached: SmallVec<[(ExchangeId, Trace); 8]> = smallvec![(id, trace.clone())];
        while let Some((id, mut trace)) = reached.pop() {
            let Some(node) = self.nodes.get_mut(&id) else { continue };
            let (asked, start) = (node.received.decision, node.start);
            let is_begun = matches!(node.cause, Cause::Root(_) | Cause::TraceOnly);
            if let Some(reason) = self.limits.exceeded(&trace, start).filter(|_| !is_begun) {
                trace = self.begun(asked, start);
                self.begun_anew.push((id, reason));
                if let Some(node) = self.nodes.get_mut(&id) {
                    node.cause = Cause::Root(reason);
                }
            }
            trace.spans.fetch_add(1, Ordering::Relaxed);
            let Some(node) = self.nodes.get_mut(&id) else { continue };
            // Those below take over the decision: nothing names what is left out.
            if trace.flags & FLAG_SAMPLED != 0 && self.exclude.matches(&node.opened.call) {
                trace.flags &= !FLAG_SAMPLED;
                self.excluded += 1;
            }
            reached
                .extend(std::mem::take(&mut node.children).into_iter().map(|child| (child, trace.clone())));
            node.trace = Some(trace);
            self.emit(id, out);
        }
    }

    fn begun(&mut self, asked: Option<bool>, since: Nanos) -> Trace {
        let id = self.ids.trace_id();
        let decision = self.sampler.decide(id, Asked { sampled: asked, trace_state: "" });
        let sampled = if decision.sampled { FLAG_SAMPLED } else { 0 };
        let state = decision.trace_state.map(Arc::from);
        Trace { id, flags: FLAG_RANDOM | sampled, state, since, spans: Arc::default() }
    }

    /// Hands a span on if it is complete, and forgets the exchange if nobody needs it any more.
    pub(super) fn emit(&mut self, id: ExchangeId, out: &mut Vec<Span>) {
        let Some(node) = self.nodes.get_mut(&id) else { return };
        let Some(ended) = node.ended.take_if(|_| !node.awaits_peer && !node.emitted) else { return };
        if node.suppressed {
            self.nodes.remove(&id);
            return;
        }
        let Some(trace) = &node.trace else {
            node.ended = Some(ended);
            return;
        };
        out.push(span_of(node, &ended, trace, &self.rules));
        self.emitted += 1;
        node.ended = Some(ended);
        node.emitted = true;
        let keep = node.held_by > 0;
        if let Cause::Parent { exchange: Some(parent), .. } = node.cause
            && let Some(parent) = self.nodes.get_mut(&parent)
        {
            parent.named = true;
        }
        if !keep {
            self.nodes.remove(&id);
        }
    }

    /// At the end of the agent: a span that others name is handed on although it has no end; whether it was.
    pub(super) fn emit_unfinished(&mut self, id: ExchangeId, at: Nanos, out: &mut Vec<Span>) -> bool {
        let Some(node) = self.nodes.get(&id).filter(|node| node.named) else { return false };
        let Some(span) = self.unfinished_span(node, at) else { return false };
        out.push(span);
        self.emitted += 1;
        if let Cause::Parent { exchange: Some(parent), .. } = node.cause
            && let Some(parent) = self.nodes.get_mut(&parent)
        {
            parent.named = true;
        }
        self.nodes.remove(&id);
        true
    }

    /// The span of an exchange as if it had ended, if it has a trace.
    fn unfinished_span(&self, node: &Node, at: Nanos) -> Option<Span> {
        let unfinished = cut_short(node.opened.id, at, End::Complete);
        let mut span = span_of(node, &unfinished, node.trace.as_ref()?, &self.rules);
        span.attributes.push((Cow::Borrowed(keys::INCOMPLETE), Value::Strs(vec!["unfinished".to_owned()])));
        Some(span)
    }

    /// An undecided call may name this exchange.
    pub(super) fn hold(&mut self, id: ExchangeId) {
        if let Some(node) = self.nodes.get_mut(&id) {
            node.held_by += 1;
        }
    }

    /// It is decided.
    pub(super) fn release(&mut self, id: ExchangeId) {
        let Some(node) = self.nodes.get_mut(&id) else { return };
        node.held_by = node.held_by.saturating_sub(1);
        if node.held_by == 0 && node.emitted {
            self.nodes.remove(&id);
        }
    }
}

impl Limits {
    /// Why a span that starts at `start` cannot be in the trace, if it cannot.
    fn exceeded(self, trace: &Trace, start: Nanos) -> Option<Unparented> {
        if start.since(trace.since) > self.age_ns {
            return Some(Unparented::TraceOld);
        }
        (trace.spans.load(Ordering::Relaxed) >= self.spans).then_some(Unparented::TraceFull)
    }
}

/// The trace that a context names.
fn continued(sampler: Sampler, context: &Context, since: Nanos) -> Trace {
    let asked = Asked { sampled: context.sampled, trace_state: &context.trace_state };
    let decision = sampler.decide(context.trace_id, asked);
    let sampled = if decision.sampled { FLAG_SAMPLED } else { 0 };
    let state = decision.trace_state.as_deref().unwrap_or(&context.trace_state);
    Trace {
        id: context.trace_id,
        flags: context.flags & !FLAG_SAMPLED | sampled,
        state: (!state.is_empty()).then(|| Arc::from(state)),
        since,
        spans: Arc::default(),
    }
}

/// One step up.
fn above(node: &Node) -> Option<ExchangeId> {
    match node.cause {
        Cause::Parent { exchange, .. } => exchange,
        Cause::Undecided => node.candidate.map(|candidate| candidate.server),
        Cause::Root(_) | Cause::TraceOnly => None,
    }
}

fn span_of(node: &Node, ended: &Ended, trace: &Trace, rules: &Rules) -> Span {
    let opened = &node.opened;
    let mut description = spans::describe(opened, ended, rules);
    let (parent_id, parent_is_remote, evidence) = parent_of(&node.cause);
    match node.cause {
        Cause::Parent { .. } => description
            .attributes
            .push((Cow::Borrowed(keys::EVIDENCE), Value::Str(Cow::Borrowed(evidence_name(evidence))))),
        Cause::Root(reason) if reason != Unparented::Entry => description
            .attributes
            .push((Cow::Borrowed(keys::UNPARENTED), Value::Str(Cow::Borrowed(reason.name())))),
        _ => {}
    }
    Span {
        trace_id: trace.id,
        span_id: node.span_id,
        parent_id,
        parent_is_remote,
        trace_flags: trace.flags,
        trace_state: trace.state.as_deref().unwrap_or_default().to_owned(),
        evidence,
        kind: match opened.role {
            Role::Client => Kind::Client,
            Role::Server => Kind::Server,
        },
        name: description.name,
        process: opened.actor.process,
        start: node.start,
        end: ended.at.max(node.start),
        attributes: description.attributes,
        status: description.status,
    }
}

fn parent_of(cause: &Cause) -> (Option<SpanId>, Option<bool>, Evidence) {
    match cause {
        Cause::Parent { span_id, remote, evidence, .. } => (Some(*span_id), Some(*remote), *evidence),
        Cause::TraceOnly => (None, None, Evidence::Wire),
        Cause::Undecided | Cause::Root(_) => (None, None, Evidence::Root),
    }
}
