//! Whether contexts that are born for a request keep to it, by how they came about.
//!
//! Who starts something because something else is over may do it for whoever waits in a list: a pool's waiter, a limiter's next job. It
//! looks the same as a request's next step. So what is born before anything that was called was answered is told from what is born
//! later. If one of those acts on after the answer of the request that it seems to be for, none of them is believed for a while: what
//! hands work over once does it again. Pollers and workers that go on for long are no sign of that. And what was created by one that has
//! made its own call and is not who answers is not believed at all: so do the connections of a client that start the next from a list
//! (Tornado's own: one link in thirty was false).
use crate::{correlate::evidence::doubt::is_near, event::Nanos};

/// Contexts that must have kept to their request, for each that did not and one more.
const PROOFS_THAT_STOOD: u32 = 6;
/// Those born later that must have kept to theirs; as many as proofs are asked of threads.
const LATER_THAT_STOOD: u32 = 32;

/// How a line of births came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::correlate) enum Origin {
    /// All were born before any call was answered that could have let them go, and the call was made before another request was read
    /// that it could have been for.
    Early,
    /// The caller was born, or called, after that.
    Later,
    /// One was created by another that had made a call before, and is not the owner.
    Passed,
}

/// Calls of one that has work of its own: a poller, a worker.
const MANY: u32 = 8;

/// What contexts of one origin have shown.
#[derive(Clone, Copy, Debug, Default)]
struct Record {
    stood: u32,
    outlived: u32,
    /// When one last acted on that did not go on for long.
    last: Option<Nanos>,
}

/// What the contexts of a process have shown.
#[derive(Debug, Default)]
pub(in crate::correlate) struct Belief([Record; 3]);

impl Belief {
    /// A context did nothing after its request was answered.
    pub(super) fn stood(&mut self, origin: Origin) {
        if let Some(record) = self.0.get_mut(origin as usize) {
            record.stood = record.stood.saturating_add(1);
        }
    }

    /// One did, at that time; it has made so many calls.
    pub(super) fn outlived(&mut self, origin: Origin, at: Nanos, calls: u32) {
        if let Some(record) = self.0.get_mut(origin as usize) {
            record.outlived = record.outlived.saturating_add(1);
            if calls < MANY {
                record.last = record.last.max(Some(at));
            }
        }
    }

    /// Whether a line of that origin, born then, is believed to have kept to its request.
    pub(in crate::correlate) fn holds(&self, origin: Origin, born: Nanos) -> bool {
        let Some(record) = self.0.get(origin as usize) else { return false };
        let is_doubtful = record.last.is_some_and(|last| is_near(born, last, last));
        let is_usual = record.stood >= PROOFS_THAT_STOOD.saturating_mul(record.outlived.saturating_add(1));
        match origin {
            Origin::Early => is_usual,
            Origin::Passed => false,
            Origin::Later => is_usual && record.stood >= LATER_THAT_STOOD && !is_doubtful,
        }
    }

    /// Contexts that kept to their request.
    pub(in crate::correlate) fn kept(&self) -> u32 {
        self.0.iter().fold(0, |sum, record| sum.saturating_add(record.stood))
    }

    /// Contexts that did not.
    pub(in crate::correlate) fn strayed(&self) -> u32 {
        self.0.iter().fold(0, |sum, record| sum.saturating_add(record.outlived))
    }
}
