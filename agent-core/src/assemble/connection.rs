//! One connection: takes its segments in order, and knows which bytes were not seen.
//!
//! Shape: a [`Segment`] in; bytes go to `reading`, gaps to `passing`. A segment that begins a turn says how far the other
//! direction had come: that direction is brought there first, so causes are read before effects.
use super::{
    context::Context,
    hold::Held,
    multiplex::Multiplex,
    pairing::Pairing,
    stream::{Armed, Both, State, Stream},
};
use crate::{
    event::{Actor, ConnId, Direction, Endpoints, Nanos, Reached, Segment, Uncopied},
    exchange::ExchangeId,
    protocols::{Parser, Part, Protocol, http2::Sight},
};

/// What a connection speaks.
pub(super) enum Phase {
    /// Not known yet.
    Unknown,
    /// This.
    Speaking(Speech),
    /// A protocol whose exchanges share the connection.
    Sharing(Box<Multiplex>),
    /// Nothing of use; nothing more is read.
    Stopped,
}

/// A recognised protocol.
pub(super) struct Speech {
    pub(super) protocol: &'static dyn Protocol,
    pub(super) parser: Box<dyn Parser>,
    /// The direction that carries requests.
    pub(super) requests: Direction,
    /// Both directions speak it.
    pub(super) is_confirmed: bool,
    /// Times it was not spoken, since it last was.
    pub(super) malformed: u8,
}

impl Speech {
    pub(super) fn part(&self, direction: Direction) -> Part {
        if direction == self.requests { Part::Request } else { Part::Response }
    }
}

/// One connection.
pub(super) struct Connection {
    pub(super) id: ConnId,
    pub(super) endpoints: Endpoints,
    /// When its last event was.
    pub(super) used_at: Nanos,
    pub(super) phase: Phase,
    pub(super) streams: Both<Stream>,
    pub(super) pairing: Pairing,
    /// Bytes to copy of each turn of answers, where more was asked for than the default.
    pub(super) answer_head: Option<u32>,
    /// The request whose body is being read.
    pub(super) reading: Option<ExchangeId>,
    /// Segments that wait for what came before them.
    pub(super) held: Vec<Held>,
    /// When each side sent its FIN: the local one, the remote one.
    pub(super) fins: [Option<Nanos>; 2],
    /// Nothing of this connection was missed since it was first seen, as far as can be told.
    pub(super) is_whole: bool,
    /// The direction whose bytes were seen first.
    pub(super) opener: Option<Direction>,
    /// Times that neither a protocol nor the start of one was recognised.
    pub(super) unmatched: u8,
    /// What the first bytes of each direction's last turn looked like, while it is not known what the connection speaks.
    pub(super) sights: Both<Sight>,
    /// On the list of connections that a tick looks at.
    pub(super) is_waiting: bool,
}

/// Bytes that continue a stream without a gap.
#[derive(Clone, Copy)]
pub(super) struct Piece<'a> {
    pub(super) direction: Direction,
    pub(super) data: &'a [u8],
    pub(super) at: Nanos,
    pub(super) actor: Actor,
    /// The first byte is the first of a turn.
    pub(super) begins_turn: bool,
}

impl Connection {
    pub(super) fn new(id: ConnId, endpoints: Endpoints, at: Nanos) -> Connection {
        Connection {
            id,
            endpoints,
            used_at: at,
            phase: Phase::Unknown,
            streams: Both { egress: Stream::new(), ingress: Stream::new() },
            pairing: Pairing::new(),
            answer_head: None,
            reading: None,
            held: Vec::new(),
            fins: [None; 2],
            is_whole: true,
            opener: None,
            unmatched: 0,
            sights: Both { egress: Sight::No, ingress: Sight::No },
            is_waiting: false,
        }
    }

    /// A segment, in whatever order.
    pub(super) fn segment(&mut self, segment: &Segment<'_>, ctx: &mut Context<'_>) {
        self.used_at = segment.at;
        if matches!(self.phase, Phase::Stopped) {
            return;
        }
        if self.held.is_empty() && self.is_ready(segment) {
            self.take(segment, ctx);
        } else {
            self.hold(segment, ctx);
        }
    }

    /// A segment whose turn has come.
    pub(super) fn take(&mut self, segment: &Segment<'_>, ctx: &mut Context<'_>) {
        let direction = segment.direction;
        let is_first = !self.is_started();
        if is_first {
            self.is_whole = segment.begins_turn && segment.opposite.is_none();
        }
        if let Some(reached) = segment.opposite {
            if self.held.is_empty() || !self.is_awaiting_request(direction.opposite(), reached.seq) {
                self.reach(direction.opposite(), reached, ctx);
            }
            self.begin_turn(direction, reached, ctx);
        }
        // With bytes missing on the other side, the first that is seen of a side need not be its first.
        let is_unseen = !is_first && self.streams.of(direction).next.is_none() && !self.pairing.is_sure();
        if is_unseen || self.is_inside_unseen_turn(segment) {
            self.streams.of_mut(direction).state = State::Searching;
            self.is_whole = false;
            self.lose_boundary(direction, segment.at, ctx);
        }
        if let Some(walk) = segment.walk {
            self.skip_frames(direction, segment.seq, walk, ctx);
        }
        let begun = self.begins_frame(direction, segment.seq);
        let Some((data, uncopied)) = self.align(segment, ctx) else { return };
        if let Some(walk) = segment.walk {
            self.follow_walk(direction, segment.seq, walk);
        }
        let stream = self.streams.of_mut(direction);
        stream.copied = stream.copied.saturating_add(u32::try_from(data.len()).unwrap_or(u32::MAX));
        stream.last_actor = Some(segment.actor);
        stream.remember_tail(data);
        let begins_turn = segment.begins_turn;
        self.feed(Piece { direction, data, at: segment.at, actor: segment.actor, begins_turn }, ctx);
        let stream = self.streams.of_mut(direction);
        if uncopied > 0 {
            stream.is_cut |= segment.uncopied == Uncopied::Policy;
            self.pass(direction, uncopied, segment.at, ctx);
        }
        let stream = self.streams.of_mut(direction);
        stream.last_at = stream.last_at.max(segment.at);
        if segment.walk.is_some_and(|walk| walk.begins) {
            self.judge_walk(direction, segment.seq, begun, ctx);
        }
        self.consider_mark(direction, ctx);
    }

    /// The part of a segment that is new: its bytes, and the number of bytes after them that were not copied.
    fn align<'a>(&mut self, segment: &Segment<'a>, ctx: &mut Context<'_>) -> Option<(&'a [u8], u64)> {
        let direction = segment.direction;
        let stream = self.streams.of_mut(direction);
        let ahead = stream.ahead(segment.seq);
        stream.next.get_or_insert(segment.seq);
        let mut data = segment.data;
        let mut moved = segment.moved;
        if ahead < 0 {
            let seen = ahead.unsigned_abs().min(moved);
            ctx.shared.counts.duplicate_bytes += u64::from(seen);
            moved -= seen;
            data = usize::try_from(seen).ok().and_then(|seen| data.get(seen..)).unwrap_or_default();
        }
        if ahead > 0 {
            self.pass(direction, u64::from(ahead.unsigned_abs()), segment.at, ctx);
        }
        let uncopied = u64::from(moved).saturating_sub(data.len() as u64);
        (moved > 0).then_some((data, uncopied))
    }

    /// A direction is known to have come this far.
    pub(super) fn reach(&mut self, direction: Direction, reached: Reached, ctx: &mut Context<'_>) {
        let is_unseen = self.streams.of(direction).next.is_none();
        if is_unseen {
            let stream = self.streams.of_mut(direction);
            stream.next = Some(reached.seq);
            stream.state = State::Searching;
            self.is_whole = false;
            self.lose_boundary(direction, reached.at, ctx);
        }
        let ahead = self.streams.of(direction).ahead(reached.seq);
        if ahead > 0 {
            self.pass(direction, u64::from(ahead.unsigned_abs()), reached.at, ctx);
        }
        let stream = self.streams.of_mut(direction);
        stream.last_at = stream.last_at.max(reached.at);
    }

    /// A turn begins in `direction`: the other one had come to `reached`.
    fn begin_turn(&mut self, direction: Direction, reached: Reached, ctx: &mut Context<'_>) {
        let stream = self.streams.of_mut(direction);
        stream.copied = 0;
        stream.is_cut = false;
        // The kernel side holds a turn's first call against no tail, and forgets the mark.
        stream.armed = stream.armed.filter(|armed| *armed != Armed::Tail);
        let Phase::Speaking(speech) = &self.phase else { return };
        if direction != speech.requests {
            self.settle_request(reached, ctx);
        }
    }

    /// Was any byte seen?
    pub(super) fn is_started(&self) -> bool {
        self.streams.egress.next.is_some() || self.streams.ingress.next.is_some()
    }

    /// The directions of requests and of responses, once a protocol is recognised.
    pub(super) fn requests(&self) -> Option<Direction> {
        match &self.phase {
            Phase::Speaking(speech) => Some(speech.requests),
            Phase::Sharing(_) | Phase::Unknown | Phase::Stopped => None,
        }
    }

    /// Does something here wait for time to pass?
    pub(super) fn needs_ticks(&self) -> bool {
        let has_tail = self.streams.egress.tail_at.is_some() || self.streams.ingress.tail_at.is_some();
        let is_in_doubt = matches!(&self.phase, Phase::Sharing(shared) if shared.streams.is_in_doubt());
        !self.held.is_empty() || has_tail || is_in_doubt
    }

    /// Nothing of this connection is of use any more.
    pub(super) fn stop(&mut self, ctx: &mut Context<'_>) {
        self.clear(ctx);
        self.phase = Phase::Stopped;
        ctx.stop(self.id);
    }

    /// Gives back what is held.
    pub(super) fn clear(&mut self, ctx: &mut Context<'_>) {
        ctx.release(&mut self.streams.egress.buffer);
        ctx.release(&mut self.streams.ingress.buffer);
        self.close_account(ctx);
        for mut held in self.held.drain(..) {
            ctx.release(&mut held.data);
        }
    }
}
