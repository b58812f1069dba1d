//! Calls of Python's contexts: what an answer says about those that were made before it.
//!
//! | the call was made by | and | link |
//! |---|---|---|
//! | the context that answers a request, since it was read | it is the request's own | `task`, once losses would have been told |
//! | one whose line of births leads to that | it was answered before, and nobody of the line acted after the answer began | `task`, when it was held |
//! | one that leads to no request, or to several | – | none, when every request that was open then is answered |
//! | a thread without a context, for work that was handed to it | as for a line of births | as for those |
//! | another one that had read no request itself | others are read in contexts | none |
//!
//! What the rules rest on: see `evidence::context`.
use super::{
    Correlator,
    evidence::{
        context::{BelongsTo, ContextId, Line},
        thread::Holds,
    },
    node::{Caller, CallingContext, Candidate, Family, Node, Prospect},
    reason::Unparented,
};
use crate::{
    event::{Birth, Handover, Nanos, ProcessId},
    exchange::{Answering, ExchangeId, Opened},
    spans::{Evidence, Span},
};

impl Correlator {
    /// A context was created.
    pub fn birth(&mut self, process: ProcessId, at: Nanos, birth: Birth) {
        if let Some(process) = self.processes.get_or_insert(process) {
            process.lineage.bear(birth.context, birth.creator, at);
        }
    }

    /// Work was handed to a pool of threads, or taken by one.
    pub fn handover(&mut self, process: ProcessId, at: Nanos, handover: Handover) {
        if let Some(process) = self.processes.get_or_insert(process) {
            process.lineage.hand(handover, at);
        }
    }

    /// What contexts say of a call that is sent; `None`: they say nothing here.
    pub(super) fn context_prospect(&mut self, opened: &Opened) -> Option<Prospect> {
        let process = self.processes.get_mut(opened.actor.process)?;
        let holds = process.threads.holds(opened.actor, false);
        let is_used = process.lineage.is_used;
        let id = match opened.actor.context() {
            Some(address) => {
                let id = process.lineage.at(address, opened.actor.context_since(opened.at));
                if let Some(id) = id {
                    process.lineage.acts(id, opened.at);
                }
                // Until the first answer shows who answers, only a thread of which nothing can be known is left to its contexts.
                if !is_used && (process.lineage.births == 0 || holds != Holds::Several) {
                    return None;
                }
                id
            }
            // A thread that serves requests itself is judged by that.
            None if process.open.count() == 0 || holds != Holds::Nothing => return None,
            None => {
                let id = process.lineage.in_thread(opened.actor.tid, opened.at);
                if let Some(id) = id {
                    process.lineage.acts(id, opened.at);
                }
                if !is_used
                    && (process.open.count() == 1 || !id.is_some_and(|id| process.lineage.has_creator(id)))
                {
                    return None;
                }
                id
            }
        };
        if process.open.count() == 0 {
            process.background.add(opened);
            return Some(Prospect::Nobody(Unparented::NoRequestOpen));
        }
        let Some(id) = id else { return Some(Prospect::Nobody(Unparented::OtherTask)) };
        process.lineage.call(id, opened.at, opened.id);
        Some(Prospect::Later)
    }

    /// A request is being answered: whoever does owns it.
    pub(super) fn answer_in_context(&mut self, answering: &Answering, out: &mut Vec<Span>) {
        let Some(node) = self.forest.get(answering.id) else { return };
        let (conn, read_at, reader) = (node.opened.conn, node.opened.head_at, node.opened.actor);
        let Some(process) = self.processes.get_mut(reader.process) else { return };
        let lineage = &mut process.lineage;
        let since = answering.actor.context_since(answering.at);
        let owner = answering.actor.context().and_then(|address| lineage.at(address, since));
        if let Some(owner) = owner {
            lineage.answer(owner, answering.id, conn, read_at, answering.at);
        }
        if lineage.is_used {
            let process = reader.process;
            self.forest.hold(answering.id);
            self.await_family(Family { request: answering.id, process, read_at, owner });
        } else {
            self.close_request(answering.id, reader.process, read_at, out);
        }
    }

    /// All that was done before a request's answer has been told, or its loss.
    pub(super) fn judge_family(&mut self, family: Family, out: &mut Vec<Span>) {
        let Family { request, process, read_at, owner } = family;
        let family =
            owner.and_then(|owner| Some(self.processes.get(process)?.lineage.family(owner, request)));
        for (at, call, caller) in family.unwrap_or_default() {
            self.judge_member(call, CallingContext { context: caller, at }, request, process, out);
        }
        if let (Some(owner), Some(process)) = (owner, self.processes.get_mut(process)) {
            process.lineage.is_judged(owner, request);
        }
        self.forest.release(request);
        self.close_request(request, process, read_at, out);
    }

    /// A call that may belong to a request that is answered.
    fn judge_member(
        &mut self,
        call: ExchangeId,
        caller: CallingContext,
        request: ExchangeId,
        process: ProcessId,
        out: &mut Vec<Span>,
    ) {
        let Some((owner, line)) = self.line(call, caller, request, process) else { return };
        let Some(server) = self.forest.get(request) else { return };
        let (read_at, answered) = (server.opened.head_at, server.answering.map(|answering| answering.at));
        let over = self.forest.get(call).and_then(Node::first_answer);
        let was_awaited = over.zip(answered).is_some_and(|(over, answered)| over <= answered);
        let is_lost = self.was_lost_since(process, read_at);
        // After a loss only what was seen to end too late has: the end of others may have been lost.
        if !line.is_empty() && !was_awaited && (!is_lost || over.is_some()) {
            self.count_outlived(process, request, owner, &line);
        }
        if is_lost {
            return self.unparent(call, Unparented::AfterLoss, out);
        }
        let Some(lineage) = self.processes.get(process).map(|process| &process.lineage) else { return };
        if !lineage.is_own(owner, request) {
            return self.unparent(call, Unparented::Uncalibrated, out);
        }
        if !line.is_empty() && !was_awaited {
            return self.unparent(call, Unparented::Outlived, out);
        }
        let task = Some(Caller::Context(caller));
        let candidate = Candidate { server: request, by_thread: false, by_only: false, late: false, task };
        self.adopt(call, candidate, out);
        if line.is_empty() {
            self.link(call, request, Evidence::Task, out);
        } else {
            self.hold_task(call);
        }
    }

    /// A call whose line leads to a request was not over when that was answered.
    fn count_outlived(&mut self, process: ProcessId, request: ExchangeId, owner: ContextId, line: &Line) {
        let Some((_, answered)) = self.answered_at(request) else { return };
        let Some(lineage) = self.processes.get_mut(process).map(|process| &mut process.lineage) else {
            return;
        };
        let (origin, _) = lineage.origin(owner, request, line);
        lineage.count(line, origin, answered, false);
    }

    /// Owner and line of an undecided call, if they lead to that request.
    fn line(
        &self,
        call: ExchangeId,
        caller: CallingContext,
        request: ExchangeId,
        process: ProcessId,
    ) -> Option<(ContextId, Line)> {
        if !self.is_undecided(call) {
            return None;
        }
        match self.processes.get(process)?.lineage.belongs(caller.context, caller.at) {
            BelongsTo::Request { request: own, owner, line } if own == request => Some((owner, line)),
            _ => None,
        }
    }

    /// A descendant's call was held for as long as it may be, or, if not `in_full`, for as long as the agent runs.
    pub(super) fn judge_context_stood(
        &mut self,
        call: ExchangeId,
        server: ExchangeId,
        caller: CallingContext,
        in_full: bool,
        out: &mut Vec<Span>,
    ) {
        if let Some(reason) = self.against_context(call, server, caller) {
            return self.unparent(call, reason, out);
        }
        let Some((process, answered)) = self.answered_at(server) else { return };
        let Some((owner, line)) = self.line(call, caller, server, process) else { return };
        let now = self.now;
        let hold_ns = self.settings.hold_ns;
        let Some(lineage) = self.processes.get_mut(process).map(|process| &mut process.lineage) else {
            return;
        };
        let (origin, born) = lineage.origin(owner, server, &line);
        if in_full {
            lineage.count(&line, origin, answered, true);
        }
        if lineage.belief.holds(origin, born) {
            match in_full {
                true => return self.await_losses(call),
                // The first of a process, that only wait for each other.
                false if now.since(answered) >= hold_ns => return self.judge_task_told(call, out),
                false => {}
            }
        }
        // The first of a process wait for each other.
        if in_full && now.since(answered) < hold_ns.saturating_mul(2) {
            return self.hold_task(call);
        }
        self.unparent(call, Unparented::Uncalibrated, out);
    }

    /// Why the link cannot be given, if something speaks against the caller.
    pub(super) fn against_context(
        &mut self,
        call: ExchangeId,
        server: ExchangeId,
        caller: CallingContext,
    ) -> Option<Unparented> {
        let (process, answered) = self.answered_at(server)?;
        let Some((owner, line)) = self.line(call, caller, server, process) else {
            return Some(Unparented::TaskShared);
        };
        let lineage = &mut self.processes.get_mut(process)?.lineage;
        let (origin, _) = lineage.origin(owner, server, &line);
        if lineage.has_outlived(&line, answered) {
            lineage.count(&line, origin, answered, true);
            return Some(Unparented::TaskShared);
        }
        (!lineage.is_own(owner, server)).then_some(Unparented::ThreadShared)
    }

    fn answered_at(&self, server: ExchangeId) -> Option<(ProcessId, Nanos)> {
        let node = self.forest.get(server)?;
        Some((node.opened.actor.process, node.answering?.at))
    }

    /// No call can belong to this request any more: those that waited for it alone belong to nobody.
    pub(super) fn close_request(
        &mut self,
        request: ExchangeId,
        process: ProcessId,
        read_at: Nanos,
        out: &mut Vec<Span>,
    ) {
        let Some(lineage) = self.processes.get_mut(process).map(|process| &mut process.lineage) else {
            return;
        };
        lineage.close(request, read_at);
        while let Some((at, call, caller)) =
            self.processes.get_mut(process).and_then(|process| process.lineage.take_settled())
        {
            if !self.is_undecided(call) || self.candidate_of(call).is_some() {
                continue;
            }
            let Some(lineage) = self.processes.get(process).map(|process| &process.lineage) else { return };
            let reason = match lineage.belongs(caller, at) {
                BelongsTo::Several => Unparented::ThreadShared,
                BelongsTo::Answered => Unparented::AfterAnswer,
                BelongsTo::Request { .. } | BelongsTo::Nobody => Unparented::OtherTask,
            };
            self.unparent(call, reason, out);
        }
    }
}
