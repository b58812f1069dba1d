//! Bytes moved on a TCP connection: the capture policy.
//!
//! In: [`Moved`], from any hook kind. Out: the records that the connection's policy asks for, and its row in `CONNECTIONS`.
//! A connection is a sequence of turns: one begins when the direction flips. Of each turn the first bytes are copied; the rest
//! is counted, and summed up in the record that begins the next turn. What is copied is decided by `POLICIES`, never by content.
use crate::{
    handlers::{
        buffer::{Buffer, Entries},
        capture::capture,
        event_loop, frames,
        mark::{Outcome, meet, meet_tail},
        side::{of, of_mut, opposite},
        tail,
    },
    kernel::{
        access::Access,
        clock::{Thread, cpu, now_ns},
        rows::{self, NO_EXIST, count},
        runtime,
        sock::TcpSocket,
        task::Task,
    },
    maps::CONNECTIONS,
    scratch::{Call, Scratch},
};
use wirespan_common::{
    event::{self, flags, kind, source},
    limits,
    policy::{ConnectionState, Policy, Process, capture as capture_mode, process},
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
    /// One of [`direction`](wirespan_common::event::direction), a constant in each program.
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

/// That row, if the process is of this runtime and what it works on can be read.
#[inline(always)]
pub(crate) fn observed_by(thread: Thread, runtime: u8) -> Option<&'static Process> {
    observed(thread).filter(|process| process.runtime as u8 == runtime)
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
    if moved.process.runtime as u8 == event::runtime::NODE
        && let Err(reason) = event_loop::on_moved(moved)
    {
        count(reason);
    }
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
    let scratch = rows::scratch(moved.direction)?;
    scratch.call.walk_flags.set(0);
    if let Some(policy) = policy.filter(|policy| policy.capture == capture_mode::FRAMES)
        && frames::is_skipped::<A, E>(moved, policy, place, scratch)
    {
        // `last_seq` stays: what is skipped is told with the next record.
        *of_mut(&mut connection.last_at_ns, moved.direction) = place.at_ns;
        return Ok(());
    }
    decide(moved, policy, connection, place, &mut scratch.call)?;
    // From here on all ways are one to the verifier: what they decided is in `scratch`.
    let before = *of(&connection.last_tail, moved.direction);
    let want = scratch.call.want.get();
    let mut last = 0;
    if want < moved.bytes {
        last = tail::of_call::<E>(scratch, before);
        *of_mut(&mut connection.last_tail, moved.direction) = last;
    }
    let written = if want == 0 {
        count(Reason::Uncopied);
        meet_tail(moved, &scratch.call, last, connection, place)
    } else {
        write::<A, E>(moved, connection, place, scratch)
    };
    if want == moved.bytes {
        // All of it was copied: the copy is nearer than the user's memory.
        *of_mut(&mut connection.last_tail, moved.direction) = tail::of_copy(scratch, before);
    }
    *of_mut(&mut connection.last_at_ns, moved.direction) = place.at_ns;
    *of_mut(&mut connection.last_seq, moved.direction) = place.reached;
    written
}

/// Decides what to copy of a call.
#[inline(always)]
fn decide<A>(
    moved: &Moved<'_, A>,
    policy: Option<&Policy>,
    connection: &mut ConnectionState,
    place: Place,
    call: &mut Call,
) -> Result<(), Reason> {
    let flipped = connection.turn != moved.direction;
    connection.turn = moved.direction;
    call.tail_len.set(0);
    let outcome = match policy {
        Some(policy) => meet(of(&policy.marks, moved.direction), connection, moved, place, flipped, call)?,
        None => Outcome::Unmarked,
    };
    let (begins, skip) = match outcome {
        Outcome::Passed { skip } => (true, skip),
        Outcome::Unmarked | Outcome::Waiting => (flipped, 0),
    };
    let copied = if begins { 0 } else { *of(&connection.copied, moved.direction) };
    let left = moved.bytes.saturating_sub(skip);
    let budget = match outcome {
        Outcome::Waiting => Budget { bytes: 0, charge: 0 },
        Outcome::Unmarked | Outcome::Passed { .. } => {
            budget(policy, connection, moved.direction, copied, moved.bytes)
        }
    };
    let want = left.min(budget.bytes);
    *of_mut(&mut connection.copied, moved.direction) = copied.wrapping_add(want.max(budget.charge));
    let buffer = moved.buffer.resolved();
    call.address.set(buffer.address);
    call.segments.set(buffer.segments);
    call.offset.set(buffer.offset);
    call.shape.set(buffer.shape);
    call.bytes.set(moved.bytes);
    call.skip.set(skip);
    call.want.set(want);
    call.begins.set(u32::from(begins));
    Ok(())
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

/// How much of a call may be copied, and how much of its turn's budget it takes at least.
struct Budget {
    bytes: u32,
    charge: u32,
}

/// The budget of a call of `bytes`, when `copied` have been taken of its turn's.
#[inline(always)]
fn budget(
    policy: Option<&Policy>,
    connection: &ConnectionState,
    towards: u8,
    copied: u32,
    bytes: u32,
) -> Budget {
    const CALL: u32 = limits::ANSWERING_CALL_BYTES;
    let answer = limits::answering_bytes(*of(&connection.copied, opposite(towards)));
    if policy.is_some_and(|policy| policy.capture == capture_mode::FRAMES) {
        return Budget { bytes, charge: 0 };
    }
    let bytes = match policy.map_or(0, |policy| *of(&policy.head, towards)) {
        0 if connection.opener == towards => limits::HEAD_OPENING_BYTES.saturating_sub(copied),
        0 if copied < answer => answer - copied,
        0 if copied < limits::ANSWERING_TURN_BYTES && bytes < limits::ANSWERING_SHORT_CALL_BYTES => {
            return Budget { bytes: CALL, charge: CALL };
        }
        0 => 0,
        head => head.saturating_sub(copied),
    };
    Budget { bytes, charge: 0 }
}

/// Fills in what the records of a call share, and writes them.
#[inline(always)]
fn write<A: Access, E: Entries>(
    moved: &Moved<'_, A>,
    connection: &ConnectionState,
    place: Place,
    scratch: &mut Scratch,
) -> Result<(), Reason> {
    let begins = scratch.call.begins.get() != 0;
    let record = &mut scratch.record;
    record.header.at_ns = place.at_ns;
    record.header.tgid = moved.thread.tgid();
    record.header.tid = moved.thread.tid();
    record.header.start_ticks = moved.process.start_ticks;
    record.header.kind = kind::BYTES;
    record.header.cpu = cpu();
    record.header.flags = if begins { flags::TURN_BEGINS } else { 0 };
    record.header.flags |= moved.socket.waiting()?;
    if moved.process.flags & process::PROVISIONAL != 0 {
        record.header.flags |= flags::PROVISIONAL;
    }
    record.conn = moved.cookie;
    record.seq = place.seq.wrapping_add(scratch.call.skip.get());
    record.opposite_at_ns = if begins { *of(&connection.last_at_ns, opposite(moved.direction)) } else { 0 };
    record.opposite_seq = if begins { *of(&connection.last_seq, opposite(moved.direction)) } else { 0 };
    let walk = &scratch.call;
    record.header.flags |= walk.walk_flags.get() as u16;
    (record.skipped, record.ahead) = (walk.skipped.get(), walk.ahead.get());
    record.direction = moved.direction;
    record.source = source::SOCKET;
    record.runtime = moved.process.runtime as u8;
    record.reserved = 0;
    record.task = runtime::task(moved.task, moved.process, &moved.socket, moved.direction);
    moved.socket.endpoints(&mut record.endpoints)?;
    capture::<E>(scratch)
}
