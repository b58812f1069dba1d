//! The life of a client request: which open request of its process may have made it, and the link that is given in the end.
//!
//! | the call | candidate |
//! |---|---|
//! | hands on a context that one open request carries | that request, linked at once (`wire`) |
//! | carries a context that a library made | none: the span is left to the library |
//! | shares its connection with others, and a goroutine was created to send it | see `task` |
//! | shares its connection with others | only if one request was open (`only`): who sends the bytes may do it for others |
//! | was asked for by a task of a runtime | see `task` |
//! | was sent by the thread that read a request | that request (`thread`) |
//! | was sent while one request was open | that request (`only`) |
//! | else | none, with the reason |
//!
//! A candidate is judged when it is answered: see `judge` and `task`.
use super::{
    Correlator,
    evidence::{
        peer::{Found, Table},
        thread::Holds,
        wire::{self, Writer},
    },
    node::{Candidate, Cause, Prospect},
    reason::Unparented,
};
use crate::{
    event::{Nanos, ProcessId},
    exchange::{ExchangeId, Opened},
    spans::{Evidence, Span, SpanId},
};

impl Correlator {
    pub(super) fn open_client(&mut self, opened: Box<Opened>, out: &mut Vec<Span>) {
        let (id, process) = (opened.id, opened.actor.process);
        let received = wire::read(&opened.call, &self.settings.formats);
        self.counts.rejected_context += received.rejected;
        self.peers.learn(&opened);
        let here = self.peers.is_here(&opened);
        let found = self.find_peer(&opened);
        let writer = match self.processes.get_or_insert(process) {
            Some(process) => {
                process.exchanges += 1;
                process.contexts.writer(received.context.as_deref())
            }
            None => Writer::Nobody,
        };
        // Even a call that needs no candidate tells something about its process.
        let asked = match opened.stream {
            None => self.task_prospect(&opened),
            Some(_) => self.stream_candidate(&opened).map(Prospect::from),
        };
        let prospect = asked.unwrap_or_else(|| self.candidate(&opened).into());
        if found == Found::Nothing {
            self.peers.wait(&opened);
        }
        self.forest.insert(opened, received);
        if let Some(node) = self.forest.get_mut(id) {
            node.awaits_peer = found == Found::Nothing && here;
            node.suppressed = writer == Writer::Library;
            node.handed_on = matches!(writer, Writer::Forwarded(_) | Writer::Begun);
        }
        match found {
            // A busy receiver reads it late: the end waits for as long as the call is open.
            Found::Nothing => {}
            Found::Several => self.counts.peer_ambiguous += 1,
            Found::One(server) => self.join(id, server, out),
        }
        match writer {
            Writer::Library => self.leave_to_library(process),
            Writer::Forwarded(server) => self.link(id, server, Evidence::Wire, out),
            Writer::Begun => self.continue_wire(id, None, out),
            Writer::Ambiguous => self.unparent(id, Unparented::ForwardAmbiguous, out),
            Writer::Nobody => self.expect_answer(id, prospect, out),
        }
    }

    fn leave_to_library(&mut self, process: ProcessId) {
        self.counts.sdk_client += 1;
        if let Some(process) = self.processes.get_mut(process) {
            process.sdk_clients += 1;
        }
    }

    /// Lets the call wait for its candidate's answer.
    fn expect_answer(&mut self, id: ExchangeId, prospect: Prospect, out: &mut Vec<Span>) {
        match prospect {
            Prospect::Candidate(candidate) => self.adopt(id, candidate, out),
            Prospect::Later => {}
            Prospect::Nobody(reason) => self.unparent(id, reason, out),
        }
    }

    /// A request that may have caused the call is known: its answer decides.
    pub(super) fn adopt(&mut self, id: ExchangeId, candidate: Candidate, out: &mut Vec<Span>) {
        // The receiver may be faster than the sender's record: what the call itself caused is not its cause.
        if self.forest.is_above(id, candidate.server) {
            return self.unparent(id, Unparented::NoRequestOpen, out);
        }
        self.forest.hold(candidate.server);
        if let Some(server) = self.forest.get_mut(candidate.server) {
            server.calls.push(id);
        }
        if let Some(node) = self.forest.get_mut(id) {
            node.candidate = Some(candidate);
        }
    }

    /// Which open request may have made this call.
    fn candidate(&mut self, opened: &Opened) -> Result<Candidate, Unparented> {
        let last_loss = self.last_loss(opened.actor.process);
        let Some(process) = self.processes.get_mut(opened.actor.process) else {
            return Err(Unparented::SeveralOpen);
        };
        let open = process.open.count();
        if open == 0 {
            process.background.add(opened);
            return Err(Unparented::NoRequestOpen);
        }
        // Whoever sends the bytes of a connection that exchanges share may do it for others.
        let shared = opened.stream.is_some();
        let holds = if shared { Holds::Nothing } else { process.threads.holds(opened.actor, true) };
        let alone = process.open.only();
        let background = process.background.covers(opened);
        let (server, by_thread, late) = match (holds, alone) {
            (Holds::Several, _) => return Err(Unparented::ThreadShared),
            (Holds::One { id, answered }, _) => (id, true, answered),
            (Holds::Nothing, Some(id)) => (id, false, false),
            (Holds::Nothing, None) if shared => return Err(Unparented::ConnectionShared),
            (Holds::Nothing, None) => return Err(Unparented::SeveralOpen),
        };
        let Some(node) = self.forest.get(server) else { return Err(Unparented::SeveralOpen) };
        let begun = node.answering.is_some();
        if node.opened.head_at > opened.at {
            // It came after the call had left.
            return Err(if open == 1 { Unparented::NoRequestOpen } else { Unparented::SeveralOpen });
        }
        if self.was_lost_since(opened.actor.process, node.opened.head_at) {
            return Err(Unparented::AfterLoss);
        }
        let remembers_loss =
            last_loss.is_some_and(|lost_at| opened.at.since(lost_at) < self.settings.loss_memory_ns);
        let by_only = self.settings.only
            && alone == Some(server)
            && !node.overlapped
            && !background
            && !begun
            && !remembers_loss;
        match (by_thread, by_only) {
            (false, false) if begun => Err(Unparented::AfterAnswer),
            (false, false) if background => Err(Unparented::Background),
            (false, false) if remembers_loss => Err(Unparented::AfterLoss),
            (false, false) => Err(Unparented::SeveralOpen),
            _ => Ok(Candidate { server, by_thread, by_only, late: late || begun, task: None }),
        }
    }

    pub(super) fn is_undecided(&self, call: ExchangeId) -> bool {
        self.forest.get(call).is_some_and(|node| matches!(node.cause, Cause::Undecided))
    }

    pub(super) fn candidate_of(&self, call: ExchangeId) -> Option<Candidate> {
        let node = self.forest.get(call)?;
        match node.cause {
            Cause::Undecided => node.candidate,
            _ => None,
        }
    }

    /// A client request is over; its candidate's answer is waited for a while.
    pub(super) fn end_client(&mut self, id: ExchangeId) {
        let Some(node) = self.forest.get(id) else { return };
        let (process, key) = (node.opened.actor.process, Table::key(&node.opened));
        if self.peers.is_waiting(key, id) {
            self.wait_for_peer(id, key);
        }
        let Some(node) = self.forest.get(id) else { return };
        if matches!(node.cause, Cause::Undecided) && !node.suppressed {
            let deadline = Nanos(self.now.0.saturating_add(self.settings.hold_ns));
            self.waits.answer.push_back((deadline, id));
        }
        let was_answered = node.answering.is_some();
        if let Some(process) = self.processes.get_mut(process) {
            process.exchanges = process.exchanges.saturating_sub(1);
            if !was_answered {
                process.lineage.call_ends();
            }
        }
    }

    /// Gives an exchange its parent, once.
    pub(super) fn link(
        &mut self,
        id: ExchangeId,
        parent: ExchangeId,
        evidence: Evidence,
        out: &mut Vec<Span>,
    ) {
        let process_of = |node: &super::node::Node| node.opened.actor.process;
        let own = self.forest.get(id).map(process_of);
        let Some(node) = self.forest.get(parent) else {
            return self.unparent(id, Unparented::Unanswered, out);
        };
        let (span_id, remote) = (node.span_id, own != Some(process_of(node)));
        self.settle(id, Cause::Parent { span_id, remote, evidence, exchange: Some(parent) }, out);
    }

    /// Gives it the trace that its headers carry, once.
    pub(super) fn continue_wire(&mut self, id: ExchangeId, parent: Option<SpanId>, out: &mut Vec<Span>) {
        let cause = match parent {
            Some(span_id) => {
                Cause::Parent { span_id, remote: true, evidence: Evidence::Wire, exchange: None }
            }
            None => Cause::TraceOnly,
        };
        self.settle(id, cause, out);
    }

    /// Says why it has none, once.
    pub(super) fn unparent(&mut self, id: ExchangeId, reason: Unparented, out: &mut Vec<Span>) {
        self.settle(id, Cause::Root(reason), out);
    }

    fn count_begun_anew(&mut self) {
        for (id, reason) in self.forest.take_begun_anew() {
            self.counts.count_unparented(reason);
            let process = self.forest.get(id).map(|node| node.opened.actor.process);
            if let Some(process) = process.and_then(|process| self.processes.get_mut(process)) {
                process.count_unparented(reason);
            }
        }
    }

    fn settle(&mut self, id: ExchangeId, cause: Cause, out: &mut Vec<Span>) {
        let Some(node) = self.forest.get_mut(id) else { return };
        if !matches!(node.cause, Cause::Undecided) || node.suppressed {
            return;
        }
        let candidate = node.candidate.take();
        let process = self.processes.get_mut(node.opened.actor.process);
        match cause {
            Cause::Parent { evidence, .. } => {
                self.counts.count_link(evidence);
                if let Some(process) = process {
                    process.count_link(evidence);
                }
            }
            Cause::Root(reason) => {
                self.counts.count_unparented(reason);
                if let Some(process) = process {
                    process.count_unparented(reason);
                }
            }
            Cause::TraceOnly => self.counts.trace_only += 1,
            Cause::Undecided => {}
        }
        self.forest.decide(id, cause, out);
        self.count_begun_anew();
        if let Some(candidate) = candidate {
            self.forest.release(candidate.server);
        }
        self.counts.spans += self.forest.take_emitted();
    }
}
