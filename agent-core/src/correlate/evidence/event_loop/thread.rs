//! One thread's event loop: the slice that runs, and who created which resource.
//!
//! Owners are kept by ranges of ids: a slice creates its resources in a row. Bounded: the oldest are forgotten, and then nobody's.
use super::{Kind, Maker, Owner};
use crate::{
    correlate::Map,
    event::{AsyncIds, Slice},
    exchange::ExchangeId,
};
use std::collections::VecDeque;

/// An async id; 0 is none.
pub(in crate::correlate) type Id = u64;

/// Ranges remembered: some seconds of a loop that does nothing else.
const RANGES_MAX: usize = 32_768;
/// Slices whose beginnings are remembered.
const BEGINNINGS_MAX: usize = 8_192;
/// Handles of connections, and resources that ran, remembered.
const RESOURCES_MAX: usize = 16_384;

/// What runs.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Running {
    pub(super) owner: Option<Owner>,
    /// The call that is answered.
    pub(super) via: Option<ExchangeId>,
    /// The resource whose callback it is; 0 is none.
    pub(super) id: Id,
    /// It was called by the loop itself: not among timers or immediates.
    pub(super) is_poll: bool,
    /// It is the read itself, and not the callback of another resource.
    pub(super) is_read: bool,
}

/// Resources created in a row for one owner.
#[derive(Clone, Copy, Debug)]
struct Range {
    first: Id,
    last: Id,
    owner: Owner,
}

/// Keys in order of entry, the oldest forgotten.
#[derive(Debug)]
struct Bounded<V> {
    known: Map<Id, V>,
    order: VecDeque<Id>,
}

impl<V> Default for Bounded<V> {
    fn default() -> Self {
        Bounded { known: Map::default(), order: VecDeque::new() }
    }
}

impl<V> Bounded<V> {
    fn insert(&mut self, id: Id, value: V) {
        if self.known.insert(id, value).is_none() {
            self.order.push_back(id);
        }
        if self.order.len() > RESOURCES_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}

/// See the file's doc.
#[derive(Debug, Default)]
pub(super) struct Thread {
    pub(super) now: Running,
    /// What is created now is the running slice's.
    books: bool,
    youngest: Id,
    ranges: VecDeque<Range>,
    /// The youngest id at the beginning of each slice, and its number.
    beginnings: VecDeque<(Id, u64)>,
    slice: u64,
    /// Handles of connections: their callbacks work for whoever speaks there, not for whoever created them.
    handles: Bounded<()>,
    /// In which slice a resource ran.
    ran: Bounded<u64>,
    /// Those that ran in several.
    shared: Bounded<()>,
}

impl Thread {
    /// What was created up to now is the running slice's.
    pub(super) fn book(&mut self, youngest: Id) {
        if youngest < self.youngest {
            // Another loop on a thread of the same number, or numbers that could not be read.
            *self = Thread::default();
        }
        let first = self.youngest + 1;
        self.youngest = youngest;
        let Some(owner) = self.now.owner.filter(|_| self.books && first <= youngest) else { return };
        match self.ranges.back_mut() {
            Some(last) if last.last + 1 == first && last.owner == owner => last.last = youngest,
            _ => self.ranges.push_back(Range { first, last: youngest, owner }),
        }
        if self.ranges.len() > RANGES_MAX {
            self.ranges.pop_front();
        }
    }

    /// A slice begins.
    pub(super) fn begin(&mut self, running: Running, slice: &Slice) {
        self.now = running;
        self.books = running.is_poll || slice.is_bounded;
        self.slice += 1;
        self.beginnings.push_back((slice.youngest, self.slice));
        if self.beginnings.len() > BEGINNINGS_MAX {
            self.beginnings.pop_front();
        }
    }

    /// Who created a resource, unless it is the handle of a connection.
    fn owner_of(&self, id: Id) -> Option<Owner> {
        if id == 0 || self.handles.known.contains_key(&id) {
            return None;
        }
        let after = self.ranges.partition_point(|range| range.first <= id);
        let range = self.ranges.get(after.checked_sub(1)?)?;
        (id <= range.last).then_some(range.owner)
    }

    /// The loop calls a resource: for whom.
    pub(super) fn called(&mut self, id: Id, trigger: Id) -> Option<Owner> {
        let owner = self.owner_of(trigger).or_else(|| self.owner_of(id))?;
        self.runs(id, self.slice + 1);
        self.usable(owner).map(|owner| Owner { resource: id, ..owner })
    }

    /// Resources resolved promises: for whom what waits for them runs.
    pub(super) fn resolved(&mut self, id: Id, trigger: Id, first: Id) -> Option<Owner> {
        self.runs(id, self.slice + 1);
        self.said(id, trigger, first).map(|owner| Owner { resource: id, ..owner })
    }

    /// The same, while the slice goes on.
    pub(super) fn said(&self, id: Id, trigger: Id, first: Id) -> Option<Owner> {
        let owner = self.named(id, trigger)?;
        if first != id && self.owner_of(first).map(|owner| owner.request) != Some(owner.request) {
            return None;
        }
        self.usable(owner)
    }

    fn usable(&self, owner: Owner) -> Option<Owner> {
        (owner.resource == 0 || !self.is_shared(owner.resource)).then_some(owner)
    }

    /// Which resource says who is behind what runs: what it names as its trigger, or itself.
    fn behind(&self, running: Id, trigger: Id) -> Id {
        let is_trigger = trigger != 0 && trigger != running && !self.handles.known.contains_key(&trigger);
        if is_trigger { trigger } else { running }
    }

    /// Who is behind a running resource by its own word.
    fn named(&self, running: Id, trigger: Id) -> Option<Owner> {
        self.owner_of(self.behind(running, trigger))
    }

    /// What runs now: for whom, and whether the running resource says so itself.
    pub(super) fn maker(&self, running: Id, trigger: Id) -> (Option<Owner>, bool) {
        let now = &self.now;
        let is_own = running != 0 && running == now.id;
        let is_for_own = now.is_poll && trigger != 0 && trigger == now.id;
        if running == 0 || is_own || is_for_own {
            return (now.owner, false);
        }
        match self.named(running, trigger) {
            Some(owner) => (self.usable(owner), true),
            // One that was created by something that is nobody's.
            None if self.behind(running, trigger) == trigger && trigger != running => (None, true),
            None if now.is_poll => (now.owner, false),
            None => (None, true),
        }
    }

    /// Whether the running resource says itself whose it is.
    pub(super) fn is_named(&self, ids: AsyncIds) -> bool {
        self.maker(ids.running, ids.trigger).1
    }

    /// A call is made.
    pub(super) fn made(&mut self, ids: AsyncIds) -> Maker {
        let AsyncIds { running, trigger, .. } = ids;
        let (owner, is_named) = self.maker(running, trigger);
        if is_named {
            if !self.now.is_poll {
                self.runs(running, self.slice);
            }
            // What a resource has created in different slices it has created in different runs.
            if let Some(created) = self.slice_of(running)
                && !self.handles.known.contains_key(&trigger)
            {
                self.runs(trigger, created);
            }
        }
        let via = owner.map_or(if is_named { None } else { self.now.via }, |owner| owner.via);
        let resource = owner.map_or(0, |owner| owner.resource);
        let resources = if is_named { [resource, running, trigger] } else { [resource, 0, 0] };
        let kind = self.kind(running, trigger, is_named);
        // What the slice itself has created knows no more than the slice.
        let is_named = is_named && self.slice_of(running) != Some(self.slice);
        let in_answer = !is_named && self.now.is_poll && self.now.via.is_some();
        Maker { owner, via, resources, in_answer, kind }
    }

    /// How the maker of what is made now is known.
    pub(super) fn kind(&self, running: Id, trigger: Id, is_named: bool) -> Kind {
        if is_named && !self.now.is_poll && self.slice_of(self.behind(running, trigger)) != Some(self.slice) {
            return Kind::Phase;
        }
        let is_before = is_named && self.slice_of(running) != Some(self.slice);
        match self.now.is_read && !is_before {
            true => Kind::Slice,
            false => Kind::Resource,
        }
    }

    /// A request is answered by a timer or an immediate of somebody else: it is nobody's. True if so.
    pub(super) fn answers(&mut self, ids: AsyncIds, request: ExchangeId) -> bool {
        let AsyncIds { running, trigger, .. } = ids;
        let (owner, is_named) = self.maker(running, trigger);
        let is_others = owner.is_some_and(|owner| owner.request != request)
            && self.kind(running, trigger, is_named) == Kind::Phase;
        if is_others {
            self.shared.insert(self.behind(running, trigger), ());
        }
        is_others
    }

    /// In which slice a resource was created.
    fn slice_of(&self, id: Id) -> Option<u64> {
        let after = self.beginnings.partition_point(|(youngest, _)| *youngest < id);
        let (_, slice) = self.beginnings.get(after.checked_sub(1)?)?;
        Some(*slice)
    }

    /// A resource runs in a slice: one that runs in two is nobody's.
    fn runs(&mut self, id: Id, slice: u64) {
        if id == 0 {
            return;
        }
        match self.ran.known.get(&id) {
            Some(before) if *before != slice => self.shared.insert(id, ()),
            Some(_) => {}
            None => self.ran.insert(id, slice),
        }
    }

    /// A connection's handle.
    pub(super) fn is_handle(&mut self, id: Id) {
        if id != 0 {
            self.handles.insert(id, ());
        }
    }

    /// Whether a resource has run twice.
    pub(super) fn is_shared(&self, id: Id) -> bool {
        self.shared.known.contains_key(&id)
    }

    /// How many have.
    pub(super) fn shared(&self) -> usize {
        self.shared.known.len()
    }
}
