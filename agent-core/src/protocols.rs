//! Protocols: what bytes mean, one message at a time.
//!
//! Shape: in-order bytes of one direction → [`Frame`]s. A parser holds the state of one direction; pairing is written once,
//! in `assemble`. Source: each file names its specification. Not here: order and loss (see `assemble::stream`).
pub mod http1;

use crate::exchange::{Answer, Call};

/// What a message is to its conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Head {
    /// It asks.
    Request(Box<Call>),
    /// It answers for good.
    Response(Box<Answer>),
    /// It answers for now: another response to the same request follows (1xx).
    Interim,
}

/// How the bytes after a head are delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Exactly so many bytes.
    Length(u64),
    /// Chunks.
    Chunked,
    /// Until the connection's direction ends.
    UntilEnd,
    /// Another protocol begins.
    Upgraded,
    /// The fields contradict each other: the end cannot be known.
    Unknown,
}
