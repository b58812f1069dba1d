//! One connection: two sides, and the requests that are open between them.
//!
//! Shape: records, marks and endings in; facts and commands out. Pairing is by order (RFC 9112 §9.3.2): the first open
//! request gets the next final response. Not here: order within a side (see `side`), parsing (see `protocols`).
//! Invariant: at most `max_open` requests; after loss a response is paired only where no other pairing is possible.
use super::{
    Command, Context, Mark,
    side::{Arrival, HOLD_NS, Piece, Side, State},
};
use crate::{
    event::{Actor, ConnId, Direction, Ending, Endpoints, Nanos, ProcessId, Reached, Segment, Uncopied},
    exchange::{
        Answer, Answering, Call, End, Ended, ExchangeId, Fact, HttpRequest, Incomplete, Opened, Role,
    },
    protocols::{
        Framing, Head,
        http1::{self, Chunks, Start},
    },
};
use std::collections::VecDeque;

/// Pieces that begin no message on each side, after which a connection without any exchange is given up.
const FRUITLESS_BOTH: u32 = 3;
/// The same, both sides together.
const FRUITLESS: u32 = 32;
/// Bytes of a message that are surely copied in the direction that answers; beyond it a mark is wanted.
const ANSWER_COPIED: u64 = 4 * 1024;
/// The same in the direction that asks: less than the budget, to save copying.
const REQUEST_COPIED: u64 = 16 * 1024;
/// The end of a chunked body without trailers. RFC 9112 §7.1.
const LAST_CHUNK: Mark = Mark::Tail { bytes: *b"\r\n0\r\n\r\n\0", len: 7 };

/// A request without its whole response.
struct Open {
    id: ExchangeId,
    method: String,
    head_at: Nanos,
    request_end: Option<Nanos>,
    request_body: Option<u64>,
    answer: Option<Answer>,
    incomplete: Incomplete,
}

/// One connection.
pub(super) struct Conversation {
    conn: ConnId,
    endpoints: Endpoints,
    process: ProcessId,
    egress: Side,
    ingress: Side,
    /// The direction that carries requests, once a message said so.
    asks: Option<Direction>,
    open: VecDeque<Open>,
    /// The request whose body is on its way.
    receiving: Option<ExchangeId>,
    /// The request whose response body is on its way.
    answered: Option<ExchangeId>,
    /// When the last response came that has no request.
    orphan_at: Option<Nanos>,
    fruitless: [u32; 2],
    exchanges: u64,
    pipelined: bool,
    stopped: bool,
    first_fin: Option<(Ending, Nanos)>,
    last_at: Nanos,
}

impl Conversation {
    pub(super) fn new(first: &Segment<'_>) -> Conversation {
        Conversation {
            conn: first.conn,
            endpoints: first.endpoints,
            process: first.actor.process,
            egress: Side::new(),
            ingress: Side::new(),
            asks: None,
            open: VecDeque::new(),
            receiving: None,
            answered: None,
            orphan_at: None,
            fruitless: [0; 2],
            exchanges: 0,
            pipelined: false,
            stopped: false,
            first_fin: None,
            last_at: first.at,
        }
    }

    pub(super) fn conn(&self) -> ConnId {
        self.conn
    }

    pub(super) fn process(&self) -> ProcessId {
        self.process
    }

    pub(super) fn last_at(&self) -> Nanos {
        self.last_at
    }

    pub(super) fn holds(&self) -> bool {
        !self.egress.held.is_empty() || !self.ingress.held.is_empty()
    }

    /// A record.
    pub(super) fn segment(&mut self, record: &Segment<'_>, ctx: &mut Context<'_>) {
        if self.stopped {
            return;
        }
        self.last_at = self.last_at.max(record.at);
        self.process = record.actor.process;
        if matches!(record.uncopied, Uncopied::Unreadable | Uncopied::NoBuffer) {
            ctx.counts.unreadable += 1;
        }
        if !self.arrive(record, false, ctx) {
            ctx.counts.reordered += 1;
            if !self.side(record.direction).hold(record) {
                self.arrive(record, true, ctx);
            }
        }
        self.unhold(None, ctx);
    }

    /// Takes a record if it is its turn, in its own direction and after what the other one had said; or by force.
    fn arrive(&mut self, record: &Segment<'_>, force: bool, ctx: &mut Context<'_>) -> bool {
        let direction = record.direction;
        if let Some(reached) = record.opposite
            && !self.catch_up(direction.opposite(), reached, force, ctx)
        {
            return false;
        }
        // The first record of a turn tells what the other direction had said: without that, an earlier one was lost.
        let other_spoke = self.side(direction.opposite()).next.is_some();
        if self.side(direction).next.is_none() && other_spoke && record.opposite.is_none() {
            self.unhold(Some(Nanos(record.at.0.saturating_add(HOLD_NS))), ctx);
            self.gap(direction, 0, ctx);
        }
        match self.side(direction).place(record) {
            Arrival::Old => {}
            Arrival::Now(piece) => self.feed(direction, piece, ctx),
            Arrival::Ahead(by) if self.side(direction).can_skip(by) => {
                self.pass(direction, by, record.at, ctx);
                self.again(direction, record, ctx);
            }
            Arrival::Ahead(by) if force => {
                self.gap(direction, by, ctx);
                self.again(direction, record, ctx);
            }
            Arrival::Ahead(_) => return false,
        }
        true
    }

    fn again(&mut self, direction: Direction, record: &Segment<'_>, ctx: &mut Context<'_>) {
        if let Arrival::Now(piece) = self.side(direction).place(record) {
            self.feed(direction, piece, ctx);
        }
    }

    /// Records that waited too long for their predecessor go on without it.
    pub(super) fn release(&mut self, now: Nanos, ctx: &mut Context<'_>) {
        self.unhold(Some(now), ctx);
    }

    /// Takes held records whose turn has come, the older side first; with `now`, also those that waited for [`HOLD_NS`].
    fn unhold(&mut self, now: Option<Nanos>, ctx: &mut Context<'_>) {
        let mut sides = [Direction::Ingress, Direction::Egress];
        let mut moved = true;
        while std::mem::take(&mut moved) {
            sides.sort_by_key(|direction| self.side(*direction).held_since());
            for direction in sides {
                let Some(held) = self.side(direction).first_held() else { continue };
                let force = now.is_some_and(|now| now.since(held.at) > HOLD_NS);
                if self.arrive(&held.record(self.conn, self.endpoints, direction), force, ctx) {
                    moved = true;
                    break;
                }
                self.side(direction).held.push(held);
            }
        }
    }

    /// A mark was passed.
    pub(super) fn progress(&mut self, direction: Direction, reached: Reached, ctx: &mut Context<'_>) {
        self.last_at = self.last_at.max(reached.at);
        let side = self.side(direction);
        side.marked = false;
        let Some(next) = side.next else { return };
        match side.state {
            State::Body(Framing::Length(left)) => {
                let ahead = reached.seq.wrapping_sub(next) as i32;
                if ahead >= 0 && u64::from(ahead.unsigned_abs()) >= left {
                    self.pass(direction, left as u32, reached.at, ctx);
                }
            }
            State::Chunked(_) | State::Blind => {
                side.next = Some(reached.seq);
                self.message_end(direction, reached.at, false, ctx);
            }
            _ => {}
        }
    }

    /// A direction had come this far: what was not copied of it is over. False: bytes are missing that may still come.
    fn catch_up(&mut self, direction: Direction, reached: Reached, force: bool, ctx: &mut Context<'_>) -> bool {
        let side = self.side(direction);
        let Some(next) = side.next else {
            if force {
                side.next = Some(reached.seq);
                self.gap(direction, 0, ctx);
            }
            return force;
        };
        let ahead = reached.seq.wrapping_sub(next) as i32;
        if ahead <= 0 {
            return true;
        }
        let ahead = ahead.unsigned_abs();
        if side.can_skip(ahead) {
            self.pass(direction, ahead, reached.at, ctx);
            return true;
        }
        if matches!(side.state, State::Chunked(_)) && (side.marked || force) {
            side.state = State::Blind;
            side.last_at = reached.at;
            side.next = Some(reached.seq);
            return true;
        }
        if force {
            self.gap(direction, ahead, ctx);
        }
        force
    }

    /// The connection is ending; true if nothing more can come.
    pub(super) fn ending(
        &mut self,
        at: Nanos,
        ending: Ending,
        reached: [Option<Reached>; 2],
        ctx: &mut Context<'_>,
    ) -> bool {
        self.release(Nanos(u64::MAX), ctx);
        let [egress, ingress] = reached;
        for (direction, reached) in [(Direction::Egress, egress), (Direction::Ingress, ingress)] {
            if let Some(reached) = reached {
                self.catch_up(direction, reached, true, ctx);
            }
        }
        if self.first_fin.is_none() {
            self.first_fin = Some((ending, at));
        }
        match ending {
            Ending::LocalFin => self.direction_over(Direction::Egress, ctx),
            Ending::RemoteFin => self.direction_over(Direction::Ingress, ctx),
            Ending::Closed | Ending::Reset => {
                self.direction_over(Direction::Egress, ctx);
                self.direction_over(Direction::Ingress, ctx);
                self.hang_up(ctx);
                return true;
            }
        }
        false
    }

    /// Bodies without a length end with their direction.
    fn direction_over(&mut self, direction: Direction, ctx: &mut Context<'_>) {
        let side = self.side(direction);
        if side.body_is_open_ended() {
            let at = side.last_at;
            self.message_end(direction, at, false, ctx);
        }
    }

    /// What is still open has no end: somebody went away.
    fn hang_up(&mut self, ctx: &mut Context<'_>) {
        let Some((first, at)) = self.first_fin else { return };
        let is_server = self.asks == Some(Direction::Ingress);
        let local_left = first == Ending::LocalFin;
        let end = if is_server == local_left { End::ServerGone } else { End::ClientGone };
        self.close(at, end, ctx);
    }

    /// Ends every open exchange.
    pub(super) fn close(&mut self, at: Nanos, end: End, ctx: &mut Context<'_>) {
        while let Some(open) = self.open.pop_front() {
            ended(open, at, end, None, ctx);
        }
        self.receiving = None;
        self.answered = None;
    }

    /// Takes a piece that is next in its direction.
    fn feed(&mut self, direction: Direction, piece: Piece<'_>, ctx: &mut Context<'_>) {
        let side = self.side(direction);
        side.last_at = side.last_at.max(piece.at);
        side.next = Some(piece.seq);
        let mut data = piece.data;
        while !data.is_empty() && !self.stopped {
            let used = self.step(direction, data, &piece, ctx).min(data.len());
            data = data.get(used..).unwrap_or_default();
        }
        if self.stopped {
            return;
        }
        if piece.missing > 0 {
            self.missing(direction, &piece, ctx);
        }
        self.mark(direction, &piece, ctx);
    }

    /// Takes the front of `data`: how much it took, at least one byte.
    fn step(&mut self, direction: Direction, data: &[u8], piece: &Piece<'_>, ctx: &mut Context<'_>) -> usize {
        match self.side(direction).state {
            State::Resync => self.resync(direction, data, piece, ctx),
            State::Head => self.head(direction, data, piece, ctx),
            State::Body(Framing::Length(left)) => {
                let used = data.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                self.pass(direction, used as u32, piece.at, ctx);
                used
            }
            State::Chunked(chunks) => self.chunks(direction, chunks, data, piece, ctx),
            State::Body(_) | State::Blind => {
                self.side(direction).advance(data.len());
                data.len()
            }
        }
    }

    /// Looks for the beginning of a message at the beginning of a piece.
    fn resync(&mut self, direction: Direction, data: &[u8], piece: &Piece<'_>, ctx: &mut Context<'_>) -> usize {
        let expected = match http1::start(data) {
            Start::Request => Some(direction),
            Start::Response => Some(direction.opposite()),
            Start::Short => self.asks.or(Some(direction)),
            Start::Other => None,
        };
        let agrees = expected.is_some() && (self.asks.is_none() || self.asks == expected || self.exchanges == 0);
        if agrees && http1::may_begin(data) {
            let side = self.side(direction);
            side.state = State::Head;
            side.searched_for = true;
            return self.head(direction, data, piece, ctx);
        }
        self.side(direction).advance(data.len());
        self.fruitless(direction, data, ctx);
        data.len()
    }

    /// No message begins with `data`. A connection on which none ever did is given up.
    fn fruitless(&mut self, direction: Direction, data: &[u8], ctx: &mut Context<'_>) {
        let [egress, ingress] = &mut self.fruitless;
        *(if direction == Direction::Egress { &mut *egress } else { &mut *ingress }) += 1;
        let given_up = (*egress >= FRUITLESS_BOTH && *ingress >= FRUITLESS_BOTH) || *egress + *ingress >= FRUITLESS;
        let is_tls = matches!(data, [0x16, 0x03, 0..=4, ..]);
        if self.exchanges == 0 && (is_tls || given_up) {
            *(if is_tls { &mut ctx.counts.stopped_tls } else { &mut ctx.counts.stopped_unknown }) += 1;
            self.stop(ctx);
        }
    }

    /// Collects a head.
    fn head(&mut self, direction: Direction, data: &[u8], piece: &Piece<'_>, ctx: &mut Context<'_>) -> usize {
        let limit = ctx.settings.max_head_bytes;
        let side = self.side(direction);
        if side.head_start.is_none() {
            let seq = side.next.unwrap_or(piece.seq);
            side.head_start = Some((seq, piece.at, piece.actor));
        }
        if side.head.is_empty()
            && let Some(len) = http1::head_len(data, 0)
        {
            let head = data.get(..len).unwrap_or(data);
            side.advance(len);
            self.message(direction, head, piece, ctx);
            return len;
        }
        let before = side.head.len();
        let room = limit.saturating_sub(before);
        side.head.extend_from_slice(data.get(..room).unwrap_or(data));
        let Some(len) = http1::head_len(&side.head, side.searched) else {
            side.searched = side.head.len();
            side.advance(data.len());
            let is_other = http1::start(&side.head) == Start::Other;
            let is_full = side.head.len() >= limit;
            if is_other || is_full {
                let begun = std::mem::take(&mut side.head);
                *(if is_full { &mut ctx.counts.head_too_long } else { &mut ctx.counts.malformed }) += 1;
                self.lose(direction, ctx);
                self.fruitless(direction, &begun, ctx);
            }
            return data.len();
        };
        let used = len.saturating_sub(before);
        let mut head = std::mem::take(&mut side.head);
        head.truncate(len);
        side.searched = 0;
        side.advance(used);
        self.message(direction, &head, piece, ctx);
        used.max(1)
    }

    /// A head is whole.
    fn message(&mut self, direction: Direction, head: &[u8], piece: &Piece<'_>, ctx: &mut Context<'_>) {
        let Some(start) = self.side(direction).head_start.take() else { return };
        let side = self.side(direction);
        side.body_bytes = 0;
        let searched_for = std::mem::take(&mut side.searched_for);
        let keep = &ctx.settings.keep_fields;
        if http1::start(head) == Start::Response {
            let method = self.open.front().map(|open| open.method.as_str());
            match http1::response(head, keep, method) {
                Some((Head::Response(answer), framing)) => {
                    self.asks = Some(direction.opposite());
                    self.response(direction, *answer, framing, start, piece, ctx);
                }
                Some(_) => {}
                None => self.malformed(direction, ctx),
            }
            return;
        }
        match http1::request(head, keep) {
            Some((Head::Request(call), framing)) => {
                let Call::Http(request) = *call;
                let odd = searched_for && !http1::is_registered(&request.method);
                if odd || (self.asks == Some(direction.opposite()) && self.exchanges > 0) {
                    return self.malformed(direction, ctx);
                }
                self.asks = Some(direction);
                self.request(direction, head, request, framing, start, piece, ctx);
            }
            _ => self.malformed(direction, ctx),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "what one head is, spelled out once")]
    fn request(
        &mut self,
        direction: Direction,
        head: &[u8],
        request: HttpRequest,
        framing: Framing,
        (seq, at, _): (u32, Nanos, Actor),
        piece: &Piece<'_>,
        ctx: &mut Context<'_>,
    ) {
        self.finish_blind_response(direction.opposite(), ctx);
        self.begin_body(direction, framing);
        let answered_already = self.orphan_at.take().is_some_and(|orphan| orphan > piece.at);
        if answered_already {
            ctx.counts.unpaired_requests += 1;
            self.receiving = None;
        } else {
            self.make_room(piece.at, ctx);
            let id = ctx.exchange_id();
            self.pipelined |= !self.open.is_empty();
            self.exchanges += 1;
            ctx.counts.exchanges += 1;
            self.receiving = Some(id);
            self.open.push_back(Open {
                id,
                method: request.method.clone(),
                head_at: piece.at,
                request_end: None,
                request_body: None,
                answer: None,
                incomplete: Incomplete::default(),
            });
            let role = if direction == Direction::Ingress { Role::Server } else { Role::Client };
            ctx.out.facts.push(Fact::Opened(Box::new(Opened {
                id,
                role,
                protocol: "http",
                conn: self.conn,
                endpoints: self.endpoints,
                seq,
                fingerprint: fingerprint(head),
                at,
                head_at: piece.at,
                actor: piece.actor,
                call: Call::Http(request),
            })));
        }
        if framing == Framing::Length(0) {
            self.message_end(direction, piece.at, false, ctx);
        }
    }

    fn response(
        &mut self,
        direction: Direction,
        answer: Answer,
        framing: Framing,
        (_, at, actor): (u32, Nanos, Actor),
        piece: &Piece<'_>,
        ctx: &mut Context<'_>,
    ) {
        self.begin_body(direction, framing);
        // A response cannot be older than its request: that one belongs to a request that was lost.
        let front = self.open.front_mut().filter(|open| piece.at >= open.head_at);
        let Some(open) = front else {
            ctx.counts.unpaired_responses += 1;
            self.orphan_at = Some(piece.at);
            self.answered = None;
            if framing == Framing::Length(0) {
                self.message_end(direction, piece.at, false, ctx);
            }
            return;
        };
        open.answer = Some(answer);
        self.answered = Some(open.id);
        ctx.out.facts.push(Fact::Answering(Answering { id: open.id, at, actor }));
        match framing {
            Framing::Length(0) => self.message_end(direction, piece.at, false, ctx),
            Framing::Upgraded => {
                if let Some(open) = self.open.pop_front() {
                    ended(open, piece.at, End::Upgraded, None, ctx);
                }
                ctx.counts.stopped_upgraded += 1;
                self.stop(ctx);
            }
            _ => {}
        }
    }

    fn begin_body(&mut self, direction: Direction, framing: Framing) {
        self.side(direction).state = match framing {
            Framing::Chunked => State::Chunked(Chunks::START),
            Framing::Unknown => State::Blind,
            framing => State::Body(framing),
        };
    }

    fn chunks(
        &mut self,
        direction: Direction,
        mut chunks: Chunks,
        data: &[u8],
        piece: &Piece<'_>,
        ctx: &mut Context<'_>,
    ) -> usize {
        let Some(used) = chunks.walk(data) else {
            ctx.counts.malformed += 1;
            self.side(direction).state = State::Blind;
            return 0;
        };
        let side = self.side(direction);
        side.advance(used);
        side.body_bytes += used as u64;
        side.state = State::Chunked(chunks);
        if chunks == Chunks::Done {
            self.message_end(direction, piece.at, false, ctx);
        }
        used.max(1)
    }

    /// Passes over `bytes` of a body, seen or not; `at` is when the last of them moved.
    fn pass(&mut self, direction: Direction, bytes: u32, at: Nanos, ctx: &mut Context<'_>) {
        let side = self.side(direction);
        side.skip(bytes);
        side.last_at = side.last_at.max(at);
        if side.state == State::Body(Framing::Length(0)) {
            self.message_end(direction, at, false, ctx);
        }
    }

    /// The end of a piece was moved and not copied.
    fn missing(&mut self, direction: Direction, piece: &Piece<'_>, ctx: &mut Context<'_>) {
        let side = self.side(direction);
        if side.can_skip(piece.missing) {
            return self.pass(direction, piece.missing, piece.at, ctx);
        }
        if matches!(side.state, State::Chunked(_)) {
            side.state = State::Blind;
            side.advance(piece.missing as usize);
            return;
        }
        self.gap(direction, piece.missing, ctx);
    }

    /// Asks the kernel to time the end of a body that it will not copy.
    fn mark(&mut self, direction: Direction, piece: &Piece<'_>, ctx: &mut Context<'_>) {
        let copied = if self.asks == Some(direction) { REQUEST_COPIED } else { ANSWER_COPIED };
        let conn = self.conn;
        let side = self.side(direction);
        let cut = piece.uncopied == Uncopied::Policy;
        let mark = match (side.state, side.next) {
            (State::Body(Framing::Length(left)), Some(next)) if cut || side.body_bytes + left > copied => {
                u32::try_from(left).ok().filter(|left| *left < 1 << 31).map(|left| Mark::Seq(next.wrapping_add(left)))
            }
            (State::Chunked(_), _) if cut || side.body_bytes > copied / 2 => Some(LAST_CHUNK),
            (State::Blind, _) if cut => Some(LAST_CHUNK),
            _ => None,
        };
        let Some(mark) = mark.filter(|_| !side.marked) else { return };
        side.marked = true;
        ctx.out.commands.push(Command::Mark { conn, direction, mark });
    }

    /// A message is over.
    fn message_end(&mut self, direction: Direction, at: Nanos, inferred: bool, ctx: &mut Context<'_>) {
        let conn = self.conn;
        let is_request = self.asks == Some(direction);
        let side = self.side(direction);
        let body = side.body_bytes;
        side.state = State::Head;
        side.body_bytes = 0;
        if std::mem::take(&mut side.marked) {
            ctx.out.commands.push(Command::Unmark { conn, direction });
        }
        if is_request {
            let id = self.receiving.take();
            if let Some(open) = self.open.iter_mut().rev().find(|open| Some(open.id) == id) {
                open.request_end = Some(at);
                open.request_body = Some(body);
            }
            return;
        }
        let Some(id) = self.answered.take() else { return };
        if self.open.front().is_none_or(|open| open.id != id) {
            return;
        }
        if let Some(mut open) = self.open.pop_front() {
            open.incomplete.response_end |= inferred;
            ended(open, at, End::Complete, Some(body), ctx);
        }
    }

    /// A new request on a connection says that the response before it is over, where nothing else does.
    fn finish_blind_response(&mut self, direction: Direction, ctx: &mut Context<'_>) {
        let side = self.side(direction);
        if side.body_is_open_ended() && self.answered.is_some() && self.open.len() == 1 {
            let at = self.side(direction).last_at;
            self.message_end(direction, at, true, ctx);
        }
    }

    fn make_room(&mut self, at: Nanos, ctx: &mut Context<'_>) {
        if self.open.len() < ctx.settings.max_open {
            return;
        }
        // Which response belongs to which request can no longer be told.
        ctx.counts.evicted_requests += self.open.len() as u64;
        self.close(at, End::Evicted, ctx);
        self.stop(ctx);
    }

    /// Bytes are missing where they could not be spared.
    fn gap(&mut self, direction: Direction, bytes: u32, ctx: &mut Context<'_>) {
        ctx.counts.gap_bytes += u64::from(bytes);
        self.side(direction).advance(bytes as usize);
        self.lose(direction, ctx);
    }

    fn malformed(&mut self, direction: Direction, ctx: &mut Context<'_>) {
        ctx.counts.malformed += 1;
        self.lose(direction, ctx);
    }

    /// The direction starts anew, and what was open is ended with what is known of it.
    fn lose(&mut self, direction: Direction, ctx: &mut Context<'_>) {
        let conn = self.conn;
        let side = self.side(direction);
        side.lose();
        if std::mem::take(&mut side.marked) {
            ctx.out.commands.push(Command::Unmark { conn, direction });
        }
        let at = self.last_at;
        while let Some(mut open) = self.open.pop_front() {
            ctx.counts.unpaired_requests += 1;
            open.incomplete.response_head = open.answer.is_none();
            open.incomplete.response_end = true;
            open.incomplete.request_end = open.request_end.is_none();
            ended(open, at, End::Complete, None, ctx);
        }
        self.receiving = None;
        self.answered = None;
        if self.pipelined {
            self.stop(ctx);
        }
    }

    fn stop(&mut self, ctx: &mut Context<'_>) {
        self.stopped = true;
        self.egress = Side::new();
        self.ingress = Side::new();
        ctx.out.commands.push(Command::Stop { conn: self.conn });
    }

    fn side(&mut self, direction: Direction) -> &mut Side {
        match direction {
            Direction::Egress => &mut self.egress,
            Direction::Ingress => &mut self.ingress,
        }
    }
}

fn ended(open: Open, at: Nanos, end: End, response_body: Option<u64>, ctx: &mut Context<'_>) {
    let mut incomplete = open.incomplete;
    incomplete.request_end |= open.request_end.is_none();
    ctx.out.facts.push(Fact::Ended(Box::new(Ended {
        id: open.id,
        at,
        request_end: open.request_end,
        answer: open.answer,
        request_body_bytes: open.request_body,
        response_body_bytes: response_body,
        end,
        incomplete,
    })));
}

/// FNV-1a of the first 32 bytes: not secret, only different for different requests.
fn fingerprint(head: &[u8]) -> u64 {
    head.iter().take(32).fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
