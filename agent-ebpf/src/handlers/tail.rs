//! The last eight bytes of a direction, so that the end of a body is seen without copying it.
//!
//! The last byte is in the most significant position. A call of fewer than eight bytes moves those before it down: a tail may
//! be split over calls and segments.
use crate::{
    handlers::buffer::{Entries, Segment, shape},
    kernel::user,
    scratch::{Scratch, Walk},
};
use wirespan_common::limits;

/// After a call that was not copied in full, given those `before` it; 0 if they cannot be read.
#[inline(always)]
pub(crate) fn of_call<E: Entries>(scratch: &mut Scratch, before: u64) -> u64 {
    let Scratch { call, walk, .. } = scratch;
    walk.tail.set(before);
    match call.shape.get() {
        shape::FLAT if after(walk, call.address.get(), u64::from(call.bytes.get())) => walk.tail.get(),
        shape::VECTOR => of_vector::<E>(scratch),
        _ => 0,
    }
}

/// After a call whose last record is the one in `scratch`, copied in full.
#[inline(always)]
pub(crate) fn of_copy(scratch: &Scratch, before: u64) -> u64 {
    let captured = scratch.record.captured;
    match captured {
        0 => 0,
        1..8 => (before >> (8 * captured)) | (user::word(&scratch.data, 0) << (64 - 8 * captured)),
        _ => user::word(&scratch.data, captured - 8),
    }
}

#[inline(always)]
fn of_vector<E: Entries>(scratch: &mut Scratch) -> u64 {
    let Scratch { call, walk, .. } = scratch;
    walk.entry.set(call.address.get());
    walk.entries.set(call.segments.get());
    walk.skip.set(call.offset.get());
    walk.want.set(call.bytes.get());
    let mut step = 0;
    while step < limits::IOV_SEGMENTS {
        step += 1;
        if walk.want.get() == 0 {
            return walk.tail.get();
        }
        let entry = walk.entry.get();
        let Some(entries) = walk.entries.get().checked_sub(1) else { return 0 };
        let Some(Segment { base, len }) = E::read(entry) else { return 0 };
        walk.entry.set(entry.wrapping_add(size_of::<Segment>() as u64));
        walk.entries.set(entries);
        let skip = walk.step.min(walk.skip.get(), len);
        walk.skip.set(0);
        let len = walk.step.min(len.wrapping_sub(skip), u64::from(walk.want.get()));
        walk.want.set(walk.want.get().wrapping_sub(len as u32));
        if !after(walk, base.wrapping_add(skip), len) {
            return 0;
        }
    }
    if walk.want.get() == 0 { walk.tail.get() } else { 0 }
}

/// Moves the tail on by `len` more bytes at `address`; false if they cannot be read. However many there are, it is one way for the
/// verifier: 0 to 8 are read, and shifted in by two halves, as no shift goes by 64 bits.
#[inline(always)]
fn after(walk: &mut Walk, address: u64, len: u64) -> bool {
    let few = walk.step.min(len, size_of::<u64>() as u64);
    let Some(word) = user::read_few(address.wrapping_add(len.wrapping_sub(few)), few) else { return false };
    let (down, up) = (few as u32 * 4, 32_u32.wrapping_sub(few as u32 * 4));
    let before = walk.tail.get().wrapping_shr(down).wrapping_shr(down);
    walk.tail.set(before | word.wrapping_shl(up).wrapping_shl(up));
    true
}
