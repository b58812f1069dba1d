//! The life of a server request: who sent it, and what its answer says about the calls made meanwhile.
//!
//! | its headers | the sender's end is on this node | parent |
//! |---|---|---|
//! | no context | found | the sender's client span (`peer`) |
//! | context | found, and the application there only handed the context on | the sender's client span (`peer`), same trace |
//! | context | found, and a library there made the context | who the context names (`wire`) |
//! | context | not there, or not seen in time | who the context names (`wire`) |
//! | no context | not there, or not seen in time | none: `entry`, `peer_unseen` |
//!
//! Not here: what a call of this process makes of it (see `client`).
use super::{
    Correlator,
    evidence::{
        peer::{Found, Table},
        wire,
    },
    nginx::is_in_order,
    node::{Candidate, Cause},
    reason::Unparented,
    waits::Confirm,
};
use crate::{
    event::{Task, Wait},
    exchange::{Answering, End, ExchangeId, Opened},
    spans::{Evidence, Span},
};

impl Correlator {
    pub(super) fn open_server(&mut self, opened: Box<Opened>, out: &mut Vec<Span>) {
        let (id, key) = (opened.id, Table::key(&opened));
        let received = wire::read(&opened.call, &self.settings.formats);
        self.counts.rejected_context += received.rejected;
        self.peers.learn(&opened);
        let (overlapped, quiet) = self.note_open(&opened, &received);
        if opened.actor.async_ids().is_some() && opened.stream.is_none() {
            self.read_on_loop(&opened);
        }
        let found = self.find_peer(&opened);
        let here = self.peers.is_here(&opened);
        let waits = found == Found::Nothing && here && !self.peers.is_lonely(&opened);
        if waits {
            self.peers.wait(&opened);
        }
        self.forest.insert(opened, received);
        if let Some(node) = self.forest.get_mut(id) {
            (node.overlapped, node.quiet) = (overlapped, quiet);
        }
        match found {
            Found::One(client) => self.join(client, id, out),
            Found::Nothing if waits => {
                if let Some(node) = self.forest.get_mut(id) {
                    node.awaits_peer = true;
                }
                self.wait_for_peer(id, key);
            }
            Found::Several => {
                self.counts.peer_ambiguous += 1;
                self.decide_alone(id, Unparented::PeerUnseen, out);
            }
            Found::Nothing if here => self.decide_alone(id, Unparented::PeerUnseen, out),
            Found::Nothing => self.decide_alone(id, Unparented::Entry, out),
        }
    }

    /// Enters the request into what its process has open; whether others are, and whether none was for a while.
    fn note_open(&mut self, opened: &Opened, received: &wire::Received) -> (bool, bool) {
        let last_loss = self.last_loss(opened.actor.process);
        let Some(process) = self.processes.get_or_insert(opened.actor.process) else {
            return (true, false);
        };
        process.exchanges += 1;
        let first = process.open.only();
        let quiet = process.open.add(opened.id, opened.head_at);
        let shared = opened.stream.is_some();
        process.threads.read(opened.actor, opened.id, opened.conn, shared);
        process.shares |= shared;
        if let Some(goroutine) = opened.actor.goroutine() {
            process.goroutines.forget_old(self.now, self.settings.hold_ns);
            process.goroutines.read(goroutine, opened, last_loss);
        }
        // Who reads a connection that exchanges share is nobody's in particular.
        if !shared {
            if let Some(Task::Nginx(_)) = opened.actor.task {
                process.nginx.opened(opened.conn, opened.id);
            }
            process.lineage.open(opened.id, opened.head_at, opened.actor.context().is_some());
        }
        if let Some(context) = &received.context {
            process.contexts.add(context, opened.id);
        }
        let overlapped = process.open.count() > 1;
        if let Some(first) = first.and_then(|first| self.forest.get_mut(first)) {
            first.overlapped = true;
        }
        (overlapped, quiet)
    }

    pub(super) fn find_peer(&mut self, opened: &Opened) -> Found {
        let forest = &self.forest;
        self.peers.take(opened, |id| forest.get(id).is_some_and(|node| node.opened.call == opened.call))
    }

    pub(super) fn wait_for_peer(&mut self, id: ExchangeId, key: super::evidence::peer::Key) {
        let deadline = crate::event::Nanos(self.now.0.saturating_add(self.settings.peer_wait_ns));
        self.waits.peer.push_back((deadline, id, key));
    }

    /// The two ends of one request are known; the table above decides.
    pub(super) fn join(&mut self, client: ExchangeId, server: ExchangeId, out: &mut Vec<Span>) {
        let Some(node) = self.forest.get_mut(server) else { return };
        node.awaits_peer = false;
        if !matches!(node.cause, Cause::Undecided) {
            return;
        }
        let (begins, has_context) = (node.opened.at, node.received.context.is_some());
        let Some(sender) = self.forest.get_mut(client) else {
            self.decide_alone(server, Unparented::PeerUnseen, out);
            return;
        };
        // A send is recorded when the call returns, and by then the receiver may have begun: the bytes had left before that.
        sender.start = sender.start.min(begins);
        sender.awaits_peer = false;
        let suppressed = sender.suppressed;
        let handed_on = sender.handed_on;
        if has_context && !handed_on {
            if !suppressed {
                self.counts.peer_contradicted += 1;
            }
            self.decide_alone(server, Unparented::PeerUnseen, out);
        } else if suppressed {
            self.decide_alone(server, Unparented::PeerUnseen, out);
        } else {
            self.link(server, client, Evidence::Peer, out);
        }
        self.span_ended(client, out);
    }

    /// Decides a server request without its sender.
    pub(super) fn decide_alone(&mut self, id: ExchangeId, reason: Unparented, out: &mut Vec<Span>) {
        let Some(node) = self.forest.get(id) else { return };
        match &node.received.context {
            Some(context) => {
                let parent = context.parent;
                self.continue_wire(id, parent, out);
            }
            None => self.unparent(id, reason, out),
        }
    }

    /// A response begins: who writes it tells whether the calls made by the reader were made for this request.
    pub(super) fn answer_server(&mut self, answering: Answering, out: &mut Vec<Span>) {
        let shared = self.forest.get(answering.id).is_some_and(|node| node.opened.stream.is_some());
        if shared {
            self.hear_writer(&answering);
        } else {
            self.answer_in_context(&answering, out);
        }
        let Some(node) = self.forest.get_mut(answering.id) else { return };
        let reader = node.opened.actor;
        let head_at = node.opened.head_at;
        let calls = std::mem::take(&mut node.calls);
        let Some(process) = self.processes.get_mut(reader.process) else { return };
        let withdrawn_before = process.threads.withdrawn.is_some();
        let by_reader = process.threads.answered(reader, answering.id, answering.actor);
        let withdrawn = process.threads.withdrawn.is_some();
        let waited_in = |wait| calls.iter().any(|call| self.was_waited_for(*call, wait, &answering));
        let by_itself = by_reader && (waited_in(Wait::Call) || waited_in(Wait::Poll));
        let waited = by_itself || by_reader && waited_in(Wait::Epoll);
        let process = self.processes.get_mut(reader.process).filter(|_| waited);
        let calibrated =
            process.is_some_and(|process| process.threads.waited(reader, head_at, answering.at, by_itself));
        if calibrated || (withdrawn && !withdrawn_before) {
            self.judge_held(reader.process, out);
        }
        for call in calls {
            match self.candidate_of(call) {
                Some(candidate) if candidate.late => self.keep_for_end(answering.id, call),
                Some(candidate) => self.judge(call, candidate, &answering, by_reader, out),
                None => {}
            }
        }
        if !shared {
            self.answer_on_loop(&answering, out);
        }
    }

    /// The reader made the call and read its answer before it wrote its own: it waited for it.
    fn was_waited_for(&self, call: ExchangeId, wait: Wait, answering: &Answering) -> bool {
        let Some(node) = self.forest.get(call) else { return false };
        node.candidate.is_some_and(|candidate| candidate.by_thread) && node.waited_in(wait, answering.at)
    }

    fn keep_for_end(&mut self, server: ExchangeId, call: ExchangeId) {
        if let Some(node) = self.forest.get_mut(server) {
            node.calls.push(call);
        }
    }

    /// A server request is over.
    pub(super) fn end_server(&mut self, id: ExchangeId, out: &mut Vec<Span>) {
        let Some(node) = self.forest.get_mut(id) else { return };
        let reader = node.opened.actor;
        let calls = std::mem::take(&mut node.calls);
        let (answered, head_at) = (node.answering.is_some(), node.opened.head_at);
        let Some(ended) = &node.ended else { return };
        let exact_end = (ended.end == End::Complete && !ended.incomplete.response_end).then_some(ended.at);
        // Without an answer there was either none, or it fell into a gap, and who knows what else did.
        // Where exchanges share a connection a head may be cut because its fields refer to what came before.
        let is_head_lost = ended.incomplete.response_head && node.opened.stream.is_none();
        let gap = is_head_lost || (ended.end == End::Complete && ended.answer.is_none());
        let ended_at = ended.at;
        let mut abandoned = false;
        if let Some(process) = self.processes.get_mut(reader.process) {
            abandoned = !gap && process.threads.still_holds(reader, id);
            if gap {
                process.lost_at = process.lost_at.max(ended_at);
            }
            process.exchanges = process.exchanges.saturating_sub(1);
            process.open.remove(id, ended_at);
            process.threads.ended(reader, id);
            if let Some(goroutine) = reader.goroutine() {
                // Who handles a request that its client gave up may go on, and that says nothing.
                let kept = answered && (is_in_order(ended.end) || node.opened.stream.is_none());
                process.goroutines.ended(goroutine, id, kept.then_some(ended_at));
            }
            if let Some(Task::Nginx(_)) = reader.task {
                process.nginx.ended(node.opened.conn, id, is_in_order(ended.end));
            }
            if let Some(context) = &node.received.context {
                process.contexts.remove(context, id);
            }
        }
        if !answered {
            self.close_request(id, reader.process, head_at, out);
        }
        for call in calls {
            let Some(Candidate { by_thread, task, .. }) = self.candidate_of(call) else { continue };
            if let Some(caller) = task {
                self.judge_task_at_end(call, id, caller, gap, out);
                continue;
            }
            // Either nothing was answered and its thread is still at it, or the last byte of the answer came after the call's.
            let before = |end| self.forest.get(call).is_some_and(|node| node.was_answered_by(end));
            let inside = abandoned || answered && exact_end.is_some_and(before);
            let calibrated = self.is_calibrated(reader.process);
            match (by_thread && calibrated && inside, answered) {
                (true, _) => self.waits.confirm.push(Confirm { call, evidence: Evidence::Thread }),
                (false, true) => self.unparent(call, Unparented::AfterAnswer, out),
                (false, false) => self.unparent(call, Unparented::Unanswered, out),
            }
        }
    }
}
