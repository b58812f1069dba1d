//! What the answers of calls show: who was answered while a call's own answer was worked on.
//!
//! | in the slices of a call's answer | means |
//! |---|---|
//! | its request was answered, or nobody | nothing speaks against it |
//! | another was answered, that was open when the call was made, and not its own | the call was that one's: work is handed over in user code |
//! | its request was over, and in its name more calls were made | what it began is not its request's alone |
//!
//! Where work is handed over, calls that were made in the answers of others are no evidence for a while, unless their own request was
//! answered in theirs. Only calls of the [`Kind`] are meant of which it was seen: a list lets calls go in the slice of an answer, and
//! says nothing of what a timer or a file request of that slice does later. Nor of libraries that say whose answer they read.
use super::{Kind, Maker, Owner};
use crate::{
    correlate::{Map, evidence::doubt::is_near},
    event::Nanos,
    exchange::ExchangeId,
};
use smallvec::SmallVec;
use std::collections::VecDeque;

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
/// Calls remembered that outlived another.
const OUTLIVED_MAX: usize = 8;
/// Every kind.
const ALL: [Kind; 4] = [Kind::Slice, Kind::Resource, Kind::Said, Kind::Phase];

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
    /// Calls that were made on the way from it when its request was over.
    outlived: SmallVec<[ExchangeId; 1]>,
    kind: Kind,
    /// In its answer a call was made, in whose answer, and so on, its request was answered.
    led: bool,
    /// It was made when its request was over, in the answer of another call itself.
    handed_over: bool,
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

    /// It was made in its request's own slice, or by what was created there: not for whoever waited in a list.
    fn is_certain(&self) -> bool {
        self.owner.is_some() && self.via.is_none() && !matches!(self.kind, Kind::Said | Kind::Phase)
    }

    /// Something else that was made like it says something of it.
    fn is_alike(&self) -> bool {
        self.is_secondary() || self.kind == Kind::Phase
    }
}

/// A call that was contradicted, or a request that somebody else's resource has answered.
#[derive(Clone, Copy, Debug)]
struct Contradiction {
    call: ExchangeId,
    /// When it was made, and when it was seen.
    from: Nanos,
    until: Nanos,
}

/// The calls of one process.
#[derive(Debug, Default)]
pub(in crate::correlate) struct Calls {
    known: Map<ExchangeId, Call>,
    order: VecDeque<ExchangeId>,
    /// Of each kind, the oldest first.
    contradictions: [VecDeque<Contradiction>; 4],
    /// In the answer of which call a request was answered.
    answered_in: Map<ExchangeId, Option<ExchangeId>>,
    answered: VecDeque<ExchangeId>,
    /// Calls that were made when their request was over, and in whose answers nobody else was answered: work that is left behind.
    left_behind: u32,
    /// In one of them somebody was.
    hands_over: bool,
    /// Calls in the answers of others whose own request was answered in theirs, by kind.
    confirmed: [u32; 4],
    /// Certain calls of which a resource said whose answer it was.
    proofs: u32,
    /// One said something else: such resources are no evidence here.
    disproven: bool,
    /// Contradictions ever seen, of each kind.
    pub(in crate::correlate) contradicted: [u64; 4],
}

impl Calls {
    pub(super) fn begin(&mut self, id: ExchangeId, at: Nanos, maker: &Maker) {
        let call = Call {
            at,
            owner: maker.owner,
            via: maker.via,
            answers: SmallVec::new(),
            outlived: SmallVec::new(),
            kind: maker.kind,
            led: false,
            handed_over: false,
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
        let (from, is_contradicted, via, kind) = (call.at, call.is_contradicted(), call.via, call.kind);
        if call.is_secondary()
            && call.is_confirmed()
            && let Some(confirmed) = self.confirmed.get_mut(kind as usize)
        {
            *confirmed = confirmed.saturating_add(1);
        }
        if is_contradicted {
            // It had nobody else to be handed over by: such resources do not tell.
            self.disproven |= kind == Kind::Said && via.is_none();
            self.contradict(kind, Contradiction { call: id, from, until: at });
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
        let (at, kind) = (call.at, call.kind);
        self.contradict(kind, Contradiction { call: id, from: at, until: at });
    }

    /// A timer or an immediate of one request has answered another.
    pub(super) fn phase_is_shared(&mut self, request: ExchangeId, at: Nanos) {
        self.contradict(Kind::Phase, Contradiction { call: request, from: at, until: at });
    }

    /// A call is over for a while.
    pub(in crate::correlate) fn is_over(&mut self, id: ExchangeId) {
        if self.known.get(&id).is_some_and(|call| call.handed_over && call.answers.is_empty()) {
            self.left_behind = self.left_behind.saturating_add(1);
        }
    }

    fn contradict(&mut self, kind: Kind, contradiction: Contradiction) {
        if let Some(contradicted) = self.contradicted.get_mut(kind as usize) {
            *contradicted += 1;
        }
        let Some(contradictions) = self.contradictions.get_mut(kind as usize) else { return };
        contradictions.push_back(contradiction);
        if contradictions.len() > CONTRADICTIONS_MAX {
            contradictions.pop_front();
        }
    }

    /// A resource that was created for `owner` took the answer of a call; true if the call is taken for its.
    pub(super) fn said(&mut self, id: ExchangeId, owner: Owner) -> bool {
        let Some(call) = self.known.get_mut(&id) else { return false };
        let known = call.owner.map(|known| known.request);
        if call.is_certain() {
            // It tells whether such resources say the truth.
            self.disproven |= known != Some(owner.request);
            self.proofs = self.proofs.saturating_add(1);
            return false;
        }
        if self.disproven || owner.via == Some(id) {
            return false;
        }
        if call.kind == Kind::Said && known != Some(owner.request) {
            // Several take it: nobody's.
            call.owner = None;
            return false;
        }
        if std::mem::take(&mut call.handed_over)
            && let Some(contradicted) = self.contradicted.get_mut(call.kind as usize)
        {
            // It was never the other one's.
            *contradicted = contradicted.saturating_sub(1);
        }
        call.owner = Some(owner);
        call.via = owner.via;
        call.kind = Kind::Said;
        true
    }

    /// What resources say of answers is evidence.
    fn is_told(&self) -> bool {
        self.proofs >= PROOFS && !self.disproven
    }

    /// The request that must be a call's if nothing forward says so: the one that was answered in its answer, alone.
    pub(in crate::correlate) fn backward(&self, id: ExchangeId) -> Option<ExchangeId> {
        let call = self.known.get(&id)?;
        let is_direct = call.owner.is_some() && !call.is_secondary() && !call.handed_over;
        match call.answers.as_slice() {
            [one] if !(is_direct && call.is_contradicted()) => Some(*one),
            _ => None,
        }
    }

    /// A call was made in the name of a request that is over: those on the way to it that did not lead to its answer are not its alone.
    pub(in crate::correlate) fn outlives(
        &mut self,
        by: ExchangeId,
        via: Option<ExchangeId>,
        request: ExchangeId,
    ) {
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
            if call.outlived.len() < OUTLIVED_MAX {
                call.outlived.push(by);
            }
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
        let is_said = |by: &ExchangeId| self.known.get(by).is_some_and(|by| by.kind == Kind::Said);
        if !call.outlived.iter().all(is_said) {
            return Verdict::Outlived;
        }
        match call.kind {
            Kind::Said if !self.is_told() => Verdict::Unproven,
            _ => self.on_its_way(id),
        }
    }

    /// What is to be thought of a call for the answers on the way from it to the first call of its request.
    fn on_its_way(&self, id: ExchangeId) -> Verdict {
        let mut next = Some(id);
        for _ in 0..WAY_MAX {
            let Some(call) = next.and_then(|id| self.known.get(&id)) else { return Verdict::Unproven };
            if call.is_contradicted() || call.is_alike() && self.is_doubtful(call.at, &[call.kind]) {
                return Verdict::HandedOver;
            }
            if !call.is_secondary() {
                return Verdict::Good;
            }
            let is_in_doubt = self.is_doubtful(call.at, &ALL);
            let confirmed = self.confirmed.get(call.kind as usize).copied().unwrap_or_default();
            match confirmed >= PROOFS_THAT_STOOD || call.led && !is_in_doubt {
                false => return Verdict::Unproven,
                true if !is_in_doubt => return Verdict::Good,
                true => next = call.via,
            }
        }
        Verdict::Unproven
    }

    /// The call came about in the answer of another.
    pub(in crate::correlate) fn is_secondary(&self, id: ExchangeId) -> bool {
        self.known.get(&id).is_some_and(Call::is_secondary)
    }

    /// Calls of one of these kinds were contradicted around that time.
    fn is_doubtful(&self, at: Nanos, kinds: &[Kind]) -> bool {
        let leaves_behind = self.left_behind >= PROOFS && !self.hands_over;
        kinds.iter().filter_map(|kind| self.contradictions.get(*kind as usize)).flatten().any(|seen| {
            let counts = |call: &Call| call.is_contradicted() && !(call.handed_over && leaves_behind);
            is_near(at, seen.from, seen.until) && self.known.get(&seen.call).is_none_or(counts)
        })
    }
}
