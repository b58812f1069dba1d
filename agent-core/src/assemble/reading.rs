//! Reads the bytes of one direction: frames by the parser, bodies by arithmetic.
//!
//! Shape: a [`Piece`] that continues the stream in; frames go to `exchanges`. Bytes are copied only when a frame spans pieces.
use super::{
    connection::{Connection, Phase, Piece},
    context::Context,
    stream::{First, Rest, State},
};
use crate::{
    event::{Direction, Nanos},
    protocols::{Body, Frame, Head, Message, Part, Progress, Reading, Sniff},
};

/// What is known of a head beside its fields.
#[derive(Clone, Copy)]
pub(super) struct HeadAt {
    pub(super) first: First,
    pub(super) fingerprint: u64,
    /// A part of it was not seen.
    pub(super) is_cut: bool,
}

impl Connection {
    /// Reads bytes that continue their stream.
    pub(super) fn feed(&mut self, piece: Piece<'_>, ctx: &mut Context<'_>) {
        if piece.data.is_empty() {
            return;
        }
        if matches!(self.phase, Phase::Unknown) && !self.recognise(piece, ctx) {
            return;
        }
        let direction = piece.direction;
        let mut rest = piece.data;
        let mut is_start = true;
        while !rest.is_empty() {
            if matches!(self.phase, Phase::Sharing(_)) {
                return self.feed_frames(Piece { data: rest, ..piece }, ctx);
            }
            if is_start {
                self.consider_start(piece, ctx);
            }
            let begins_turn = piece.begins_turn && is_start;
            is_start = false;
            let stream = self.streams.of_mut(direction);
            match stream.state {
                _ if matches!(self.phase, Phase::Stopped) => return,
                State::Searching => {
                    ctx.shared.counts.unsynchronised_bytes += rest.len() as u64;
                    return stream.advance(rest.len());
                }
                State::Rest(_) => {
                    stream.body_bytes += rest.len() as u64;
                    stream.advance(rest.len());
                    return self.consider_tail(piece);
                }
                State::Payload { left, framed } => {
                    let body = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                    stream.advance(body);
                    rest = rest.get(body..).unwrap_or_default();
                    self.consume(direction, body as u64, left, framed, piece.at, ctx);
                }
                State::Head | State::Framing => {
                    let Some(after) = self.parse(piece, rest, begins_turn, ctx) else { return };
                    rest = after;
                }
            }
        }
    }

    /// `bytes` of the `left` bytes of body moved.
    pub(super) fn consume(
        &mut self,
        direction: Direction,
        bytes: u64,
        left: u64,
        framed: bool,
        at: Nanos,
        ctx: &mut Context<'_>,
    ) {
        let stream = self.streams.of_mut(direction);
        stream.body_bytes = stream.body_bytes.saturating_add(bytes);
        let left = left.saturating_sub(bytes);
        if left > 0 {
            stream.state = State::Payload { left, framed };
        } else if framed {
            stream.state = State::Framing;
            self.disarm(direction, ctx);
        } else {
            self.end_message(direction, at, false, ctx);
        }
    }

    /// Reads one frame at the start of `rest`; what follows it, unless more bytes are needed.
    fn parse<'a>(
        &mut self,
        piece: Piece<'_>,
        rest: &'a [u8],
        begins_turn: bool,
        ctx: &mut Context<'_>,
    ) -> Option<&'a [u8]> {
        let direction = piece.direction;
        let last_at = self.streams.egress.last_at.max(self.streams.ingress.last_at);
        let Phase::Speaking(speech) = &mut self.phase else { return None };
        let part = speech.part(direction);
        let asked = self.pairing.open.front().map(|open| open.asked).unwrap_or_default();
        let reading = Reading { keep: &ctx.rules.keep, asked };
        let stream = self.streams.of_mut(direction);
        let kept = stream.buffer.len();
        if kept == 0 && stream.state == State::Head {
            stream.begin(piece.at, begins_turn, last_at, self.pairing.doubts);
        }
        if kept > 0 && !self.extend(direction, rest, ctx) {
            return self.cut(piece, rest, ctx);
        }
        let Phase::Speaking(speech) = &mut self.phase else { return None };
        let stream = self.streams.of_mut(direction);
        let bytes = if kept == 0 { rest } else { stream.buffer.as_slice() };
        match speech.parser.read(part, bytes, &reading) {
            Progress::Need => {
                if kept == 0 && !self.extend(direction, rest, ctx) {
                    return self.cut(piece, rest, ctx);
                }
                self.streams.of_mut(direction).advance(rest.len());
                None
            }
            Progress::Got(frame, used) => {
                let fingerprint = fingerprint(bytes);
                let used = used.saturating_sub(kept).min(rest.len());
                stream.advance(used);
                ctx.release(&mut stream.buffer);
                let head = HeadAt { first: stream.first, fingerprint, is_cut: false };
                self.frame(piece, frame, head, ctx);
                rest.get(used..)
            }
            Progress::Bad => {
                stream.advance(rest.len());
                self.malformed(direction, piece.at, ctx);
                None
            }
        }
    }

    /// Adds bytes to a head that spans pieces, unless it is too long.
    fn extend(&mut self, direction: Direction, bytes: &[u8], ctx: &mut Context<'_>) -> bool {
        let buffer = &mut self.streams.of_mut(direction).buffer;
        let is_short = buffer.len().saturating_add(bytes.len()) <= ctx.rules.settings.max_head_bytes;
        is_short && ctx.keep(buffer, bytes)
    }

    /// A head is longer than is kept: what is there must do.
    fn cut<'a>(&mut self, piece: Piece<'_>, rest: &[u8], ctx: &mut Context<'_>) -> Option<&'a [u8]> {
        let direction = piece.direction;
        let stream = self.streams.of_mut(direction);
        stream.advance(rest.len());
        if stream.state == State::Framing {
            self.drift(direction, ctx);
        } else {
            if stream.buffer.is_empty() {
                let head = rest.get(..ctx.rules.settings.max_head_bytes).unwrap_or(rest);
                ctx.keep(&mut stream.buffer, head);
            }
            self.cut_head(direction, piece.at, ctx);
        }
        None
    }

    /// A part of the head that is in the buffer is lost: what its first lines say is all that will come of it.
    pub(super) fn cut_head(&mut self, direction: Direction, at: Nanos, ctx: &mut Context<'_>) {
        ctx.shared.counts.heads_cut += 1;
        let asked = self.pairing.open.front().map(|open| open.asked).unwrap_or_default();
        let reading = Reading { keep: &ctx.rules.keep, asked };
        let stream = self.streams.of_mut(direction);
        let mut buffer = std::mem::take(&mut stream.buffer);
        let head = HeadAt { first: stream.first, fingerprint: fingerprint(&buffer), is_cut: true };
        let actor = stream.last_actor;
        stream.state = State::Searching;
        let given_up = match &mut self.phase {
            Phase::Speaking(speech) => speech.parser.give_up(speech.part(direction), &buffer, &reading),
            Phase::Sharing(_) | Phase::Unknown | Phase::Stopped => None,
        };
        ctx.release(&mut buffer);
        let (Some(given_up), Some(actor)) = (given_up, actor) else {
            return self.lose_boundary(direction, at, ctx);
        };
        let piece = Piece { direction, data: &[], at, actor, begins_turn: false };
        self.frame(piece, Frame::Head(given_up), head, ctx);
    }

    fn frame(&mut self, piece: Piece<'_>, frame: Frame, at: HeadAt, ctx: &mut Context<'_>) {
        let stream = self.streams.of_mut(piece.direction);
        match frame {
            Frame::Payload(left) => stream.state = State::Payload { left, framed: true },
            Frame::End => self.end_message(piece.direction, piece.at, false, ctx),
            Frame::Head(Head { message, body }) => {
                let is_read = match message {
                    Message::Request(call, asked) => {
                        self.on_request(piece, call, asked, at, ctx);
                        true
                    }
                    Message::Interim => {
                        self.confirm();
                        false
                    }
                    Message::Response(answer) => self.on_response(piece, answer, at, ctx),
                };
                if is_read {
                    self.begin_body(piece, body, ctx);
                }
            }
        }
    }

    fn begin_body(&mut self, piece: Piece<'_>, body: Body, ctx: &mut Context<'_>) {
        let stream = self.streams.of_mut(piece.direction);
        match body {
            Body::Empty => {
                stream.begin_body(State::Head);
                self.end_message(piece.direction, piece.at, false, ctx);
            }
            Body::Length(left) => stream.begin_body(State::Payload { left, framed: false }),
            Body::Framed => stream.begin_body(State::Framing),
            Body::UntilClose => stream.begin_body(State::Rest(Rest::UntilClose)),
            Body::Unknown => stream.begin_body(State::Rest(Rest::Adrift)),
            Body::Switch => self.switch(piece.at, ctx),
            Body::SwitchToHttp2 => self.switch_to_frames(piece.at, ctx),
        }
    }

    /// The first bytes of a piece may be the start of a message where none was expected.
    fn consider_start(&mut self, piece: Piece<'_>, ctx: &mut Context<'_>) {
        let direction = piece.direction;
        if self.goes_on_after_its_end(direction, piece.begins_turn, piece.data) {
            self.streams.of_mut(direction).state = State::Searching;
        }
        let Phase::Speaking(speech) = &self.phase else { return };
        let part = speech.part(direction);
        let stream = self.streams.of(direction);
        let may_start = match (part, stream.state) {
            (_, State::Head | State::Framing) => return,
            (Part::Response, State::Rest(_)) => return self.contradict_tail(piece, ctx),
            (Part::Response, _) => return,
            (Part::Request, State::Searching) => true,
            (Part::Request, State::Rest(rest)) => {
                !(self.is_reading() && self.pairing.is_sure())
                    || (rest == Rest::AdriftFramed && self.is_after_an_answer(piece))
            }
            // A client that was refused before its body (RFC 9110 §10.1.1) may go on with another request.
            (Part::Request, State::Payload { .. }) => stream.body_bytes == 0 && !self.is_reading(),
        };
        if !may_start {
            return;
        }
        if !piece.begins_turn {
            // A request in the middle of a turn of which something is missing: there was another before it.
            let is_request = speech.protocol.sniff(piece.data) == Sniff::Yes(Part::Request);
            if is_request && stream.state == State::Searching {
                self.pairing.count_hidden_overlap();
            }
            return;
        }
        // Part of a start line is enough: some servers read the first byte of a request by itself.
        if matches!(speech.protocol.sniff(piece.data), Sniff::Yes(Part::Response) | Sniff::No) {
            return;
        }
        self.reset(direction, ctx);
    }

    /// Both bodies go by unseen, and this looks like the next request: inside a chunk, a turn begins with the chunk's own size.
    fn is_after_an_answer(&self, piece: Piece<'_>) -> bool {
        let Phase::Speaking(speech) = &self.phase else { return false };
        matches!(
            self.streams.of(piece.direction.opposite()).state,
            State::Rest(Rest::Adrift | Rest::AdriftFramed)
        ) && speech.protocol.sniff(piece.data) == Sniff::Yes(Part::Request)
    }

    /// The next byte of this direction begins a message.
    pub(super) fn reset(&mut self, direction: Direction, ctx: &mut Context<'_>) {
        self.disarm(direction, ctx);
        let stream = self.streams.of_mut(direction);
        stream.state = State::Head;
        stream.tail_at = None;
        ctx.release(&mut stream.buffer);
        if let Phase::Speaking(speech) = &mut self.phase {
            let part = speech.part(direction);
            speech.parser.reset(part);
        }
    }
}

/// FNV-1a of the first 32 bytes: the same at both ends of a connection, on every node.
pub(super) fn fingerprint(bytes: &[u8]) -> u64 {
    bytes.iter().take(32).fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
