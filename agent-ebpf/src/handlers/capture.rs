//! Copies what a call moved, up to a budget, into at most [`limits::RECORDS_PER_CALL`] records.
//!
//! In: the scratch record with every field set that the records of one call share, and the plan. Out: ring records.
use crate::{
    emit::{PIECE_BYTES, Scratch, Walk, emit_bytes},
    handlers::buffer::{Buffer, Entries, Segment, Shape},
    kernel::{rows::count, user},
};
use core::hint::black_box;
use wirespan_common::{event::flags, limits, reason::Reason};

/// Data of one record.
const RECORD_DATA_BYTES: u32 = limits::RECORD_DATA_BYTES as u32;
/// Steps of the walk through a vector: its segments, and pieces of long ones.
const STEPS: usize =
    limits::IOV_SEGMENTS + limits::RECORDS_PER_CALL * limits::RECORD_DATA_BYTES / PIECE_BYTES;

/// What to copy of a call.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    /// Bytes at the start of the call to pass over: they belong to what was before a mark.
    pub skip: u32,
    /// Bytes to copy after that.
    pub want: u32,
    /// Bytes that the records stand for.
    pub moved: u32,
}

/// Writes the records of one call.
#[inline(always)]
pub(crate) fn capture<E: Entries>(scratch: &mut Scratch, buffer: Buffer, plan: Plan) -> Result<(), Reason> {
    let buffer = buffer.resolved();
    match buffer.shape {
        Shape::Flat => flat(scratch, buffer.address.wrapping_add(u64::from(plan.skip)), plan),
        Shape::Vector => vector::<E>(scratch, buffer, plan),
        Shape::Nowhere | Shape::Message => {
            count(Reason::NoBuffer);
            finish(scratch, 0, plan.moved, flags::NO_BUFFER)
        }
    }
}

/// The last eight bytes after a call that was copied in full, given those before it.
#[inline(always)]
pub(crate) fn tail_of_copy(scratch: &Scratch, before: u64) -> u64 {
    let captured = scratch.record.captured;
    match captured {
        0 => 0,
        1..8 => (before >> (8 * captured)) | (user::word(&scratch.data, 0) << (64 - 8 * captured)),
        _ => user::word(&scratch.data, captured - 8),
    }
}

/// One piece of memory.
#[inline(always)]
fn flat(scratch: &mut Scratch, address: u64, plan: Plan) -> Result<(), Reason> {
    let mut address = address;
    let mut want = plan.want;
    let mut left = plan.moved;
    let mut records = 1;
    while records < limits::RECORDS_PER_CALL {
        if want <= RECORD_DATA_BYTES {
            break;
        }
        if !user::copy((&raw mut scratch.data).cast(), RECORD_DATA_BYTES, address) {
            return unreadable(scratch, 0, left);
        }
        part(scratch, RECORD_DATA_BYTES)?;
        address = address.wrapping_add(u64::from(RECORD_DATA_BYTES));
        want = want.saturating_sub(RECORD_DATA_BYTES);
        left = left.saturating_sub(RECORD_DATA_BYTES);
        records += 1;
    }
    let captured = want.min(RECORD_DATA_BYTES);
    if !user::copy((&raw mut scratch.data).cast(), captured, address) {
        return unreadable(scratch, 0, left);
    }
    finish(scratch, captured, left, if captured < left { flags::TRUNCATED } else { 0 })
}

/// Several pieces of memory.
#[inline(always)]
fn vector<E: Entries>(scratch: &mut Scratch, buffer: Buffer, plan: Plan) -> Result<(), Reason> {
    scratch.store_walk(Walk {
        entry: buffer.address,
        entries: buffer.segments,
        base: 0,
        len: 0,
        skip: buffer.offset.wrapping_add(u64::from(plan.skip)),
        tail: 0,
        want: plan.want,
        left: plan.moved,
        filled: 0,
        reserved: 0,
    });
    let mut step = 0;
    while step < STEPS {
        step += 1;
        match take::<E>(scratch)? {
            Step::On => {}
            Step::End => break,
            Step::Unreadable => {
                let walk = scratch.load_walk();
                return unreadable(scratch, walk.filled, walk.left);
            }
        }
    }
    let walk = scratch.load_walk();
    if walk.want != 0 {
        count(Reason::TooManySegments);
    }
    finish(scratch, walk.filled, walk.left, if walk.filled < walk.left { flags::TRUNCATED } else { 0 })
}

/// What became of a step.
#[derive(PartialEq, Eq)]
enum Step {
    On,
    End,
    Unreadable,
}

/// One step: the next entry if the segment is used up, then as much of it as fits.
#[inline(always)]
fn take<E: Entries>(scratch: &mut Scratch) -> Result<Step, Reason> {
    let mut walk = scratch.load_walk();
    if walk.want == 0 {
        return Ok(Step::End);
    }
    if walk.len == 0 {
        if walk.entries == 0 {
            return Ok(Step::End);
        }
        let Some(Segment { base, len }) = E::read(walk.entry) else { return Ok(Step::Unreadable) };
        let skip = walk.skip.min(len);
        (walk.base, walk.len) = (base.wrapping_add(skip), len - skip);
        walk.skip -= skip;
        walk.entry = walk.entry.wrapping_add(size_of::<Segment>() as u64);
        walk.entries -= 1;
    }
    if walk.filled >= RECORD_DATA_BYTES {
        part(scratch, RECORD_DATA_BYTES)?;
        walk.left = walk.left.saturating_sub(RECORD_DATA_BYTES);
        walk.filled = 0;
    }
    // The compiler knows that these bounds change nothing; the verifier does not, and must see them.
    let place = black_box(walk.filled) & (RECORD_DATA_BYTES - 1);
    let room = (RECORD_DATA_BYTES - place).min(PIECE_BYTES as u32);
    let len = black_box(walk.len.min(u64::from(walk.want)).min(u64::from(room))) as u32;
    let len = len.min(PIECE_BYTES as u32);
    let to = (&raw mut scratch.data).cast::<u8>().wrapping_add(place as usize);
    let copied = len == 0 || user::copy(to, len, walk.base);
    if copied {
        walk.base = walk.base.wrapping_add(u64::from(len));
        walk.len -= u64::from(len);
        walk.want -= len;
        walk.filled += len;
    }
    scratch.store_walk(walk);
    Ok(if copied { Step::On } else { Step::Unreadable })
}

/// A record that is full, and is not the last of its call.
#[inline(always)]
fn part(scratch: &mut Scratch, captured: u32) -> Result<(), Reason> {
    scratch.record.moved = captured;
    emit_bytes(scratch, captured)?;
    scratch.record.seq = scratch.record.seq.wrapping_add(captured);
    scratch.record.header.flags &= !flags::TURN_BEGINS;
    Ok(())
}

/// The last record of a call: it stands for all that is left.
#[inline(always)]
fn finish(scratch: &mut Scratch, captured: u32, moved: u32, why: u16) -> Result<(), Reason> {
    scratch.record.moved = moved;
    scratch.record.header.flags |= why;
    emit_bytes(scratch, captured)
}

/// The last record of a call whose memory could not be read to the end.
#[inline(always)]
fn unreadable(scratch: &mut Scratch, captured: u32, moved: u32) -> Result<(), Reason> {
    count(Reason::UserMemory);
    finish(scratch, captured, moved, flags::UNREADABLE)
}
