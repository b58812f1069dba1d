//! Evidence `thread`: the calling thread had read a request and not yet answered it, in a process whose threads answer what they read.
//!
//! A thread is only evidence where it serves one request from reading to answering, and that has to be shown, not assumed:
//! - a *proof* is a request that was read, made a call, got that call's answer and was answered, all by one thread, while another
//!   request was open. Requests that call nothing prove nothing: an executor's tasks answer at once on the thread that read them;
//! - with [`PROOFS`] proofs the process is calibrated; [`PROOFS_THAT_STOOD`] suffice for a link that was held a while and nothing
//!   spoke against it meanwhile;
//! - one violation withdraws the evidence for the life of the process: a request answered by another thread than read it, a thread
//!   that answered a request while it had another open (event loop), a goroutine. There is no way back, because what a process did
//!   once it may do again at any time, and the first wrong link would come before the next violation;
//! - a known reader that calls while it holds nothing and others do (work stealing looks so) sets the proofs back to none.
//!
//! A thread that had not answered when it read another request may have lost its answer with the records: such requests are
//! evidence for nothing until one of them is answered, and then against the process.
use crate::{
    correlate::Map,
    event::{Actor, ConnId},
    exchange::ExchangeId,
};
use smallvec::SmallVec;

/// Proofs that calibrate a process.
pub(in crate::correlate) const PROOFS: u32 = 8;
/// Proofs that are enough for a link that was held and not contradicted.
pub(in crate::correlate) const PROOFS_THAT_STOOD: u32 = 4;
/// Requests that one thread is believed to hold; the oldest is let go, its answer was lost.
const HELD_MAX: usize = 8;
/// Threads remembered per process; idle ones are forgotten beyond.
const THREADS_MAX: usize = 4096;

/// Why threads are no evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::correlate) enum Withdrawn {
    /// A request was answered by another thread than had read it.
    AnsweredElsewhere,
    /// A thread answered a request while it had another one open.
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
    /// The thread read another one, of another connection, before it answered.
    shared: bool,
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

/// What the threads of one process have shown.
#[derive(Debug, Default)]
pub(in crate::correlate) struct Threads {
    held: Map<u32, SmallVec<[Held; 2]>>,
    pub(in crate::correlate) answered_by_reader: u64,
    pub(in crate::correlate) answered_elsewhere: u64,
    pub(in crate::correlate) proofs: u32,
    pub(in crate::correlate) withdrawn: Option<Withdrawn>,
}

impl Threads {
    /// A thread read a request.
    pub(in crate::correlate) fn read(&mut self, actor: Actor, id: ExchangeId, conn: ConnId) {
        if actor.goroutine.is_some() {
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
        // Pipelined requests of one connection may come in one read: nothing is shared by that.
        let shared = requests.iter().any(|held| held.conn != conn);
        for held in requests.iter_mut() {
            held.shared |= held.conn != conn;
        }
        if requests.len() >= HELD_MAX {
            requests.remove(0);
        }
        requests.push(Held { id, conn, answered: false, shared });
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
        if let Some(held) = self.find(reader, id) {
            held.answered = true;
            if held.shared {
                self.withdraw(Withdrawn::Shared);
            }
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
        if caller.goroutine.is_some() {
            self.withdraw(Withdrawn::Goroutines);
        }
        if self.withdrawn.is_some() {
            return Holds::Nothing;
        }
        match self.held.get(&caller.tid).map(SmallVec::as_slice) {
            None => Holds::Nothing,
            Some([]) => {
                if others_open && !self.is_calibrated() {
                    self.proofs = 0;
                }
                Holds::Nothing
            }
            Some([held]) => Holds::One { id: held.id, answered: held.answered },
            Some(_) => Holds::Several,
        }
    }

    /// One more request went through one thread with its calls while others were open; whether that calibrated the process.
    pub(in crate::correlate) fn proven(&mut self) -> bool {
        if self.withdrawn.is_some() {
            return false;
        }
        self.proofs = self.proofs.saturating_add(1);
        self.proofs == PROOFS
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
