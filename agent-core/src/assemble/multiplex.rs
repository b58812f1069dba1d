//! A connection whose exchanges share it: frames say which of them they belong to.
//!
//! Shape: a [`Piece`] in; frames by `protocols::http2`, payload by arithmetic, exchanges by their stream's number, so nothing depends
//! on the order of answers. After a loss the direction is searched for a frame that fits the streams that are known; what header
//! blocks refer to from before is unknown, and streams of which nothing more is seen are given up after a while.
//! Not here: the life of an exchange (see `streams`).
use super::{
    connection::{Connection, Phase, Piece},
    context::Context,
    reading::{HeadAt, fingerprint},
    stream::{Both, State},
    streams::Streams,
};
use crate::{
    event::{Direction, Nanos},
    exchange::End,
    protocols::{
        Part,
        http2::{self, Says, Session, Sight, Step},
    },
};

/// Times that a direction made no sense before the connection is given up.
const MALFORMED_MAX: u8 = 4;
/// A stream this much above the newest one is not the next.
const NEAR: u32 = 1 << 16;

/// Both directions of such a connection.
pub(super) struct Multiplex {
    pub(super) session: Session,
    /// The direction that carries requests.
    pub(super) requests: Direction,
    pub(super) streams: Streams,
    /// The directions that were seen to speak it.
    spoken: Both<bool>,
    /// The header block that has begun.
    block: Both<Option<HeadAt>>,
    /// The stream that ends with the payload that is being passed over.
    pub(super) last: Both<Option<u32>>,
    /// The kernel side's walk is right.
    pub(super) trusted: Both<bool>,
    malformed: u8,
    /// Bytes held that all connections' account knows of (see `accounts`).
    pub(super) accounted: usize,
}

impl Multiplex {
    fn new(requests: Direction, has_preface: bool) -> Multiplex {
        Multiplex {
            session: Session::new(has_preface),
            requests,
            streams: Streams::default(),
            spoken: Both { egress: false, ingress: false },
            block: Both { egress: None, ingress: None },
            last: Both { egress: None, ingress: None },
            trusted: Both { egress: false, ingress: false },
            malformed: 0,
            accounted: 0,
        }
    }

    pub(super) fn part(&self, direction: Direction) -> Part {
        if direction == self.requests { Part::Request } else { Part::Response }
    }

    fn is_confirmed(&self) -> bool {
        self.spoken.egress && self.spoken.ingress
    }
}

impl Connection {
    /// Frames begin here, and before that in the buffer if something is in it; true if the piece can be read now.
    pub(super) fn recognise_frames(&mut self, piece: Piece<'_>, sight: Sight, ctx: &mut Context<'_>) -> bool {
        let part = match sight {
            Sight::Preface => Part::Request,
            Sight::Side(part) if self.is_agreed(piece.direction, part) => part,
            _ => {
                *self.sights.of_mut(piece.direction) = sight;
                self.await_sides(piece, ctx);
                return false;
            }
        };
        let direction = piece.direction;
        let requests = if part == Part::Request { direction } else { direction.opposite() };
        self.share(Multiplex::new(requests, sight == Sight::Preface), ctx);
        let other = self.streams.of(direction.opposite());
        if other.next.is_some() && other.buffer.is_empty() {
            self.lose_frames(direction.opposite(), piece.at, ctx);
        } else {
            self.catch_up(direction.opposite(), piece.at, ctx);
        }
        self.catch_up(direction, piece.at, ctx);
        true
    }

    /// Without a preface both directions have to look like it.
    fn is_agreed(&self, direction: Direction, part: Part) -> bool {
        match *self.sights.of(direction.opposite()) {
            Sight::Frames => true,
            Sight::Side(other) => other != part,
            Sight::Preface | Sight::Short | Sight::No => false,
        }
    }

    /// Frames that may be somebody else's: the first ones of a connection are kept until the other side has spoken. A server may speak
    /// first too.
    fn await_sides(&mut self, piece: Piece<'_>, ctx: &mut Context<'_>) {
        let is_first = self.is_whole && self.streams.of(piece.direction.opposite()).next.is_none();
        let stream = self.streams.of_mut(piece.direction);
        if stream.buffer.is_empty() {
            stream.begin(piece.at, piece.begins_turn, piece.at, 0);
        }
        stream.advance(piece.data.len());
        let fits = stream.buffer.len() + piece.data.len() <= ctx.rules.settings.max_head_bytes;
        if !(is_first && fits && ctx.keep(&mut stream.buffer, piece.data)) {
            ctx.release(&mut stream.buffer);
            stream.state = State::Searching;
        }
    }

    /// The response to the request that is first in line agreed to HTTP/2: its answer comes on the first stream.
    pub(super) fn switch_to_frames(&mut self, at: Nanos, ctx: &mut Context<'_>) {
        let requests = self.requests().filter(|requests| {
            let is_whole = self.streams.of(*requests).is_idle();
            is_whole && self.pairing.open.len() == 1
        });
        let (Some(requests), Some(open)) = (requests, self.pairing.open.pop_front_if(|open| open.certain))
        else {
            return self.switch(at, ctx);
        };
        let mut multiplex = Multiplex::new(requests, true);
        multiplex.streams.upgrade(open, at);
        self.share(multiplex, ctx);
        self.reading = None;
        for direction in [Direction::Egress, Direction::Ingress] {
            self.disarm(direction, ctx);
            let stream = self.streams.of_mut(direction);
            ctx.release(&mut stream.buffer);
            stream.state = State::Framing;
        }
    }

    /// From here on exchanges share the connection.
    fn share(&mut self, multiplex: Multiplex, ctx: &mut Context<'_>) {
        ctx.frames(self.id, true);
        self.phase = Phase::Sharing(Box::new(multiplex));
    }

    /// Reads what was kept of a direction before it was known what it speaks.
    fn catch_up(&mut self, direction: Direction, at: Nanos, ctx: &mut Context<'_>) {
        let stream = self.streams.of_mut(direction);
        stream.state = State::Framing;
        let kept = std::mem::take(&mut stream.buffer);
        let Some(actor) = stream.last_actor.filter(|_| !kept.is_empty()) else { return };
        ctx.shared.buffered = ctx.shared.buffered.saturating_sub(kept.len());
        let back = u32::try_from(kept.len()).unwrap_or_default();
        stream.next = stream.next.map(|next| next.wrapping_sub(back));
        self.feed_frames(Piece { direction, data: &kept, at, actor, begins_turn: true }, ctx);
    }

    /// Reads bytes that continue their direction.
    pub(super) fn feed_frames(&mut self, piece: Piece<'_>, ctx: &mut Context<'_>) {
        let direction = piece.direction;
        let mut rest = piece.data;
        if self.streams.of(direction).state == State::Searching && !self.resume(piece, ctx) {
            return;
        }
        while !rest.is_empty() {
            let Phase::Sharing(_) = &self.phase else { return };
            let stream = self.streams.of_mut(direction);
            match stream.state {
                State::Payload { left, .. } => {
                    let taken = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                    stream.advance(taken);
                    rest = rest.get(taken..).unwrap_or_default();
                    self.pass_payload(direction, taken as u64, left, piece.at, ctx);
                }
                State::Searching => {
                    ctx.shared.counts.unsynchronised_bytes += rest.len() as u64;
                    return stream.advance(rest.len());
                }
                State::Head | State::Framing | State::Rest(_) => {
                    let Some(after) = self.read_frame(piece, rest, ctx) else { return };
                    rest = after;
                }
            }
        }
    }

    /// Reads one frame at the start of `rest`; what follows it, unless more bytes are needed.
    fn read_frame<'a>(
        &mut self,
        piece: Piece<'_>,
        rest: &'a [u8],
        ctx: &mut Context<'_>,
    ) -> Option<&'a [u8]> {
        let direction = piece.direction;
        let max = ctx.rules.settings.max_head_bytes;
        let Connection { phase: Phase::Sharing(shared), streams, .. } = self else { return None };
        let stream = streams.of_mut(direction);
        let kept = stream.buffer.len();
        if kept == 0 {
            stream.begin(piece.at, piece.begins_turn, piece.at, 0);
        } else if !ctx.keep(&mut stream.buffer, rest) {
            stream.advance(rest.len());
            self.lose_frames(direction, piece.at, ctx);
            return None;
        }
        let bytes = if kept == 0 { rest } else { stream.buffer.as_slice() };
        let part = if direction == shared.requests { Part::Request } else { Part::Response };
        match shared.session.read(part, bytes, &ctx.rules.keep, max) {
            Step::Need => {
                if kept == 0 && !ctx.keep(&mut stream.buffer, rest) {
                    self.lose_frames(direction, piece.at, ctx);
                }
                self.streams.of_mut(direction).advance(rest.len());
                None
            }
            Step::Got { says, used, payload } => {
                let head = HeadAt {
                    first: stream.first,
                    fingerprint: fingerprint(bytes.get(..used).unwrap_or(bytes)),
                    is_cut: false,
                };
                let used = used.saturating_sub(kept).min(rest.len());
                stream.advance(used);
                ctx.release(&mut stream.buffer);
                if payload > 0 {
                    stream.state = State::Payload { left: u64::from(payload), framed: true };
                } else {
                    stream.state = State::Framing;
                }
                *shared.spoken.of_mut(direction) = true;
                let is_held = matches!(says, Says::Begins | Says::Head { .. });
                self.take_frame(piece, says, payload, head, ctx);
                if is_held {
                    self.account(direction, piece.at, ctx);
                }
                rest.get(used..)
            }
            Step::Bad => {
                stream.advance(rest.len());
                self.malformed_frames(direction, piece.at, ctx);
                None
            }
            Step::Hostile => {
                self.give_up_sharing(piece.at, ctx);
                None
            }
        }
    }

    fn take_frame(
        &mut self,
        piece: Piece<'_>,
        says: Says,
        payload: u32,
        head: HeadAt,
        ctx: &mut Context<'_>,
    ) {
        let direction = piece.direction;
        let Phase::Sharing(shared) = &mut self.phase else { return };
        let part = shared.part(direction);
        let says = match says {
            Says::Nothing => return,
            Says::Begins => {
                shared.block.of_mut(direction).get_or_insert(head);
                return;
            }
            Says::Data { stream, bytes, ends: true } if payload > 0 => {
                *shared.last.of_mut(direction) = Some(stream);
                Says::Data { stream, bytes, ends: false }
            }
            says => says,
        };
        let head = match says {
            Says::Head { .. } => shared.block.of_mut(direction).take().unwrap_or(head),
            _ => head,
        };
        self.on_frame(piece, part, says, head, ctx);
    }

    /// `bytes` of the `left` bytes of a frame's payload moved.
    fn pass_payload(
        &mut self,
        direction: Direction,
        bytes: u64,
        left: u64,
        at: Nanos,
        ctx: &mut Context<'_>,
    ) {
        let stream = self.streams.of_mut(direction);
        let left = left.saturating_sub(bytes);
        if left > 0 {
            stream.state = State::Payload { left, framed: true };
            return;
        }
        stream.state = State::Framing;
        let Phase::Sharing(shared) = &mut self.phase else { return };
        let part = shared.part(direction);
        if let Some(stream) = shared.last.of_mut(direction).take() {
            self.end_side(stream, part, at, ctx);
        }
    }

    /// `bytes` bytes of a direction moved, the last of them by `at`, and none of them was seen.
    pub(super) fn pass_frames(&mut self, direction: Direction, bytes: u64, at: Nanos, ctx: &mut Context<'_>) {
        let mut ahead = bytes;
        while ahead > 0 {
            let stream = self.streams.of_mut(direction);
            if let State::Payload { left, .. } = stream.state {
                let payload = left.min(ahead);
                stream.advance(usize::try_from(payload).unwrap_or(usize::MAX));
                ctx.shared.counts.uncopied_body_bytes += payload;
                ahead -= payload;
                self.pass_payload(direction, payload, left, at, ctx);
                continue;
            }
            if stream.state != State::Searching {
                ctx.shared.counts.gaps += 1;
                ctx.shared.counts.missing_bytes += ahead;
                self.lose_frames(direction, at, ctx);
            }
            self.streams.of_mut(direction).advance(usize::try_from(ahead).unwrap_or(usize::MAX));
            return;
        }
    }

    /// Frames of a direction were lost: it is searched for the next one.
    pub(super) fn lose_frames(&mut self, direction: Direction, at: Nanos, ctx: &mut Context<'_>) {
        let Connection { phase: Phase::Sharing(shared), streams, .. } = self else { return };
        let stream = streams.of_mut(direction);
        ctx.release(&mut stream.buffer);
        stream.state = State::Searching;
        *shared.block.of_mut(direction) = None;
        *shared.last.of_mut(direction) = None;
        let part = shared.part(direction);
        shared.session.lose(part);
        shared.streams.doubt(part, at);
        self.settle_account(ctx);
    }

    /// Does a frame begin here, after a loss?
    fn resume(&mut self, piece: Piece<'_>, ctx: &mut Context<'_>) -> bool {
        let Connection { phase: Phase::Sharing(shared), streams, .. } = self else { return false };
        let stream = streams.of_mut(piece.direction);
        let newest = shared.streams.newest();
        let is_near = |number: u32| {
            shared.streams.is_open(number) || newest == 0 || number <= newest.saturating_add(NEAR)
        };
        if http2::holds_together(shared.part(piece.direction), piece.data, is_near) {
            stream.state = State::Framing;
            return true;
        }
        ctx.shared.counts.unsynchronised_bytes += piece.data.len() as u64;
        stream.advance(piece.data.len());
        false
    }

    /// A direction makes no sense.
    fn malformed_frames(&mut self, direction: Direction, at: Nanos, ctx: &mut Context<'_>) {
        ctx.shared.counts.malformed += 1;
        self.lose_frames(direction, at, ctx);
        let Phase::Sharing(shared) = &mut self.phase else { return };
        shared.malformed = shared.malformed.saturating_add(1);
        if !shared.is_confirmed() && !shared.spoken.of(direction) {
            self.end_all_streams(at, End::Lost, ctx);
            ctx.frames(self.id, false);
            return self.retract(at, ctx);
        }
        if shared.malformed >= MALFORMED_MAX {
            self.give_up_sharing(at, ctx);
        }
    }

    /// The connection is of no more use.
    fn give_up_sharing(&mut self, at: Nanos, ctx: &mut Context<'_>) {
        ctx.shared.counts.stopped_http2 += 1;
        self.end_all_streams(at, End::Lost, ctx);
        self.stop(ctx);
    }
}
