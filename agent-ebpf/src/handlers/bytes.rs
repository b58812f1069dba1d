//! Bytes moved on a TCP connection: the capture policy.
//!
//! In: [`Moved`], from any hook kind. Out: the records that the connection's policy asks for, and its row in `CONNECTIONS`.
//! A connection is a sequence of turns: one begins when the direction flips. Of each turn the first bytes are copied; the rest
//! is counted, and summed up in the record that begins the next turn. What is copied is decided by `POLICIES`, never by content.
use crate::{
    emit::{self, Wake, emit},
    handlers::{
        buffer::{Buffer, Entries, tail},
        capture::{Plan, capture, tail_of_copy},
    },
    kernel::{
        access::Access,
        clock::{Thread, now_ns},
        rows::{self, NO_EXIST, count},
        sock::TcpSocket,
        task::Task,
    },
    maps::CONNECTIONS,
};
use wirespan_common::{
    event::{ProgressRecord, direction, flags, kind, source},
    limits,
    policy::{ConnectionState, Mark, Policy, Process, armed, capture as capture_mode, process},
    reason::Reason,
};

/// One call that moved bytes.
pub(crate) struct Moved<'a, A> {
    /// Whose call.
    pub process: &'a Process,
    /// The thread.
    pub thread: Thread,
    /// The thread's task.
    pub task: Task,
    /// The connection.
    pub socket: TcpSocket<A>,
    /// Its cookie.
    pub cookie: u64,
    /// One of [`direction`], a constant in each program.
    pub direction: u8,
    /// How many; not zero.
    pub bytes: u32,
    /// Where they are.
    pub buffer: Buffer,
}

/// The row of the thread's process, if it is observed.
#[inline(always)]
pub(crate) fn observed(thread: Thread) -> Option<&'static Process> {
    rows::process(thread.tgid()).filter(|process| process.flags & process::IGNORED == 0)
}

/// When a call returned, and where in the stream its bytes are.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    /// Monotonic.
    pub at_ns: u64,
    /// Sequence number of its first byte.
    pub seq: u32,
    /// Sequence number after its last byte.
    pub reached: u32,
}

/// Acts on one call.
#[inline(always)]
pub(crate) fn on_moved<A: Access, E: Entries>(moved: &Moved<'_, A>) -> Result<(), Reason> {
    let policy = rows::policy(moved.cookie);
    if policy.is_some_and(|policy| policy.capture == capture_mode::STOP) {
        return Ok(());
    }
    let reached = moved.socket.reached(moved.direction)?;
    let place = Place { at_ns: now_ns(), seq: reached.wrapping_sub(moved.bytes), reached };
    let connection = match rows::connection(moved.cookie) {
        Some(connection) => connection,
        None => open(moved.cookie, moved.direction)?,
    };
    let flipped = connection.turn != moved.direction;
    connection.turn = moved.direction;
    let outcome = match policy {
        Some(policy) => meet(of(&policy.marks, moved.direction), connection, moved, place, flipped)?,
        None => Outcome::Unmarked,
    };
    let (begins, skip) = match outcome {
        Outcome::Passed { skip } => (true, skip),
        Outcome::Unmarked | Outcome::Waiting | Outcome::WaitingForTail => (flipped, 0),
    };
    if begins {
        *of_mut(&mut connection.copied, moved.direction) = 0;
    }
    let copied = *of(&connection.copied, moved.direction);
    let left = moved.bytes.saturating_sub(skip);
    let want = match outcome {
        Outcome::Waiting | Outcome::WaitingForTail => 0,
        Outcome::Unmarked | Outcome::Passed { .. } => {
            left.min(head(policy, connection, moved.direction).saturating_sub(copied))
        }
    };
    let before = *of(&connection.last_tail, moved.direction);
    let mut last = 0;
    if want < moved.bytes {
        last = tail::<E>(rows::scratch(moved.direction)?, moved.buffer, moved.bytes, before);
        *of_mut(&mut connection.last_tail, moved.direction) = last;
    }
    let written = if want != 0 {
        *of_mut(&mut connection.copied, moved.direction) = copied.wrapping_add(want);
        let written = write::<A, E>(moved, connection, place, begins, Plan { skip, want, moved: left });
        if want == moved.bytes {
            // All of it was copied: the copy is nearer than the user's memory.
            *of_mut(&mut connection.last_tail, moved.direction) =
                tail_of_copy(rows::scratch(moved.direction)?, before);
        }
        written
    } else {
        count(Reason::Uncopied);
        match (outcome, policy) {
            (Outcome::WaitingForTail, Some(policy)) => {
                meet_tail(of(&policy.marks, moved.direction), last, connection, moved, place)
            }
            _ => Ok(()),
        }
    };
    *of_mut(&mut connection.last_at_ns, moved.direction) = place.at_ns;
    *of_mut(&mut connection.last_seq, moved.direction) = place.reached;
    written
}

/// A connection's first bytes: whoever moves them opens it.
#[inline(always)]
fn open(cookie: u64, towards: u8) -> Result<&'static mut ConnectionState, Reason> {
    let row = ConnectionState { turn: opposite(towards), opener: towards, ..ConnectionState::default() };
    // Another CPU may have opened it in the meantime: that row is as good.
    let inserted = CONNECTIONS.insert(cookie, row, NO_EXIST);
    match rows::connection(cookie) {
        Some(connection) => Ok(connection),
        None if inserted.is_err() => Err(Reason::ConnectionsFull),
        None => Err(Reason::Internal),
    }
}

/// Bytes that are copied of a turn.
#[inline(always)]
fn head(policy: Option<&Policy>, connection: &ConnectionState, towards: u8) -> u32 {
    match policy.map_or(0, |policy| *of(&policy.head, towards)) {
        0 if connection.opener == towards => limits::HEAD_OPENING_BYTES,
        0 => limits::HEAD_ANSWERING_BYTES,
        head => head,
    }
}

/// What a mark says about a call.
#[derive(Clone, Copy)]
enum Outcome {
    /// There is none: the budget decides.
    Unmarked,
    /// It is ahead: nothing is copied.
    Waiting,
    /// It is a tail: nothing is copied, and the end of the call decides.
    WaitingForTail,
    /// It is behind: what follows after `skip` bytes of the call is a new turn.
    Passed {
        /// Bytes of the call before the mark.
        skip: u32,
    },
}

/// Holds a call against the mark of its direction, and reports a sequence number when it is passed.
#[inline(always)]
fn meet<A>(
    mark: &Mark,
    connection: &mut ConnectionState,
    moved: &Moved<'_, A>,
    place: Place,
    flipped: bool,
) -> Result<Outcome, Reason> {
    if mark.armed == armed::NONE || mark.id == *of(&connection.passed, moved.direction) {
        return Ok(Outcome::Unmarked);
    }
    if mark.armed == armed::TAIL && !flipped {
        return Ok(Outcome::WaitingForTail);
    }
    let ahead = mark.seq.wrapping_sub(place.seq) as i32;
    if mark.armed == armed::SEQ && ahead > moved.bytes as i32 {
        return Ok(Outcome::Waiting);
    }
    *of_mut(&mut connection.passed, moved.direction) = mark.id;
    if mark.armed == armed::TAIL {
        return Ok(Outcome::Unmarked);
    }
    if ahead > 0 {
        progress(moved, place.at_ns, place.reached, 0)?;
        return Ok(Outcome::Passed { skip: ahead as u32 });
    }
    // It was armed too late: the last call before this one had passed it.
    let (at_ns, seq) =
        (*of(&connection.last_at_ns, moved.direction), *of(&connection.last_seq, moved.direction));
    progress(moved, at_ns, seq, 0)?;
    Ok(Outcome::Passed { skip: 0 })
}

/// Holds the last bytes of a call against a tail, and reports it when it matches. What follows is a new turn.
#[inline(always)]
fn meet_tail<A>(
    mark: &Mark,
    last: u64,
    connection: &mut ConnectionState,
    moved: &Moved<'_, A>,
    place: Place,
) -> Result<(), Reason> {
    let shift = 64_u32.wrapping_sub(mark.tail_len.wrapping_mul(8)) & 63;
    if last >> shift != mark.tail >> shift {
        return Ok(());
    }
    *of_mut(&mut connection.passed, moved.direction) = mark.id;
    *of_mut(&mut connection.copied, moved.direction) = 0;
    progress(moved, place.at_ns, place.reached, 1)
}

/// Reports a mark.
#[inline(always)]
fn progress<A>(moved: &Moved<'_, A>, at_ns: u64, seq: u32, by_tail: u8) -> Result<(), Reason> {
    let mut record = ProgressRecord { conn: moved.cookie, seq, by_tail, ..ProgressRecord::default() };
    record.header = emit::header::<ProgressRecord>(kind::PROGRESS);
    record.header.at_ns = at_ns;
    record.header.tgid = moved.thread.tgid();
    record.header.tid = moved.thread.tid();
    record.header.start_ticks = moved.process.start_ticks;
    record.direction = moved.direction;
    emit(&record, Wake::Timer)
}

/// Fills in what the records of a call share, and writes them.
#[inline(always)]
fn write<A: Access, E: Entries>(
    moved: &Moved<'_, A>,
    connection: &ConnectionState,
    place: Place,
    begins: bool,
    plan: Plan,
) -> Result<(), Reason> {
    let scratch = rows::scratch(moved.direction)?;
    let record = &mut scratch.record;
    record.header.at_ns = place.at_ns;
    record.header.tgid = moved.thread.tgid();
    record.header.tid = moved.thread.tid();
    record.header.start_ticks = moved.process.start_ticks;
    record.header.kind = kind::BYTES;
    record.header.cpu = crate::kernel::clock::cpu();
    record.header.flags = if begins { flags::TURN_BEGINS } else { 0 };
    if moved.process.flags & process::PROVISIONAL != 0 {
        record.header.flags |= flags::PROVISIONAL;
    }
    record.conn = moved.cookie;
    record.seq = place.seq.wrapping_add(plan.skip);
    record.opposite_at_ns = if begins { *of(&connection.last_at_ns, opposite(moved.direction)) } else { 0 };
    record.opposite_seq = if begins { *of(&connection.last_seq, opposite(moved.direction)) } else { 0 };
    record.direction = moved.direction;
    record.source = source::SOCKET;
    record.reserved = [0; 2];
    (record.goroutine, record.parent_goroutine) =
        if moved.process.flags & process::GO == 0 { (0, 0) } else { moved.task.goroutine(moved.process) };
    moved.socket.endpoints(&mut record.endpoints)?;
    capture::<E>(scratch, moved.buffer, plan)
}

/// The other direction.
#[inline(always)]
const fn opposite(towards: u8) -> u8 {
    towards ^ 1
}

/// A direction's half of a pair.
#[inline(always)]
fn of<T>(pair: &[T; 2], towards: u8) -> &T {
    let [egress, ingress] = pair;
    if towards == direction::EGRESS { egress } else { ingress }
}

/// A direction's half of a pair.
#[inline(always)]
fn of_mut<T>(pair: &mut [T; 2], towards: u8) -> &mut T {
    let [egress, ingress] = pair;
    if towards == direction::EGRESS { egress } else { ingress }
}
