//! What a connection speaks: found from the first bytes of its turns, taken back when the other direction disagrees.
//!
//! Shape: a [`Piece`] of a connection whose protocol is unknown in. What nobody recognises is stopped after a few turns;
//! what can only be of no use (TLS) at once.
use super::{
    connection::{Connection, Phase, Piece, Speech},
    context::Context,
    stream::State,
};
use crate::{
    event::{Direction, Nanos},
    protocols::{
        Foreign, PROTOCOLS, Part, Protocol, Sniff,
        http2::{self, Sight},
    },
};

/// Turns that no sniffer knows, in both directions together, before a connection is stopped. One may have been joined in the
/// middle of a body; after that a turn begins with a message.
const UNMATCHED: u8 = 8;
/// Weight of a protocol that was taken back.
const RETRACTED: u8 = 4;

impl Connection {
    /// Finds out what a piece's direction speaks; true if the piece can be read now.
    pub(super) fn recognise(&mut self, piece: Piece<'_>, ctx: &mut Context<'_>) -> bool {
        self.opener.get_or_insert(piece.direction);
        let stream = self.streams.of_mut(piece.direction);
        let joined;
        let is_begun = !stream.buffer.is_empty();
        let bytes = if is_begun {
            joined = [stream.buffer.as_slice(), piece.data].concat();
            joined.as_slice()
        } else {
            piece.data
        };
        if let Some(Foreign::Tls) = Foreign::sniff(bytes) {
            ctx.shared.counts.stopped_tls += 1;
            self.stop(ctx);
            return false;
        }
        let begins_turn = if is_begun { stream.first.begins_turn } else { piece.begins_turn };
        let sight = if begins_turn { http2::sniff(bytes) } else { Sight::No };
        if !matches!(sight, Sight::No | Sight::Short) {
            return self.recognise_frames(piece, sight, ctx);
        }
        let mut is_short = sight == Sight::Short;
        for &protocol in PROTOCOLS {
            match protocol.sniff(bytes) {
                // In the middle of a turn it may be the content of a body.
                Sniff::Yes(Part::Request) if !begins_turn => self.pairing.count_hidden_overlap(),
                Sniff::Yes(_) | Sniff::Short if !begins_turn => {}
                Sniff::Yes(part) => return self.adopt(protocol, part, piece, ctx),
                Sniff::Short => is_short = true,
                Sniff::No => {}
            }
        }
        let last_at = self.streams.egress.last_at.max(self.streams.ingress.last_at);
        let stream = self.streams.of_mut(piece.direction);
        if stream.buffer.is_empty() {
            stream.begin(piece.at, piece.begins_turn, last_at, self.pairing.doubts);
        }
        let fits = stream.buffer.len() + piece.data.len() <= ctx.rules.settings.max_head_bytes;
        stream.advance(piece.data.len());
        if !(is_short && fits && ctx.keep(&mut stream.buffer, piece.data)) {
            self.no_match(piece, ctx);
        }
        false
    }

    fn no_match(&mut self, piece: Piece<'_>, ctx: &mut Context<'_>) {
        let stream = self.streams.of_mut(piece.direction);
        ctx.release(&mut stream.buffer);
        stream.state = State::Searching;
        // The middle of a turn says nothing: some read a frame's header first, and then the rest of it.
        if piece.begins_turn {
            *self.sights.of_mut(piece.direction) = Sight::No;
            self.unmatched = self.unmatched.saturating_add(1);
        }
        let is_two_way = self.streams.egress.next.is_some() && self.streams.ingress.next.is_some();
        if is_two_way && self.unmatched >= UNMATCHED {
            ctx.shared.counts.stopped_unknown += 1;
            self.stop(ctx);
        }
    }

    /// A message of this protocol begins; true if its first bytes can be read.
    fn adopt(
        &mut self,
        protocol: &'static dyn Protocol,
        part: Part,
        piece: Piece<'_>,
        ctx: &mut Context<'_>,
    ) -> bool {
        let direction = piece.direction;
        let requests = match part {
            Part::Request => direction,
            Part::Response => direction.opposite(),
        };
        self.phase = Phase::Speaking(Speech {
            protocol,
            parser: protocol.open(),
            requests,
            is_confirmed: false,
            malformed: 0,
        });
        if !self.is_whole {
            self.pairing.doubt();
        }
        let other = self.streams.of_mut(direction.opposite());
        self.pairing.is_proven = other.next.is_none() && part == Part::Request;
        if other.next.is_some() {
            ctx.release(&mut other.buffer);
            other.state = State::Searching;
        }
        let stream = self.streams.of_mut(direction);
        if part == Part::Request {
            stream.state = State::Head;
            return true;
        }
        // Its request was before the first byte that was seen.
        ctx.shared.counts.unpaired_responses += 1;
        ctx.release(&mut stream.buffer);
        stream.state = State::Searching;
        self.streams.of_mut(requests).state = State::Searching;
        true
    }

    /// The other direction does not speak the protocol: it was something else that looked alike.
    pub(super) fn retract(&mut self, at: Nanos, ctx: &mut Context<'_>) {
        ctx.shared.counts.retracted += 1;
        self.lose_all(at, ctx);
        self.reading = None;
        for direction in [Direction::Egress, Direction::Ingress] {
            self.disarm(direction, ctx);
            let stream = self.streams.of_mut(direction);
            ctx.release(&mut stream.buffer);
            stream.state = State::Searching;
        }
        self.close_account(ctx);
        self.phase = Phase::Unknown;
        self.is_whole = false;
        self.unmatched = self.unmatched.saturating_add(RETRACTED);
        if self.unmatched >= UNMATCHED {
            ctx.shared.counts.stopped_unknown += 1;
            self.stop(ctx);
        }
    }
}
