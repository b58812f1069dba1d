//! What the kernel side saw, as safe values: the input of the core.
//!
//! Shape: borrowed from the ring or a recording, decoded by `agent/src/events/decode.rs`. Clock: [`Nanos`], monotonic.
//! Order: as written to the ring. Between CPUs records of one connection may be swapped: sequence numbers put them right.
use std::{net::SocketAddr, num::NonZeroU64};

/// `CLOCK_MONOTONIC` nanoseconds. The only clock of the core; it enters with events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nanos(pub u64);

impl Nanos {
    /// Time from `earlier` to `self` in nanoseconds, 0 if `earlier` is later.
    pub fn since(self, earlier: Nanos) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// A connection: the kernel's socket cookie, never reused while the machine is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u64);

/// A process: pid alone is reused, pid and start time together are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProcessId {
    /// Pid in the initial namespace.
    pub pid: u32,
    /// Clock ticks from boot to its start (field 22 of `/proc/PID/stat`).
    pub start_ticks: u32,
}

/// Who made a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Actor {
    /// The process.
    pub process: ProcessId,
    /// The kernel thread.
    pub tid: u32,
    /// What the thread works on, where its language runtime could be asked.
    pub task: Option<Task>,
    /// How it waits for the bytes of that connection.
    pub wait: Wait,
}

impl Actor {
    /// A thread of which nothing more is known.
    pub fn thread(process: ProcessId, tid: u32) -> Actor {
        Actor { process, tid, task: None, wait: Wait::Epoll }
    }

    /// The goroutine, of a Go program.
    pub fn goroutine(self) -> Option<NonZeroU64> {
        match self.task {
            Some(Task::Goroutine(number)) => Some(number),
            _ => None,
        }
    }

    /// The context that the thread had entered, of a Python program.
    pub fn context(self) -> Option<NonZeroU64> {
        match self.task {
            Some(Task::Context(address) | Task::Queued { context: address, .. }) => Some(address),
            _ => None,
        }
    }

    /// When that context was at its address, of what the thread did at `at`.
    pub fn context_since(self, at: Nanos) -> Nanos {
        match self.task {
            Some(Task::Queued { at, .. }) => at,
            _ => at,
        }
    }

    /// What runs on the thread's event loop, of a program of Node.js.
    pub fn async_ids(self) -> Option<AsyncIds> {
        match self.task {
            Some(Task::Async(ids)) => Some(ids),
            _ => None,
        }
    }
}

/// How the owner of a socket waits for its bytes: tells a thread that waits for one answer from one that serves many connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Wait {
    /// An epoll instance watches the socket, or nothing is known.
    #[default]
    Epoll,
    /// In `poll` or `select`: the socket is in non-blocking mode and no epoll instance watches it.
    Poll,
    /// In the call that reads them: the socket is in blocking mode.
    Call,
}

/// What a thread works on, in the words of its language runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Task {
    /// Go: a number that is never given again in the life of a process.
    Goroutine(NonZeroU64),
    /// Python: the address of the context that the thread has entered. Addresses are used again.
    Context(NonZeroU64),
    /// Python: the context that had queued the bytes that were sent, and when.
    Queued {
        /// Its address.
        context: NonZeroU64,
        /// When: by now the address may be another's.
        at: Nanos,
    },
    /// nginx: for whose request it sends to an upstream; `None` where it does not, or does not say.
    Nginx(Option<Proxied>),
    /// Node.js: what its event loop says.
    Async(AsyncIds),
}

/// The request for which nginx makes a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Proxied {
    /// The client's connection: the request is the one that nginx is at there.
    pub conn: ConnId,
    /// Bytes of that request's response were sent before the call.
    pub begun: bool,
}

/// What runs on an event loop of Node.js: numbers that are counted up and never given again in the life of a thread; 0 is none.
/// All are 0 where they could not be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct AsyncIds {
    /// The resource whose callback runs.
    pub running: u64,
    /// The one in whose callback that was created, or another that it names.
    pub trigger: u64,
    /// The one created last.
    pub youngest: u64,
}

/// How a part of an event loop's work began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Bytes came on a connection; the callback's ids, if one was called.
    Read {
        /// Which.
        conn: ConnId,
        /// The handle whose callback was called.
        id: u64,
    },
    /// A resource's callback.
    Callback {
        /// Which.
        id: u64,
        /// Its trigger.
        trigger: u64,
    },
    /// Timers, immediates, or a callback of nothing.
    Nobody,
    /// What waited for promises that a timer or an immediate has resolved.
    Resolved {
        /// The last that resolved one.
        id: u64,
        /// Its trigger.
        trigger: u64,
        /// The first.
        first: u64,
    },
    /// No new part: in the running one, after a read, a resource that was there before has resolved a promise.
    Named {
        /// The last that did.
        id: u64,
        /// Its trigger.
        trigger: u64,
        /// The first.
        first: u64,
    },
    /// No new part: the running one opens a connection.
    Connect {
        /// Which.
        conn: ConnId,
        /// What runs.
        running: u64,
        /// Its trigger.
        trigger: u64,
    },
}

/// A part of an event loop's work: what follows on its thread, up to the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice {
    /// Its thread.
    pub tid: u32,
    /// How it began.
    pub cause: Cause,
    /// The youngest async id when it began.
    pub youngest: u64,
    /// Its end is told: what is created until then was created in it.
    pub is_bounded: bool,
}

/// Both ends of a connection, seen from the observed process. IPv4-mapped addresses are already IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Endpoints {
    /// This process's end.
    pub local: SocketAddr,
    /// The other end.
    pub remote: SocketAddr,
}

/// Which way bytes moved, seen from the observed process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// Sent.
    Egress,
    /// Received.
    Ingress,
}

impl Direction {
    /// The other one.
    pub fn opposite(self) -> Direction {
        match self {
            Direction::Egress => Direction::Ingress,
            Direction::Ingress => Direction::Egress,
        }
    }
}

/// Where the bytes were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// A socket call; `seq` is TCP's.
    Socket,
    /// A TLS library; `seq` is a running offset.
    Tls,
}

/// How far a direction had come, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reached {
    /// When its last byte moved.
    pub at: Nanos,
    /// Sequence number after its last byte.
    pub seq: u32,
}

/// Why a segment has fewer bytes than it moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Uncopied {
    /// All bytes are there.
    Nothing,
    /// The capture policy's budget ended.
    Policy,
    /// The user's memory could not be read.
    Unreadable,
    /// The call has no user buffer (sendfile, splice, io_uring).
    NoBuffer,
}

/// Where the kernel side's walk from frame to frame is at the first byte of a segment, on a connection whose exchanges share it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Walk {
    /// Bytes directly before that it skipped: whole calls of which nothing is wanted.
    pub skipped: u32,
    /// Bytes from there to the next frame; `None` inside its header.
    pub ahead: Option<u32>,
    /// It begins here, on the chance that a frame does: see [`crate::assemble::Command::Walk`].
    pub begins: bool,
}

/// Bytes that one call moved.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    /// Connection.
    pub conn: ConnId,
    /// When the call returned.
    pub at: Nanos,
    /// Who called.
    pub actor: Actor,
    /// Which way.
    pub direction: Direction,
    /// Where they were read.
    pub source: Source,
    /// Sequence number of the first byte; wraps at 2³².
    pub seq: u32,
    /// Bytes moved, `>= data.len()`. The missing ones are the last.
    pub moved: u32,
    /// The bytes that were copied.
    pub data: &'a [u8],
    /// Why `data` is shorter than `moved`.
    pub uncopied: Uncopied,
    /// Both ends.
    pub endpoints: Endpoints,
    /// The first byte is the first of a turn: of the connection, as far as it was watched, or since the direction flipped.
    pub begins_turn: bool,
    /// This segment begins a turn; the other direction had come this far. `None` inside a turn, or if it moved nothing yet.
    pub opposite: Option<Reached>,
    /// Where the walk is, if the kernel side walks.
    pub walk: Option<Walk>,
}

/// What happened to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// This process sent FIN: nothing more will leave.
    LocalFin,
    /// The peer sent FIN: nothing more will arrive.
    RemoteFin,
    /// Gone in order, after FINs.
    Closed,
    /// Gone without FINs: reset or aborted.
    Reset,
}

/// A goroutine's birth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spawn {
    /// The new one.
    pub goroutine: NonZeroU64,
    /// The one that created it.
    pub parent: NonZeroU64,
    /// The `go` statement.
    pub site: u64,
}

/// The birth of a context of Python: a task, a callback or a thread's work has one of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Birth {
    /// The address of the new one.
    pub context: NonZeroU64,
    /// The one that its creator's thread had entered.
    pub creator: Option<NonZeroU64>,
}

/// Work of Python is handed to a pool of threads: put into its queue, and later taken out by one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handover {
    /// Its address. Addresses are used again when the work is done.
    pub item: NonZeroU64,
    /// Who put or took it.
    pub tid: u32,
    /// The context that this thread had entered.
    pub context: Option<NonZeroU64>,
    /// Taken, or else put.
    pub is_taken: bool,
}

/// One thing the kernel side saw.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// Bytes moved.
    Bytes(Segment<'a>),
    /// A mark set by [`crate::assemble::Command::Mark`] was passed.
    Progress {
        /// Connection.
        conn: ConnId,
        /// Direction of the mark.
        direction: Direction,
        /// How far, and when.
        reached: Reached,
        /// A call ended with the armed tail, rather than a sequence number being passed.
        by_tail: bool,
    },
    /// A connection is ending.
    Ending {
        /// Connection.
        conn: ConnId,
        /// When.
        at: Nanos,
        /// How.
        ending: Ending,
        /// How far the sent bytes had come, if any were seen.
        egress: Option<Reached>,
        /// How far the received bytes had come.
        ingress: Option<Reached>,
    },
    /// A goroutine is about to have a request sent: the next one on this connection is its own, whoever writes the bytes.
    Claim {
        /// Connection.
        conn: ConnId,
        /// When.
        at: Nanos,
        /// Its process.
        process: ProcessId,
        /// Who asked.
        goroutine: NonZeroU64,
    },
    /// A goroutine was created.
    Spawn {
        /// Its process.
        process: ProcessId,
        /// When.
        at: Nanos,
        /// Which.
        spawn: Spawn,
    },
    /// A context was created.
    Birth {
        /// Its process.
        process: ProcessId,
        /// When.
        at: Nanos,
        /// Which.
        birth: Birth,
    },
    /// Work was put into a queue of a pool of threads, or taken out.
    Handover {
        /// Its process.
        process: ProcessId,
        /// When.
        at: Nanos,
        /// Which.
        handover: Handover,
    },
    /// An event loop began another part of its work, and that had an effect.
    Slice {
        /// Its process.
        process: ProcessId,
        /// When it began.
        at: Nanos,
        /// Which.
        slice: Slice,
    },
    /// A process ended: what it had open will not be answered.
    Exit {
        /// Which.
        process: ProcessId,
        /// When.
        at: Nanos,
    },
    /// A process is observed no longer: what it had open will not be heard of any more, and nothing is known of how it ended.
    Left {
        /// Which.
        process: ProcessId,
        /// When.
        at: Nanos,
    },
    /// Time has passed; sent by the pipeline at least every 100 ms.
    Tick {
        /// Now.
        at: Nanos,
    },
}
