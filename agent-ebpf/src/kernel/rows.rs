//! Map rows as references.
//!
//! A row of a preallocated map stays readable and writable memory for as long as the program runs, even when it is deleted
//! and taken by another key meanwhile: a late write then spoils a statistic of another row, never memory. For `CONNECTIONS`
//! that needs a socket destroyed while one of its calls is running, which holds a reference to it: it cannot happen.
use crate::{
    maps::{
        CONNECTIONS, EXEC_SCRATCH, EventLoop, INFLIGHT, InflightCall, LOOPS, POLICIES, PROCESSES, QUEUED,
        Queued, REASONS, SCRATCH, VECTORS, VectorPlace, WALKS,
    },
    scratch::{ExecScratch, Scratch},
};
use wirespan_common::{
    policy::{ConnectionState, FrameWalks, Policy, Process},
    reason::Reason,
};

/// Insert a row, or replace it.
pub(crate) const ANY: u64 = 0;
/// Insert a row that must not exist.
pub(crate) const NO_EXIST: u64 = 1;

/// Is it followed?
#[inline(always)]
pub(crate) fn process(tgid: u32) -> Option<&'static Process> {
    let row = PROCESSES.get_ptr(tgid)?;
    // SAFETY: a map row, see above.
    unsafe { row.as_ref() }
}

/// What user space wants of a connection.
#[inline(always)]
pub(crate) fn policy(cookie: u64) -> Option<&'static Policy> {
    let row = POLICIES.get_ptr(cookie)?;
    // SAFETY: a map row, see above.
    unsafe { row.as_ref() }
}

/// What is known of a connection. Two CPUs may move bytes in the two directions at once: fields are per direction, and those
/// that are not (the turn) are corrected by the next call.
#[inline(always)]
pub(crate) fn connection(cookie: u64) -> Option<&'static mut ConnectionState> {
    let row = CONNECTIONS.get_ptr_mut(cookie)?;
    // SAFETY: a map row, see above.
    unsafe { row.as_mut() }
}

/// How far the walks through a connection's frames are; made if there were none. `None`: there is no room.
#[inline(always)]
pub(crate) fn walks(cookie: u64) -> Option<&'static mut FrameWalks> {
    if WALKS.get_ptr(cookie).is_none() {
        WALKS.insert(cookie, FrameWalks::default(), ANY).ok()?;
    }
    let row = WALKS.get_ptr_mut(cookie)?;
    // SAFETY: a map row, see above.
    unsafe { row.as_mut() }
}

/// Where this thread is in its vector of messages.
#[inline(always)]
pub(crate) fn vector_place(pid_tgid: u64) -> Option<&'static VectorPlace> {
    let row = VECTORS.get_ptr(pid_tgid)?;
    // SAFETY: a map row, see above.
    unsafe { row.as_ref() }
}

/// The arguments of a function that is running.
#[inline(always)]
pub(crate) fn inflight_call(key: u64) -> Option<&'static InflightCall> {
    let row = INFLIGHT.get_ptr(key)?;
    // SAFETY: a map row, see above.
    unsafe { row.as_ref() }
}

/// Who queued the bytes that are sent next on a connection.
#[inline(always)]
pub(crate) fn queued(cookie: u64) -> Option<&'static Queued> {
    let row = QUEUED.get_ptr(cookie)?;
    // SAFETY: a map row, see above.
    unsafe { row.as_ref() }
}

/// Where a thread's event loop is.
#[inline(always)]
pub(crate) fn event_loop(pid_tgid: u64) -> Option<&'static mut EventLoop> {
    let row = LOOPS.get_ptr_mut(pid_tgid)?;
    // SAFETY: a map row, see above.
    unsafe { row.as_mut() }
}

/// Where a direction's records are built on this CPU.
#[inline(always)]
pub(crate) fn scratch(direction: u8) -> Result<&'static mut Scratch, Reason> {
    let row = SCRATCH.get_ptr_mut(u32::from(direction)).ok_or(Reason::Internal)?;
    // SAFETY: a map row of this CPU, used by one program at a time, see `SCRATCH`.
    unsafe { row.as_mut() }.ok_or(Reason::Internal)
}

/// Where the exec record is built on this CPU.
#[inline(always)]
pub(crate) fn exec_scratch() -> Result<&'static mut ExecScratch, Reason> {
    let row = EXEC_SCRATCH.get_ptr_mut(0).ok_or(Reason::Internal)?;
    // SAFETY: a map row of this CPU, used by one program at a time.
    unsafe { row.as_mut() }.ok_or(Reason::Internal)
}

/// Counts a loss, a skip or uncopied work.
#[inline(always)]
pub(crate) fn count(reason: Reason) {
    let Some(row) = REASONS.get_ptr_mut(reason as u32) else { return };
    // SAFETY: a map row of this CPU.
    if let Some(row) = unsafe { row.as_mut() } {
        *row = row.wrapping_add(1);
    }
}
