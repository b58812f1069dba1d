//! One direction of one connection: where it is, by sequence number, and in which part of a message.
//!
//! Shape: bytes and gaps in order; positions wrap at 2³² and are compared by their distance.
use crate::event::{Actor, Direction, Nanos};

/// Where in a message a stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Nobody knows: waiting for what can only be the start of a message.
    Searching,
    /// Before a message, or in its head: the part that was seen is in the buffer.
    Head,
    /// In a body, with so many bytes ahead. `framed`: more frames follow, else the message ends with them.
    Payload { left: u64, framed: bool },
    /// In a framed body, where the protocol's own framing is ahead.
    Framing,
    /// In a body that ends when something else begins or the connection ends.
    Rest(Rest),
}

/// Why a body's end cannot be seen in its own bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// It ends with the connection.
    UntilClose,
    /// Its framing was not seen, or means nothing.
    Adrift,
    /// As `Adrift`, but its last bytes are known: a tail can be waited for.
    AdriftFramed,
}

/// What was asked of the kernel side for this direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Armed {
    /// To say when this number is passed.
    Seq(u32),
    /// To say when a call ends with the tail.
    Tail,
}

/// The first byte of the message that is being read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct First {
    pub(super) seq: u32,
    pub(super) at: Nanos,
    /// It is the first byte of a turn: the other side had spoken before.
    pub(super) begins_turn: bool,
    /// Nanoseconds of silence in both directions before it.
    pub(super) silence_ns: u64,
    /// How often there was doubt before it.
    pub(super) doubts: u32,
}

/// One direction.
pub(super) struct Stream {
    /// Sequence number of the next byte, once one was seen.
    pub(super) next: Option<u32>,
    /// When the last byte moved.
    pub(super) last_at: Nanos,
    /// Who moved it.
    pub(super) last_actor: Option<Actor>,
    pub(super) state: State,
    /// Bytes of a frame that began in an earlier record.
    pub(super) buffer: Vec<u8>,
    pub(super) first: First,
    /// Bytes of body so far.
    pub(super) body_bytes: u64,
    /// All bytes of this body were counted.
    pub(super) is_counted: bool,
    /// Bytes copied in this turn.
    pub(super) copied: u32,
    /// The policy has ended the copying of this turn: what is missing after that was not lost.
    pub(super) is_cut: bool,
    pub(super) armed: Option<Armed>,
    /// The last bytes that were copied, last byte lowest.
    pub(super) last_bytes: u64,
    /// A call ended with the tail, then: the message ended, unless more of it comes.
    pub(super) tail_at: Option<Nanos>,
    /// The last message was taken to have ended so, only because no more of it came for a while.
    pub(super) is_settled: bool,
}

impl Stream {
    pub(super) fn new() -> Stream {
        Stream {
            next: None,
            last_at: Nanos::default(),
            last_actor: None,
            state: State::Head,
            buffer: Vec::new(),
            first: First::default(),
            body_bytes: 0,
            is_counted: true,
            copied: 0,
            is_cut: false,
            armed: None,
            last_bytes: 0,
            tail_at: None,
            is_settled: false,
        }
    }

    /// How far `seq` lies ahead of the next byte; negative if behind, 0 at the very start.
    pub(super) fn ahead(&self, seq: u32) -> i32 {
        self.next.map_or(0, |next| distance(next, seq))
    }

    /// `bytes` bytes have gone by.
    pub(super) fn advance(&mut self, bytes: usize) {
        let next = self.next.unwrap_or_default();
        self.next = Some(next.wrapping_add(u32::try_from(bytes).unwrap_or(u32::MAX)));
    }

    /// Is a message, or its head, under way?
    pub(super) fn is_idle(&self) -> bool {
        self.state == State::Head && self.buffer.is_empty()
    }

    /// The next byte is the first of a message; the connection was silent since `last_at`.
    pub(super) fn begin(&mut self, at: Nanos, begins_turn: bool, last_at: Nanos, doubts: u32) {
        let seq = self.next.unwrap_or_default();
        self.first = First { seq, at, begins_turn, silence_ns: at.since(last_at), doubts };
        self.is_settled = false;
    }

    /// A body begins.
    pub(super) fn begin_body(&mut self, state: State) {
        self.state = state;
        self.body_bytes = 0;
        self.is_counted = !matches!(state, State::Rest(Rest::Adrift | Rest::AdriftFramed));
        self.tail_at = None;
    }

    /// Remembers the last bytes that were copied.
    pub(super) fn remember_tail(&mut self, data: &[u8]) {
        let from = data.len().saturating_sub(8);
        for &byte in data.get(from..).unwrap_or_default() {
            self.last_bytes = (self.last_bytes << 8) | u64::from(byte);
        }
    }

    /// Do the last bytes that were copied end with `tail`?
    pub(super) fn ends_with(&self, tail: &[u8]) -> bool {
        let last = self.last_bytes.to_be_bytes();
        last.ends_with(tail)
    }
}

/// From one sequence number to another, the short way round.
pub(super) fn distance(from: u32, to: u32) -> i32 {
    to.wrapping_sub(from).cast_signed()
}

/// A value for each direction.
pub(super) struct Both<T> {
    pub(super) egress: T,
    pub(super) ingress: T,
}

impl<T> Both<T> {
    pub(super) fn of(&self, direction: Direction) -> &T {
        match direction {
            Direction::Egress => &self.egress,
            Direction::Ingress => &self.ingress,
        }
    }

    pub(super) fn of_mut(&mut self, direction: Direction) -> &mut T {
        match direction {
            Direction::Egress => &mut self.egress,
            Direction::Ingress => &mut self.ingress,
        }
    }
}
