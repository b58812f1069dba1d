//! Evidence of grade `task`: which language runtime is asked who made a call, one arm per runtime.
//!
//! | when | what is asked |
//! |---|---|
//! | a call is sent | for which request it may be ([`Prospect`]) |
//! | that request is answered, or over | whether it was for it |
//! | the link was held as long as it may be, for something that speaks against it | whether anything did |
//! | no loss can be told any more | the same, at last: then it is given |
//!
//! Not here: what each of them answers (see the module of its name, and the module of the same name under `evidence`).
use super::{
    Correlator,
    node::{Caller, Candidate, Family, Prospect},
    reason::Unparented,
};
use crate::{
    event::{Nanos, Task},
    exchange::{Answering, ExchangeId, Opened},
    spans::{Evidence, Span},
};

/// Losses are told so much later at most: the kernel side's counters are looked at every 100 ms. A claim whose request was lost
/// would be taken for the next of its connection if that one's own claim was lost too.
const TOLD_NS: u64 = 150_000_000;

impl Correlator {
    /// What a language runtime knows of a call that is sent; `None`: nothing, other evidence is asked.
    pub(super) fn task_prospect(&mut self, opened: &Opened) -> Option<Prospect> {
        match opened.actor.task {
            Some(Task::Context(_) | Task::Queued { .. }) => self.context_prospect(opened),
            // A goroutine may have asked although another thread sends the bytes.
            Some(Task::Goroutine(_)) => self.goroutine_candidate(opened).map(Prospect::from),
            Some(Task::Nginx(named)) => self.nginx_prospect(opened, named),
            Some(Task::Async(ids)) => self.loop_prospect(opened, ids),
            None => match self.goroutine_candidate(opened) {
                Some(candidate) => Some(candidate.into()),
                None => self.context_prospect(opened),
            },
        }
    }

    /// The request that the caller seems to work for is being answered.
    pub(super) fn judge_task(
        &mut self,
        call: ExchangeId,
        server: ExchangeId,
        caller: Caller,
        answering: &Answering,
        out: &mut Vec<Span>,
    ) {
        match caller {
            Caller::Goroutine(caller) => self.judge_goroutine(call, server, caller, answering, out),
            Caller::Nginx => self.judge_nginx(call, answering, out),
            // It was adopted because of the answer.
            Caller::Context(_) => {}
            Caller::Loop(_) => self.hold_task(call),
        }
    }

    /// That request is over, and the call was not judged when its response began. `gap`: bytes of it were lost.
    pub(super) fn judge_task_at_end(
        &mut self,
        call: ExchangeId,
        server: ExchangeId,
        caller: Caller,
        gap: bool,
        out: &mut Vec<Span>,
    ) {
        match caller {
            Caller::Goroutine(caller) => self.judge_goroutine_at_end(call, server, caller, gap, out),
            Caller::Nginx => self.judge_nginx_at_end(call, server, gap, out),
            Caller::Context(_) => {}
            Caller::Loop(_) => self.judge_loop_at_end(call, gap, out),
        }
    }

    /// Holds the link for as long as something may speak against it.
    pub(super) fn hold_task(&mut self, call: ExchangeId) {
        let deadline = Nanos(self.now.0.saturating_add(self.settings.hold_ns));
        self.waits.tasks.push_back((deadline, call));
    }

    /// It was held for as long as it may be, or, if not `in_full`, for as long as the agent runs.
    pub(super) fn judge_task_stood(&mut self, call: ExchangeId, in_full: bool, out: &mut Vec<Span>) {
        let Some((server, caller)) =
            self.candidate_of(call).and_then(|candidate| Some((candidate.server, candidate.task?)))
        else {
            return;
        };
        match caller {
            Caller::Goroutine(caller) => self.judge_goroutine_stood(call, server, caller, in_full, out),
            // Its links are never held.
            Caller::Nginx => {}
            Caller::Context(caller) => self.judge_context_stood(call, server, caller, in_full, out),
            Caller::Loop(work) => self.judge_loop_stood(call, server, work, in_full, out),
        }
    }

    /// The link is given once no loss can be told any more that speaks against it.
    pub(super) fn await_losses(&mut self, call: ExchangeId) {
        self.waits.told.push_back((Nanos(self.now.0.saturating_add(TOLD_NS)), call));
    }

    /// A request was answered in a process that keeps contexts: what was done for it will soon have been told.
    pub(super) fn await_family(&mut self, family: Family) {
        let deadline = Nanos(self.now.0.saturating_add(TOLD_NS));
        self.waits.families.push_back((deadline, family));
    }

    /// No loss was told, or it was.
    pub(super) fn judge_task_told(&mut self, call: ExchangeId, out: &mut Vec<Span>) {
        let Some(Candidate { server, task: Some(caller), .. }) = self.candidate_of(call) else { return };
        let request = self.forest.get(server).map(|node| (node.opened.actor.process, node.opened.head_at));
        let Some((process, _)) =
            request.filter(|(process, head_at)| !self.was_lost_since(*process, *head_at))
        else {
            return self.unparent(call, Unparented::AfterLoss, out);
        };
        let against = match caller {
            Caller::Goroutine(caller) => self.against_goroutine(process, server, caller),
            Caller::Nginx => None,
            Caller::Context(caller) => self.against_context(call, server, caller),
            Caller::Loop(work) => self.against_loop(call, server, work),
        };
        match against {
            Some(reason) => self.unparent(call, reason, out),
            None => self.link(call, server, Evidence::Task, out),
        }
    }

    /// The caller works for a request that is still open and not answered, and no answer can have been missed: none is needed.
    pub(super) fn task_acts_still(&self, caller: Caller, server: ExchangeId) -> bool {
        match caller {
            Caller::Goroutine(caller) => self.goroutine_reads_still(caller, server),
            Caller::Nginx => self.nginx_acts_still(server),
            Caller::Context(_) => false,
            // What came of it may yet speak against it.
            Caller::Loop(_) => false,
        }
    }
}
