//! Writes records to the ring, and counts those that it refuses.
//!
//! Shape: a record in scratch memory in, ring bytes out. User space drains on a timer: a wake-up per record would cost the
//! observed program 6 µs a call. It is woken when the ring fills past its high-water mark, and by records that ask for it.
use crate::{
    kernel::{
        clock::{self, Thread},
        globals,
        rows::count,
    },
    maps::EVENTS,
    scratch::Scratch,
};
use aya_ebpf::{
    bindings::{BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP},
    helpers::generated,
};
use core::{ffi::c_void, hint::black_box};
use wirespan_common::{
    event::{BytesRecord, Header},
    limits,
    policy::Process,
    reason::Reason,
};
use zerocopy::IntoBytes;

/// Bytes between two looks at how full the ring is: a look costs a few nanoseconds, a wake-up 6 µs.
const LOOK_BYTES: u64 = 32 * 1024;

/// Should this record wake user space?
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wake {
    /// It is found by the timer.
    Timer,
    /// At once: user space must look at a process while it is young.
    Now,
}

/// A small record of fixed size.
#[inline(always)]
pub(crate) fn emit<T: IntoBytes + zerocopy::Immutable>(record: &T, wake: Wake) -> Result<(), Reason> {
    let flags = if wake == Wake::Now { BPF_RB_FORCE_WAKEUP } else { BPF_RB_NO_WAKEUP };
    output((&raw const *record).cast(), size_of::<T>() as u64, u64::from(flags))
}

/// The record of bytes in `scratch` with the first `captured` bytes of its data.
#[inline(always)]
pub(crate) fn emit_bytes(scratch: &mut Scratch, captured: u32) -> Result<(), Reason> {
    // The compiler knows that the bound changes nothing; the verifier does not, and must see it.
    let captured = black_box(captured).min(limits::RECORD_DATA_BYTES as u32);
    let len = size_of::<BytesRecord>() as u32 + captured;
    scratch.record.captured = captured;
    scratch.record.header.len = len;
    let len = u64::from(len);
    let flags = u64::from(wake_at_high_water(scratch, len));
    output((&raw const scratch.record).cast(), len, flags)
}

/// Looks at the ring every [`LOOK_BYTES`] that this CPU wrote, and wakes user space if too much waits in it.
#[inline(always)]
fn wake_at_high_water(scratch: &mut Scratch, len: u64) -> u32 {
    scratch.since_look = scratch.since_look.wrapping_add(len);
    if scratch.since_look < LOOK_BYTES {
        return BPF_RB_NO_WAKEUP;
    }
    scratch.since_look = 0;
    // SAFETY: a map and a constant.
    let waiting = unsafe { generated::bpf_ringbuf_query(ring(), u64::from(BPF_RB_AVAIL_DATA)) };
    if waiting > globals::high_water_bytes() { BPF_RB_FORCE_WAKEUP } else { BPF_RB_NO_WAKEUP }
}

#[inline(always)]
fn output(record: *const u8, len: u64, flags: u64) -> Result<(), Reason> {
    // SAFETY: the verifier checks that `record` has `len` bytes, all of them initialised.
    let result =
        unsafe { generated::bpf_ringbuf_output(ring(), record.cast_mut().cast::<c_void>(), len, flags) };
    if result == 0 { Ok(()) } else { Err(Reason::RingFull) }
}

#[inline(always)]
fn ring() -> *mut c_void {
    (&raw const EVENTS).cast_mut().cast()
}

/// Runs a handler and counts why it gave up. The programs' result is ignored by every hook that they attach to.
#[inline(always)]
pub(crate) fn run(handler: impl FnOnce() -> Result<(), Reason>) -> i32 {
    if let Err(reason) = handler() {
        count(reason);
    }
    0
}

/// The header of a small record about what a thread did just now.
#[inline(always)]
pub(crate) fn header_by<T>(kind: u16, thread: Thread, process: &Process) -> Header {
    Header {
        at_ns: clock::now_ns(),
        tgid: thread.tgid(),
        tid: thread.tid(),
        start_ticks: process.start_ticks,
        ..header::<T>(kind)
    }
}

/// Fields that every header has; `len`, `kind` and `flags` are the record's.
#[inline(always)]
pub(crate) fn header<T>(kind: u16) -> Header {
    Header { kind, len: size_of::<T>() as u32, cpu: clock::cpu(), ..Header::default() }
}
