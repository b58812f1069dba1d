//! Responses that are read before their request's record has come, on another CPU: they wait for it.
//!
//! Shape: a frame of a stream above the newest one in, given to its exchange when that opens. Bounded per connection.
use super::{
    connection::{Connection, Phase, Piece},
    context::Context,
    reading::HeadAt,
    stream::State,
};
use crate::{
    event::{Actor, Nanos},
    protocols::{Part, http2::Says},
};
use std::collections::VecDeque;

/// Frames that wait for the record of their request.
const EARLY_MAX: usize = 64;

/// A frame of a response whose request was not seen yet.
pub(super) struct Early {
    pub(super) stream: u32,
    at: Nanos,
    actor: Actor,
    says: Says,
    head: HeadAt,
}

impl Early {
    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        if let Says::Head { block, .. } = &self.says { block.kept_bytes() } else { 0 }
    }
}

impl Connection {
    /// Were requests lost, or later ones seen, so that one that is not known will not come?
    pub(super) fn is_request_lost(&self, piece: Piece<'_>) -> bool {
        let requests = self.streams.of(piece.direction.opposite());
        requests.state == State::Searching || requests.last_at > piece.at
    }

    /// A response whose request's record is still on its way, on another CPU.
    pub(super) fn keep_early(
        &mut self,
        piece: Piece<'_>,
        stream: u32,
        says: Says,
        head: HeadAt,
        ctx: &mut Context<'_>,
    ) {
        let Phase::Sharing(shared) = &mut self.phase else { return };
        let early = &mut shared.streams.early;
        if early.len() >= EARLY_MAX {
            early.pop_front();
            ctx.shared.counts.unpaired_responses += 1;
        }
        early.push_back(Early { stream, at: piece.at, actor: piece.actor, says, head });
    }

    /// The request has come.
    pub(super) fn take_early(&mut self, stream: u32, ctx: &mut Context<'_>) {
        let Phase::Sharing(shared) = &mut self.phase else { return };
        if shared.streams.early.is_empty() {
            return;
        }
        let direction = shared.requests.opposite();
        let (meant, mut others): (VecDeque<Early>, VecDeque<Early>) =
            std::mem::take(&mut shared.streams.early).into_iter().partition(|early| early.stream == stream);
        // Requests come in the order of their streams.
        others.retain(|early| early.stream > stream);
        shared.streams.early = others;
        for Early { at, actor, says, head, .. } in meant {
            let piece = Piece { direction, data: &[], at, actor, begins_turn: false };
            self.on_frame(piece, Part::Response, says, head, ctx);
        }
    }
}
