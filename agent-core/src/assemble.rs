//! Rebuilds requests and responses from the bytes of connections.
//!
//! Shape: [`Event`] in, [`Fact`] and [`Command`] out. Clock: event time. Source: TCP sequence numbers (design §3.2, §4).
//! Not here: what bytes mean (see `protocols`), who caused whom (see `correlate`).
//! Invariant: loss degrades the exchange it falls into; where it makes pairing uncertain, the uncertain ones are dropped and counted.
mod conversation;
mod side;
#[cfg(test)]
mod tests;

use crate::{
    counters,
    event::{ConnId, Direction, Event, Nanos, ProcessId, Segment, Source},
    exchange::{End, ExchangeId, Fact},
};
use conversation::Conversation;
use std::collections::HashMap;

/// What the core asks of the kernel side for one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Nothing of this connection is of use any more.
    Stop {
        /// Which.
        conn: ConnId,
    },
    /// Copy nothing more in this direction before the mark, and report when it is passed.
    Mark {
        /// Which.
        conn: ConnId,
        /// Direction.
        direction: Direction,
        /// Where.
        mark: Mark,
    },
    /// The mark is no longer of use.
    Unmark {
        /// Which.
        conn: ConnId,
        /// Direction.
        direction: Direction,
    },
}

/// Where a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// At this sequence number.
    Seq(u32),
    /// When a call ends with the last `len` bytes of `bytes` (as many as eight), left-aligned.
    Tail {
        /// The tail, first byte first.
        bytes: [u8; 8],
        /// 1 to 8.
        len: u8,
    },
}

/// Bounds and choices.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Lower-case names of header fields that exchanges keep.
    pub keep_fields: Vec<String>,
    /// Connections followed at once.
    pub max_connections: usize,
    /// Open requests per connection.
    pub max_open: usize,
    /// Bytes of one header block.
    pub max_head_bytes: usize,
    /// An exchange of which nothing moved for so long is over.
    pub idle_timeout_ns: u64,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            keep_fields: Vec::new(),
            max_connections: 65_536,
            max_open: 1_024,
            max_head_bytes: 64 * 1024,
            idle_timeout_ns: 300_000_000_000,
        }
    }
}

/// What a push produced; the caller drains and reuses it.
#[derive(Debug, Default)]
pub struct Output {
    /// In causal order per connection.
    pub facts: Vec<Fact>,
    /// In order.
    pub commands: Vec<Command>,
}

counters! {
    /// Work and losses of assembly.
    Counts in "assemble" {
        segments: "work", "records", "Records of bytes that were looked at.";
        exchanges: "work", "exchanges", "Requests that were understood.";
        stopped_unknown: "skip", "connections", "Connections given up: no protocol that is known.";
        stopped_tls: "skip", "connections", "Connections given up: encrypted.";
        stopped_upgraded: "skip", "connections", "Connections given up: upgraded to another protocol.";
        gap_bytes: "loss", "bytes", "Bytes that were expected and never came.";
        unreadable: "loss", "records", "Records whose bytes could not be read, or that have no buffer.";
        unpaired_requests: "loss", "exchanges", "Requests dropped because loss made their response uncertain.";
        unpaired_responses: "loss", "exchanges", "Responses whose request was not seen.";
        head_too_long: "loss", "exchanges", "Messages whose header block is longer than the cap.";
        malformed: "loss", "messages", "Bytes where a message should begin and none does.";
        evicted_connections: "loss", "connections", "Connections dropped because too many are followed.";
        evicted_requests: "loss", "exchanges", "Requests dropped because too many are open on a connection.";
        reordered: "work", "records", "Records that came before their predecessor.";
    }
}

/// All connections.
pub struct Assembler {
    settings: Settings,
    connections: HashMap<ConnId, Conversation>,
    next_id: u64,
    counts: Counts,
    swept: Nanos,
}

/// What a conversation may use of the assembler.
struct Context<'a> {
    settings: &'a Settings,
    counts: &'a mut Counts,
    next_id: &'a mut u64,
    out: &'a mut Output,
}

impl Context<'_> {
    fn exchange_id(&mut self) -> ExchangeId {
        *self.next_id += 1;
        ExchangeId(*self.next_id)
    }
}

/// How often silent connections are looked for.
const SWEEP_NS: u64 = 1_000_000_000;

impl Assembler {
    /// Holds nothing yet.
    pub fn new(settings: Settings) -> Assembler {
        Assembler { settings, connections: HashMap::new(), next_id: 0, counts: Counts::default(), swept: Nanos(0) }
    }

    /// Takes one event.
    pub fn push(&mut self, event: &Event<'_>, out: &mut Output) {
        match event {
            Event::Bytes(segment) => self.bytes(segment, out),
            Event::Progress { conn, direction, reached, .. } => {
                self.with(*conn, out, |talk, ctx| talk.progress(*direction, *reached, ctx));
            }
            Event::Ending { conn, at, ending, egress, ingress } => {
                let over = self.with(*conn, out, |talk, ctx| talk.ending(*at, *ending, [*egress, *ingress], ctx));
                if over == Some(true) {
                    self.connections.remove(conn);
                }
            }
            Event::Exit { process, at } => self.exit(*process, *at, out),
            Event::Tick { at } => self.tick(*at, out),
        }
    }

    /// The counters.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    fn bytes(&mut self, segment: &Segment<'_>, out: &mut Output) {
        if segment.source != Source::Socket {
            return;
        }
        self.counts.segments += 1;
        if !self.connections.contains_key(&segment.conn) {
            self.make_room(segment.at, out);
            self.connections.insert(segment.conn, Conversation::new(segment));
        }
        self.with(segment.conn, out, |talk, ctx| talk.segment(segment, ctx));
    }

    fn with<T>(
        &mut self,
        conn: ConnId,
        out: &mut Output,
        act: impl FnOnce(&mut Conversation, &mut Context<'_>) -> T,
    ) -> Option<T> {
        let Assembler { settings, connections, next_id, counts, .. } = self;
        let talk = connections.get_mut(&conn)?;
        Some(act(talk, &mut Context { settings, counts, next_id, out }))
    }

    /// At the cap the connection that was silent for longest goes.
    fn make_room(&mut self, at: Nanos, out: &mut Output) {
        if self.connections.len() < self.settings.max_connections {
            return;
        }
        let Some(oldest) = self.connections.values().min_by_key(|talk| talk.last_at()).map(Conversation::conn) else {
            return;
        };
        self.counts.evicted_connections += 1;
        self.with(oldest, out, |talk, ctx| talk.close(at, End::Evicted, ctx));
        self.connections.remove(&oldest);
    }

    fn exit(&mut self, process: ProcessId, at: Nanos, out: &mut Output) {
        let theirs: Vec<ConnId> =
            self.connections.values().filter(|talk| talk.process() == process).map(Conversation::conn).collect();
        for conn in theirs {
            self.with(conn, out, |talk, ctx| talk.close(at, End::ProcessExited, ctx));
            self.connections.remove(&conn);
        }
    }

    fn tick(&mut self, at: Nanos, out: &mut Output) {
        let held: Vec<ConnId> =
            self.connections.values().filter(|talk| talk.holds()).map(Conversation::conn).collect();
        for conn in held {
            self.with(conn, out, |talk, ctx| talk.release(at, ctx));
        }
        if at.since(self.swept) < SWEEP_NS {
            return;
        }
        self.swept = at;
        let limit = self.settings.idle_timeout_ns;
        let silent: Vec<ConnId> = self
            .connections
            .values()
            .filter(|talk| at.since(talk.last_at()) > limit)
            .map(Conversation::conn)
            .collect();
        for conn in silent {
            self.with(conn, out, |talk, ctx| talk.close(at, End::TimedOut, ctx));
            self.connections.remove(&conn);
        }
    }
}
