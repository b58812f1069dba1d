//! What the answer of the request that seems to have caused a call says about it, where threads or being alone are the evidence.
//!
//! | the call | and at the candidate's answer | link |
//! |---|---|---|
//! | by the thread that read the candidate | same thread answers, process calibrated | `thread` |
//! | by the thread that read the candidate | same thread answers, and waited for the call's answer in the call that read it | `thread` |
//! | by the thread that read the candidate | same thread answers, process not known yet | held until the process is |
//! | while the candidate was alone | the call had its answer before, and calls like it have stood | `only`, held |
//! | else | | none, with the reason |
//!
//! Not here: what counts as calibrated (see `evidence::thread`), as alone (see `evidence::only`); what runtimes say (see `task`).
use super::{Correlator, node::Candidate, reason::Unparented, waits::Confirm};
use crate::{
    event::{Nanos, ProcessId, Wait},
    exchange::{Answering, ExchangeId},
    spans::{Evidence, Span},
};

impl Correlator {
    pub(super) fn is_calibrated(&self, process: ProcessId) -> bool {
        self.processes.get(process).is_some_and(|process| process.threads.is_calibrated())
    }

    /// The candidate is being answered.
    pub(super) fn judge(
        &mut self,
        call: ExchangeId,
        candidate: Candidate,
        answering: &Answering,
        by_reader: bool,
        out: &mut Vec<Span>,
    ) {
        let Some(node) = self.forest.get(call) else { return };
        if let Some(caller) = candidate.task {
            return self.judge_task(call, candidate.server, caller, answering, out);
        }
        let waited_for = node.was_answered_by(answering.at);
        let process_id = node.opened.actor.process;
        let Some(process) = self.processes.get_mut(process_id) else { return };
        let background = process.background.covers(&node.opened);
        let by_thread = candidate.by_thread && by_reader && process.threads.withdrawn.is_none();
        if by_thread && process.threads.is_calibrated() {
            return self.link(call, candidate.server, Evidence::Thread, out);
        }
        if by_thread && node.waited_in(Wait::Call, answering.at) {
            self.waits.confirm.push(Confirm { call, evidence: Evidence::Thread });
            return;
        }
        if candidate.by_only && !waited_for {
            // Either the request leaves work behind, or it was none of its work.
            process.background.add(&node.opened);
        }
        if by_thread {
            process.held.push_back(call);
            let deadline = Nanos(self.now.0.saturating_add(self.settings.hold_ns));
            self.waits.threads.push_back((deadline, process_id));
            return;
        }
        if self.was_alone_with(call) && !background {
            return self.hold_only(call);
        }
        let reason = match candidate {
            Candidate { by_only: true, .. } if background => Unparented::Background,
            Candidate { by_only: true, .. } if !waited_for => Unparented::Outlived,
            Candidate { by_only: true, .. } => Unparented::Uncalibrated,
            _ if by_reader => Unparented::ThreadShared,
            _ => Unparented::AnsweredElsewhere,
        };
        self.unparent(call, reason, out);
    }

    /// How the threads of a process work is now known: what was held for it is decided.
    pub(super) fn judge_held(&mut self, process: ProcessId, out: &mut Vec<Span>) {
        let Some(held) = self.processes.get_mut(process).map(|process| std::mem::take(&mut process.held))
        else {
            return;
        };
        let calibrated = self.is_calibrated(process);
        for call in held {
            let Some(Candidate { server, .. }) = self.candidate_of(call) else { continue };
            if calibrated {
                self.link(call, server, Evidence::Thread, out);
            } else if self.was_alone_with(call) {
                self.hold_only(call);
            } else {
                self.unparent(call, Unparented::Uncalibrated, out);
            }
        }
    }

    /// Its candidate was the only one, after a while of silence, and the call had its answer before.
    fn was_alone_with(&self, call: ExchangeId) -> bool {
        let Some(candidate) = self.candidate_of(call).filter(|candidate| candidate.by_only) else {
            return false;
        };
        let server = self.forest.get(candidate.server).filter(|server| server.quiet);
        server.and_then(|server| server.answering).is_some_and(|answering| {
            self.forest.get(call).is_some_and(|node| node.was_answered_by(answering.at))
        })
    }

    /// Holds the link for as long as the process may show that it calls there by itself.
    fn hold_only(&mut self, call: ExchangeId) {
        let deadline = Nanos(self.now.0.saturating_add(self.settings.hold_ns));
        self.waits.only.push_back((deadline, call));
    }

    /// It was held for as long as it may be, or, if not `in_full`, for as long as the agent runs.
    pub(super) fn judge_only(&mut self, call: ExchangeId, in_full: bool, out: &mut Vec<Span>) {
        let Some(Candidate { server, .. }) = self.candidate_of(call) else { return };
        let Some(opened) = self.forest.get(call).map(|node| &node.opened) else { return };
        let head_at = self.forest.get(server).map_or(Nanos(0), |node| node.opened.head_at);
        let lost = self.was_lost_since(opened.actor.process, head_at);
        let Some(process) = self.processes.get_mut(opened.actor.process) else { return };
        let against = if lost {
            Some(Unparented::AfterLoss)
        } else if process.background.covers(opened) {
            Some(Unparented::Background)
        } else {
            let stood = in_full && process.background.stood(opened, process.open);
            (!stood).then_some(Unparented::Uncalibrated)
        };
        match against {
            Some(reason) => self.unparent(call, reason, out),
            None => self.link(call, server, Evidence::Only, out),
        }
    }

    /// A link was held for as long as it may be.
    pub(super) fn judge_stood(&mut self, call: ExchangeId, in_full: bool, out: &mut Vec<Span>) {
        let Some(Candidate { server, .. }) = self.candidate_of(call) else { return };
        let process = self.forest.get(call).map(|node| node.opened.actor.process);
        let stood = process
            .and_then(|process| self.processes.get(process))
            .is_some_and(|process| process.threads.has_stood());
        if stood {
            self.link(call, server, Evidence::Thread, out);
        } else if self.was_alone_with(call) {
            self.judge_only(call, in_full, out);
        } else {
            self.unparent(call, Unparented::Uncalibrated, out);
        }
    }

    /// The call's thread had read its candidate, threads are proven in the process, and no answer was missed.
    fn is_proven(&self, call: ExchangeId) -> bool {
        let Some(candidate) =
            self.candidate_of(call).filter(|candidate| candidate.by_thread && !candidate.late)
        else {
            return false;
        };
        let Some(server) = self.forest.get(candidate.server) else { return false };
        let reader = server.opened.actor;
        !self.was_lost_since(reader.process, server.opened.head_at)
            && self.processes.get(reader.process).is_some_and(|process| {
                process.threads.is_calibrated() && process.threads.still_holds(reader, candidate.server)
            })
    }

    /// The call has stood the hold time and its candidate is not answered yet: where threads are proven, no answer is needed.
    pub(super) fn judge_unanswered(&mut self, call: ExchangeId, out: &mut Vec<Span>) -> bool {
        let Some(candidate) = self.candidate_of(call) else { return self.give_up_on_loop(call, out) };
        if candidate.task.is_some_and(|caller| self.task_acts_still(caller, candidate.server)) {
            self.link(call, candidate.server, Evidence::Task, out);
            return true;
        }
        if !self.is_proven(call) {
            return false;
        }
        self.link(call, candidate.server, Evidence::Thread, out);
        true
    }
}
