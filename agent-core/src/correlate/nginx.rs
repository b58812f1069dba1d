//! Calls of nginx: what its structures say about them.
//!
//! | nginx names the client's connection, and | and | link |
//! |---|---|---|
//! | its response has not begun | a request on it is open and not answered | `task`: the first such, once losses would have been told |
//! | its response has begun | the call was sent before the end of the response that is under way | `task`, likewise, when it has ended |
//! | its response has begun | none is under way | none: `after_answer` |
//! | no request is open on it | – | none: `no_request_open` |
//! | it names none | – | other evidence (see `client`) |
//!
//! What the rules rest on: see `evidence::nginx`.
use super::{
    Correlator,
    node::{Caller, Candidate, Prospect},
    reason::Unparented,
};
use crate::{
    event::{Nanos, Proxied},
    exchange::{Answering, End, ExchangeId, Opened},
    spans::Span,
};

impl Correlator {
    /// Which request a call is made for; `None`: nginx names none.
    pub(super) fn nginx_prospect(&mut self, opened: &Opened, named: Option<Proxied>) -> Option<Prospect> {
        let process = self.processes.get_mut(opened.actor.process)?;
        let Some(Proxied { conn, begun }) = named else {
            process.nginx.unnamed += 1;
            return None;
        };
        process.nginx.named += 1;
        let process = self.processes.get(opened.actor.process)?;
        let is = |id| {
            let answered_at = self.forest.get(id)?.answering.map(|answering| answering.at);
            Some(answered_at.is_some_and(|at| at <= opened.at) == begun)
        };
        let Some(server) = process.nginx.first(conn, |id| is(id) == Some(true)) else {
            return Some(Prospect::Nobody(if begun {
                Unparented::AfterAnswer
            } else if process.shares {
                Unparented::ConnectionShared
            } else {
                Unparented::NoRequestOpen
            }));
        };
        let head_at = self.forest.get(server)?.opened.head_at;
        if head_at > opened.at {
            return Some(Prospect::Nobody(Unparented::NoRequestOpen));
        }
        if self.was_lost_since(opened.actor.process, head_at) {
            return Some(Prospect::Nobody(Unparented::AfterLoss));
        }
        let task = Some(Caller::Nginx);
        Some(Prospect::Candidate(Candidate { server, by_thread: false, by_only: false, late: begun, task }))
    }

    /// The request is being answered: a call sent before that is its own.
    pub(super) fn judge_nginx(&mut self, call: ExchangeId, answering: &Answering, out: &mut Vec<Span>) {
        if self.was_sent_by(call, answering.at) {
            self.await_losses(call);
        } else {
            self.unparent(call, Unparented::AfterAnswer, out);
        }
    }

    /// The request is over, and the call was not judged when its response began: there was none, or the call came later.
    pub(super) fn judge_nginx_at_end(
        &mut self,
        call: ExchangeId,
        server: ExchangeId,
        gap: bool,
        out: &mut Vec<Span>,
    ) {
        let Some(node) = self.forest.get(server) else { return };
        let Some(ended) = &node.ended else { return };
        let (answered, ended_at) = (node.answering.is_some(), ended.at);
        // When an answer ends that was not wholly seen, nobody knows exactly: the next may have begun.
        let is_inexact = gap || (answered && ended.incomplete.response_end);
        if !is_inexact && self.was_sent_by(call, ended_at) {
            self.await_losses(call);
        } else if answered {
            self.unparent(call, Unparented::AfterAnswer, out);
        } else {
            self.unparent(call, Unparented::Unanswered, out);
        }
    }

    /// The request is still open, was not answered when the call was sent, and no answer can have been missed.
    pub(super) fn nginx_acts_still(&self, server: ExchangeId) -> bool {
        self.forest.get(server).is_some_and(|node| {
            node.answering.is_none()
                && node.ended.is_none()
                && !self.was_lost_since(node.opened.actor.process, node.opened.head_at)
        })
    }

    fn was_sent_by(&self, call: ExchangeId, at: Nanos) -> bool {
        self.forest.get(call).is_some_and(|node| node.opened.at <= at)
    }
}

/// After this end of a request the next one open on its connection is the first.
pub(super) fn is_in_order(end: End) -> bool {
    matches!(end, End::Complete | End::Upgraded)
}
