//! Frames on a connection that exchanges share: a call that carries nothing but payload costs no record.
//!
//! In: a call. Out: whether it is skipped. A walk goes from header to header, over segments and calls, and its place outlives them. It
//! begins with some call, and user space says whether a frame did too; until then, and where the walk gets lost (calls in another
//! order, too many frames in one), everything is copied, so that nothing is lost. What a frame is and which are wanted: see
//! [`frame`](wirespan_common::policy::frame).
use crate::{
    handlers::{
        buffer::{Entries, shape},
        bytes::{Moved, Place},
        capture::next_segment,
        side::{of, of_mut},
    },
    kernel::{rows, user},
    scratch::Scratch,
};
use wirespan_common::{
    event::flags,
    policy::{FrameWalk, Policy, frame},
};

/// Steps of the walk through one call: two for each frame, one for each segment. The verifier goes through all of them in every way.
const STEPS: u32 = 24;

/// Is nothing in this call wanted?
#[inline(always)]
pub(crate) fn is_skipped<A, E: Entries>(
    moved: &Moved<'_, A>,
    policy: &Policy,
    place: Place,
    scratch: &mut Scratch,
) -> bool {
    let trust = of(&policy.walks, moved.direction);
    let Some(rows) = rows::walks(moved.cookie) else { return false };
    let state = of_mut(&mut rows.walks, moved.direction);
    let begins = state.from == 0 || state.from == trust.refused || state.reached != place.seq;
    if begins {
        *state = FrameWalk { from: place.seq, skipped: state.skipped, ..FrameWalk::default() };
    }
    let Scratch { call, walk, .. } = scratch;
    call.walk_flags.set(u32::from(if begins { flags::WALKED | flags::WALK_BEGINS } else { flags::WALKED }));
    call.skipped.set(state.skipped);
    call.ahead.set(if state.have > 0 { frame::INSIDE_HEADER } else { state.left });
    walk.frame_key.set(state.key);
    walk.frame_have.set(state.have);
    walk.frame_left.set(state.left);
    walk.frame_wanted.set(state.wanted);
    walk.wanted.set(u32::from(state.have > 0));
    walk_call::<A, E>(moved, scratch);
    let walk = &scratch.walk;
    state.key = walk.frame_key.get();
    state.have = walk.frame_have.get();
    state.left = walk.frame_left.get();
    state.wanted = walk.frame_wanted.get();
    state.reached = place.reached;
    let is_lost = walk.want.get() > 0;
    let is_wanted = walk.wanted.get() > 0 || state.have > 0 || is_lost;
    let is_trusted = state.from == trust.trusted && state.from != 0;
    if is_lost {
        state.from = 0;
    }
    if is_wanted || !is_trusted {
        state.skipped = 0;
        return false;
    }
    state.skipped = state.skipped.wrapping_add(moved.bytes);
    true
}

/// Walks through the frames of a call; what is left to walk is in `want`.
#[inline(always)]
fn walk_call<A, E: Entries>(moved: &Moved<'_, A>, scratch: &mut Scratch) {
    let buffer = moved.buffer.resolved();
    let walk = &mut scratch.walk;
    walk.shape.set(buffer.shape);
    walk.want.set(moved.bytes);
    walk.entry.set(buffer.address);
    walk.entries.set(buffer.segments);
    walk.skip.set(buffer.offset);
    walk.base.set(buffer.address);
    // Payload need not be readable: it is passed over.
    walk.len.set(if buffer.shape == shape::VECTOR { 0 } else { u64::from(moved.bytes) });
    let mut step = 0;
    while step < STEPS {
        step += 1;
        if scratch.walk.want.get() == 0 {
            return;
        }
        if scratch.walk.len.get() == 0 {
            if scratch.walk.shape.get() != shape::VECTOR || !next_segment::<E>(scratch) {
                return;
            }
        } else if !pass(scratch) {
            return;
        }
    }
}

/// Passes over payload, or reads of a header what the segment has of it; false if it cannot be read.
#[inline(always)]
fn pass(scratch: &mut Scratch) -> bool {
    let walk = &mut scratch.walk;
    let room = walk.len.get().min(u64::from(walk.want.get())) as u32;
    let left = walk.frame_left.get();
    let bytes = if left > 0 {
        let bytes = left.min(room);
        walk.frame_left.set(left.wrapping_sub(bytes));
        walk.wanted.set(walk.wanted.get() | walk.frame_wanted.get());
        bytes
    } else {
        let have = walk.frame_have.get();
        let bytes = frame::KEY_BYTES.wrapping_sub(have).min(room);
        let Some(word) = user::read_short(walk.base.get(), u64::from(bytes)) else { return false };
        let key = walk.frame_key.get() | (word << ((have & 7) * 8));
        walk.frame_key.set(key);
        walk.frame_have.set(have.wrapping_add(bytes));
        if have.wrapping_add(bytes) >= frame::KEY_BYTES {
            begin(scratch, key);
        }
        bytes
    };
    let walk = &mut scratch.walk;
    walk.base.set(walk.base.get().wrapping_add(u64::from(bytes)));
    walk.len.set(walk.len.get().wrapping_sub(u64::from(bytes)));
    walk.want.set(walk.want.get().wrapping_sub(bytes));
    true
}

/// A frame begins: first byte of its header lowest. Without a branch: the verifier would go both ways at each step.
#[inline(always)]
fn begin(scratch: &mut Scratch, key: u64) {
    let walk = &mut scratch.walk;
    let length = ((key & 0xff) << 16) | (key & 0xff00) | ((key >> 16) & 0xff);
    let (kind, bits) = ((key >> 24) & 0xff, key >> 32);
    let is_last = (kind.wrapping_sub(1) >> 63) & bits & frame::LAST;
    let wanted = ((frame::WANTED >> (kind & 63)) & 1 | is_last) as u32;
    walk.frame_left.set(length as u32 + frame::REST_BYTES);
    walk.frame_wanted.set(wanted);
    walk.wanted.set(walk.wanted.get() | wanted);
    walk.frame_key.set(0);
    walk.frame_have.set(0);
}
