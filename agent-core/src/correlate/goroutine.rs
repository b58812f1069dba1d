//! Calls of goroutines: what a claim, a birth and an answer say about them.
//!
//! | the call was asked for by | and | link |
//! |---|---|---|
//! | the goroutine that read an open request | it, or a descendant, answers that request | `task`, once losses would have been told |
//! | the goroutine born to handle one of a shared connection | its `go` statement is believed there, and proven as a descendant's | likewise |
//! | a descendant, before the response began | its sites are proven | `task`, likewise |
//! | a descendant, before the response began | its sites have been shown good by others, and none spoke against it while held | `task` |
//! | on a connection that calls share: a descendant that writes nothing else | as above | as above |
//! | a goroutine that is claimed to ask and that works for nobody | – | none: `other_task` |
//! | one that is not claimed and works for nobody | – | other evidence (see `client`) |
//!
//! What the rules rest on: see `evidence::goroutine`.
use super::{
    Correlator,
    evidence::goroutine::{Claim, Standing, WorksFor},
    node::{Caller, CallingGoroutine, Candidate},
    reason::Unparented,
};
use crate::{
    event::{ConnId, Nanos, ProcessId, Spawn},
    exchange::{Answering, ExchangeId, Opened},
    spans::Span,
};
use std::num::NonZeroU64;

impl Correlator {
    /// The next request of a connection is asked for by `goroutine`, whoever sends the bytes.
    pub fn claim(&mut self, process: ProcessId, conn: ConnId, at: Nanos, goroutine: NonZeroU64) {
        if let Some(process) = self.processes.get_or_insert(process) {
            process.goroutines.claim(conn, Claim { goroutine, at });
        }
    }

    /// A goroutine was created: one that works for an open request creates it for that.
    pub fn spawn(&mut self, process: ProcessId, at: Nanos, spawn: Spawn) {
        let Some(process) = self.processes.get_mut(process) else { return };
        let (request, is_reader) = match process.goroutines.works_for(spawn.parent) {
            WorksFor::Read { id, .. } => (id, true),
            WorksFor::Born(id) => (id, process.goroutines.handles(spawn.parent)),
            WorksFor::Several => return,
            WorksFor::Nobody => {
                if let Some((conn, request)) = process.goroutines.handlers.bear(spawn, at)
                    && self.forest.get(request).is_some_and(|node| node.ended.is_none())
                {
                    process.goroutines.bear_handler(spawn, conn, request);
                }
                return;
            }
        };
        match self.forest.get(request).map(|node| (node.opened.head_at, node.answering)) {
            Some((opened_at, None)) if opened_at <= at => process.goroutines.bear(spawn, request),
            Some((_, Some(answering))) if at <= answering.at => process.goroutines.bear(spawn, request),
            Some((_, None)) => {}
            Some((_, Some(_))) | None if is_reader => {}
            Some((_, Some(_))) | None => process.goroutines.outlived(spawn.parent),
        }
    }

    /// Who writes the response of a request that shares its connection tells whose connection it is.
    pub(super) fn hear_writer(&mut self, answering: &Answering) {
        let Some(conn) = self.forest.get(answering.id).map(|node| node.opened.conn) else { return };
        let actor = answering.actor;
        if let (Some(process), Some(writer)) = (self.processes.get_mut(actor.process), actor.goroutine()) {
            process.goroutines.handlers.answered(conn, writer);
        }
    }

    /// The same for a call on a connection that calls share: only a goroutine that was created to write it says anything.
    pub(super) fn stream_candidate(&mut self, opened: &Opened) -> Option<Result<Candidate, Unparented>> {
        let goroutine = opened.actor.goroutine()?;
        let process = self.processes.get_mut(opened.actor.process)?;
        let is_its_own = process.goroutines.writes(opened.conn, goroutine);
        if is_its_own { self.goroutine_candidate(opened) } else { None }
    }

    /// Which request the goroutine works for that asked for a call; `None`: goroutines say nothing here.
    pub(super) fn goroutine_candidate(&mut self, opened: &Opened) -> Option<Result<Candidate, Unparented>> {
        let process = self.processes.get_mut(opened.actor.process)?;
        let claim = process.goroutines.take_claim(opened.conn, opened.at);
        let (goroutine, at) = match claim {
            Some(claim) => (claim.goroutine, claim.at),
            None => (opened.actor.goroutine()?, opened.at),
        };
        let handles = process.goroutines.handles(goroutine);
        let (server, is_reader, alone) = match process.goroutines.works_for(goroutine) {
            WorksFor::Read { id, alone } => (id, true, alone),
            WorksFor::Born(id) => {
                process.goroutines.acts(goroutine);
                (id, handles, true)
            }
            WorksFor::Several => return Some(Err(Unparented::ThreadShared)),
            // What the process does by itself is still learned, for calls of which nobody says who asked.
            WorksFor::Nobody if claim.is_some() && process.open.count() > 0 => {
                return Some(Err(Unparented::OtherTask));
            }
            WorksFor::Nobody => return None,
        };
        let Some(node) = self.forest.get(server) else {
            process.goroutines.outlived(goroutine);
            return Some(Err(Unparented::AfterAnswer));
        };
        if at < node.opened.head_at {
            return Some(Err(Unparented::OtherTask));
        }
        let begun = node.answering.is_some_and(|answering| answering.at < at);
        if begun && !alone {
            // It may have gone on with the next.
            return Some(Err(Unparented::ThreadShared));
        }
        let ended = node.ended.is_some();
        if (!is_reader && begun) || (handles && ended) {
            process.goroutines.outlived(goroutine);
        }
        if ended || (begun && !is_reader) {
            return Some(Err(Unparented::AfterAnswer));
        }
        let head_at = node.opened.head_at;
        if self.was_lost_since(opened.actor.process, head_at) {
            return Some(Err(Unparented::AfterLoss));
        }
        let task = Some(Caller::Goroutine(CallingGoroutine { goroutine, at, is_reader, handles }));
        let late = is_reader && begun;
        Some(Ok(Candidate { server, by_thread: false, by_only: false, late, task }))
    }

    /// The request that the caller works for is being answered.
    pub(super) fn judge_goroutine(
        &mut self,
        call: ExchangeId,
        server: ExchangeId,
        caller: CallingGoroutine,
        answering: &Answering,
        out: &mut Vec<Span>,
    ) {
        let Some(process) = self.processes.get_mut(answering.actor.process) else { return };
        // Of a shared connection's responses, some goroutine writes all.
        let shared = self.forest.get(server).is_some_and(|node| node.opened.stream.is_some());
        let by_own =
            answering.actor.goroutine().is_some_and(|answerer| process.goroutines.is_of(answerer, server));
        if !by_own && !shared {
            return self.unparent(call, Unparented::AnsweredElsewhere, out);
        }
        if caller.is_reader && !caller.handles {
            self.await_losses(call);
            return;
        }
        if caller.at > answering.at && !caller.is_reader {
            process.goroutines.outlived(caller.goroutine);
            return self.unparent(call, Unparented::AfterAnswer, out);
        }
        self.judge_standing(call, server, caller, out);
    }

    /// What goroutines born at the same `go` statements have shown decides now, or when the link was held.
    fn judge_standing(
        &mut self,
        call: ExchangeId,
        server: ExchangeId,
        caller: CallingGoroutine,
        out: &mut Vec<Span>,
    ) {
        let process = self.forest.get(call).map(|node| node.opened.actor.process);
        let Some(process) = process.and_then(|process| self.processes.get(process)) else { return };
        match process.goroutines.standing(caller.goroutine, server) {
            Standing::Withdrawn => self.unparent(call, Unparented::TaskShared, out),
            Standing::Proven => self.await_losses(call),
            Standing::Stood | Standing::Unknown => self.hold_task(call),
        }
    }

    /// A descendant's call was held for as long as it may be, or, if not `in_full`, for as long as the agent runs.
    pub(super) fn judge_goroutine_stood(
        &mut self,
        call: ExchangeId,
        server: ExchangeId,
        caller: CallingGoroutine,
        in_full: bool,
        out: &mut Vec<Span>,
    ) {
        let actor = self.forest.get(call).map(|node| node.opened.actor);
        let Some(process) = actor.and_then(|actor| self.processes.get_mut(actor.process)) else { return };
        // A handler shows something only once its request is over.
        let is_over = !caller.handles || self.forest.get(server).is_none_or(|node| node.ended.is_some());
        let standing = process.goroutines.standing(caller.goroutine, server);
        if in_full && is_over && standing != Standing::Withdrawn {
            process.goroutines.stood(caller.goroutine);
        }
        match process.goroutines.standing(caller.goroutine, server) {
            Standing::Withdrawn => self.unparent(call, Unparented::TaskShared, out),
            Standing::Unknown => self.unparent(call, Unparented::Uncalibrated, out),
            Standing::Proven | Standing::Stood => self.judge_task_told(call, out),
        }
    }

    /// The request is over, and the call was not judged when its response began.
    pub(super) fn judge_goroutine_at_end(
        &mut self,
        call: ExchangeId,
        server: ExchangeId,
        caller: CallingGoroutine,
        gap: bool,
        out: &mut Vec<Span>,
    ) {
        let Some(node) = self.forest.get(server) else { return };
        let ended_at = node.ended.as_ref().map(|ended| ended.at);
        let reader = node.opened.actor;
        let answerer = node.answering.map(|answering| answering.actor.goroutine());
        let by_own = caller.handles || answerer.is_none_or(|answerer| answerer == reader.goroutine());
        let inside = caller.is_reader && by_own && !gap && ended_at.is_some_and(|end| caller.at <= end);
        match (inside, answerer) {
            (true, _) if caller.handles => self.judge_standing(call, server, caller, out),
            (true, _) => self.await_losses(call),
            (false, Some(_)) => self.unparent(call, Unparented::AfterAnswer, out),
            (false, None) => self.unparent(call, Unparented::Unanswered, out),
        }
    }

    /// Why the link cannot be given, if something has spoken against the caller since it was judged.
    pub(super) fn against_goroutine(
        &self,
        process: ProcessId,
        server: ExchangeId,
        caller: CallingGoroutine,
    ) -> Option<Unparented> {
        let standing = self.processes.get(process)?.goroutines.standing(caller.goroutine, server);
        let is_judged = !caller.is_reader || caller.handles;
        (is_judged && standing == Standing::Withdrawn).then_some(Unparented::TaskShared)
    }

    /// The caller had read a request that is still open and not answered, and no answer can have been missed.
    pub(super) fn goroutine_reads_still(&self, caller: CallingGoroutine, server: ExchangeId) -> bool {
        let Some(node) = self.forest.get(server) else { return false };
        let process = node.opened.actor.process;
        caller.is_reader
            && node.answering.is_none()
            && node.ended.is_none()
            && !self.was_lost_since(process, node.opened.head_at)
            && self.processes.get(process).is_some_and(|process| {
                match process.goroutines.works_for(caller.goroutine) {
                    WorksFor::Read { id, alone } => id == server && alone,
                    WorksFor::Born(_) => {
                        process.goroutines.standing(caller.goroutine, server) == Standing::Proven
                    }
                    WorksFor::Nobody | WorksFor::Several => false,
                }
            })
    }
}
