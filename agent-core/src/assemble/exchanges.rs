//! The life of an exchange on its connection: opened by a request's head, answered, ended.
//!
//! Shape: heads and ends of messages in, [`Fact`]s out, in causal order. Times: an exchange's facts never precede its start.
use super::{
    connection::{Connection, Phase, Piece},
    context::Context,
    pairing::{Open, QUIET_NS, Trust},
    reading::HeadAt,
    stream::{First, Rest, State},
};
use crate::{
    event::{Direction, Nanos, Reached},
    exchange::{Answer, Answering, Call, End, Ended, Fact, Incomplete, Opened, Role},
    protocols::Asked,
};
use wirespan_common::limits;

/// How a response ended.
#[derive(Clone, Copy)]
pub(super) struct Ending {
    pub(super) at: Nanos,
    pub(super) end: End,
    /// Its end was not seen, but follows from what came after.
    pub(super) is_inferred: bool,
}

impl Connection {
    pub(super) fn on_request(
        &mut self,
        piece: Piece<'_>,
        call: Call,
        asked: Asked,
        head: HeadAt,
        ctx: &mut Context<'_>,
    ) {
        self.before_request(piece.direction, head.first, ctx);
        let Phase::Speaking(speech) = &mut self.phase else { return };
        let protocol = speech.protocol.name();
        let process = piece.actor.process;
        let at = head.first.at.min(piece.at);
        let id = ctx.open(process);
        self.reading = Some(id);
        self.pairing.open.push_back(Open {
            id,
            process,
            at,
            asked,
            certain: self.pairing.is_sure(),
            answering: false,
            answer: None,
            request_end: None,
            request_end_inferred: false,
            request_body_bytes: None,
            request_head_cut: head.is_cut,
            response_head_cut: false,
        });
        let role = match piece.direction {
            Direction::Egress => Role::Client,
            Direction::Ingress => Role::Server,
        };
        ctx.tell(Fact::Opened(Box::new(Opened {
            id,
            role,
            protocol,
            conn: self.id,
            stream: None,
            endpoints: self.endpoints,
            seq: head.first.seq,
            fingerprint: head.fingerprint,
            at,
            head_at: piece.at,
            actor: piece.actor,
            call,
        })));
        if self.pairing.open.len() > ctx.rules.settings.max_open {
            self.give_up_all(piece.at, End::Evicted, ctx);
        }
    }

    /// Settles what a new request says about the exchanges before it.
    fn before_request(&mut self, requests: Direction, first: First, ctx: &mut Context<'_>) {
        let responses = requests.opposite();
        let is_quiet = first.silence_ns >= QUIET_NS;
        if first.begins_turn {
            self.settle_response(responses, is_quiet, ctx);
        }
        let is_believed = self.pairing.open.front().is_some_and(|open| open.answering && open.certain);
        if first.begins_turn && !self.pairing.is_sure() && !is_believed {
            // What was made of the responses so far rests on a guess that nothing confirmed.
            self.lose_all(first.at, ctx);
            self.reset(responses, ctx);
        }
        let state = self.streams.of(responses).state;
        if matches!(state, State::Rest(_)) {
            // The response goes on, so how many more it hides is unknown.
            self.lose_waiting(first.at, ctx);
            self.pairing.doubt();
        }
        let is_between = matches!(state, State::Searching) || self.streams.of(responses).is_idle();
        // What has become doubtful since its first byte came, a request does not settle.
        let is_lockstep = first.begins_turn && is_between && first.doubts == self.pairing.doubts;
        if is_lockstep {
            if matches!(self.pairing.trust, Trust::Doubt { .. }) {
                self.lose_all(first.at, ctx);
                self.pairing.begin_cycle(is_quiet);
            }
            if self.pairing.open.is_empty() && state == State::Searching {
                self.reset(responses, ctx);
            }
        }
        self.pairing.count_request(!self.pairing.open.is_empty());
        if self.answer_head.is_none() && self.pairing.is_surely_pipelined() {
            // Many answers are one turn: with the default budget the later ones would be missed.
            self.answer_head = Some(limits::HEAD_PIPELINED_BYTES);
            ctx.head(self.id, responses, limits::HEAD_PIPELINED_BYTES);
        }
        if !self.pairing.open.is_empty() {
            self.pairing.break_cycle();
            if !self.pairing.is_proven {
                // What was seen first may have answered the first of these.
                self.lose_all(first.at, ctx);
                self.pairing.doubt();
            }
        } else if !is_lockstep {
            self.pairing.break_cycle();
        }
    }

    /// A request begins a turn: a response whose own bytes do not show its end is over.
    fn settle_response(&mut self, responses: Direction, is_quiet: bool, ctx: &mut Context<'_>) {
        let stream = self.streams.of(responses);
        let (last_at, tail_at) = (stream.last_at, stream.tail_at);
        if !matches!(stream.state, State::Rest(_)) {
            return;
        }
        match tail_at {
            Some(at) => self.end_message(responses, at, false, ctx),
            None if self.pairing.is_pipelined() && !is_quiet => {}
            None => self.end_message(responses, last_at, true, ctx),
        }
    }

    /// A response begins a turn: a request whose own bytes do not show its end has come this far.
    pub(super) fn settle_request(&mut self, reached: Reached, ctx: &mut Context<'_>) {
        let Some(requests) = self.requests() else { return };
        let stream = self.streams.of(requests);
        if let (State::Rest(_), Some(at)) = (stream.state, stream.tail_at) {
            return self.end_message(requests, at, false, ctx);
        }
        if !matches!(stream.state, State::Rest(_)) {
            return;
        }
        let reading = self.reading;
        if let Some(open) = reading.and_then(|id| self.pairing.find(id)) {
            open.request_end = Some(reached.at);
            open.request_end_inferred = true;
        }
    }

    /// Gives a response to the request that waits for it; false if there is none.
    pub(super) fn on_response(
        &mut self,
        piece: Piece<'_>,
        answer: Answer,
        head: HeadAt,
        ctx: &mut Context<'_>,
    ) -> bool {
        self.confirm();
        if self.pairing.open.is_empty() {
            self.answer_half_a_request(piece, ctx);
        }
        let Some(open) = self.pairing.open.front_mut() else {
            ctx.shared.counts.unpaired_responses += 1;
            self.streams.of_mut(piece.direction).state = State::Searching;
            self.pairing.doubt();
            return false;
        };
        open.answering = true;
        open.response_head_cut = head.is_cut;
        if open.certain {
            open.answer = Some(answer);
            let at = head.first.at.max(open.at);
            ctx.tell(Fact::Answering(Answering { id: open.id, at, actor: piece.actor }));
        }
        true
    }

    /// A response came before its request's head was whole (400, 408, 431): the head will not become whole any more.
    fn answer_half_a_request(&mut self, piece: Piece<'_>, ctx: &mut Context<'_>) {
        let requests = piece.direction.opposite();
        if !self.streams.of(requests).buffer.is_empty() && self.streams.of(requests).state == State::Head {
            self.cut_head(requests, piece.at, ctx);
        }
    }

    /// Both directions speak the protocol.
    pub(super) fn confirm(&mut self) {
        if let Phase::Speaking(speech) = &mut self.phase {
            speech.is_confirmed = true;
            speech.malformed = 0;
        }
    }

    /// The message of a direction ended.
    pub(super) fn end_message(
        &mut self,
        direction: Direction,
        at: Nanos,
        is_inferred: bool,
        ctx: &mut Context<'_>,
    ) {
        self.reset(direction, ctx);
        if is_inferred {
            ctx.shared.counts.ends_inferred += 1;
        }
        if self.requests() == Some(direction) {
            let stream = self.streams.of(direction);
            let body_bytes = stream.is_counted.then_some(stream.body_bytes);
            let Some(id) = self.reading.take() else { return };
            let Some(open) = self.pairing.find(id) else { return };
            open.request_end = Some(at);
            open.request_end_inferred = is_inferred;
            open.request_body_bytes = body_bytes;
            return;
        }
        if is_inferred {
            self.pairing.break_cycle();
        } else {
            self.pairing.end_cycle();
        }
        self.end_front(Ending { at, end: End::Complete, is_inferred }, ctx);
    }

    /// Ends the exchange that is first in line, with what is known of its response.
    pub(super) fn end_front(&mut self, ending: Ending, ctx: &mut Context<'_>) {
        let Some(requests) = self.requests() else { return };
        let Some(open) = self.pairing.open.pop_front() else { return };
        let stream = self.streams.of(requests.opposite());
        let body_bytes = (open.answering && stream.is_counted).then_some(stream.body_bytes);
        self.tell_ended(open, ending, body_bytes, ctx);
    }

    fn tell_ended(&mut self, open: Open, ending: Ending, body_bytes: Option<u64>, ctx: &mut Context<'_>) {
        ctx.close(open.process);
        let is_answer_lost = !open.certain && matches!(ending.end, End::Complete | End::Upgraded);
        let end = if is_answer_lost { End::Lost } else { ending.end };
        if end == End::Lost {
            ctx.shared.counts.unpaired_requests += 1;
        }
        let is_answered = open.answer.is_some();
        ctx.tell(Fact::Ended(Box::new(Ended {
            id: open.id,
            at: ending.at.max(open.at),
            request_end: open.request_end.map(|at| at.max(open.at)),
            answer: open.answer,
            request_body_bytes: open.request_body_bytes,
            response_body_bytes: if is_answered { body_bytes } else { None },
            end,
            incomplete: Incomplete {
                request_head: open.request_head_cut,
                response_head: open.response_head_cut && is_answered,
                request_end: open.request_end.is_none() || open.request_end_inferred,
                response_end: ending.is_inferred,
            },
        })));
    }

    /// Ends every exchange that waits for an answer of which nothing was seen: its answer may be in what was lost.
    pub(super) fn lose_waiting(&mut self, at: Nanos, ctx: &mut Context<'_>) {
        let answering = usize::from(self.pairing.open.front().is_some_and(|open| open.answering));
        while self.pairing.open.len() > answering {
            let Some(open) = self.pairing.open.remove(answering) else { return };
            self.tell_ended(open, Ending { at, end: End::Lost, is_inferred: true }, None, ctx);
        }
    }

    /// Ends every exchange. The one that is being answered keeps its answer.
    pub(super) fn lose_all(&mut self, at: Nanos, ctx: &mut Context<'_>) {
        self.lose_waiting(at, ctx);
        self.end_front(Ending { at, end: End::Complete, is_inferred: true }, ctx);
    }

    /// Ends every exchange for a reason that is not in its bytes. Later bytes find nobody waiting.
    pub(super) fn give_up_all(&mut self, at: Nanos, end: End, ctx: &mut Context<'_>) {
        let ended = self.pairing.open.len() as u64;
        match end {
            End::Evicted => ctx.shared.counts.evicted += ended,
            End::TimedOut => ctx.shared.counts.timed_out += ended,
            _ => {}
        }
        while !self.pairing.open.is_empty() {
            self.end_front(Ending { at, end, is_inferred: false }, ctx);
        }
        self.pairing.doubt();
        if let Some(requests) = self.requests() {
            self.streams.of_mut(requests.opposite()).state = State::Searching;
        }
    }

    /// The connection became something else: its exchange ends with the response's head.
    pub(super) fn switch(&mut self, at: Nanos, ctx: &mut Context<'_>) {
        if let Some(requests) = self.requests() {
            self.streams.of_mut(requests.opposite()).begin_body(State::Rest(Rest::UntilClose));
        }
        let reading = self.reading;
        if let Some(open) = reading.and_then(|id| self.pairing.find(id)) {
            open.request_end.get_or_insert(at);
        }
        ctx.shared.counts.stopped_upgraded += 1;
        self.end_front(Ending { at, end: End::Upgraded, is_inferred: false }, ctx);
        self.lose_all(at, ctx);
        self.stop(ctx);
    }

    /// Is the request whose body is being read still without a whole answer?
    pub(super) fn is_reading(&self) -> bool {
        self.reading.is_some_and(|id| self.pairing.open.iter().rev().any(|open| open.id == id))
    }
}
