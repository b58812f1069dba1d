//! Marks: points in a stream that user space waits for, so that the end of a body is timed without copying it.
//!
//! In: a call, and the mark of its direction. Out: what may be copied of the call, and a record when the mark is passed.
//! A mark that was passed is remembered by its id: it hides nothing that follows, though user space takes it back later.
use crate::{
    emit::{self, Wake, emit},
    handlers::{
        bytes::{Moved, Place},
        side::{of, of_mut},
    },
    scratch::Call,
};
use wirespan_common::{
    event::{Header, ProgressRecord, kind},
    policy::{ConnectionState, Mark, armed},
    reason::Reason,
};

/// What a mark says about a call.
#[derive(Clone, Copy)]
pub(crate) enum Outcome {
    /// There is none: the budget decides.
    Unmarked,
    /// It is ahead: nothing is copied. If it is a tail, the end of the call will decide.
    Waiting,
    /// It is behind: what follows after `skip` bytes of the call is a new turn.
    Passed {
        /// Bytes of the call before the mark.
        skip: u32,
    },
}

/// Holds a call against the mark of its direction, and reports a sequence number when it is passed.
#[inline(always)]
pub(crate) fn meet<A>(
    mark: &Mark,
    connection: &mut ConnectionState,
    moved: &Moved<'_, A>,
    place: Place,
    flipped: bool,
    call: &mut Call,
) -> Result<Outcome, Reason> {
    if mark.armed == armed::NONE || mark.id == *of(&connection.passed, moved.direction) {
        return Ok(Outcome::Unmarked);
    }
    if mark.armed == armed::TAIL && !flipped {
        call.tail.set(mark.tail);
        call.tail_len.set(mark.tail_len);
        call.mark.set(mark.id);
        return Ok(Outcome::Waiting);
    }
    let ahead = mark.seq.wrapping_sub(place.seq) as i32;
    if mark.armed == armed::SEQ && ahead > moved.bytes as i32 {
        return Ok(Outcome::Waiting);
    }
    *of_mut(&mut connection.passed, moved.direction) = mark.id;
    if mark.armed == armed::TAIL {
        return Ok(Outcome::Unmarked);
    }
    // A mark behind the call was set too late: the last call before this one had passed it.
    let (at_ns, seq) = if ahead > 0 {
        (place.at_ns, place.reached)
    } else {
        (*of(&connection.last_at_ns, moved.direction), *of(&connection.last_seq, moved.direction))
    };
    progress(moved, place, Passed { at_ns, seq, by_tail: 0 })?;
    Ok(Outcome::Passed { skip: ahead.max(0) as u32 })
}

/// Holds the last bytes of a call against the tail that is waited for, and reports it when it matches. What follows is a new
/// turn.
#[inline(always)]
pub(crate) fn meet_tail<A>(
    moved: &Moved<'_, A>,
    call: &Call,
    last: u64,
    connection: &mut ConnectionState,
    place: Place,
) -> Result<(), Reason> {
    let len = call.tail_len.get();
    let shift = 64_u32.wrapping_sub(len.wrapping_mul(8)) & 63;
    if len == 0 || last >> shift != call.tail.get() >> shift {
        return Ok(());
    }
    *of_mut(&mut connection.passed, moved.direction) = call.mark.get();
    *of_mut(&mut connection.copied, moved.direction) = 0;
    progress(moved, place, Passed { at_ns: place.at_ns, seq: place.reached, by_tail: 1 })
}

/// Which call passed a mark: this one or the one before.
#[derive(Clone, Copy)]
struct Passed {
    at_ns: u64,
    seq: u32,
    by_tail: u8,
}

/// Reports a mark. Its record is as old as the one of the call that it comes before or after.
#[inline(always)]
fn progress<A>(moved: &Moved<'_, A>, place: Place, passed: Passed) -> Result<(), Reason> {
    let header = emit::header_by::<ProgressRecord>(kind::PROGRESS, moved.thread, moved.process);
    let record = ProgressRecord {
        header: Header { at_ns: place.at_ns, ..header },
        passed_at_ns: passed.at_ns,
        conn: moved.cookie,
        seq: passed.seq,
        direction: moved.direction,
        by_tail: passed.by_tail,
        reserved: [0; 2],
    };
    emit(&record, Wake::Timer)
}
