//! The last eight bytes of a direction, so that the end of a body is seen without copying it.
//!
//! The last byte is in the most significant position. A call of fewer than eight bytes moves those before it down: a tail may
//! be split over calls and segments.
use crate::{
    handlers::buffer::{Entries, Segment, shape},
    kernel::user,
    scratch::Scratch,
};
use wirespan_common::limits;

/// After a call that was not copied in full, given those `before` it; 0 if they cannot be read.
#[inline(always)]
pub(crate) fn of_call<E: Entries>(scratch: &mut Scratch, before: u64) -> u64 {
    let (address, bytes) = (scratch.call.address.get(), scratch.call.bytes.get());
    match scratch.call.shape.get() {
        shape::FLAT => after(before, address, u64::from(bytes)).unwrap_or(0),
        shape::VECTOR => of_vector::<E>(scratch, before),
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
fn of_vector<E: Entries>(scratch: &mut Scratch, before: u64) -> u64 {
    let Scratch { call, walk, .. } = scratch;
    walk.entry.set(call.address.get());
    walk.entries.set(call.segments.get());
    walk.skip.set(call.offset.get());
    walk.want.set(call.bytes.get());
    walk.tail.set(before);
    let mut step = 0;
    while step < limits::IOV_SEGMENTS {
        step += 1;
        if walk.want.get() == 0 {
            return walk.tail.get();
        }
        let entry = walk.entry.get();
        let Some(entries) = walk.entries.get().checked_sub(1) else { return 0 };
        let Some(Segment { base, len }) = E::read(entry) else { return 0 };
        let skip = walk.skip.get();
        let len = len.saturating_sub(skip).min(u64::from(walk.want.get()));
        let Some(tail) = after(walk.tail.get(), base.wrapping_add(skip), len) else { return 0 };
        walk.tail.set(tail);
        walk.want.set(walk.want.get().wrapping_sub(len as u32));
        walk.skip.set(0);
        walk.entry.set(entry.wrapping_add(size_of::<Segment>() as u64));
        walk.entries.set(entries);
    }
    if walk.want.get() == 0 { walk.tail.get() } else { 0 }
}

/// After `len` more bytes at `address`.
#[inline(always)]
fn after(before: u64, address: u64, len: u64) -> Option<u64> {
    match len {
        0 => Some(before),
        1..8 => Some((before >> (8 * len)) | (user::read_short(address, len)? << (64 - 8 * len))),
        _ => user::read(address.wrapping_add(len - 8)),
    }
}
