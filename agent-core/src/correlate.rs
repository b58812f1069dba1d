//! Decides who caused whom: exchanges become spans with a trace, a parent and the evidence for it, or a reason why there is none.
//!
//! Shape: [`Fact`]s in, in the order they were seen; [`Span`]s out when their parent is certain. Clock: event time; deadlines are
//! looked at in [`Correlator::tick`]. Rules: design §5, one file per kind of evidence under `correlate/evidence`.
//!
//! A request that opens gets its span id at once. Its parent and its trace id may stay undecided: a server request waits a moment for
//! the sender's end of its connection, a client request waits until the request that seems to have caused it is answered, because
//! who answers is who acted. Children wait for the trace id of their parent. Every wait is bounded in time and all of them in number.
//! **Invariants:** a parent was open when its child opened; a parent that a span names is exported too (or came on the wire);
//! a link once given is never moved; whatever gets no parent is counted with its reason.
//! Not here: bytes (see `assemble`), names (see `spans`), keeping or dropping a trace (see `sample`).
mod client;
mod context;
mod event_loop;
mod evidence;
mod explain;
mod forest;
mod goroutine;
mod judge;
mod nginx;
mod node;
mod process;
mod reason;
mod server;
mod task;
#[cfg(test)]
mod tests;
mod waits;

pub use explain::{
    ContextEvidence, LoopEvidence, OpenExchange, ProcessLinks, TaskEvidence, ThreadEvidence, ThreadState,
};
pub use reason::{Correlation, Unparented};

use crate::{
    event::{Nanos, ProcessId},
    exchange::{End, Ended, ExchangeId, Fact, Role},
    propagate::{self, Format},
    sample::{Exclude, Sampler},
    spans::{self, Span},
};
use evidence::peer;
use foldhash::fast::FixedState;
use forest::{Forest, Limits};
use process::Processes;
use std::{collections::HashMap, net::IpAddr};
use waits::Waits;

/// A table of the core: its hasher has a seed, so the same events always take the same way.
type Map<K, V> = HashMap<K, V, FixedState>;

/// How far evidence is followed, and what is kept meanwhile.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which formats of context are read, and which wins.
    pub formats: Vec<Format>,
    /// Which traces are kept.
    pub sampler: Sampler,
    /// Which requests are kept out of their trace, with all that they cause.
    pub exclude: Exclude,
    /// What spans say.
    pub spans: spans::Rules,
    /// Addresses of this node's interfaces; loopback and the local ends of observed connections are learned.
    pub local_addresses: Vec<IpAddr>,
    /// How long a request that was received waits for the other end of its connection, if that is on this node, and how long a call waits
    /// after its end. More than `assemble` holds a segment back.
    pub peer_wait_ns: u64,
    /// How long a link by thread may yet be contradicted: after its request was answered if the process has not shown enough of how
    /// its threads work, after the call's end if it has and the request is not answered yet.
    pub hold_ns: u64,
    /// How long a finished client span waits for the answer of the request that seems to have caused it.
    pub patience_ns: u64,
    /// How long, after records were lost, a request may be open that was never seen.
    pub loss_memory_ns: u64,
    /// Exchanges kept, open or undecided, of about 1 KiB each; the oldest is given up.
    pub max_exchanges: usize,
    /// Spans of this node in one trace, at most.
    pub max_trace_spans: u32,
    /// Time from the first span of a trace on this node to the start of its last, at most.
    pub max_trace_age_ns: u64,
    /// Whether being the only open request counts as evidence.
    pub only: bool,
    /// How often a request that is still open is told by a span of its own; 0: never.
    pub report_open_ns: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            formats: propagate::DEFAULT_ORDER.to_vec(),
            sampler: Sampler::default(),
            exclude: Exclude::default(),
            spans: spans::Rules::default(),
            local_addresses: Vec::new(),
            peer_wait_ns: 100_000_000,
            hold_ns: 2_000_000_000,
            patience_ns: 30_000_000_000,
            loss_memory_ns: 5_000_000_000,
            max_exchanges: 32_768,
            max_trace_spans: 10_000,
            max_trace_age_ns: 3_600_000_000_000,
            only: true,
            report_open_ns: 0,
        }
    }
}

/// The one owner of everything that is not yet a span.
pub struct Correlator {
    settings: Settings,
    now: Nanos,
    /// When records were last known to be lost; zero if never.
    lost_at: Nanos,
    counts: Correlation,
    forest: Forest,
    processes: Processes,
    peers: peer::Table,
    waits: Waits,
    /// When open requests were last reported.
    reported: Nanos,
}

impl Correlator {
    /// Starts with nothing known. Ids are a function of `seed` and the facts.
    pub fn new(settings: Settings, seed: [u8; 32]) -> Correlator {
        let hasher =
            FixedState::with_seed(seed.iter().fold(0, |word, &byte| word << 5 ^ word >> 3 ^ u64::from(byte)));
        Correlator {
            now: Nanos(0),
            lost_at: Nanos(0),
            counts: Correlation::default(),
            forest: Forest::new(
                settings.sampler,
                settings.exclude.clone(),
                settings.spans.clone(),
                Limits { spans: settings.max_trace_spans, age_ns: settings.max_trace_age_ns },
                seed,
                hasher.clone(),
            ),
            processes: Processes::default(),
            peers: peer::Table::new(hasher, &settings.local_addresses),
            waits: Waits::default(),
            reported: Nanos(0),
            settings,
        }
    }

    /// Takes one fact; spans that it completes are appended to `out`.
    pub fn push(&mut self, fact: Fact, out: &mut Vec<Span>) {
        match fact {
            Fact::Opened(opened) => {
                self.now = self.now.max(opened.head_at);
                self.make_room(out);
                self.counts.exchanges += 1;
                match opened.role {
                    Role::Server => self.open_server(opened, out),
                    Role::Client => self.open_client(opened, out),
                }
            }
            Fact::Answering(answering) => {
                self.now = self.now.max(answering.at);
                let Some(node) = self.forest.get_mut(answering.id) else {
                    self.counts.unknown_exchange += 1;
                    return;
                };
                if node.answering.is_some() {
                    return;
                }
                node.answering = Some(answering);
                let (role, process) = (node.opened.role, node.opened.actor.process);
                match role {
                    Role::Server => self.answer_server(answering, out),
                    Role::Client => {
                        if let Some(process) = self.processes.get_mut(process) {
                            process.lineage.call_ends();
                        }
                    }
                }
            }
            Fact::Ended(ended) => {
                self.now = self.now.max(ended.at);
                self.end(ended, out);
            }
        }
    }

    /// Time has passed. Tell losses first ([`Correlator::lost`]): what was decided since the last tick still heeds them.
    pub fn tick(&mut self, now: Nanos, out: &mut Vec<Span>) {
        self.now = self.now.max(now);
        self.confirm(out);
        self.stop_waiting(self.now, out);
        self.stop_patience(self.now, out);
        self.report_open(out);
        self.counts.excluded += self.forest.take_excluded();
    }

    /// Does no exchange wait for its end, its cause or its trace? Then time alone decides nothing.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.forest.len() == 0
    }

    /// Records were lost, it was noticed at `at`: requests may be open that were never seen, and answers may have been missed.
    pub fn lost(&mut self, at: Nanos) {
        self.lost_at = self.lost_at.max(at);
    }

    /// A process ended: what `assemble` had not ended yet is over.
    pub fn exit(&mut self, process: ProcessId, at: Nanos, out: &mut Vec<Span>) {
        self.cut(process, at, End::ProcessExited, out);
        self.processes.exited(process);
    }

    /// A process is observed no longer, and may be again: nothing is claimed of how its open exchanges ended.
    pub fn left(&mut self, process: ProcessId, at: Nanos, out: &mut Vec<Span>) {
        self.cut(process, at, End::Lost, out);
    }

    fn cut(&mut self, process: ProcessId, at: Nanos, end: End, out: &mut Vec<Span>) {
        self.now = self.now.max(at);
        if self.processes.has_open(process) {
            for id in self.forest.unfinished(Some(process)) {
                self.end(forest::cut_short(id, at, end), out);
            }
        }
    }

    /// The agent stops: everything finished is emitted, and what is unfinished if spans that were emitted name it.
    pub fn flush(&mut self, out: &mut Vec<Span>) {
        self.confirm(out);
        self.stop_waiting(Nanos(u64::MAX), out);
        for id in self.forest.undecided() {
            self.force(id, out);
        }
        let mut unfinished = self.forest.unfinished(None);
        // Each that is emitted names another, which may have been passed over by then.
        loop {
            let before = unfinished.len();
            unfinished.retain(|id| !self.forest.emit_unfinished(*id, self.now, out));
            if unfinished.len() == before {
                break;
            }
        }
        self.counts.unfinished += unfinished.len() as u64;
        self.counts.excluded += self.forest.take_excluded();
        self.counts.spans += self.forest.take_emitted();
    }

    /// What is known of one process's links; `None` if it was never seen.
    pub fn explain(&self, process: ProcessId) -> Option<ProcessLinks> {
        self.processes.get(process).map(explain::explain)
    }

    /// What was counted.
    pub fn counts(&self) -> &Correlation {
        &self.counts
    }

    /// Exchanges kept now, open or undecided.
    pub fn kept(&self) -> usize {
        self.forest.len()
    }

    /// When records of this process were last known to be lost; `None` if never.
    fn last_loss(&self, process: ProcessId) -> Option<Nanos> {
        let own = self.processes.get(process).map_or(Nanos(0), |process| process.lost_at);
        Some(self.lost_at.max(own)).filter(|at| *at != Nanos(0))
    }

    /// Records of this process were lost after this time.
    fn was_lost_since(&self, process: ProcessId, at: Nanos) -> bool {
        self.last_loss(process).is_some_and(|lost_at| at <= lost_at)
    }

    fn end(&mut self, ended: Box<Ended>, out: &mut Vec<Span>) {
        let id = ended.id;
        let Some(node) = self.forest.get_mut(id) else {
            self.counts.unknown_exchange += 1;
            return;
        };
        if node.ended.is_some() {
            return;
        }
        node.ended = Some(ended);
        match node.opened.role {
            Role::Server => self.end_server(id, out),
            Role::Client => self.end_client(id),
        }
        self.forest.emit(id, out);
        self.counts.spans += self.forest.take_emitted();
    }

    /// At the cap the oldest exchange is given up: decided by what is known, and ended if it was open.
    fn make_room(&mut self, out: &mut Vec<Span>) {
        while self.forest.len() >= self.settings.max_exchanges {
            let Some(id) = self.forest.oldest() else { return };
            if self.forest.get(id).is_some_and(|node| node.ended.is_some()) {
                self.counts.hurried += 1;
            } else {
                self.counts.evicted += 1;
                self.end(forest::cut_short(id, self.now, End::Evicted), out);
            }
            self.force(id, out);
            self.forest.remove(id);
        }
    }

    fn span_ended(&mut self, id: ExchangeId, out: &mut Vec<Span>) {
        self.forest.emit(id, out);
        self.counts.spans += self.forest.take_emitted();
    }
}
