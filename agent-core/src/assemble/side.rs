//! One direction of a connection: bytes in order, messages out.
//!
//! Shape: records in any order → [`Step`]s in stream order. Sequence numbers wrap at 2³².
//! A record ahead of its turn is held for [`HOLD_NS`]; after that what is missing is a gap, known to the byte.
use crate::{
    event::{Actor, ConnId, Direction, Endpoints, Nanos, Reached, Segment, Source, Uncopied},
    protocols::{Framing, http1::Chunks},
};

/// How long a record waits for its predecessor: CPUs swap records by microseconds, a preempted writer by milliseconds.
pub(super) const HOLD_NS: u64 = 50_000_000;
/// Records held per direction.
const HELD: usize = 32;

/// A record ahead of its turn.
pub(super) struct Held {
    pub(super) seq: u32,
    pub(super) moved: u32,
    pub(super) data: Vec<u8>,
    pub(super) uncopied: Uncopied,
    pub(super) at: Nanos,
    pub(super) actor: Actor,
    /// It also waits for the other direction to come this far.
    pub(super) opposite: Option<Reached>,
}

impl Held {
    /// As it came.
    pub(super) fn record(&self, conn: ConnId, endpoints: Endpoints, direction: Direction) -> Segment<'_> {
        Segment {
            conn,
            at: self.at,
            actor: self.actor,
            direction,
            source: Source::Socket,
            seq: self.seq,
            moved: self.moved,
            data: &self.data,
            uncopied: self.uncopied,
            endpoints,
            opposite: self.opposite,
        }
    }
}

/// A piece of the stream in its place.
#[derive(Clone, Copy)]
pub(super) struct Piece<'a> {
    pub(super) seq: u32,
    pub(super) data: &'a [u8],
    /// Bytes after `data` that were moved and not copied.
    pub(super) missing: u32,
    pub(super) uncopied: Uncopied,
    pub(super) at: Nanos,
    pub(super) actor: Actor,
}

/// What the next byte of a direction is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// A message may begin here, or in the next piece that looks like one: loss, or the connection is older than the agent.
    Resync,
    /// A head, from its first byte.
    Head,
    /// A body, framing included.
    Body(Framing),
    /// A chunked body, walked so far.
    Chunked(Chunks),
    /// A body whose end shows only when the other direction speaks or the connection ends.
    Blind,
}

/// One direction.
pub(super) struct Side {
    pub(super) state: State,
    /// Sequence number of the next byte; `None` before the first.
    pub(super) next: Option<u32>,
    /// The current head was found by looking for one: it is not certain that it began where it seems to.
    pub(super) searched_for: bool,
    /// The head so far.
    pub(super) head: Vec<u8>,
    /// How far the head was searched for its end.
    pub(super) searched: usize,
    /// First byte of the head: its number and time.
    pub(super) head_start: Option<(u32, Nanos, Actor)>,
    /// Body bytes, framing excluded where it is known, of the current message.
    pub(super) body_bytes: u64,
    /// When the last byte moved.
    pub(super) last_at: Nanos,
    /// A mark is armed in the kernel.
    pub(super) marked: bool,
    pub(super) held: Vec<Held>,
}

/// What to do with a record.
pub(super) enum Arrival<'a> {
    /// It is next, or has no predecessor.
    Now(Piece<'a>),
    /// It is ahead by so many bytes.
    Ahead(u32),
    /// All of it was seen before.
    Old,
}

impl Side {
    pub(super) fn new() -> Side {
        Side {
            state: State::Resync,
            next: None,
            searched_for: false,
            head: Vec::new(),
            searched: 0,
            head_start: None,
            body_bytes: 0,
            last_at: Nanos(0),
            marked: false,
            held: Vec::new(),
        }
    }

    /// Where a record stands in the stream.
    pub(super) fn place<'a>(&self, record: &Segment<'a>) -> Arrival<'a> {
        let whole = Piece {
            seq: record.seq,
            data: record.data,
            missing: record.moved.saturating_sub(record.data.len() as u32),
            uncopied: record.uncopied,
            at: record.at,
            actor: record.actor,
        };
        let Some(next) = self.next else { return Arrival::Now(whole) };
        let ahead = record.seq.wrapping_sub(next) as i32;
        if ahead > 0 {
            return Arrival::Ahead(ahead as u32);
        }
        let seen = ahead.unsigned_abs();
        if seen >= record.moved {
            return Arrival::Old;
        }
        let data = record.data.get(seen as usize..).unwrap_or_default();
        let missing = (record.moved - seen).saturating_sub(data.len() as u32);
        Arrival::Now(Piece { seq: next, data, missing, ..whole })
    }

    /// May these bytes be passed over without knowing them?
    pub(super) fn can_skip(&self, bytes: u32) -> bool {
        match self.state {
            State::Body(Framing::Length(left)) => u64::from(bytes) <= left,
            State::Body(Framing::UntilEnd) | State::Blind => true,
            State::Chunked(Chunks::Data(left)) => u64::from(bytes) <= left,
            _ => false,
        }
    }

    /// Passes over bytes that nobody copied; only where [`Side::can_skip`] says so.
    pub(super) fn skip(&mut self, bytes: u32) {
        self.next = self.next.map(|next| next.wrapping_add(bytes));
        self.body_bytes += u64::from(bytes);
        self.state = match self.state {
            State::Body(Framing::Length(left)) => {
                State::Body(Framing::Length(left.saturating_sub(u64::from(bytes))))
            }
            State::Chunked(Chunks::Data(left)) => {
                let left = left.saturating_sub(u64::from(bytes));
                State::Chunked(if left == 0 { Chunks::START } else { Chunks::Data(left) })
            }
            other => other,
        };
    }

    /// Moves on by bytes that were looked at.
    pub(super) fn advance(&mut self, bytes: usize) {
        self.next = self.next.map(|next| next.wrapping_add(bytes as u32));
    }

    /// Does only the end of the direction, or the other one, end this body?
    pub(super) fn body_is_open_ended(&self) -> bool {
        matches!(self.state, State::Blind | State::Body(Framing::UntilEnd))
    }

    /// Keeps a record for later; false if too many are kept.
    pub(super) fn hold(&mut self, record: &Segment<'_>) -> bool {
        if self.held.len() >= HELD {
            return false;
        }
        self.held.push(Held {
            seq: record.seq,
            moved: record.moved,
            data: record.data.to_vec(),
            uncopied: record.uncopied,
            at: record.at,
            actor: record.actor,
            opposite: record.opposite,
        });
        true
    }

    /// The held record that comes first in the stream.
    pub(super) fn first_held(&mut self) -> Option<Held> {
        let next = self.next.or(self.held.first().map(|held| held.seq))?;
        let first = self.held.iter().enumerate().min_by_key(|(_, held)| held.seq.wrapping_sub(next) as i32)?.0;
        Some(self.held.swap_remove(first))
    }

    /// When the oldest held record moved; the end of time if none is held.
    pub(super) fn held_since(&self) -> Nanos {
        self.held.iter().map(|held| held.at).min().unwrap_or(Nanos(u64::MAX))
    }

    /// Nothing of the current message is known any more.
    pub(super) fn lose(&mut self) {
        self.state = State::Resync;
        self.head.clear();
        self.searched = 0;
        self.head_start = None;
    }
}
