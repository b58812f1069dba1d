//! What the answers of calls show: who was answered while a call's own answer was worked on.
//!
//! | in the slices of a call's answer | means |
//! |---|---|
//! | its request was answered, or nobody | nothing speaks against it |
//! | another was answered, that was open when the call was made, and not its own | the call was that one's: work is handed over in user code |
//! | its request was over, and in its name more calls were made | what it began is not its request's alone |
//!
//! Where work is handed over, what came about in the answer of a call is no evidence for a while, unless its own request was answered.
use super::{Maker, Owner};
use crate::{correlate::Map, event::Nanos, exchange::ExchangeId};
use smallvec::SmallVec;
use std::collections::VecDeque;

/// So long before a call whose request was not the one answered, and …
const DOUBT_BEFORE_NS: u64 = 2_000_000_000;
/// … so long after it, others like it are not believed: what hands work over once does it again.
const DOUBT_AFTER_NS: u64 = 600_000_000_000;
/// Enough that others of which nothing shows it are believed. With six, one link in 120,258 spans was false: a list of user code that had
/// not shown itself yet.
const PROOFS_THAT_STOOD: u32 = 64;
/// Calls remembered per process.
const CALLS_MAX: usize = 32_768;
/// Contradictions remembered.
const CONTRADICTIONS_MAX: usize = 4_096;
/// Calls of which resources said whose answer it was, and it was known, or that were left behind: as many as proofs are asked of threads.
const PROOFS: u32 = 32;
/// Calls on the way from one to the first of its request that are followed.
const WAY_MAX: usize = 64;

/// What speaks for a link, or against it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::correlate) enum Verdict {
    /// Nothing against it.
    Good,
    /// Work is handed over in user code.
    HandedOver,
    /// What the call came from works on when its request is over.
    Outlived,
    /// The process has not shown that calls in the answers of others are made for the same request.
    Unproven,
}

#[derive(Debug)]
struct Call {
    at: Nanos,
    owner: Option<Owner>,
    via: Option<ExchangeId>,
    /// Who was answered meanwhile, of those that were open when it was made.
    answers: SmallVec<[ExchangeId; 2]>,
    outlived: bool,
    /// It was made in its request's own slice, or a resource said whose it is: not for whoever waited in a list.
    is_certain: bool,
    /// In its answer a call was made, in whose answer, and so on, its request was answered.
    led: bool,
    /// It was made when its request was over, in the answer of another call itself.
    handed_over: bool,
    /// For whom a resource took the answer; once it was several, nobody.
    named: Option<ExchangeId>,
    several: bool,
}

impl Call {
    fn is_contradicted(&self) -> bool {
        let is_other = |owner: Owner| !self.answers.is_empty() && !self.answers.contains(&owner.request);
        self.handed_over || self.owner.is_some_and(is_other)
    }

    fn is_confirmed(&self) -> bool {
        self.owner.is_some_and(|owner| self.answers.as_slice() == [owner.request])
    }

    fn is_secondary(&self) -> bool {
        self.via.is_some()
    }
}

/// The calls of one process.
#[derive(Debug, Default)]
pub(in crate::correlate) struct Calls {
    known: Map<ExchangeId, Call>,
    order: VecDeque<ExchangeId>,
    /// Calls that were contradicted, and until when that was seen.
    contradictions: VecDeque<(ExchangeId, Nanos, Nanos)>,
    /// In the answer of which call a request was answered.
    answered_in: Map<ExchangeId, Option<ExchangeId>>,
    answered: VecDeque<ExchangeId>,
    /// Calls that were made when their request was over, and in whose answers nobody else was answered: work that is left behind.
    left_behind: u32,
    /// In one of them somebody was.
    hands_over: bool,
    /// Calls in the answers of others whose own request was answered in theirs.
    confirmed: u32,
    /// Certain calls of which a resource said whose answer it was.
    proofs: u32,
    /// One said something else: such resources are no evidence here.
    disproven: bool,
    /// Contradictions ever seen.
    pub(in crate::correlate) contradicted: u64,
}

impl Calls {
    pub(super) fn begin(&mut self, id: ExchangeId, at: Nanos, maker: &Maker) {
        let call = Call {
            at,
            owner: maker.owner,
            via: maker.via,
            answers: SmallVec::new(),
            outlived: false,
            is_certain: maker.owner.is_some() && (maker.via.is_none() || maker.is_named),
            led: false,
            handed_over: false,
            named: None,
            several: false,
        };
        if self.known.insert(id, call).is_none() {
            self.order.push_back(id);
        }
        if self.order.len() > CALLS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }

    /// For whom a call was made.
    pub(super) fn owner(&self, id: ExchangeId) -> Option<Owner> {
        self.known.get(&id)?.owner
    }

    /// Whether it is known for whom it was made.
    pub(in crate::correlate) fn is_owned(&self, id: ExchangeId) -> bool {
        self.owner(id).is_some()
    }

    /// A request that opened at `opened` is answered, while the answer of a call is worked on.
    pub(in crate::correlate) fn answered(
        &mut self,
        call: Option<ExchangeId>,
        request: ExchangeId,
        opened: Nanos,
        at: Nanos,
    ) {
        self.answered_in.insert(request, call);
        self.answered.push_back(request);
        if self.answered.len() > CALLS_MAX
            && let Some(oldest) = self.answered.pop_front()
        {
            self.answered_in.remove(&oldest);
        }
        let Some((id, call)) = call.and_then(|id| Some((id, self.known.get_mut(&id)?))) else { return };
        if opened >= call.at || call.answers.contains(&request) {
            return;
        }
        call.answers.push(request);
        self.hands_over |= call.handed_over;
        if call.is_secondary() && call.is_confirmed() {
            self.confirmed = self.confirmed.saturating_add(1);
        }
        let (from, is_contradicted, via) = (call.at, call.is_contradicted(), call.via);
        if is_contradicted {
            self.contradict(id, from, at);
        } else {
            self.led(via, request);
        }
    }

    /// A request was answered at the end of this way: the calls on it were steps towards that.
    fn led(&mut self, via: Option<ExchangeId>, request: ExchangeId) {
        let mut next = via;
        for _ in 0..WAY_MAX {
            let Some(call) = next.and_then(|id| self.known.get_mut(&id)) else { return };
            if call.owner.is_none_or(|owner| owner.request != request) || !call.answers.is_empty() {
                return;
            }
            call.led = true;
            next = call.via;
        }
    }

    /// A call was made in the name of a request that was over, in the very answer that had been waited for: by whoever waited in a list.
    pub(in crate::correlate) fn is_handed_over(&mut self, id: ExchangeId) {
        let Some(call) = self.known.get_mut(&id) else { return };
        call.handed_over = true;
        let at = call.at;
        self.contradict(id, at, at);
    }

    /// A call is over for a while.
    pub(in crate::correlate) fn is_over(&mut self, id: ExchangeId) {
        if self.known.get(&id).is_some_and(|call| call.handed_over && call.answers.is_empty()) {
            self.left_behind = self.left_behind.saturating_add(1);
        }
    }

    fn contradict(&mut self, id: ExchangeId, from: Nanos, until: Nanos) {
        self.contradicted += 1;
        self.contradictions.push_back((id, from, until));
        if self.contradictions.len() > CONTRADICTIONS_MAX {
            self.contradictions.pop_front();
        }
    }

    /// A resource that was created for `request` took the answer of a call; true if that is evidence.
    pub(super) fn named(&mut self, id: ExchangeId, request: ExchangeId) -> bool {
        let Some(call) = self.known.get_mut(&id) else { return false };
        if let Some(owner) = call.owner.filter(|_| call.is_certain) {
            // It tells whether such resources say the truth.
            self.disproven |= owner.request != request;
            self.proofs = self.proofs.saturating_add(1);
        }
        call.several |= call.named.is_some_and(|named| named != request);
        call.named = Some(request);
        self.is_named(id, request)
    }

    fn is_named(&self, id: ExchangeId, request: ExchangeId) -> bool {
        let is_told = |call: &&Call| !call.is_certain && !call.several && call.named == Some(request);
        self.known.get(&id).filter(is_told).is_some() && self.proofs >= PROOFS && !self.disproven
    }

    /// The request that must be a call's if nothing forward says so: the one that was answered in its answer, alone.
    pub(in crate::correlate) fn backward(&self, id: ExchangeId) -> Option<ExchangeId> {
        let call = self.known.get(&id)?;
        if let Some(named) = call.named.filter(|named| self.is_named(id, *named)) {
            // Who was answered is no more than who waited.
            return Some(named);
        }
        let is_direct = call.owner.is_some() && !call.is_secondary() && !call.handed_over;
        match call.answers.as_slice() {
            [one] if !(is_direct && call.is_contradicted()) => Some(*one),
            _ => None,
        }
    }

    /// More was done in the name of a request that is over: calls on the way to it that did not lead to its answer are not its alone.
    pub(in crate::correlate) fn outlives(&mut self, via: Option<ExchangeId>, request: ExchangeId) {
        let mut led: SmallVec<[ExchangeId; 8]> = SmallVec::new();
        let mut next = self.answered_in.get(&request).copied().flatten();
        while let Some(id) = next.filter(|_| led.len() < WAY_MAX) {
            led.push(id);
            next = self.known.get(&id).and_then(|call| call.via);
        }
        let mut next = via;
        for _ in 0..WAY_MAX {
            let Some(id) = next.filter(|id| !led.contains(id)) else { return };
            let Some(call) = self.known.get_mut(&id) else { return };
            call.outlived = true;
            next = call.via;
        }
    }

    /// What is to be thought of the link of a call to a request.
    pub(in crate::correlate) fn verdict(&self, id: ExchangeId, request: ExchangeId) -> Verdict {
        let Some(call) = self.known.get(&id) else { return Verdict::HandedOver };
        if self.backward(id) == Some(request) {
            return Verdict::Good;
        }
        if call.owner.map(|owner| owner.request) != Some(request) || call.is_contradicted() {
            return Verdict::HandedOver;
        }
        if call.outlived {
            return Verdict::Outlived;
        }
        match call.is_secondary() {
            true if self.is_doubtful(call.at) => Verdict::HandedOver,
            true if !call.led && self.confirmed < PROOFS_THAT_STOOD => Verdict::Unproven,
            _ => Verdict::Good,
        }
    }

    /// The call came about in the answer of another.
    pub(in crate::correlate) fn is_secondary(&self, id: ExchangeId) -> bool {
        self.known.get(&id).is_some_and(Call::is_secondary)
    }

    fn is_doubtful(&self, at: Nanos) -> bool {
        let leaves_behind = self.left_behind >= PROOFS && !self.hands_over;
        self.contradictions.iter().any(|(id, from, until)| {
            let is_near = at.0.saturating_add(DOUBT_BEFORE_NS) >= from.0
                && at.0 <= until.0.saturating_add(DOUBT_AFTER_NS);
            let counts = |call: &Call| call.is_contradicted() && !(call.handed_over && leaves_behind);
            is_near && self.known.get(id).is_none_or(counts)
        })
    }
}
