//! Evidence `task` of CPython: who answers a request is who acted for it, and so are those whom it created for that.
//!
//! Every task of asyncio, and everything that is handed to a thread with its context, runs in a *context* of its own, copied from its
//! creator's. A socket call tells the context that its thread had entered, a birth the new context and its creator's:
//! - the context that **answers** a request owns it: what it sent between reading and answering was for that request. Born in that
//!   time, it is the request's own. One that was there before may be anybody's, until the process has shown that requests which
//!   overlap are answered by contexts of their own;
//! - a call of another context belongs to the request to which its **line** leads: its creator at its birth, that one's at its, …,
//!   up to an owner in whose request's time the birth falls. It must have been sent, and its answer must have come, before the
//!   request's own answer began: what is awaited is;
//! - but a request may start a worker that all others share, or a poller. So the link is held: a context of the line that calls,
//!   answers or creates others after the request's answer began has more to do than that request, and its links are void. It takes
//!   several that kept to their request, and the more the more did not, before one is believed;
//! - work handed to a pool of threads is judged like a context that was born when it was handed over (see `work`).
//!
//! Addresses are used again: a context is an address and its birth. A context that was there before the first birth of its address
//! was seen is known by the address alone, and has no creator.
//! What cannot be known: work handed over a queue to a task that was there before, and work after the answer. Measured:
//! /docs/knowable/python.md.
mod belief;
mod work;

use crate::{
    correlate::Map,
    event::{ConnId, Nanos},
    exchange::ExchangeId,
};
use belief::Belief;
pub(in crate::correlate) use belief::Origin;
use smallvec::SmallVec;
use std::{
    collections::{BTreeMap, VecDeque},
    num::NonZeroU64,
};
use work::Works;

/// Contexts remembered per process that did nothing yet: most are those of timers, and never will.
const YOUNG_MAX: usize = 65_536;
/// Contexts remembered that called, answered or created others. Beyond, the one that did nothing for longest is nobody's.
const ACTIVE_MAX: usize = 32_768;
/// Of one address: the interpreter gives the last one that was freed first.
const LIVES_MAX: usize = 32;
/// Steps from a context up to the one that owns a request.
const STEPS_MAX: usize = 12;
/// Calls of one context that wait.
const CALLS_MAX: usize = 256;
/// Children of one context in whose calls is looked: a connection's own may have thousands before the first of its answers is judged.
const CHILDREN_MAX: usize = 4_096;
/// Contexts that are looked at when a request was answered.
const FAMILY_MAX: usize = 1_024;
/// Calls that wait in a process.
const WAITING_MAX: usize = 32_768;
/// Overlapping requests that were answered by contexts of their own.
const SEPARATIONS: u32 = 6;

/// One life of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::correlate) struct ContextId(u64);

/// Those between a caller and the owner, the caller first.
pub(in crate::correlate) type Line = SmallVec<[ContextId; 4]>;

/// A request that a context answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::correlate) struct Served {
    pub(in crate::correlate) request: ExchangeId,
    conn: ConnId,
    /// When it was read, or the one before it on its connection answered.
    from: Nanos,
    /// When its answer began.
    until: Nanos,
    /// Calls of the process that were answered before it was read.
    answered: u64,
}

impl Served {
    fn covers(&self, at: Nanos) -> bool {
        self.from <= at && at <= self.until
    }
}

/// To whom a call belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::correlate) enum BelongsTo {
    /// To this request, whose owner is known.
    Request { request: ExchangeId, owner: ContextId, line: Line },
    /// To one that was answered before.
    Answered,
    /// The owner had several requests.
    Several,
    /// To none that is known.
    Nobody,
}

#[derive(Debug)]
struct Context {
    /// When it was born, and of whom; `None`: it was there before.
    born: Option<(Nanos, Option<ContextId>)>,
    /// When it last called, answered or created another.
    acted: Nanos,
    /// Calls of the process that were answered before it was born, and requests that were read.
    answered: u64,
    read: u64,
    /// Most never do anything.
    work: Option<Box<Work>>,
}

/// What a context did.
#[derive(Debug, Default)]
struct Work {
    served: SmallVec<[Served; 1]>,
    calls: SmallVec<[(Nanos, ExchangeId); 2]>,
    children: SmallVec<[(Nanos, ContextId); 2]>,
    /// It answered requests of two connections at once.
    is_shared: bool,
    /// Counted, as one that kept to its request or did not.
    is_counted: bool,
    /// Calls ever made, when it made the first, and how many requests had been read by then.
    made: u32,
    first: Option<(Nanos, u64)>,
}

impl Context {
    fn work(&mut self) -> &mut Work {
        self.work.get_or_insert_default()
    }

    /// No request was read between its birth and its first call: else it may have waited for whoever has work.
    fn called_at_once(&self) -> bool {
        self.work.as_deref().and_then(|work| work.first).is_some_and(|(_, read)| read == self.read)
    }

    fn served(&self) -> &[Served] {
        self.work.as_deref().map_or(&[], |work| &work.served)
    }
}

/// What the contexts of one process do.
#[derive(Debug, Default)]
pub(in crate::correlate) struct Lineage {
    /// By address, in order of birth; from when on.
    lives: Map<NonZeroU64, SmallVec<[(Nanos, ContextId); 1]>>,
    contexts: Map<ContextId, Context>,
    /// Oldest first, with their addresses.
    young: VecDeque<(ContextId, NonZeroU64)>,
    active: VecDeque<(ContextId, NonZeroU64)>,
    next: u64,
    works: Works,
    /// Requests whose owner may not be known yet, by the time at which they were read, and how many calls were answered before.
    open: BTreeMap<(Nanos, ExchangeId), u64>,
    /// Calls that were answered, or failed.
    answered: u64,
    /// Requests that were read.
    read: u64,
    /// Calls without a request, oldest first.
    waiting: VecDeque<(Nanos, ExchangeId, ContextId)>,
    last: Option<(Served, ContextId)>,
    /// A request was read or answered in a context.
    pub(in crate::correlate) is_used: bool,
    /// A context answered requests of two connections at once.
    pub(in crate::correlate) is_shared: bool,
    /// Births seen.
    pub(in crate::correlate) births: u64,
    /// Work that contexts handed to threads.
    pub(in crate::correlate) handed: u64,
    /// Overlapping requests that were answered by contexts of their own.
    pub(in crate::correlate) separations: u32,
    /// Whether contexts kept to the request that they were born for.
    pub(in crate::correlate) belief: Belief,
}

impl Lineage {
    /// A context was born.
    pub(in crate::correlate) fn bear(&mut self, address: NonZeroU64, creator: Option<NonZeroU64>, at: Nanos) {
        self.births += 1;
        let creator = creator.and_then(|creator| self.at(creator, at));
        let id = self.add(address, Some((at, creator)), at, at);
        if let Some(creator) = creator {
            self.acts(creator, at);
            if let Some(context) = self.contexts.get_mut(&creator) {
                push_bounded(&mut context.work().children, (at, id), CHILDREN_MAX);
            }
        }
    }

    /// The context that was at an address at that time.
    pub(in crate::correlate) fn at(&mut self, address: NonZeroU64, at: Nanos) -> Option<ContextId> {
        match self.lives.get(&address) {
            Some(lives) => lives.iter().rev().find(|(born, _)| *born <= at).map(|(_, id)| *id),
            // What was there before the first birth was there from the beginning.
            None => Some(self.add(address, None, Nanos(0), at)),
        }
    }

    /// The address is its own from `since` on.
    fn add(
        &mut self,
        address: NonZeroU64,
        born: Option<(Nanos, Option<ContextId>)>,
        since: Nanos,
        at: Nanos,
    ) -> ContextId {
        self.forget_old(at);
        self.next += 1;
        let id = ContextId(self.next);
        let lives = self.lives.entry(address).or_default();
        lives.push((since, id));
        if lives.len() > LIVES_MAX {
            lives.remove(0);
        }
        let context = Context { born, acted: Nanos(0), answered: self.answered, read: self.read, work: None };
        self.contexts.insert(id, context);
        self.young.push_back((id, address));
        id
    }

    /// Forgets the oldest of those that did nothing, and one of those that have not done anything for long.
    fn forget_old(&mut self, now: Nanos) {
        const RECENT_NS: u64 = 60_000_000_000;
        const CHANCES: usize = 16;
        if self.young.len() >= YOUNG_MAX
            && let Some((id, address)) = self.young.pop_front()
        {
            match self.contexts.get(&id) {
                Some(context) if context.acted != Nanos(0) => self.active.push_back((id, address)),
                _ => self.forget(id, address),
            }
        }
        let mut chances = CHANCES;
        while self.active.len() >= ACTIVE_MAX
            && let Some((id, address)) = self.active.pop_front()
        {
            chances = chances.saturating_sub(1);
            match self.contexts.get(&id) {
                Some(context) if chances > 0 && now.since(context.acted) < RECENT_NS => {
                    self.active.push_back((id, address));
                }
                _ => self.forget(id, address),
            }
        }
    }

    fn forget(&mut self, id: ContextId, address: NonZeroU64) {
        self.contexts.remove(&id);
        let Some(lives) = self.lives.get_mut(&address) else { return };
        lives.retain(|(_, life)| *life != id);
        if lives.is_empty() {
            self.lives.remove(&address);
        }
    }

    /// A context called, answered or created another.
    pub(in crate::correlate) fn acts(&mut self, id: ContextId, at: Nanos) {
        if let Some(context) = self.contexts.get_mut(&id) {
            context.acted = context.acted.max(at);
        }
    }

    /// A request was read.
    pub(in crate::correlate) fn open(&mut self, request: ExchangeId, at: Nanos, in_context: bool) {
        self.is_used |= in_context;
        self.read += 1;
        // The first answer shows whether contexts are used: what was read before it must be known by then.
        if self.is_used || self.births > 0 {
            self.open.insert((at, request), self.answered);
        }
    }

    /// Its owner is known, or never will be.
    pub(in crate::correlate) fn close(&mut self, request: ExchangeId, at: Nanos) {
        self.open.remove(&(at, request));
    }

    /// A context called.
    pub(in crate::correlate) fn call(&mut self, id: ContextId, at: Nanos, call: ExchangeId) {
        let read = self.read;
        let Some(context) = self.contexts.get_mut(&id) else { return };
        let work = context.work();
        work.made = work.made.saturating_add(1);
        work.first = work.first.or(Some((at, read)));
        push_bounded(&mut work.calls, (at, call), CALLS_MAX);
        self.waiting.push_back((at, call, id));
        if self.waiting.len() > WAITING_MAX {
            self.waiting.pop_front();
        }
    }

    /// A call was answered, or failed.
    pub(in crate::correlate) fn call_ends(&mut self) {
        self.answered += 1;
    }

    /// A context answered a request.
    pub(in crate::correlate) fn answer(
        &mut self,
        id: ContextId,
        request: ExchangeId,
        conn: ConnId,
        read_at: Nanos,
        at: Nanos,
    ) {
        self.is_used = true;
        self.acts(id, at);
        let answered = self.open.get(&(read_at, request)).copied().unwrap_or_default();
        let Some(context) = self.contexts.get_mut(&id) else { return };
        let work = context.work();
        let before = work.served.iter().rev().find(|served| served.conn == conn);
        let from = before.map_or(read_at, |before| read_at.max(before.until));
        let served = Served { request, conn, from, until: at, answered };
        let overlaps = |other: &Served| other.conn != conn && other.until >= from && other.from <= at;
        work.is_shared |= work.served.iter().any(overlaps);
        self.is_shared |= work.is_shared;
        push_bounded(&mut work.served, served, CALLS_MAX);
        if self.last.is_some_and(|(last, by)| by != id && overlaps(&last)) {
            self.separations = self.separations.saturating_add(1);
        }
        self.last = Some((served, id));
    }

    /// The calls that may belong to a request that was answered, and who made them.
    pub(in crate::correlate) fn family(
        &self,
        owner: ContextId,
        request: ExchangeId,
    ) -> Vec<(Nanos, ExchangeId, ContextId)> {
        let mut calls = Vec::new();
        let served = self
            .contexts
            .get(&owner)
            .and_then(|context| context.served().iter().rev().find(|served| served.request == request));
        let Some(served) = served else { return calls };
        let mut next = vec![owner];
        let mut looked_at = 0;
        while let Some(id) = next.pop() {
            let Some(work) = self.contexts.get(&id).and_then(|context| context.work.as_deref()) else {
                continue;
            };
            let mine = work.calls.iter().filter(|(at, _)| served.covers(*at));
            calls.extend(mine.map(|(at, call)| (*at, *call, id)));
            looked_at += 1;
            if looked_at < FAMILY_MAX {
                let children = work.children.iter().filter(|(born, _)| served.covers(*born));
                next.extend(children.map(|(_, child)| *child));
            }
        }
        calls
    }

    /// The family of a request was judged: nobody looks at its owner's children of that time again.
    pub(in crate::correlate) fn is_judged(&mut self, owner: ContextId, request: ExchangeId) {
        let Some(context) = self.contexts.get_mut(&owner) else { return };
        let Some(until) =
            context.served().iter().rev().find(|served| served.request == request).map(|it| it.until)
        else {
            return;
        };
        context.work().children.retain(|(born, _)| *born > until);
    }

    /// How a line to the owner of a request came about, and when its caller was born.
    pub(in crate::correlate) fn origin(
        &self,
        owner: ContextId,
        request: ExchangeId,
        line: &[ContextId],
    ) -> (Origin, Nanos) {
        let caller = line.first().and_then(|id| self.contexts.get(id));
        let born = caller.and_then(|caller| caller.born).map_or(Nanos(0), |(born, _)| born);
        let served = self.contexts.get(&owner).map_or(&[][..], Context::served);
        let read = served.iter().rev().find(|served| served.request == request);
        let origin = match caller.zip(read) {
            _ if line.windows(2).any(|pair| self.had_called(pair)) => Origin::Passed,
            Some((caller, read)) if caller.answered == read.answered && caller.called_at_once() => {
                Origin::Early
            }
            _ => Origin::Later,
        };
        (origin, born)
    }

    /// To which request what a context did at that time belongs.
    pub(in crate::correlate) fn belongs(&self, caller: ContextId, at: Nanos) -> BelongsTo {
        let mut line = Line::new();
        let (mut id, mut time) = (caller, at);
        let mut was_answered = false;
        for _ in 0..=STEPS_MAX {
            let Some(context) = self.contexts.get(&id) else { break };
            let mut serves = context.served().iter().filter(|served| served.covers(time));
            match (serves.next(), serves.next()) {
                (Some(_), Some(_)) => return BelongsTo::Several,
                (Some(served), None) if at <= served.until => {
                    return BelongsTo::Request { request: served.request, owner: id, line };
                }
                (Some(_), None) => return BelongsTo::Answered,
                (None, _) => {}
            }
            was_answered |= context.served().iter().any(|served| served.until < time);
            let Some((born, Some(creator))) = context.born else { break };
            line.push(id);
            (id, time) = (creator, born);
        }
        if was_answered { BelongsTo::Answered } else { BelongsTo::Nobody }
    }

    /// Whether the owner of a request is its own.
    pub(in crate::correlate) fn is_own(&self, owner: ContextId, request: ExchangeId) -> bool {
        let Some(context) = self.contexts.get(&owner) else { return false };
        let Some(served) = context.served().iter().find(|served| served.request == request) else {
            return false;
        };
        let born_for_it = context.born.is_some_and(|(born, _)| served.covers(born));
        let is_shared = context.work.as_deref().is_some_and(|work| work.is_shared);
        !is_shared && (born_for_it || (!self.is_shared && self.separations >= SEPARATIONS))
    }

    /// Of a context and who created it: that one had made a call before.
    fn had_called(&self, pair: &[ContextId]) -> bool {
        let [child, creator] = pair else { return false };
        let born = self.contexts.get(child).and_then(|child| child.born).map(|(born, _)| born);
        let work = self.contexts.get(creator).and_then(|creator| creator.work.as_deref());
        work.and_then(|work| work.first).zip(born).is_some_and(|((first, _), born)| first < born)
    }

    /// One of a line did something after a request's answer began.
    pub(in crate::correlate) fn has_outlived(&self, line: &[ContextId], answered: Nanos) -> bool {
        line.iter().any(|id| self.contexts.get(id).is_none_or(|context| context.acted > answered))
    }

    /// Those of a line kept to the request that they were born for, or did not: `is_over` says that they had nothing left to do when its
    /// answer began.
    pub(in crate::correlate) fn count(
        &mut self,
        line: &[ContextId],
        origin: Origin,
        answered: Nanos,
        is_over: bool,
    ) {
        for id in line {
            let Some(context) = self.contexts.get_mut(id) else { continue };
            let acted = context.acted;
            let work = context.work();
            if std::mem::replace(&mut work.is_counted, true) {
                continue;
            }
            if acted > answered || !is_over {
                self.belief.outlived(origin, acted.max(answered), work.made);
            } else {
                self.belief.stood(origin);
            }
        }
    }

    /// The oldest call that can belong to no request any more but to those that are answered.
    pub(in crate::correlate) fn take_settled(&mut self) -> Option<(Nanos, ExchangeId, ContextId)> {
        let oldest = self.open.first_key_value().map_or(Nanos(u64::MAX), |((at, _), _)| *at);
        let (at, call, id) = self.waiting.pop_front_if(|(at, ..)| *at < oldest)?;
        if let Some(work) = self.contexts.get_mut(&id).and_then(|context| context.work.as_deref_mut()) {
            work.calls.retain(|(_, own)| *own != call);
        }
        Some((at, call, id))
    }
}

/// The oldest goes.
fn push_bounded<T, const N: usize>(list: &mut SmallVec<[T; N]>, value: T, most: usize)
where
    [T; N]: smallvec::Array<Item = T>,
{
    if list.len() >= most {
        list.remove(0);
    }
    list.push(value);
}
