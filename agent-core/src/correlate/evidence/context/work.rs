//! Work handed to a pool of threads: what a thread does belongs to whoever put the work into the pool's queue.
//!
//! A thread that takes work acts for that from then on, until it takes the next: as a context would that was born when the work was
//! put, of the context that put it. Its calls are judged by the same rules. Where the thread has a context of its own (as all have
//! since 3.14), that is the work's until then; where it has none, the thread's number stands for an address, and none is so small.
use super::{CHILDREN_MAX, ContextId, Lineage, push_bounded};
use crate::{
    correlate::Map,
    event::{Handover, Nanos},
};
use std::{collections::VecDeque, num::NonZeroU64};

/// Work that was put into queues and may not have been taken out yet. Beyond, the oldest is nobody's.
const PUT_MAX: usize = 16_384;
/// Threads whose last work is remembered.
const THREADS_MAX: usize = 4_096;

/// What is in the queues of a process.
#[derive(Debug, Default)]
pub(super) struct Works {
    /// By its address: when it was put, and by whom.
    put: Map<NonZeroU64, (Nanos, Option<ContextId>)>,
    /// Oldest first.
    order: VecDeque<(Nanos, NonZeroU64)>,
    /// By thread: the address of the work that it took last.
    last: Map<u32, NonZeroU64>,
}

impl Works {
    fn put(&mut self, item: NonZeroU64, by: Option<ContextId>, at: Nanos) {
        if self.order.len() >= PUT_MAX
            && let Some((at, oldest)) = self.order.pop_front()
            && self.put.get(&oldest).is_some_and(|(put, _)| *put == at)
        {
            self.put.remove(&oldest);
        }
        self.put.insert(item, (at, by));
        self.order.push_back((at, item));
    }

    /// When it was put, and by whom; `None`: the same was told before.
    fn take(&mut self, item: NonZeroU64, tid: u32, at: Nanos) -> Option<(Nanos, Option<ContextId>)> {
        let put = self.put.remove(&item);
        if self.last.len() >= THREADS_MAX && !self.last.contains_key(&tid) {
            self.last.clear();
        }
        let is_same = self.last.insert(tid, item) == Some(item);
        match put {
            None if is_same => None,
            // Who put it was not seen.
            None => Some((at, None)),
            Some(put) => Some(put),
        }
    }
}

impl Lineage {
    /// Work was put or taken.
    pub(in crate::correlate) fn hand(&mut self, handover: Handover, at: Nanos) {
        let Handover { item, tid, context, is_taken } = handover;
        if !is_taken {
            let by = match context {
                Some(address) => self.at(address, at),
                None => self.in_thread(tid, at),
            };
            if let Some(by) = by {
                self.acts(by, at);
            }
            return self.works.put(item, by, at);
        }
        let Some((born, creator)) = self.works.take(item, tid, at) else { return };
        let Some(address) = context.or(NonZeroU64::new(u64::from(tid))) else { return };
        let id = self.add(address, Some((born, creator)), at, at);
        if let Some(context) = creator.and_then(|creator| self.contexts.get_mut(&creator)) {
            self.handed += 1;
            push_bounded(&mut context.work().children, (born, id), CHILDREN_MAX);
        }
    }

    /// It is known who created a context, or handed work over.
    pub(in crate::correlate) fn has_creator(&self, id: ContextId) -> bool {
        self.contexts.get(&id).is_some_and(|context| matches!(context.born, Some((_, Some(_)))))
    }

    /// The work that a thread without a context does.
    pub(in crate::correlate) fn in_thread(&self, tid: u32, at: Nanos) -> Option<ContextId> {
        let lives = self.lives.get(&NonZeroU64::new(u64::from(tid))?)?;
        lives.iter().rev().find(|(since, _)| *since <= at).map(|(_, id)| *id)
    }
}
