//! Which response answers which request: first in, first out, for as long as that can be known.
//!
//! Shape: requests pushed, the front one answered. Invariant: an exchange that is not `certain` never carries an answer.
//! Source: RFC 9112 §9.3 (pipelining).
//!
//! After a loss the number of requests that wait for an answer is unknown, and so is the request that a response answers.
//! Certainty returns when the connection was silent for [`QUIET_NS`], or, if it was never seen to pipeline, after
//! [`CLEAN_CYCLES`] exchanges in a row of one whole request in its turn and one whole response in its.
use crate::event::ProcessId;
use crate::{
    event::Nanos,
    exchange::{Answer, ExchangeId},
    protocols::Asked,
};
use std::collections::VecDeque;

/// Silence in both directions after which nothing is waiting: a second is longer than pipelined responses pause.
pub(super) const QUIET_NS: u64 = 1_000_000_000;
/// Exchanges in lockstep after which a connection that never pipelined is believed to be in lockstep. A client that keeps two
/// requests on the way looks the same once the start is lost, until it pauses; few keep that up, and none that is common.
const CLEAN_CYCLES: u8 = 8;
/// More overlaps than one in so many requests are pipelining.
const OVERLAPS_OF: u32 = 16;
/// Requests after which what is known of overlaps counts half.
const FADE_REQUESTS: u32 = 256;

/// A request that waits for its answer, or is being answered.
pub(super) struct Open {
    pub(super) id: ExchangeId,
    pub(super) process: ProcessId,
    pub(super) at: Nanos,
    pub(super) asked: Asked,
    /// The response that comes next is this request's.
    pub(super) certain: bool,
    /// The final response has begun.
    pub(super) answering: bool,
    pub(super) answer: Option<Answer>,
    pub(super) request_end: Option<Nanos>,
    pub(super) request_end_inferred: bool,
    pub(super) request_body_bytes: Option<u64>,
    pub(super) request_head_cut: bool,
    pub(super) response_head_cut: bool,
}

/// What is believed of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    /// Every request that waits is known.
    Sure,
    /// It is not known how many wait.
    Doubt { clean: u8, cycle: Cycle },
}

/// The exchange that is watched while in doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cycle {
    /// None, or not in lockstep.
    Broken,
    /// One request, whole, in its turn.
    Asked,
    /// And one response, whole.
    Answered,
}

/// The requests of one connection.
pub(super) struct Pairing {
    pub(super) open: VecDeque<Open>,
    pub(super) trust: Trust,
    /// Requests, and those of them that came before the answer to the one before was whole. Both fade.
    requests: u32,
    overlaps: u32,
    /// The connection was seen from its start, or an exchange in lockstep was seen since.
    pub(super) is_proven: bool,
    /// Times that doubt arose.
    pub(super) doubts: u32,
}

impl Pairing {
    pub(super) fn new() -> Pairing {
        Pairing {
            open: VecDeque::new(),
            trust: Trust::Sure,
            requests: 0,
            overlaps: 0,
            is_proven: true,
            doubts: 0,
        }
    }

    /// Does the client send requests before it has its answers? On a busy machine records of two threads swap now and then,
    /// which looks the same: that is rare, and pipelining is a habit.
    pub(super) fn is_pipelined(&self) -> bool {
        self.overlaps.saturating_mul(OVERLAPS_OF) > self.requests
    }

    /// Is it certain enough that the client pipelines to copy more of its answers?
    pub(super) fn is_surely_pipelined(&self) -> bool {
        const OVERLAPS: u32 = 4;
        self.is_pipelined() && self.overlaps >= OVERLAPS
    }

    /// A request came; another one was waiting, or not.
    pub(super) fn count_request(&mut self, overlaps: bool) {
        self.requests += 1;
        self.overlaps += u32::from(overlaps);
        if self.requests >= FADE_REQUESTS {
            self.requests /= 2;
            self.overlaps /= 2;
        }
    }

    /// A request was seen where there must have been another before it.
    pub(super) fn count_hidden_overlap(&mut self) {
        self.overlaps = self.overlaps.saturating_add(FADE_REQUESTS / OVERLAPS_OF);
    }

    pub(super) fn is_sure(&self) -> bool {
        self.trust == Trust::Sure
    }

    /// From now on it is not known how many requests wait.
    pub(super) fn doubt(&mut self) {
        self.trust = Trust::Doubt { clean: 0, cycle: Cycle::Broken };
        self.doubts = self.doubts.wrapping_add(1);
    }

    /// A request begins a turn while in doubt, and nothing known waits.
    pub(super) fn begin_cycle(&mut self, is_quiet: bool) {
        let Trust::Doubt { clean, cycle } = self.trust else { return };
        let clean = if cycle == Cycle::Answered { clean + 1 } else { 0 };
        let is_sure = is_quiet || (clean >= CLEAN_CYCLES && !self.is_pipelined());
        self.trust = if is_sure { Trust::Sure } else { Trust::Doubt { clean, cycle: Cycle::Asked } };
    }

    /// A request was seen that does not fit the lockstep.
    pub(super) fn break_cycle(&mut self) {
        if let Trust::Doubt { cycle, .. } = &mut self.trust {
            *cycle = Cycle::Broken;
        }
    }

    /// A response ended as its own bytes say.
    pub(super) fn end_cycle(&mut self) {
        self.is_proven |= self.open.len() == 1;
        if let Trust::Doubt { cycle, .. } = &mut self.trust {
            *cycle = if *cycle == Cycle::Asked { Cycle::Answered } else { Cycle::Broken };
        }
    }

    /// The exchange with this id, searched from the latest: that is where the request being read is.
    pub(super) fn find(&mut self, id: ExchangeId) -> Option<&mut Open> {
        self.open.iter_mut().rev().find(|open| open.id == id)
    }
}
