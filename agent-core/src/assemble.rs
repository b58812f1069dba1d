//! Rebuilds requests and responses from the bytes of connections.
//!
//! Shape: [`Event`] in, [`Fact`] and [`Command`] out. Clock: event time only. Streams are put together by TCP sequence number,
//! so a gap is known to the byte. Invariant: a response is given to a request only when it can be no other's; what a loss makes
//! uncertain ends without an answer and is counted. Everything held is bounded by [`Settings`].
//! Not here: what bytes mean (see `protocols`), who caused whom (see `correlate`).
use crate::{
    event::{ConnId, Direction, Event, Nanos, ProcessId, Segment},
    exchange::{End, Fact},
};

mod accounts;
mod connection;
mod context;
mod counts;
mod early;
mod endings;
mod exchanges;
mod hold;
mod marks;
mod multiplex;
mod pairing;
mod passing;
mod reading;
mod recognise;
mod settings;
mod stream;
mod streams;
mod table;
mod walks;

pub use counts::Counts;
pub use settings::Settings;

use connection::Connection;
use context::{Context, Shared};
use settings::Rules;
use table::Table;

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
    /// Copy so many bytes of each turn in this direction.
    Head {
        /// Which.
        conn: ConnId,
        /// Direction.
        direction: Direction,
        /// How many.
        bytes: u32,
    },
    /// Walk from frame to frame in both directions, and copy every call in full of which anything is wanted; or copy as ever.
    Frames {
        /// Which.
        conn: ConnId,
        /// Whether to walk.
        walks: bool,
    },
    /// The walk that began at this number is right, and calls may be skipped; or it is not, and has to begin anew.
    Walk {
        /// Which.
        conn: ConnId,
        /// Direction.
        direction: Direction,
        /// Where it began.
        from: u32,
        /// Whether a frame began there.
        is_right: bool,
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

/// What came of an event; the caller empties and reuses it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// For `correlate`, in causal order per connection.
    pub facts: Vec<Fact>,
    /// For the kernel side.
    pub commands: Vec<Command>,
}

/// Rebuilds the exchanges of all connections.
pub struct Assembler {
    rules: Rules,
    table: Table,
    shared: Shared,
    /// Connections that a tick looks at: they hold records, or a body that seems to have ended.
    waiting: Vec<ConnId>,
}

impl Assembler {
    /// An assembler that knows of no connection.
    pub fn new(settings: Settings) -> Assembler {
        Assembler {
            rules: Rules::new(settings),
            table: Table::new(),
            shared: Shared::default(),
            waiting: Vec::new(),
        }
    }

    /// What was done and what was lost so far.
    pub fn counts(&self) -> &Counts {
        &self.shared.counts
    }

    /// Connections remembered now.
    pub fn connections(&self) -> usize {
        self.table.len()
    }

    /// Takes in one event and appends what comes of it to `out`.
    pub fn push(&mut self, event: &Event<'_>, out: &mut Output) {
        match *event {
            Event::Bytes(ref segment) => self.segment(segment, out),
            Event::Progress { conn, direction, reached, by_tail } => {
                self.update(conn, out, |connection, ctx| {
                    connection.progress(direction, reached, by_tail, ctx)
                });
            }
            Event::Ending { conn, at, ending, egress, ingress } => {
                let reached = [(Direction::Egress, egress), (Direction::Ingress, ingress)];
                let is_over =
                    self.update(conn, out, |connection, ctx| connection.ending(at, ending, reached, ctx));
                if is_over == Some(true) {
                    self.forget(conn, out);
                }
            }
            Event::Exit { process, at } => self.exit(process, at, End::ProcessExited, out),
            Event::Left { process, at } => self.exit(process, at, End::Lost, out),
            Event::Tick { at } => self.tick(at, out),
            // Nothing of a stream: `correlate` takes these as they are.
            Event::Claim { .. }
            | Event::Spawn { .. }
            | Event::Birth { .. }
            | Event::Handover { .. }
            | Event::Slice { .. } => {}
        }
    }

    fn segment(&mut self, segment: &Segment<'_>, out: &mut Output) {
        self.shared.counts.records += 1;
        self.shared.counts.bytes += u64::from(segment.moved);
        let take = |connection: &mut Connection, ctx: &mut Context<'_>| connection.segment(segment, ctx);
        if self.update(segment.conn, out, take).is_some() {
            return;
        }
        if self.table.len() >= self.rules.settings.max_connections {
            self.evict(segment.at, out);
        }
        self.table.insert(Connection::new(segment.conn, segment.endpoints, segment.at));
        self.update(segment.conn, out, take);
    }

    /// Gives an event to its connection, if it is known.
    fn update<T>(
        &mut self,
        id: ConnId,
        out: &mut Output,
        event: impl FnOnce(&mut Connection, &mut Context<'_>) -> T,
    ) -> Option<T> {
        let connection = self.table.touch(id)?;
        let mut ctx = Context { rules: &self.rules, shared: &mut self.shared, out };
        let result = event(connection, &mut ctx);
        if !connection.is_waiting && connection.needs_ticks() {
            connection.is_waiting = true;
            self.waiting.push(id);
        }
        Some(result)
    }

    fn forget(&mut self, id: ConnId, out: &mut Output) {
        let Some(mut connection) = self.table.remove(id) else { return };
        connection.clear(&mut Context { rules: &self.rules, shared: &mut self.shared, out });
    }

    /// Forgets the connection that was silent for longest.
    fn evict(&mut self, at: Nanos, out: &mut Output) {
        let Some(id) = self.table.oldest().map(|oldest| oldest.id) else { return };
        self.shared.counts.evicted_connections += 1;
        self.give_up(id, at, End::Evicted, out);
    }

    fn give_up(&mut self, id: ConnId, at: Nanos, end: End, out: &mut Output) {
        let Some(mut connection) = self.table.remove(id) else { return };
        let mut ctx = Context { rules: &self.rules, shared: &mut self.shared, out };
        connection.release_all(&mut ctx);
        connection.settle_tails(None, &mut ctx);
        connection.give_up_all(at, end, &mut ctx);
        connection.end_all_streams(at, end, &mut ctx);
        connection.clear(&mut ctx);
    }

    fn exit(&mut self, process: ProcessId, at: Nanos, end: End, out: &mut Output) {
        if !self.shared.has_open(process) {
            return;
        }
        let mut ctx = Context { rules: &self.rules, shared: &mut self.shared, out };
        self.table.iter_mut().for_each(|connection| connection.exit(process, at, end, &mut ctx));
    }

    fn tick(&mut self, at: Nanos, out: &mut Output) {
        let mut ctx = Context { rules: &self.rules, shared: &mut self.shared, out };
        let table = &mut self.table;
        self.waiting.retain(|&id| {
            let Some(connection) = table.get_mut(id) else { return false };
            connection.release_ready(at, &mut ctx);
            connection.settle_tails(Some(at), &mut ctx);
            connection.settle_streams(at, &mut ctx);
            connection.is_waiting = connection.needs_ticks();
            connection.is_waiting
        });
        while let Some(oldest) = self.table.oldest() {
            if at.since(oldest.used_at) < self.rules.settings.idle_timeout_ns {
                return;
            }
            let id = oldest.id;
            self.give_up(id, at, End::TimedOut, out);
        }
    }
}

#[cfg(test)]
mod tests;
