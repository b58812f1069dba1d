//! Ends of bodies that are not copied: what to wait for, and what to make of it when it comes.
//!
//! A body of known length ends at a number. A chunked body whose chunks are not copied ends, most likely, where a call ends
//! with `0␍␊␍␊` after a line end. Those seven bytes may also be data, so such an end is believed only when what comes next
//! agrees: the other side speaks, the connection ends, the next message begins, or nothing more comes for [`SETTLE_NS`];
//! after a match copying resumes, so bytes that go on with the body show, and withdraw it.
use super::{
    Mark,
    connection::{Connection, Phase, Piece},
    context::Context,
    stream::{Armed, Rest, State, distance},
};
use crate::{
    event::{Direction, Nanos, Reached},
    protocols::{Part, Sniff},
};
use wirespan_common::limits;

/// Time without more bytes after which a body that seems to have ended has ended.
const SETTLE_NS: u64 = 100_000_000;
/// A chunk of at least this length is waited for by its end: copying resumes there, and the chunks after it are read.
const LONG_CHUNK_BYTES: u64 = 256 * 1024;
/// Farthest that a number is set ahead: beyond 2³¹ it would lie behind.
const STRIDE_BYTES: u64 = 1 << 30;

impl Connection {
    /// Sets a mark if the rest of a body will not be copied.
    pub(super) fn consider_mark(&mut self, direction: Direction, ctx: &mut Context<'_>) {
        let is_opener = self.is_opener(direction);
        let stream = self.streams.of(direction);
        let tail = match &self.phase {
            Phase::Speaking(speech) => speech.parser.tail(),
            Phase::Sharing(_) | Phase::Unknown | Phase::Stopped => return,
        };
        if stream.armed.is_some() {
            return;
        }
        let opening = self.streams.of(direction.opposite()).copied;
        let budget = if is_opener {
            limits::HEAD_OPENING_BYTES
        } else {
            self.answer_head.unwrap_or_else(|| limits::answering_bytes(opening))
        };
        let copyable = if stream.is_cut { 0 } else { u64::from(budget.saturating_sub(stream.copied)) };
        let ahead = match stream.state {
            State::Payload { left, framed } if left > copyable && (!framed || left >= LONG_CHUNK_BYTES) => {
                Some(left)
            }
            State::Payload { left, framed: true } if left > copyable => None,
            State::Framing if copyable == 0 => None,
            State::Rest(Rest::UntilClose) if copyable == 0 => Some(STRIDE_BYTES),
            State::Rest(Rest::AdriftFramed) if copyable == 0 => None,
            _ => return,
        };
        let mark = match ahead {
            Some(ahead) => {
                let ahead = u32::try_from(ahead.min(STRIDE_BYTES)).unwrap_or_default();
                Mark::Seq(stream.next.unwrap_or_default().wrapping_add(ahead))
            }
            None => tail_mark(tail),
        };
        self.streams.of_mut(direction).armed = Some(match mark {
            Mark::Seq(seq) => Armed::Seq(seq),
            Mark::Tail { .. } => Armed::Tail,
        });
        ctx.mark(self.id, direction, mark);
    }

    /// The direction that spoke first has the larger budget.
    fn is_opener(&self, direction: Direction) -> bool {
        self.opener == Some(direction)
    }

    /// The mark of a direction is of no more use.
    pub(super) fn disarm(&mut self, direction: Direction, ctx: &mut Context<'_>) {
        if self.streams.of_mut(direction).armed.take().is_some() {
            ctx.unmark(self.id, direction);
        }
    }

    /// The kernel side passed a mark.
    pub(super) fn progress(
        &mut self,
        direction: Direction,
        reached: Reached,
        by_tail: bool,
        ctx: &mut Context<'_>,
    ) {
        self.used_at = reached.at;
        self.release_all(ctx);
        let stream = self.streams.of_mut(direction);
        match (stream.armed, by_tail) {
            (Some(Armed::Seq(mark)), false) => {
                // The call may go on after the mark: those bytes come in a record of their own.
                let seq = if distance(mark, reached.seq) > 0 { mark } else { reached.seq };
                stream.armed = None;
                stream.copied = 0;
                stream.is_cut = true;
                self.reach(direction, Reached { seq, ..reached }, ctx);
                self.streams.of_mut(direction).is_cut = false;
                self.consider_mark(direction, ctx);
            }
            (_, true) => self.on_tail(direction, reached, ctx),
            _ => {}
        }
    }

    /// A call ended with the last bytes of a framed body.
    fn on_tail(&mut self, direction: Direction, reached: Reached, ctx: &mut Context<'_>) {
        let stream = self.streams.of_mut(direction);
        let ahead = u64::from(stream.ahead(reached.seq).max(0).unsigned_abs());
        if ahead > 0 {
            stream.armed = None;
            stream.copied = 0;
        } else if matches!(stream.state, State::Payload { .. }) {
            // The bytes before the mark ended so, inside a chunk. The mark stays.
            return;
        }
        let Phase::Speaking(speech) = &self.phase else { return };
        let tail = speech.parser.tail().len() as u64;
        match stream.state {
            State::Framing if stream.buffer.is_empty() && ahead == tail => {
                stream.advance(usize::try_from(tail).unwrap_or_default());
                self.end_message(direction, reached.at, false, ctx);
            }
            // Inside a chunk's data: it was none.
            State::Payload { left, .. } if ahead < left.saturating_add(tail) => {
                stream.is_cut = true;
                self.reach(direction, reached, ctx);
            }
            State::Payload { left, .. } if ahead == left + tail => {
                self.pass(direction, left, reached.at, ctx);
                self.streams.of_mut(direction).advance(usize::try_from(tail).unwrap_or_default());
                self.end_message(direction, reached.at, false, ctx);
            }
            _ => {
                stream.is_cut = true;
                self.reach(direction, reached, ctx);
                let stream = self.streams.of_mut(direction);
                if stream.state == State::Rest(Rest::AdriftFramed) {
                    stream.is_cut = false;
                    stream.tail_at = Some(reached.at);
                }
            }
        }
        self.streams.of_mut(direction).is_cut = false;
    }

    /// Copied bytes of a body whose framing is lost: does it end here?
    pub(super) fn consider_tail(&mut self, piece: Piece<'_>) {
        let Phase::Speaking(speech) = &self.phase else { return };
        let tail = speech.parser.tail();
        let stream = self.streams.of_mut(piece.direction);
        // Servers write the last chunk by itself: the line end before it may be among the bytes that were not seen.
        let is_last_chunk = piece.begins_turn && tail.strip_prefix(b"\r\n") == Some(piece.data);
        if stream.state == State::Rest(Rest::AdriftFramed) && (is_last_chunk || stream.ends_with(tail)) {
            stream.tail_at = Some(piece.at);
        }
    }

    /// More bytes come after what seemed to be a response's end: the next response, or it was none.
    pub(super) fn contradict_tail(&mut self, piece: Piece<'_>, ctx: &mut Context<'_>) {
        let Phase::Speaking(speech) = &self.phase else { return };
        let is_next =
            self.pairing.open.len() > 1 && speech.protocol.sniff(piece.data) == Sniff::Yes(Part::Response);
        match self.streams.of_mut(piece.direction).tail_at.take() {
            Some(at) if is_next => self.end_message(piece.direction, at, false, ctx),
            _ => {}
        }
    }

    /// Time has passed: bodies that seemed to have ended have ended.
    pub(super) fn settle_tails(&mut self, now: Option<Nanos>, ctx: &mut Context<'_>) {
        for direction in [Direction::Egress, Direction::Ingress] {
            let Some(at) = self.streams.of(direction).tail_at else { continue };
            if now.is_none_or(|now| now.since(at) >= SETTLE_NS) {
                self.end_message(direction, at, false, ctx);
                self.streams.of_mut(direction).is_settled = true;
            }
        }
    }

    /// Are these bytes of a response more of the one that was taken to have ended? Then no answer begins before another request does.
    pub(super) fn goes_on_after_its_end(&self, direction: Direction, begins_turn: bool, data: &[u8]) -> bool {
        let Phase::Speaking(speech) = &self.phase else { return false };
        let stream = self.streams.of(direction);
        let is_rest = stream.is_settled && stream.is_idle() && !begins_turn && self.pairing.open.is_empty();
        is_rest && speech.part(direction) == Part::Response && speech.protocol.sniff(data) == Sniff::No
    }
}

fn tail_mark(tail: &[u8]) -> Mark {
    let mut bytes = [0; 8];
    let len = tail.len().min(8);
    if let (Some(to), Some(from)) = (bytes.get_mut(..len), tail.get(..len)) {
        to.copy_from_slice(from);
    }
    Mark::Tail { bytes, len: u8::try_from(len).unwrap_or_default() }
}
