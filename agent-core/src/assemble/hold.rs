//! Records that arrived before others of their connection: held briefly, and put right by arithmetic.
//!
//! Shape: a segment is ready when nothing that must come before it is missing. What is not ready waits for
//! [`HOLD_NS`] of event time, [`HELD_RECORDS`] records or [`HELD_BYTES`] bytes at most; then the gap counts as a loss.
use super::{
    connection::{Connection, Phase},
    context::Context,
    stream::{State, distance},
};
use crate::event::{Actor, Direction, Nanos, Reached, Segment, Source, Uncopied, Walk};

/// CPUs swap records within microseconds; a thread may be preempted between the move and its record for a few slices.
pub(super) const HOLD_NS: u64 = 50_000_000;
/// Records held per connection.
const HELD_RECORDS: usize = 64;
/// Bytes held per connection.
const HELD_BYTES: usize = 256 * 1024;

/// A segment that waits.
pub(super) struct Held {
    direction: Direction,
    at: Nanos,
    actor: Actor,
    source: Source,
    seq: u32,
    moved: u32,
    pub(super) data: Vec<u8>,
    uncopied: Uncopied,
    begins_turn: bool,
    opposite: Option<Reached>,
    walk: Option<Walk>,
}

impl Connection {
    /// Keeps a segment until what came before it is there, or will not come.
    pub(super) fn hold(&mut self, segment: &Segment<'_>, ctx: &mut Context<'_>) {
        let mut data = Vec::new();
        if !ctx.keep(&mut data, segment.data) {
            self.release_all(ctx);
            return self.take(segment, ctx);
        }
        self.held.push(Held {
            direction: segment.direction,
            at: segment.at,
            actor: segment.actor,
            source: segment.source,
            seq: segment.seq,
            moved: segment.moved,
            data,
            uncopied: segment.uncopied,
            begins_turn: segment.begins_turn,
            opposite: segment.opposite,
            walk: segment.walk,
        });
        self.release_ready(segment.at, ctx);
    }

    /// Takes what is ready, and what has waited long enough.
    pub(super) fn release_ready(&mut self, now: Nanos, ctx: &mut Context<'_>) {
        while !self.held.is_empty() && !matches!(self.phase, Phase::Stopped) {
            if let Some(index) = (0..self.held.len()).find(|&index| self.is_next(index)) {
                ctx.shared.counts.reordered += 1;
                self.take_held(index, ctx);
                continue;
            }
            let bytes: usize = self.held.iter().map(|held| held.data.len()).sum();
            let is_late = self.held.iter().any(|held| now.since(held.at) >= HOLD_NS);
            if !is_late && self.held.len() <= HELD_RECORDS && bytes <= HELD_BYTES {
                return;
            }
            self.force_one(ctx);
        }
    }

    /// Takes everything that is held: no more will come.
    pub(super) fn release_all(&mut self, ctx: &mut Context<'_>) {
        while !self.held.is_empty() && !matches!(self.phase, Phase::Stopped) {
            match (0..self.held.len()).find(|&index| self.is_next(index)) {
                Some(index) => self.take_held(index, ctx),
                None => self.force_one(ctx),
            }
        }
    }

    /// Takes the earliest held segment although something before it is missing.
    fn force_one(&mut self, ctx: &mut Context<'_>) {
        let unpreceded = (0..self.held.len()).filter(|&index| !self.is_preceded(index));
        let earliest = unpreceded.min_by_key(|&index| self.held.get(index).map(|held| held.at));
        ctx.shared.counts.held_too_long += 1;
        self.take_held(earliest.unwrap_or(0), ctx);
    }

    fn take_held(&mut self, index: usize, ctx: &mut Context<'_>) {
        if index >= self.held.len() {
            return;
        }
        let mut held = self.held.remove(index);
        let data = std::mem::take(&mut held.data);
        let segment = self.segment_of(&held, &data);
        self.take(&segment, ctx);
        ctx.shared.buffered = ctx.shared.buffered.saturating_sub(data.len());
    }

    fn segment_of<'a>(&self, held: &Held, data: &'a [u8]) -> Segment<'a> {
        Segment {
            conn: self.id,
            at: held.at,
            actor: held.actor,
            direction: held.direction,
            source: held.source,
            seq: held.seq,
            moved: held.moved,
            data,
            uncopied: held.uncopied,
            endpoints: self.endpoints,
            begins_turn: held.begins_turn,
            opposite: held.opposite,
            walk: held.walk,
        }
    }

    fn is_next(&self, index: usize) -> bool {
        let Some(held) = self.held.get(index) else { return false };
        !self.is_preceded(index) && self.is_ready(&self.segment_of(held, &held.data))
    }

    /// Is an earlier segment of the same direction held?
    fn is_preceded(&self, index: usize) -> bool {
        let Some(held) = self.held.get(index) else { return false };
        self.held.iter().any(|other| other.direction == held.direction && distance(other.seq, held.seq) > 0)
    }

    /// Are the bytes of this direction up to `seq` held, and only because their request has not come?
    pub(super) fn is_awaiting_request(&self, direction: Direction, seq: u32) -> bool {
        let first = (0..self.held.len()).filter(|&index| !self.is_preceded(index)).find_map(|index| {
            let held = self.held.get(index)?;
            (held.direction == direction).then(|| self.segment_of(held, &held.data))
        });
        first.is_some_and(|first| {
            distance(seq, first.seq.wrapping_add(first.moved)) >= 0
                && self.streams.of(direction).ahead(first.seq) <= 0
                && self.is_answer_before_request(&first)
        })
    }

    /// Is nothing missing that must come before this segment?
    pub(super) fn is_ready(&self, segment: &Segment<'_>) -> bool {
        let direction = segment.direction;
        // What was skipped before it will not come.
        let from = segment.seq.wrapping_sub(segment.walk.map_or(0, |walk| walk.skipped));
        // What is missing before a turn began will not come: the other side has answered it.
        if !segment.begins_turn
            && (self.is_inside_unseen_turn(segment) || !self.is_accounted(direction, from))
        {
            return false;
        }
        if let Some(reached) = segment.opposite
            && self.is_started()
            && !self.is_other_ready(direction.opposite(), reached.seq)
        {
            return false;
        }
        !self.is_answer_before_request(segment)
    }

    /// Does a segment go on with a turn of whose direction nothing was seen?
    pub(super) fn is_inside_unseen_turn(&self, segment: &Segment<'_>) -> bool {
        !segment.begins_turn && self.streams.of(segment.direction).next.is_none()
    }

    /// Is the other direction as far as it was when a turn began?
    fn is_other_ready(&self, other: Direction, seq: u32) -> bool {
        let is_before = |held: &Held| held.direction == other && distance(held.seq, seq) > 0;
        if self.held.iter().any(is_before) {
            return self.is_awaiting_request(other, seq);
        }
        self.streams.of(other).next.is_some() && self.is_accounted(other, seq)
    }

    /// Is every byte of a direction before `seq` known, or known to be body?
    fn is_accounted(&self, direction: Direction, seq: u32) -> bool {
        let stream = self.streams.of(direction);
        let ahead = stream.ahead(seq);
        if ahead <= 0 || stream.is_cut || stream.armed.is_some() {
            return true;
        }
        match stream.state {
            State::Payload { left, .. } => left >= u64::from(ahead.unsigned_abs()),
            State::Rest(_) | State::Searching => true,
            State::Head | State::Framing => false,
        }
    }

    /// Was everything before `seq` seen, or passed over?
    fn is_seen(&self, direction: Direction, seq: u32) -> bool {
        let stream = self.streams.of(direction);
        stream.next.is_some() && stream.ahead(seq) <= 0
    }

    /// A response that nobody asked for: its request's record may be on its way, on another CPU.
    fn is_answer_before_request(&self, segment: &Segment<'_>) -> bool {
        let end = segment.seq.wrapping_add(segment.moved);
        if segment.data.is_empty() || self.is_seen(segment.direction, end) {
            return false;
        }
        if self.goes_on_after_its_end(segment.direction, segment.begins_turn, segment.data) {
            return false;
        }
        match &self.phase {
            Phase::Speaking(speech) => {
                segment.direction != speech.requests
                    && self.pairing.open.is_empty()
                    && self.pairing.is_sure()
                    && self.streams.of(segment.direction).is_idle()
                    && self.streams.of(speech.requests).buffer.is_empty()
            }
            Phase::Sharing(_) | Phase::Unknown | Phase::Stopped => false,
        }
    }
}
