//! How a connection ends, and what that means for what was open on it.
//!
//! Shape: FINs, closes, exits and silence in; [`End`]s out. A FIN received says nothing about what the process still has to
//! read, and a FIN sent may be half a close: so what waits for bytes to arrive waits for both FINs or the close itself.
use super::{
    connection::{Connection, Phase},
    context::Context,
    exchanges::Ending as Over,
    stream::{Rest, State},
};
use crate::{
    event::{Direction, Ending, Nanos, ProcessId, Reached},
    exchange::End,
};

impl Connection {
    /// The connection is ending; true if it is over.
    pub(super) fn ending(
        &mut self,
        at: Nanos,
        ending: Ending,
        reached: [(Direction, Option<Reached>); 2],
        ctx: &mut Context<'_>,
    ) -> bool {
        self.used_at = at;
        self.release_all(ctx);
        for (direction, reached) in reached {
            // A FIN has a number too: where exchanges share the connection it would be a gap.
            let is_fin = matches!(self.phase, Phase::Sharing(_))
                && reached.is_some_and(|reached| self.streams.of(direction).ahead(reached.seq) == 1);
            if let Some(reached) = reached.filter(|_| !is_fin) {
                self.reach(direction, reached, ctx);
            }
        }
        let [local, remote] = &mut self.fins;
        match ending {
            Ending::LocalFin => *local = local.or(Some(at)),
            Ending::RemoteFin => *remote = remote.or(Some(at)),
            Ending::Closed | Ending::Reset => {}
        }
        let is_over = matches!(ending, Ending::Closed | Ending::Reset);
        if let Phase::Sharing(shared) = &self.phase {
            let requests = shared.requests;
            if is_over || self.is_answered_out(requests) {
                let (end, at) = self.who_left(requests, at);
                self.end_all_streams(at, end, ctx);
            }
            return is_over;
        }
        let Some(requests) = self.requests() else { return is_over };
        if is_over || self.is_answered_out(requests) {
            self.settle_tails(None, ctx);
            self.end_open(requests, at, ctx);
        }
        is_over
    }

    /// Will nothing more of any response move?
    fn is_answered_out(&self, requests: Direction) -> bool {
        match requests.opposite() {
            Direction::Egress => self.fins[0].is_some(),
            Direction::Ingress => self.fins[0].is_some() && self.fins[1].is_some(),
        }
    }

    /// No more of any response will move.
    fn end_open(&mut self, requests: Direction, at: Nanos, ctx: &mut Context<'_>) {
        let responses = requests.opposite();
        let sender_fin = match responses {
            Direction::Egress => self.fins[0],
            Direction::Ingress => self.fins[1],
        };
        let stream = self.streams.of(responses);
        let is_answering = self.pairing.open.front().is_some_and(|open| open.answering);
        match stream.state {
            State::Rest(Rest::UntilClose) if is_answering && sender_fin.is_some() => {
                let last_at = stream.last_at;
                self.end_message(responses, last_at, false, ctx);
            }
            State::Rest(Rest::Adrift | Rest::AdriftFramed) if is_answering && sender_fin.is_some() => {
                let last_at = stream.last_at;
                self.end_message(responses, last_at, true, ctx);
            }
            State::Searching => self.lose_waiting(at, ctx),
            _ => {}
        }
        let (end, at) = self.who_left(requests, at);
        self.cut_half_a_request(requests, at, ctx);
        if self.pairing.is_sure() {
            while !self.pairing.open.is_empty() {
                self.end_front(Over { at, end, is_inferred: false }, ctx);
            }
        } else {
            self.end_certain(Over { at, end, is_inferred: false }, ctx);
        }
    }

    /// After a loss, only requests from before it are known to have had no answer.
    fn end_certain(&mut self, over: Over, ctx: &mut Context<'_>) {
        while self.pairing.open.front().is_some_and(|open| open.certain) {
            self.end_front(over, ctx);
        }
        self.lose_waiting(over.at, ctx);
        self.end_front(over, ctx);
    }

    /// The side that spoke its FIN first left first; without any, the other end was reset.
    fn who_left(&self, requests: Direction, at: Nanos) -> (End, Nanos) {
        let (local, remote) = match requests {
            Direction::Egress => (End::ClientGone, End::ServerGone),
            Direction::Ingress => (End::ServerGone, End::ClientGone),
        };
        match self.fins {
            [Some(ours), Some(theirs)] if theirs <= ours => (remote, theirs),
            [Some(ours), _] => (local, ours),
            [None, Some(theirs)] => (remote, theirs),
            [None, None] => (remote, at),
        }
    }

    /// A request whose head will not become whole any more, but whose first line is there.
    fn cut_half_a_request(&mut self, requests: Direction, at: Nanos, ctx: &mut Context<'_>) {
        let stream = self.streams.of(requests);
        if stream.state == State::Head && !stream.buffer.is_empty() {
            self.cut_head(requests, at, ctx);
        }
    }

    /// A process ended, or is observed no longer: what it had open will not be seen answered.
    pub(super) fn exit(&mut self, process: ProcessId, at: Nanos, end: End, ctx: &mut Context<'_>) {
        if matches!(&self.phase, Phase::Sharing(shared) if shared.streams.has(process)) {
            self.release_all(ctx);
            self.end_streams_of(process, at, end, ctx);
        }
        if self.pairing.open.iter().any(|open| open.process == process) {
            self.release_all(ctx);
            self.settle_tails(None, ctx);
            self.give_up_all(at, end, ctx);
        }
    }
}
