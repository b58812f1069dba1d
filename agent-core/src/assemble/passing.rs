//! Passes over bytes that were not seen.
//!
//! Shape: a number of bytes of one direction in. Inside a body of known length they change nothing. Anywhere else they may
//! hide the start of a message: then what depends on it is given up, and counted; nothing is guessed.
use super::{
    connection::{Connection, Phase},
    context::Context,
    stream::{Rest, State},
};
use crate::{
    event::{Direction, Nanos},
    protocols::Part,
};

impl Connection {
    /// `bytes` bytes of a direction moved, the last of them by `at`, and none of them was seen.
    pub(super) fn pass(&mut self, direction: Direction, bytes: u64, at: Nanos, ctx: &mut Context<'_>) {
        if matches!(self.phase, Phase::Sharing(_)) {
            return self.pass_frames(direction, bytes, at, ctx);
        }
        let mut ahead = bytes;
        while ahead > 0 {
            let stream = self.streams.of_mut(direction);
            match stream.state {
                _ if matches!(self.phase, Phase::Unknown | Phase::Stopped) => {
                    return self.pass_unknown(direction, ahead, ctx);
                }
                State::Payload { left, framed } => {
                    let body = left.min(ahead);
                    stream.advance(usize::try_from(body).unwrap_or(usize::MAX));
                    stream.last_bytes = 0;
                    ctx.shared.counts.uncopied_body_bytes += body;
                    ahead -= body;
                    self.consume(direction, body, left, framed, at, ctx);
                }
                State::Rest(_) | State::Searching => {
                    stream.body_bytes = stream.body_bytes.saturating_add(ahead);
                    return self.skip(direction, ahead, ctx);
                }
                State::Framing => {
                    self.drift(direction, ctx);
                    if self.is_lost(direction) {
                        self.miss(direction, ahead, at, ctx);
                    }
                }
                State::Head if stream.buffer.is_empty() => {
                    stream.state = State::Searching;
                    self.miss(direction, ahead, at, ctx);
                }
                State::Head => {
                    let is_lost = self.is_lost(direction) || self.pairing.open.len() > 1;
                    self.cut_head(direction, at, ctx);
                    if is_lost {
                        self.miss(direction, ahead, at, ctx);
                    }
                }
            }
        }
    }

    /// Are missing bytes a loss, rather than what was not to be copied?
    fn is_lost(&self, direction: Direction) -> bool {
        let stream = self.streams.of(direction);
        self.pairing.is_pipelined() || !(stream.is_cut || stream.armed.is_some())
    }

    fn skip(&mut self, direction: Direction, bytes: u64, ctx: &mut Context<'_>) {
        let stream = self.streams.of_mut(direction);
        if stream.state == State::Searching {
            ctx.shared.counts.unsynchronised_bytes += bytes;
        }
        stream.last_bytes = 0;
        stream.tail_at = None;
        stream.advance(usize::try_from(bytes).unwrap_or(usize::MAX));
    }

    fn pass_unknown(&mut self, direction: Direction, bytes: u64, ctx: &mut Context<'_>) {
        let stream = self.streams.of_mut(direction);
        self.is_whole &= stream.is_cut;
        stream.state = State::Searching;
        ctx.release(&mut stream.buffer);
        self.skip(direction, bytes, ctx);
    }

    /// Bytes are missing that may hide the start of a message.
    fn miss(&mut self, direction: Direction, bytes: u64, at: Nanos, ctx: &mut Context<'_>) {
        ctx.shared.counts.gaps += 1;
        ctx.shared.counts.missing_bytes += bytes;
        self.lose_boundary(direction, at, ctx);
    }

    /// It is no longer known how many messages went by in this direction.
    pub(super) fn lose_boundary(&mut self, direction: Direction, at: Nanos, ctx: &mut Context<'_>) {
        if matches!(self.phase, Phase::Sharing(_)) {
            return self.lose_frames(direction, at, ctx);
        }
        let Phase::Speaking(speech) = &self.phase else { return };
        if speech.part(direction) == Part::Response {
            self.lose_waiting(at, ctx);
        }
        self.pairing.doubt();
    }

    /// The framing of a body was not seen: its message goes on to an end that is still to be found.
    pub(super) fn drift(&mut self, direction: Direction, ctx: &mut Context<'_>) {
        let stream = self.streams.of_mut(direction);
        ctx.release(&mut stream.buffer);
        stream.state = State::Rest(Rest::AdriftFramed);
        stream.is_counted = false;
    }

    /// A stream stopped being its protocol.
    pub(super) fn malformed(&mut self, direction: Direction, at: Nanos, ctx: &mut Context<'_>) {
        /// A connection that was recognised, and then was not, so many times, was never that protocol.
        const TIMES: u8 = 16;
        ctx.shared.counts.malformed += 1;
        if self.streams.of(direction).state == State::Framing {
            self.drift(direction, ctx);
            self.streams.of_mut(direction).state = State::Rest(Rest::Adrift);
            return;
        }
        let Phase::Speaking(speech) = &mut self.phase else { return };
        speech.malformed = speech.malformed.saturating_add(1);
        if speech.malformed >= TIMES {
            ctx.shared.counts.stopped_unknown += 1;
            self.lose_all(at, ctx);
            return self.stop(ctx);
        }
        let is_foreign = !speech.is_confirmed && speech.part(direction) == Part::Response;
        self.reset(direction, ctx);
        self.streams.of_mut(direction).state = State::Searching;
        self.lose_boundary(direction, at, ctx);
        if is_foreign {
            self.retract(at, ctx);
        }
    }
}
