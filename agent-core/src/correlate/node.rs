//! One exchange on its way to become a span.
//!
//! Shape: data only; who may change what is said in `forest`. Clock: event time.
use super::{
    Unparented,
    event_loop::CallingWork,
    evidence::{context::ContextId, goroutine::Goroutine, wire::Received},
};
use crate::{
    event::{Nanos, ProcessId, Wait},
    exchange::{Answering, Ended, ExchangeId, Opened},
    spans::{Evidence, SpanId, TraceId},
};
use smallvec::SmallVec;
use std::sync::{Arc, atomic::AtomicU32};

/// What all spans of a trace that pass this node share.
#[derive(Clone, Debug)]
pub(super) struct Trace {
    pub(super) id: TraceId,
    /// W3C flags, the sampling decision included.
    pub(super) flags: u8,
    /// W3C tracestate.
    pub(super) state: Option<Arc<str>>,
    /// When it came to this node.
    pub(super) since: Nanos,
    /// Spans of this node that are in it.
    pub(super) spans: Arc<AtomicU32>,
}

/// Who caused the exchange.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cause {
    /// Not yet known.
    Undecided,
    /// This span.
    Parent {
        /// The parent's id.
        span_id: SpanId,
        /// It is in another process.
        remote: bool,
        /// How that is known.
        evidence: Evidence,
        /// The parent, if it is one of ours: its trace is this one's.
        exchange: Option<ExchangeId>,
    },
    /// Nobody that is known.
    Root(Unparented),
    /// The trace came on the wire, a parent did not (X-Ray `Root` alone).
    TraceOnly,
}

/// A request that may have caused a client request, as seen when that was sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    /// The server request.
    pub(super) server: ExchangeId,
    /// The calling thread had read it, and no other that is still open.
    pub(super) by_thread: bool,
    /// It was the only one open since it opened, and nothing speaks for background work.
    pub(super) by_only: bool,
    /// Its answer had already begun.
    pub(super) late: bool,
    /// Who asked for the call, if its language runtime says so and that is the evidence.
    pub(super) task: Option<Caller>,
}

/// What is known of a call's cause when it is sent.
#[derive(Clone, Copy, Debug)]
pub(super) enum Prospect {
    /// This request may have caused it: its answer decides.
    Candidate(Candidate),
    /// If at all it will be known when a request is answered: who answers is who acted. The evidence keeps the call meanwhile.
    Later,
    /// Nobody will be known.
    Nobody(Unparented),
}

impl From<Result<Candidate, Unparented>> for Prospect {
    fn from(result: Result<Candidate, Unparented>) -> Prospect {
        result.map_or_else(Prospect::Nobody, Prospect::Candidate)
    }
}

/// Who asked for a call.
#[derive(Clone, Copy, Debug)]
pub(super) enum Caller {
    /// Go.
    Goroutine(CallingGoroutine),
    /// Node.js.
    Loop(CallingWork),
    /// nginx, for the candidate.
    Nginx,
    /// CPython.
    Context(CallingContext),
}

/// The context that made a call: its line leads to the candidate.
#[derive(Clone, Copy, Debug)]
pub(super) struct CallingContext {
    pub(super) context: ContextId,
    /// When it called.
    pub(super) at: Nanos,
}

/// The goroutine that asked for a call: it works for the candidate.
#[derive(Clone, Copy, Debug)]
pub(super) struct CallingGoroutine {
    pub(super) goroutine: Goroutine,
    /// When it asked.
    pub(super) at: Nanos,
    /// It had read the candidate, or was born to handle it; else it descends from the one that had.
    pub(super) is_reader: bool,
    /// It was born to handle it.
    pub(super) handles: bool,
}

/// A request that was answered, and who did: the calls that were made for it are its family.
#[derive(Clone, Copy, Debug)]
pub(super) struct Family {
    pub(super) request: ExchangeId,
    pub(super) process: ProcessId,
    /// When it was read.
    pub(super) read_at: Nanos,
    /// `None`: no context that is known.
    pub(super) owner: Option<ContextId>,
}

/// One exchange.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) opened: Box<Opened>,
    pub(super) answering: Option<Answering>,
    pub(super) ended: Option<Box<Ended>>,
    pub(super) span_id: SpanId,
    /// What the request's own headers say.
    pub(super) received: Received,
    /// Client: the context in its headers was handed on or begun by the application, so its own span is in that trace.
    pub(super) handed_on: bool,
    /// `opened.at`, or earlier if the other end is known to have had the bytes earlier.
    pub(super) start: Nanos,
    pub(super) cause: Cause,
    pub(super) trace: Option<Trace>,
    pub(super) candidate: Option<Candidate>,
    /// Waits for the other end of its connection: its start or its parent may still change.
    pub(super) awaits_peer: bool,
    /// Another span stands for it: never exported, never a parent.
    pub(super) suppressed: bool,
    /// Handed on.
    pub(super) emitted: bool,
    /// A span that names it as parent was handed on.
    pub(super) named: bool,
    /// Until when it was reported to be open.
    pub(super) reported: Option<Nanos>,
    /// Server: another request was open in the process at some time since it opened.
    pub(super) overlapped: bool,
    /// Server: nothing was open for a while before it opened.
    pub(super) quiet: bool,
    /// Server: client requests that wait for its answer or end.
    pub(super) calls: SmallVec<[ExchangeId; 4]>,
    /// Those who wait for its trace.
    pub(super) children: SmallVec<[ExchangeId; 4]>,
    /// Undecided exchanges that may still name it.
    pub(super) held_by: u32,
}

impl Node {
    pub(super) fn new(opened: Box<Opened>, span_id: SpanId, received: Received) -> Node {
        Node {
            start: opened.at,
            opened,
            answering: None,
            ended: None,
            span_id,
            received,
            handed_on: false,
            cause: Cause::Undecided,
            trace: None,
            candidate: None,
            awaits_peer: false,
            suppressed: false,
            emitted: false,
            named: false,
            reported: None,
            overlapped: false,
            quiet: false,
            calls: SmallVec::new(),
            children: SmallVec::new(),
            held_by: 0,
        }
    }

    /// Client: the thread that had sent the request read the response, before `at`, and waited for it in this way.
    pub(super) fn waited_in(&self, wait: Wait, at: Nanos) -> bool {
        self.answering.is_some_and(|answer| {
            answer.actor.tid == self.opened.actor.tid && answer.actor.wait == wait && answer.at <= at
        })
    }

    /// When the response began, or all was over.
    pub(super) fn first_answer(&self) -> Option<Nanos> {
        let ended = self.ended.as_ref().map(|ended| ended.at);
        self.answering.map(|answering| answering.at).into_iter().chain(ended).min()
    }

    /// The response had begun, or all was over, by `at`.
    pub(super) fn was_answered_by(&self, at: Nanos) -> bool {
        self.first_answer().is_some_and(|first| first <= at)
    }
}
