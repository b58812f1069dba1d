//! What is remembered of a process: its open requests, how its threads behave, what it calls by itself, how it was linked.
//!
//! Bounded: live processes by a cap (beyond it a process gets no evidence of its own), finished ones are kept for `explain`.
use super::{
    Map, Unparented,
    evidence::{
        context::Lineage,
        event_loop::Loops,
        goroutine::Goroutines,
        nginx::Lines,
        only::{Background, OpenRequests},
        thread::Threads,
        wire::Contexts,
    },
};
use crate::{
    event::{Nanos, ProcessId},
    exchange::ExchangeId,
    spans::Evidence,
};
use std::collections::VecDeque;

/// As many as the kernel side follows.
const PROCESSES_MAX: usize = 16_384;
/// Finished processes whose links can still be explained.
const FINISHED_MAX: usize = 256;

/// One process.
#[derive(Debug, Default)]
pub(super) struct Process {
    pub(super) threads: Threads,
    pub(super) goroutines: Goroutines,
    pub(super) nginx: Lines,
    pub(super) lineage: Lineage,
    pub(super) loops: Loops,
    pub(super) open: OpenRequests,
    /// Requests were read of a connection that they share.
    pub(super) shares: bool,
    pub(super) background: Background,
    pub(super) contexts: Contexts,
    /// When a gap in one of its connections was last noticed; zero if never.
    pub(super) lost_at: Nanos,
    /// Exchanges of either side that have not ended.
    pub(super) exchanges: u32,
    /// Client requests whose link stands or falls with how the threads turn out to work, oldest first.
    pub(super) held: VecDeque<ExchangeId>,
    pub(super) links: [u64; 5],
    pub(super) unparented: [u64; Unparented::ALL.len()],
    pub(super) sdk_clients: u64,
}

impl Process {
    pub(super) fn count_link(&mut self, evidence: Evidence) {
        if let Some(count) = self.links.get_mut(evidence as usize) {
            *count += 1;
        }
    }

    pub(super) fn count_unparented(&mut self, reason: Unparented) {
        if let Some(count) = self.unparented.get_mut(reason as usize) {
            *count += 1;
        }
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Processes {
    all: Map<ProcessId, Process>,
    finished: VecDeque<ProcessId>,
}

impl Processes {
    pub(super) fn get(&self, id: ProcessId) -> Option<&Process> {
        self.all.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: ProcessId) -> Option<&mut Process> {
        self.all.get_mut(&id)
    }

    /// `None` beyond the cap: better no evidence than evidence from half of what a process does.
    pub(super) fn get_or_insert(&mut self, id: ProcessId) -> Option<&mut Process> {
        if self.all.len() >= PROCESSES_MAX && !self.all.contains_key(&id) {
            return None;
        }
        Some(self.all.entry(id).or_default())
    }

    pub(super) fn has_open(&self, id: ProcessId) -> bool {
        self.all.get(&id).is_none_or(|process| process.exchanges > 0)
    }

    pub(super) fn exited(&mut self, id: ProcessId) {
        if !self.all.contains_key(&id) || self.finished.contains(&id) {
            return;
        }
        self.finished.push_back(id);
        if self.finished.len() > FINISHED_MAX
            && let Some(oldest) = self.finished.pop_front()
        {
            self.all.remove(&oldest);
        }
    }
}
