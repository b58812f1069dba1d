//! Copies what a call moved, up to a budget, into at most [`limits::RECORDS_PER_CALL`] records.
//!
//! In: the scratch record with every field set that the records of one call share, and what was decided about the call.
//! Out: ring records.
use crate::{
    emit::emit_bytes,
    handlers::buffer::{Entries, Segment, shape},
    kernel::{rows::count, user},
    scratch::{PIECE_BYTES, Scratch},
};
use core::hint::black_box;
use wirespan_common::{event::flags, limits, reason::Reason};

/// Data of one record.
const RECORD_DATA_BYTES: u32 = limits::RECORD_DATA_BYTES as u32;
/// Steps of the walk through a vector: its segments, and pieces of long ones.
const STEPS: usize =
    limits::IOV_SEGMENTS + limits::RECORDS_PER_CALL * limits::RECORD_DATA_BYTES / PIECE_BYTES;

/// Writes the records of one call.
#[inline(always)]
pub(crate) fn capture<E: Entries>(scratch: &mut Scratch) -> Result<(), Reason> {
    let Scratch { call, walk, .. } = scratch;
    walk.left.set(call.bytes.get().wrapping_sub(call.skip.get()));
    walk.want.set(call.want.get());
    walk.filled.set(0);
    let why = match call.shape.get() {
        shape::FLAT => flat(scratch)?,
        shape::VECTOR => vector::<E>(scratch)?,
        _ => {
            count(Reason::NoBuffer);
            flags::NO_BUFFER
        }
    };
    // The last record stands for all that is left.
    let (filled, left) = (scratch.walk.filled.get(), scratch.walk.left.get());
    scratch.record.moved = left;
    scratch.record.header.flags |= if why == 0 && filled < left { flags::TRUNCATED } else { why };
    emit_bytes(scratch, filled)
}

/// One piece of memory.
#[inline(always)]
fn flat(scratch: &mut Scratch) -> Result<u16, Reason> {
    let skip = u64::from(scratch.call.skip.get());
    scratch.walk.base.set(scratch.call.address.get().wrapping_add(skip));
    let mut records = 0;
    while records < limits::RECORDS_PER_CALL {
        records += 1;
        let want = scratch.walk.want.get();
        let len = want.min(RECORD_DATA_BYTES);
        let base = scratch.walk.base.get();
        if !user::copy((&raw mut scratch.data).cast(), len, base) {
            count(Reason::UserMemory);
            return Ok(flags::UNREADABLE);
        }
        scratch.walk.filled.set(len);
        if want <= RECORD_DATA_BYTES {
            break;
        }
        scratch.walk.base.set(base.wrapping_add(u64::from(RECORD_DATA_BYTES)));
        scratch.walk.want.set(want - RECORD_DATA_BYTES);
        part(scratch)?;
    }
    Ok(0)
}

/// Several pieces of memory.
#[inline(always)]
fn vector<E: Entries>(scratch: &mut Scratch) -> Result<u16, Reason> {
    let Scratch { call, walk, .. } = scratch;
    walk.entry.set(call.address.get());
    walk.entries.set(call.segments.get());
    walk.len.set(0);
    walk.skip.set(call.offset.get().wrapping_add(u64::from(call.skip.get())));
    let mut step = 0;
    while step < STEPS {
        step += 1;
        if scratch.walk.want.get() == 0 {
            return Ok(0);
        }
        if scratch.walk.len.get() == 0 && !next_segment::<E>(scratch) {
            break;
        }
        if scratch.walk.filled.get() >= RECORD_DATA_BYTES {
            part(scratch)?;
        }
        if !piece(scratch) {
            count(Reason::UserMemory);
            return Ok(flags::UNREADABLE);
        }
    }
    if scratch.walk.want.get() != 0 {
        count(Reason::TooManySegments);
    }
    Ok(0)
}

/// Goes on to the next entry; false if there is none that can be read.
#[inline(always)]
pub(crate) fn next_segment<E: Entries>(scratch: &mut Scratch) -> bool {
    let walk = &mut scratch.walk;
    let entry = walk.entry.get();
    let Some(entries) = walk.entries.get().checked_sub(1) else { return false };
    let Some(Segment { base, len }) = E::read(entry) else { return false };
    let skip = walk.skip.get().min(len);
    walk.base.set(base.wrapping_add(skip));
    walk.len.set(len - skip);
    walk.skip.set(walk.skip.get().wrapping_sub(skip));
    walk.entry.set(entry.wrapping_add(size_of::<Segment>() as u64));
    walk.entries.set(entries);
    true
}

/// Copies as much of the current segment as fits; false if it cannot be read.
#[inline(always)]
fn piece(scratch: &mut Scratch) -> bool {
    let Scratch { walk, data, .. } = scratch;
    let place = walk.filled.get() & (RECORD_DATA_BYTES - 1);
    let room = (RECORD_DATA_BYTES - place).min(PIECE_BYTES as u32);
    let segment = walk.len.get();
    // The compiler knows that the second bound changes nothing; the verifier does not, and must see it.
    let len = black_box(segment.min(u64::from(walk.want.get())).min(u64::from(room)) as u32)
        .min(PIECE_BYTES as u32);
    if len == 0 {
        return true;
    }
    let to = data.as_mut_ptr().wrapping_add(place as usize);
    let base = walk.base.get();
    if !user::copy(to, len, base) {
        return false;
    }
    walk.base.set(base.wrapping_add(u64::from(len)));
    walk.len.set(segment.wrapping_sub(u64::from(len)));
    walk.want.set(walk.want.get().wrapping_sub(len));
    walk.filled.set(walk.filled.get().wrapping_add(len));
    true
}

/// A record that is full, and is not the last of its call.
#[inline(always)]
fn part(scratch: &mut Scratch) -> Result<(), Reason> {
    scratch.record.moved = RECORD_DATA_BYTES;
    emit_bytes(scratch, RECORD_DATA_BYTES)?;
    scratch.record.seq = scratch.record.seq.wrapping_add(RECORD_DATA_BYTES);
    scratch.record.header.flags &= !(flags::TURN_BEGINS | flags::WALK_BEGINS | flags::WALKED);
    let walk = &mut scratch.walk;
    walk.left.set(walk.left.get().wrapping_sub(RECORD_DATA_BYTES));
    walk.filled.set(0);
    Ok(())
}
