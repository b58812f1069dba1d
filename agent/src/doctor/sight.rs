//! What each kind of socket plane cannot see, so that it can be said of the kind that is chosen; each row is proven by a world.
//!
//! Shape: a table. Not here: why a kind is refused (see `attach/hooks.rs`).
use crate::attach::hooks::Kind;
use serde::Serialize;

/// How far a kind sees such bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Seen {
    /// As any others.
    Read,
    /// How many there are, not what they say; a counter tells.
    Counted,
    /// Not at all.
    Unseen,
}

/// A way to move bytes that not every kind reads.
#[derive(Clone, Copy, Debug)]
pub struct Sight {
    /// Its name for programs.
    pub id: &'static str,
    /// Which bytes.
    pub what: &'static str,
    tracepoints: Seen,
    /// fentry, and kprobe: they are in the same functions.
    functions: Seen,
    syscalls: Seen,
}

/// A row, without a name for each field.
const fn row(id: &'static str, what: &'static str, seen: [Seen; 3]) -> Sight {
    let [tracepoints, functions, syscalls] = seen;
    Sight { id, what, tracepoints, functions, syscalls }
}

/// Every way that some kind does not read.
pub const SIGHTS: [Sight; 7] = [
    row("io_uring", "what io_uring sends and receives", [Seen::Counted, Seen::Read, Seen::Unseen]),
    row(
        "sendfile",
        "what sendfile and splice send (an answer's head is rarely among it)",
        [Seen::Counted, Seen::Counted, Seen::Counted],
    ),
    row("splice", "what splice receives", [Seen::Unseen, Seen::Unseen, Seen::Counted]),
    row("ktls", "what the kernel itself encrypts (kTLS)", [Seen::Counted, Seen::Unseen, Seen::Counted]),
    row("compat", "calls of 32-bit programs", [Seen::Counted, Seen::Read, Seen::Unseen]),
    row(
        "several",
        "messages of one sendmmsg or recvmmsg, if there are several",
        [Seen::Read, Seen::Read, Seen::Counted],
    ),
    row(
        "waiting",
        "what a call receives that waits already when the agent comes",
        [Seen::Read, Seen::Unseen, Seen::Read],
    ),
];

impl Sight {
    /// How far this kind sees them.
    pub const fn by(&self, kind: Kind) -> Seen {
        match kind {
            Kind::Tracepoints => self.tracepoints,
            Kind::Fentry | Kind::Kprobe => self.functions,
            Kind::Syscalls => self.syscalls,
        }
    }

    /// Half a sentence, if this kind does not read them.
    pub(super) fn told(&self, kind: Kind) -> Option<String> {
        match self.by(kind) {
            Seen::Read => None,
            Seen::Counted => Some(format!("{}: counted, not read", self.what)),
            Seen::Unseen => Some(format!("{}: not seen", self.what)),
        }
    }
}
