//! Evidence `thread`: the calling thread had read a request and not yet answered it, in a process whose threads answer what they read.
//!
//! A thread is only evidence where it serves one request from reading to answering, and that has to be shown, not assumed:
//! - a request *waited* if it was read, made a call, got that call's answer and was answered, all by one thread. Two that overlap
//!   in time on different threads are *proofs*. Requests that call nothing prove nothing (an executor's tasks answer at once on the
//!   thread that read them), nor does one that overlaps only with a request whose answer was never seen;
//! - with [`PROOFS`] proofs the process is calibrated; [`PROOFS_THAT_STOOD`] suffice for a link that was held a while and nothing
//!   spoke against it meanwhile;
//! - one violation withdraws the evidence for the life of the process: a request answered by another thread than read it, one answered
//!   by a thread that had read another meanwhile (event loop), a goroutine. There is no way back, because what a process did
//!   once it may do again at any time, and the first wrong link would come before the next violation;
//! - a known reader that calls while it holds nothing and others do (work stealing looks so) sets the proofs back to none, unless it
//!   waits for that call's answer by itself.
//!
//! Where a process handles one request at a time nothing overlaps. There the socket of the call tells: a thread that waits for an
//! answer in the call that reads it does nothing else meanwhile, so that link needs no other proof. One that waits in `poll`, on a socket
//! that no epoll instance watches, does so too but for the few event loops that are built on `poll`: each such wait counts as two that overlap.
//!
//! A request that its thread had not answered when it read another may have lost its answer with the records: it is evidence for
//! nothing, and if it is answered after all, against the process.
use crate::{
    correlate::Map,
    event::{Actor, ConnId, Nanos, Wait},
    exchange::ExchangeId,
};
use smallvec::SmallVec;

/// Proofs that calibrate a process: an executor that moves three tasks of a hundred at each wake-up shows 32 in a row once in 400
/// times. With 8, three of 7.8 million simulated calls in work-stealing processes were linked wrongly.
pub(in crate::correlate) const PROOFS: u32 = 32;
/// Proofs that are enough for a link that was held and not contradicted.
pub(in crate::correlate) const PROOFS_THAT_STOOD: u32 = 6;
/// Requests that a thread may read after one that it has not answered; then that one is let go, its answer was lost.
const OVERTAKEN_MAX: u8 = 64;
/// Threads remembered per process; idle ones are forgotten beyond.
const THREADS_MAX: usize = 4096;

/// Why threads are no evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::correlate) enum Withdrawn {
    /// A request was answered by another thread than had read it.
    AnsweredElsewhere,
    /// A thread answered a request after it had read another one.
    Shared,
    /// Goroutines move between threads.
    Goroutines,
}

/// A request that a thread has read.
#[derive(Clone, Copy, Debug)]
struct Held {
    id: ExchangeId,
    conn: ConnId,
    answered: bool,
    /// Requests of other connections that the thread read before it answered this one.
    overtaken: u8,
}

/// What a thread is working for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::correlate) enum Holds {
    /// It holds no request.
    Nothing,
    /// This one; `answered`: its response has begun.
    One { id: ExchangeId, answered: bool },
    /// More than one: not knowable.
    Several,
}

/// A request that waited.
#[derive(Clone, Copy, Debug)]
struct Waited {
    tid: u32,
    answered_at: Nanos,
    counted: bool,
}

/// What the threads of one process have shown.
#[derive(Debug, Default)]
pub(in crate::correlate) struct Threads {
    held: Map<u32, SmallVec<[Held; 2]>>,
    pub(in crate::correlate) answered_by_reader: u64,
    pub(in crate::correlate) answered_elsewhere: u64,
    pub(in crate::correlate) proofs: u32,
    last_waited: Option<Waited>,
    pub(in crate::correlate) withdrawn: Option<Withdrawn>,
}

impl Threads {
    /// A thread read a request; `shared`: of a connection that exchanges share.
    pub(in crate::correlate) fn read(&mut self, actor: Actor, id: ExchangeId, conn: ConnId, shared: bool) {
        if actor.goroutine().is_some() {
            self.withdraw(Withdrawn::Goroutines);
        }
        if self.withdrawn.is_some() {
            return;
        }
        if self.held.len() >= THREADS_MAX {
            self.held.retain(|_, requests| !requests.is_empty());
        }
        let requests = self.held.entry(actor.tid).or_default();
        // A thread that reads the next request is done with what it had begun to answer.
        requests.retain(|held| !held.answered);
        // Pipelined requests of one connection may come in one read: nothing is overtaken by that. Where exchanges share one, any
        // of them may be answered first.
        for held in requests.iter_mut().filter(|held| shared || held.conn != conn) {
            held.overtaken += 1;
        }
        let before = requests.len();
        requests.retain(|held| held.overtaken < OVERTAKEN_MAX);
        if requests.len() < before {
            self.proofs = 0;
        }
        requests.push(Held { id, conn, answered: false, overtaken: 0 });
    }

    /// A request's response began; whether the thread that had read it wrote it.
    pub(in crate::correlate) fn answered(&mut self, reader: Actor, id: ExchangeId, answerer: Actor) -> bool {
        let by_reader = reader.tid == answerer.tid;
        if by_reader {
            self.answered_by_reader += 1;
        } else {
            self.answered_elsewhere += 1;
            self.withdraw(Withdrawn::AnsweredElsewhere);
        }
        match self.find(reader, id) {
            Some(held) if held.overtaken == 0 => held.answered = true,
            // Overtaken, or even let go, and answered after all: the thread had several open.
            _ => self.withdraw(Withdrawn::Shared),
        }
        by_reader
    }

    /// A request is over.
    pub(in crate::correlate) fn ended(&mut self, reader: Actor, id: ExchangeId) {
        if let Some(requests) = self.held.get_mut(&reader.tid) {
            requests.retain(|held| held.id != id);
        }
    }

    /// What the thread that makes a call works for; `others_open`: requests are open in the process.
    pub(in crate::correlate) fn holds(&mut self, caller: Actor, others_open: bool) -> Holds {
        if caller.goroutine().is_some() {
            self.withdraw(Withdrawn::Goroutines);
        }
        if self.withdrawn.is_some() {
            return Holds::Nothing;
        }
        match self.held.get(&caller.tid).map(SmallVec::as_slice) {
            None => Holds::Nothing,
            Some([]) => {
                if others_open && caller.wait == Wait::Epoll && !self.is_calibrated() {
                    self.proofs = 0;
                }
                Holds::Nothing
            }
            Some([held]) if held.overtaken == 0 => Holds::One { id: held.id, answered: held.answered },
            Some(_) => Holds::Several,
        }
    }

    /// The reader has not answered the request and read no other since: had it, the answer was lost, and what it calls is not for it.
    pub(in crate::correlate) fn still_holds(&self, reader: Actor, id: ExchangeId) -> bool {
        let Some(requests) = self.held.get(&reader.tid) else { return false };
        requests.iter().any(|held| held.id == id && held.overtaken == 0 && !held.answered)
    }

    /// A request that opened at `opened_at` waited for its calls, `by_itself` on a socket that no epoll instance watches; whether that
    /// calibrated the process.
    pub(in crate::correlate) fn waited(
        &mut self,
        reader: Actor,
        opened_at: Nanos,
        answered_at: Nanos,
        by_itself: bool,
    ) -> bool {
        if self.withdrawn.is_some() {
            return false;
        }
        let before = self.proofs;
        self.proofs = self.proofs.saturating_add(if by_itself { 2 } else { 0 });
        let last = self.last_waited.filter(|last| last.tid != reader.tid && last.answered_at > opened_at);
        if let Some(last) = last {
            self.proofs = self.proofs.saturating_add(if last.counted { 1 } else { 2 });
        }
        self.last_waited = Some(Waited { tid: reader.tid, answered_at, counted: last.is_some() });
        before < PROOFS && self.proofs >= PROOFS
    }

    /// The process has shown that its threads answer what they read.
    pub(in crate::correlate) fn is_calibrated(&self) -> bool {
        self.withdrawn.is_none() && self.proofs >= PROOFS
    }

    /// Enough for a link that stood the hold time.
    pub(in crate::correlate) fn has_stood(&self) -> bool {
        self.withdrawn.is_none() && self.proofs >= PROOFS_THAT_STOOD
    }

    fn find(&mut self, reader: Actor, id: ExchangeId) -> Option<&mut Held> {
        self.held.get_mut(&reader.tid)?.iter_mut().find(|held| held.id == id)
    }

    fn withdraw(&mut self, why: Withdrawn) {
        if self.withdrawn.is_none() {
            self.withdrawn = Some(why);
            self.held = Map::default();
        }
    }
}

#[cfg(test)]
mod tests;
