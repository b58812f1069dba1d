//! The life of the exchanges that share a connection: opened by a header block, answered, ended when both sides have said all.
//!
//! Shape: what frames say in, [`Fact`]s out.
//! Source: RFC 9113 §5.1 (states), §8.1 (messages), §6.4 and §6.8 (giving up).
use super::{
    connection::{Connection, Phase, Piece},
    context::Context,
    early::Early,
    pairing,
    reading::HeadAt,
};
use crate::{
    event::{Nanos, ProcessId},
    exchange::{Answer, Answering, Call, End, Ended, ExchangeId, Fact, Incomplete, Opened, Role},
    protocols::{
        Part,
        http2::{Block, Says, code},
    },
};
use std::collections::{BTreeMap, VecDeque};

/// Time after a loss for which a stream of which nothing more is seen may yet go on.
const DOUBT_NS: u64 = 5_000_000_000;

/// The exchanges of one connection, by the number of their stream.
#[derive(Default)]
pub(super) struct Streams {
    open: BTreeMap<u32, Open>,
    /// The highest stream on which a request was seen.
    newest: u32,
    /// Frames were lost, and one of them may be over.
    is_doubted: bool,
    /// Bytes of the fields of those that are open.
    pub(super) held: usize,
    pub(super) early: VecDeque<Early>,
}

/// An exchange that is not over.
struct Open {
    id: ExchangeId,
    process: ProcessId,
    at: Nanos,
    is_connect: bool,
    is_answering: bool,
    answer: Option<Answer>,
    request: Half,
    response: Half,
    incomplete: Incomplete,
    /// Bytes of its fields.
    held: usize,
}

/// One side's half of it.
#[derive(Default)]
struct Half {
    /// When it ended, once it has.
    end: Option<Nanos>,
    /// Bytes of body so far.
    bytes: u64,
    /// When frames were lost that may have been its own.
    lost_at: Option<Nanos>,
    /// All bytes of its body were counted.
    is_uncounted: bool,
}

impl Streams {
    pub(super) fn newest(&self) -> u32 {
        self.newest
    }

    pub(super) fn is_open(&self, stream: u32) -> bool {
        self.open.contains_key(&stream)
    }

    /// The request with which the connection was opened is the first stream's, and whole. RFC 7540 §3.2.
    pub(super) fn upgrade(&mut self, asked: pairing::Open, at: Nanos) {
        self.newest = 1;
        let open = Open {
            id: asked.id,
            process: asked.process,
            at: asked.at,
            is_connect: false,
            // The agreement was told as the start of an answer.
            is_answering: asked.answering,
            answer: None,
            request: Half {
                end: Some(asked.request_end.unwrap_or(at)),
                bytes: asked.request_body_bytes.unwrap_or_default(),
                is_uncounted: asked.request_body_bytes.is_none(),
                ..Half::default()
            },
            response: Half::default(),
            incomplete: Incomplete { request_head: asked.request_head_cut, ..Incomplete::default() },
            held: 0,
        };
        self.open.insert(1, open);
    }

    /// Frames of one side were lost.
    pub(super) fn doubt(&mut self, part: Part, at: Nanos) {
        for open in self.open.values_mut() {
            let half = open.half(part);
            half.lost_at = Some(at);
            half.is_uncounted = true;
        }
        self.is_doubted = !self.open.is_empty();
        self.early.clear();
    }

    /// Bytes of bodies of one side went by uncounted.
    pub(super) fn stop_counting(&mut self, part: Part) {
        self.open.values_mut().for_each(|open| open.half(part).is_uncounted = true);
    }

    /// May there be a stream that is over without anybody having seen it?
    pub(super) fn is_in_doubt(&self) -> bool {
        self.is_doubted
    }

    pub(super) fn has(&self, process: ProcessId) -> bool {
        self.open.values().any(|open| open.process == process)
    }
}

impl Open {
    fn half(&mut self, part: Part) -> &mut Half {
        match part {
            Part::Request => &mut self.request,
            Part::Response => &mut self.response,
        }
    }

    /// Both sides have said all that they will say, as far as can be known.
    fn is_over(&self) -> bool {
        self.response.end.is_some() && (self.request.end.is_some() || self.request.lost_at.is_some())
    }

    fn into_ended(self, at: Nanos, end: End) -> Ended {
        let counted = |half: &Half| (!half.is_uncounted).then_some(half.bytes);
        Ended {
            id: self.id,
            at: at.max(self.at),
            request_end: self.request.end.map(|end| end.max(self.at)),
            request_body_bytes: counted(&self.request),
            response_body_bytes: self.answer.as_ref().and_then(|_| counted(&self.response)),
            incomplete: Incomplete {
                request_end: self.request.end.is_none(),
                response_end: end == End::Complete && self.response.end.is_none(),
                ..self.incomplete
            },
            answer: self.answer,
            end,
        }
    }
}

impl Connection {
    /// A frame of a stream.
    pub(super) fn on_frame(
        &mut self,
        piece: Piece<'_>,
        part: Part,
        says: Says,
        head: HeadAt,
        ctx: &mut Context<'_>,
    ) {
        let Phase::Sharing(shared) = &mut self.phase else { return };
        let stream = match &says {
            Says::Head { stream, .. } | Says::Data { stream, .. } | Says::Reset { stream, .. } => *stream,
            Says::GoAway { last } => return self.refuse_above(*last, part, piece.at, ctx),
            Says::Nothing | Says::Begins => return,
        };
        let Some(open) = shared.streams.open.get_mut(&stream) else {
            let is_client = stream % 2 == 1;
            let is_next = is_client && stream > shared.streams.newest;
            return match (part, says) {
                (Part::Request, Says::Head { block, ends, .. }) if is_next && block.is_request() => {
                    self.open_stream(piece, stream, *block, ends, head, ctx);
                }
                (Part::Response, says) if is_next && !self.is_request_lost(piece) => {
                    self.keep_early(piece, stream, says, head, ctx);
                }
                (Part::Response, Says::Head { block, .. }) if is_client && block.status >= Some(200) => {
                    ctx.shared.counts.unpaired_responses += 1;
                }
                _ => {}
            };
        };
        // It goes on, so what was lost was not its end.
        open.half(part).lost_at = None;
        match says {
            Says::Head { block, ends, .. } => {
                ctx.shared.counts.heads_cut += u64::from(block.is_too_long());
                if part == Part::Response {
                    self.answer_stream(piece, stream, *block, ends, head, ctx);
                }
                if ends {
                    self.end_side(stream, part, piece.at, ctx);
                }
            }
            Says::Data { bytes, ends, .. } => {
                let half = open.half(part);
                half.bytes = half.bytes.saturating_add(u64::from(bytes));
                if ends {
                    self.end_side(stream, part, piece.at, ctx);
                }
            }
            Says::Reset { code, .. } => self.end_stream(stream, piece.at, End::Reset(code), ctx),
            Says::GoAway { .. } | Says::Nothing | Says::Begins => {}
        }
    }

    fn open_stream(
        &mut self,
        piece: Piece<'_>,
        stream: u32,
        mut block: Block,
        ends: bool,
        head: HeadAt,
        ctx: &mut Context<'_>,
    ) {
        let Phase::Sharing(shared) = &mut self.phase else { return };
        let held = ctx.admit(&mut block);
        let process = piece.actor.process;
        let at = head.first.at.min(piece.at);
        let id = ctx.open(process);
        ctx.shared.counts.heads_cut += u64::from(block.is_too_long());
        let is_cut = block.is_cut;
        let request = block.into_request();
        shared.streams.newest = stream;
        shared.streams.held += held;
        shared.streams.open.insert(
            stream,
            Open {
                id,
                process,
                at,
                is_connect: request.method == "CONNECT",
                is_answering: false,
                answer: None,
                request: Half::default(),
                response: Half::default(),
                incomplete: Incomplete { request_head: is_cut, ..Incomplete::default() },
                held,
            },
        );
        let is_sent = piece.direction == crate::event::Direction::Egress;
        ctx.tell(Fact::Opened(Box::new(Opened {
            id,
            role: if is_sent { Role::Client } else { Role::Server },
            protocol: "http",
            conn: self.id,
            stream: Some(stream),
            endpoints: self.endpoints,
            seq: head.first.seq,
            fingerprint: head.fingerprint,
            at,
            head_at: piece.at,
            actor: piece.actor,
            call: Call::Http(request),
        })));
        if shared.streams.open.len() > ctx.rules.settings.max_open
            && let Some((&oldest, _)) = shared.streams.open.first_key_value()
        {
            ctx.shared.counts.evicted += 1;
            self.end_stream(oldest, piece.at, End::Evicted, ctx);
        }
        if ends {
            self.end_side(stream, Part::Request, piece.at, ctx);
        }
        self.take_early(stream, ctx);
    }

    /// A header block of a response: its head, what comes before that, or what comes after its body.
    fn answer_stream(
        &mut self,
        piece: Piece<'_>,
        stream: u32,
        mut block: Block,
        ends: bool,
        head: HeadAt,
        ctx: &mut Context<'_>,
    ) {
        let Phase::Sharing(shared) = &mut self.phase else { return };
        let Some(open) = shared.streams.open.get_mut(&stream) else { return };
        if block.status.is_some_and(|status| (100..200).contains(&status)) {
            return;
        }
        let held = ctx.admit(&mut block);
        open.held += held;
        shared.streams.held += held;
        open.incomplete.response_head |= block.is_cut || (open.answer.is_none() && block.status.is_none());
        let is_switched = open.is_connect && block.status.is_some_and(|status| (200..300).contains(&status));
        if let Some(Answer::Http(response)) = &mut open.answer {
            // Trailers are the last that comes (RFC 9113 §8.1).
            if ends {
                response.fields.extend(block.fields);
            }
            return;
        }
        open.answer = Some(Answer::Http(block.into_response()));
        if !std::mem::replace(&mut open.is_answering, true) {
            let at = head.first.at.max(open.at);
            ctx.tell(Fact::Answering(Answering { id: open.id, at, actor: piece.actor }));
        }
        if is_switched {
            self.end_stream(stream, piece.at, End::Upgraded, ctx);
        }
    }

    /// One side has said all that it will say.
    pub(super) fn end_side(&mut self, stream: u32, part: Part, at: Nanos, ctx: &mut Context<'_>) {
        let Phase::Sharing(shared) = &mut self.phase else { return };
        let Some(open) = shared.streams.open.get_mut(&stream) else { return };
        open.half(part).end.get_or_insert(at);
        if open.is_over() {
            self.end_stream(stream, at, End::Complete, ctx);
        }
    }

    /// An exchange is over. One whose response was whole before is complete, whatever became of its stream.
    fn end_stream(&mut self, stream: u32, at: Nanos, end: End, ctx: &mut Context<'_>) {
        let Phase::Sharing(shared) = &mut self.phase else { return };
        let Some(open) = shared.streams.open.remove(&stream) else { return };
        shared.streams.held = shared.streams.held.saturating_sub(open.held);
        let (at, end) = match (open.response.end, open.response.lost_at) {
            (Some(whole_at), _) if end != End::Complete => (whole_at, End::Complete),
            // Its end may be in what was lost.
            (None, Some(lost_at)) if matches!(end, End::ClientGone | End::ServerGone) => {
                (lost_at, if open.answer.is_some() { End::Complete } else { End::Lost })
            }
            _ => (at, end),
        };
        ctx.close(open.process);
        if end == End::Lost {
            ctx.shared.counts.unpaired_requests += 1;
        }
        ctx.tell(Fact::Ended(Box::new(open.into_ended(at, end))));
        self.settle_account(ctx);
    }

    /// A server will not look at streams above this one.
    fn refuse_above(&mut self, last: u32, part: Part, at: Nanos, ctx: &mut Context<'_>) {
        let Phase::Sharing(shared) = &mut self.phase else { return };
        if part == Part::Request {
            return;
        }
        let refused: Vec<u32> =
            shared.streams.open.range(last.saturating_add(1)..).map(|(&stream, _)| stream).collect();
        for stream in refused {
            self.end_stream(stream, at, End::Reset(code::REFUSED_STREAM), ctx);
        }
    }

    /// Ends every exchange for a reason that is not in its frames.
    pub(super) fn end_all_streams(&mut self, at: Nanos, end: End, ctx: &mut Context<'_>) {
        self.end_streams(at, end, |_| true, ctx);
    }

    /// Ends the exchanges of a process that is gone.
    pub(super) fn end_streams_of(&mut self, process: ProcessId, at: Nanos, end: End, ctx: &mut Context<'_>) {
        self.end_streams(at, end, |open| open.process == process, ctx);
    }

    fn end_streams(&mut self, at: Nanos, end: End, is_meant: impl Fn(&Open) -> bool, ctx: &mut Context<'_>) {
        let Phase::Sharing(shared) = &mut self.phase else { return };
        let open = shared.streams.open.iter().filter(|(_, open)| is_meant(open));
        let streams: Vec<u32> = open.map(|(&stream, _)| stream).collect();
        let counts = &mut ctx.shared.counts;
        match end {
            End::Evicted => counts.evicted += streams.len() as u64,
            End::TimedOut => counts.timed_out += streams.len() as u64,
            _ => {}
        }
        for stream in streams {
            self.end_stream(stream, at, end, ctx);
        }
    }

    /// Streams of which nothing was seen since a loss have ended in it.
    pub(super) fn settle_streams(&mut self, now: Nanos, ctx: &mut Context<'_>) {
        let Phase::Sharing(shared) = &mut self.phase else { return };
        shared.streams.is_doubted = shared.streams.open.values().any(|open| open.response.lost_at.is_some());
        let past: Vec<(u32, Nanos, End)> = shared
            .streams
            .open
            .iter()
            .filter_map(|(&stream, open)| {
                let lost_at = open.response.lost_at.filter(|at| now.since(*at) >= DOUBT_NS)?;
                Some((stream, lost_at, if open.answer.is_some() { End::Complete } else { End::Lost }))
            })
            .collect();
        for (stream, lost_at, end) in past {
            self.end_stream(stream, lost_at, end, ctx);
        }
    }
}
