//! Calls of Node.js: what the slice says in which they were made, and the answers that were written in the slices of theirs.
//!
//! | the call was made | and | link |
//! |---|---|---|
//! | for an open request, by its slice or by an async id | nothing spoke against it for as long as links are held after the answer | `task` |
//! | in the answer of another call, for an open request | the same, and nothing shows that user code hands work over | `task` |
//! | for nobody that is known, or one that is over | in its answer exactly one request was answered, which was open when it was made | `task` |
//! | else | | none: `other_task`, `task_shared`, `outlived`, `after_answer` |
//!
//! What the rules rest on: see `evidence::event_loop`.
use super::{
    Correlator,
    evidence::event_loop::{Id, Verdict},
    node::{Caller, Candidate, Prospect},
    reason::Unparented,
};
use crate::{
    event::{AsyncIds, Nanos, ProcessId, Slice},
    exchange::{Answering, ExchangeId, Opened},
    spans::Span,
};

/// The work on an event loop that made a call.
#[derive(Clone, Copy, Debug)]
pub(super) struct CallingWork {
    pub(super) process: ProcessId,
    pub(super) tid: u32,
    /// Resources that would be nobody's if they ran again.
    pub(super) resources: [Id; 3],
}

impl Correlator {
    /// An event loop began another part of its work.
    pub fn slice(&mut self, process: ProcessId, at: Nanos, slice: Slice, out: &mut Vec<Span>) {
        let named = self.processes.get_or_insert(process).and_then(|process| process.loops.slice(&slice));
        let Some((call, request)) = named else { return };
        let sent_at = self.forest.get(call).map(|node| node.opened.at);
        let is_open = self.forest.get(request).is_some_and(|node| {
            sent_at.is_some_and(|sent_at| node.opened.head_at <= sent_at)
                && node.answering.is_none_or(|answering| at <= answering.at)
                && node.ended.is_none()
        });
        if is_open {
            self.take_over(call, request, CallingWork { process, tid: slice.tid, resources: [0; 3] }, out);
        }
    }

    /// A call was made for another request than it seemed, or for one that was not known.
    fn take_over(&mut self, call: ExchangeId, request: ExchangeId, work: CallingWork, out: &mut Vec<Span>) {
        let known = self.candidate_of(call).map(|candidate| candidate.server);
        if known == Some(request) || !self.is_undecided(call) {
            return;
        }
        if let Some(before) = known {
            // What seemed to be its request was not: user code has handed the work over.
            if let Some(node) = self.forest.get_mut(call) {
                node.candidate = None;
            }
            self.forest.release(before);
        }
        self.adopt(call, by_loop(request, work), out);
    }

    /// A request was read on an event loop.
    pub(super) fn read_on_loop(&mut self, opened: &Opened) {
        let forest = &self.forest;
        let Some(process) = self.processes.get_mut(opened.actor.process) else { return };
        process.loops.received(opened.conn, opened.id, |id| {
            forest.get(id).is_some_and(|node| node.answering.is_none() && node.ended.is_none())
        });
    }

    /// For which request an event loop works that makes a call.
    pub(super) fn loop_prospect(&mut self, opened: &Opened, ids: AsyncIds) -> Option<Prospect> {
        let process_id = opened.actor.process;
        let process = self.processes.get_mut(process_id)?;
        let maker = process.loops.sends(opened.actor.tid, ids, opened.conn, opened.id, opened.at);
        if ids.youngest == 0 {
            return Some(Prospect::Nobody(Unparented::OtherTask));
        }
        let Some(owner) = maker.owner else { return Some(Prospect::Later) };
        let server = self.forest.get(owner.request);
        let is_over = server.is_none_or(|node| node.answering.is_some() || node.ended.is_some());
        if is_over {
            process.loops.calls.outlives(opened.id, maker.via, owner.request);
            if maker.in_answer {
                process.loops.calls.is_handed_over(opened.id);
            }
            return Some(Prospect::Later);
        }
        let head_at = server.map(|node| node.opened.head_at).unwrap_or_default();
        if self.was_lost_since(process_id, head_at) {
            return Some(Prospect::Nobody(Unparented::AfterLoss));
        }
        let work = CallingWork { process: process_id, tid: opened.actor.tid, resources: maker.resources };
        Some(Prospect::Candidate(by_loop(owner.request, work)))
    }

    /// A request is answered on an event loop: in the answer of which call?
    pub(super) fn answer_on_loop(&mut self, answering: &Answering, out: &mut Vec<Span>) {
        let actor = answering.actor;
        let Some(ids) = actor.async_ids() else { return };
        let Some(opened_at) = self.forest.get(answering.id).map(|node| node.opened.head_at) else { return };
        let Some(process) = self.processes.get_mut(actor.process) else { return };
        process.loops.answers(actor.tid, ids, answering.id, answering.at);
        let call = process.loops.working_on(actor.tid);
        process.loops.calls.answered(call, answering.id, opened_at, answering.at);
        let Some(call) = call.filter(|call| process.loops.calls.backward(*call) == Some(answering.id)) else {
            return;
        };
        let work = CallingWork { process: actor.process, tid: actor.tid, resources: [0; 3] };
        self.take_over(call, answering.id, work, out);
    }

    /// The request is over, and the call was not judged when its response began.
    pub(super) fn judge_loop_at_end(&mut self, call: ExchangeId, gap: bool, out: &mut Vec<Span>) {
        if gap {
            self.unparent(call, Unparented::AfterLoss, out);
        } else {
            self.hold_task(call);
        }
    }

    /// The call was held for as long as it may be, or, if not `in_full`, for as long as the agent runs.
    pub(super) fn judge_loop_stood(
        &mut self,
        call: ExchangeId,
        server: ExchangeId,
        work: CallingWork,
        in_full: bool,
        out: &mut Vec<Span>,
    ) {
        let is_secondary =
            self.processes.get(work.process).is_some_and(|process| process.loops.calls.is_secondary(call));
        match self.against_loop(call, server, work) {
            Some(reason) => self.unparent(call, reason, out),
            None if is_secondary && !in_full => self.unparent(call, Unparented::Uncalibrated, out),
            None => self.judge_task_told(call, out),
        }
    }

    /// Why the link cannot be given, if something has spoken against it.
    pub(super) fn against_loop(
        &self,
        call: ExchangeId,
        server: ExchangeId,
        work: CallingWork,
    ) -> Option<Unparented> {
        let loops = &self.processes.get(work.process)?.loops;
        match loops.calls.verdict(call, server) {
            Verdict::HandedOver => Some(Unparented::TaskShared),
            Verdict::Outlived => Some(Unparented::Outlived),
            Verdict::Unproven => Some(Unparented::Uncalibrated),
            Verdict::Good if loops.is_shared(work.tid, work.resources) => Some(Unparented::TaskShared),
            Verdict::Good => None,
        }
    }

    /// A call is over for a while, and no answer has shown whose it was; true if that is all that could.
    pub(super) fn give_up_on_loop(&mut self, call: ExchangeId, out: &mut Vec<Span>) -> bool {
        let Some(actor) = self.forest.get(call).map(|node| node.opened.actor) else { return false };
        if actor.async_ids().is_none() || !self.is_undecided(call) {
            return false;
        }
        let owned = self.processes.get_mut(actor.process).is_some_and(|process| {
            process.loops.calls.is_over(call);
            process.loops.calls.is_owned(call)
        });
        let reason = if owned { Unparented::AfterAnswer } else { Unparented::OtherTask };
        self.unparent(call, reason, out);
        true
    }
}

fn by_loop(server: ExchangeId, work: CallingWork) -> Candidate {
    Candidate { server, by_thread: false, by_only: false, late: false, task: Some(Caller::Loop(work)) }
}
