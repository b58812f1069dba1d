//! What waits, and until when: the only deadlines of `correlate`.
//!
//! Each queue has one length of wait, so its entries are in order of their deadlines. Entries of exchanges that were decided
//! meanwhile are passed over. Bounded by the exchanges that are kept.
use super::{
    Correlator,
    evidence::peer::Key,
    node::{Candidate, Cause, Family},
    reason::Unparented,
};
use crate::{
    event::{Nanos, ProcessId},
    exchange::{ExchangeId, Role},
    spans::{Evidence, Span},
};
use std::collections::VecDeque;

/// A link that stands if no loss is told before the next tick.
#[derive(Clone, Copy, Debug)]
pub(super) struct Confirm {
    pub(super) call: ExchangeId,
    pub(super) evidence: Evidence,
}

/// The queues.
#[derive(Debug, Default)]
pub(super) struct Waits {
    /// For the other end of a connection; calls, once they are over.
    pub(super) peer: VecDeque<(Nanos, ExchangeId, Key)>,
    /// For the threads of a process to show how they work: the oldest in its `held`.
    pub(super) threads: VecDeque<(Nanos, ProcessId)>,
    /// For a process to show that it calls there by itself.
    pub(super) only: VecDeque<(Nanos, ExchangeId)>,
    /// For losses that may yet be told, of what was done for a request that is answered.
    pub(super) families: VecDeque<(Nanos, Family)>,
    /// For losses that may yet be told.
    pub(super) told: VecDeque<(Nanos, ExchangeId)>,
    /// For what the caller, or others like it, may yet do that speaks against it.
    pub(super) tasks: VecDeque<(Nanos, ExchangeId)>,
    /// For the answer of the request that seems to have caused a finished call: while a proven thread may yet be contradicted, …
    pub(super) answer: VecDeque<(Nanos, ExchangeId)>,
    /// … and for all others.
    pub(super) patience: VecDeque<(Nanos, ExchangeId)>,
    /// For the next tick.
    pub(super) confirm: Vec<Confirm>,
}

fn due<T>(queue: &mut VecDeque<T>, now: Nanos, deadline: impl Fn(&T) -> Nanos) -> Option<T> {
    if deadline(queue.front()?) > now {
        return None;
    }
    queue.pop_front()
}

impl Correlator {
    /// The links of the last tick's time stand, unless records were lost since their request opened.
    pub(super) fn confirm(&mut self, out: &mut Vec<Span>) {
        for Confirm { call, evidence } in std::mem::take(&mut self.waits.confirm) {
            let Some(Candidate { server, .. }) = self.candidate_of(call) else { continue };
            let lost = self
                .forest
                .get(server)
                .is_none_or(|node| self.was_lost_since(node.opened.actor.process, node.opened.head_at));
            if lost {
                self.unparent(call, Unparented::AfterLoss, out);
            } else {
                self.link(call, server, evidence, out);
            }
        }
    }

    /// Decides what has waited long enough for its peer, or for the threads of its process.
    pub(super) fn stop_waiting(&mut self, now: Nanos, out: &mut Vec<Span>) {
        while let Some((_, id, key)) = due(&mut self.waits.peer, now, |entry| entry.0) {
            self.peers.remove(key, id);
            self.stop_peer_wait(id, out);
        }
        while let Some((deadline, process)) = due(&mut self.waits.threads, now, |entry| entry.0) {
            let Some(call) = self.processes.get_mut(process).and_then(|process| process.held.pop_front())
            else {
                continue;
            };
            self.judge_stood(call, deadline <= self.now, out);
        }
        while let Some((deadline, call)) = due(&mut self.waits.only, now, |entry| entry.0) {
            self.judge_only(call, deadline <= self.now, out);
        }
        while let Some((_, family)) = due(&mut self.waits.families, now, |entry| entry.0) {
            self.judge_family(family, out);
        }
        while let Some((_, call)) = due(&mut self.waits.told, now, |entry| entry.0) {
            self.judge_task_told(call, out);
        }
        while let Some((deadline, call)) = due(&mut self.waits.tasks, now, |entry| entry.0) {
            self.judge_task_stood(call, deadline <= self.now, out);
        }
        self.counts.spans += self.forest.take_emitted();
    }

    /// Decides calls whose request is still not answered.
    pub(super) fn stop_patience(&mut self, now: Nanos, out: &mut Vec<Span>) {
        while let Some((deadline, call)) = due(&mut self.waits.answer, now, |entry| entry.0) {
            if !self.judge_unanswered(call, out) && self.is_undecided(call) {
                let rest = self.settings.patience_ns.saturating_sub(self.settings.hold_ns);
                self.waits.patience.push_back((Nanos(deadline.0.saturating_add(rest)), call));
            }
        }
        while let Some((_, call)) = due(&mut self.waits.patience, now, |entry| entry.0) {
            if self.is_undecided(call) {
                self.force(call, out);
            }
        }
        self.counts.spans += self.forest.take_emitted();
    }

    fn stop_peer_wait(&mut self, id: ExchangeId, out: &mut Vec<Span>) {
        let Some(node) = self.forest.get_mut(id) else { return };
        if !std::mem::take(&mut node.awaits_peer) {
            return;
        }
        if node.opened.role == Role::Server && matches!(node.cause, Cause::Undecided) {
            self.peers.set_lonely(&node.opened);
            self.decide_alone(id, Unparented::PeerUnseen, out);
        } else {
            self.forest.emit(id, out);
        }
    }

    /// No more waiting for this exchange, nor for those above it whose trace it needs.
    pub(super) fn force(&mut self, id: ExchangeId, out: &mut Vec<Span>) {
        if let Some(node) = self.forest.get_mut(id) {
            node.awaits_peer = false;
        }
        // Deciding one may show the next above it; a link never makes the way longer than the tree is deep.
        while let Some(undecided) = self.forest.undecided_above(id) {
            let Some(node) = self.forest.get_mut(undecided) else { return };
            node.awaits_peer = false;
            match node.opened.role {
                Role::Server => self.decide_alone(undecided, Unparented::PeerUnseen, out),
                Role::Client => self.unparent(undecided, Unparented::Unanswered, out),
            }
        }
        self.span_ended(id, out);
    }
}
