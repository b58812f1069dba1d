//! Writes records to the ring, and counts those that it refuses.
//!
//! Shape: a record in scratch memory in, ring bytes out. User space drains on a timer: a wake-up per record would cost the
//! observed program 6 µs a call. It is woken when the ring fills past its high-water mark, and by records that ask for it.
use crate::{kernel::globals, kernel::rows::count, maps::EVENTS};
use aya_ebpf::{
    bindings::{BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP},
    helpers::generated,
};
use core::{ffi::c_void, hint::black_box};
use wirespan_common::{
    event::{BytesRecord, ExecRecord, Header},
    limits,
    reason::Reason,
};
use zerocopy::IntoBytes;

/// Largest piece of one segment that is copied at once. The verifier adds it to any place in a record's data.
pub(crate) const PIECE_BYTES: usize = 8 * 1024;

/// A record of bytes while it is built: more room than its data may take, see [`PIECE_BYTES`].
#[repr(C)]
pub(crate) struct Scratch {
    /// Where the walk through a vector is.
    pub walk: Walk,
    /// The record.
    pub record: BytesRecord,
    /// Its data.
    pub data: [u8; limits::RECORD_DATA_BYTES + PIECE_BYTES],
}
const _: () = assert!(size_of::<Scratch>() <= 32 * 1024, "a per-CPU value may have 32 KiB");

/// Where a walk through an iovec is. It is kept in map memory, whose values the verifier does not follow: so the states of
/// all ways through one step are the same to it, and the walk takes it a few thousand steps instead of millions.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Walk {
    /// Address of the next entry.
    pub entry: u64,
    /// Entries left, counted down.
    pub entries: u64,
    /// Rest of the current segment.
    pub base: u64,
    /// Bytes in it.
    pub len: u64,
    /// Bytes to pass over.
    pub skip: u64,
    /// The last eight bytes so far.
    pub tail: u64,
    /// Bytes still wanted.
    pub want: u32,
    /// Bytes that no record stands for yet.
    pub left: u32,
    /// Bytes in the scratch record.
    pub filled: u32,
    /// Zero.
    pub reserved: u32,
}

impl Scratch {
    /// Loads the walk from memory.
    #[inline(always)]
    pub(crate) fn load_walk(&self) -> Walk {
        // SAFETY: a field of `self`.
        unsafe { core::ptr::read_volatile(&raw const self.walk) }
    }

    /// Stores the walk to memory.
    #[inline(always)]
    pub(crate) fn store_walk(&mut self, walk: Walk) {
        // SAFETY: a field of `self`.
        unsafe { core::ptr::write_volatile(&raw mut self.walk, walk) }
    }
}

/// An exec record while it is built.
#[repr(C)]
pub(crate) struct ExecScratch {
    /// The record.
    pub record: ExecRecord,
}

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
    let flags = u64::from(wake_at_high_water(len));
    output((&raw const scratch.record).cast(), len, flags)
}

/// Wakes user space with the record that crosses the high-water mark, not with those after it.
#[inline(always)]
fn wake_at_high_water(len: u64) -> u32 {
    // SAFETY: a map and a constant.
    let waiting = unsafe { generated::bpf_ringbuf_query(ring(), u64::from(BPF_RB_AVAIL_DATA)) };
    let mark = globals::high_water_bytes();
    if waiting <= mark && waiting.wrapping_add(len) > mark { BPF_RB_FORCE_WAKEUP } else { BPF_RB_NO_WAKEUP }
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

/// Fields that every header has; `len`, `kind` and `flags` are the record's.
#[inline(always)]
pub(crate) fn header<T>(kind: u16) -> Header {
    Header { kind, len: size_of::<T>() as u32, cpu: crate::kernel::clock::cpu(), ..Header::default() }
}
