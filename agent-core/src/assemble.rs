//! Rebuilds requests and responses from the bytes of connections.
//!
//! Shape: [`Event`](crate::event::Event) in, [`Fact`](crate::exchange::Fact) and [`Command`] out.
use crate::event::{ConnId, Direction};

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
