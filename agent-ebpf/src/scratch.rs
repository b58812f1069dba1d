//! Memory of one CPU in which a call's record is built: too large for a program's stack.
use crate::kernel::opaque::Opaque;
use wirespan_common::{
    event::{BytesRecord, ExecRecord},
    limits,
};

/// Largest piece of one segment that is copied at once. The verifier adds it to any place in a record's data.
pub(crate) const PIECE_BYTES: usize = 8 * 1024;

/// A record of bytes while it is built: more room than its data may take, see [`PIECE_BYTES`].
#[repr(C)]
pub(crate) struct Scratch {
    /// Bytes written since the ring was last looked at.
    pub since_look: u64,
    /// What was decided about the call.
    pub call: Call,
    /// Where the walk through its vector is.
    pub walk: Walk,
    /// The record.
    pub record: BytesRecord,
    /// Its data.
    pub data: [u8; limits::RECORD_DATA_BYTES + PIECE_BYTES],
}
const _: () = assert!(size_of::<Scratch>() <= 32 * 1024, "a per-CPU value may have 32 KiB");

/// What was decided about a call.
#[repr(C)]
pub(crate) struct Call {
    /// As [`Buffer::address`](crate::handlers::buffer::Buffer::address).
    pub address: Opaque<u64>,
    /// As there.
    pub segments: Opaque<u64>,
    /// As there.
    pub offset: Opaque<u64>,
    /// The tail that is waited for.
    pub tail: Opaque<u64>,
    /// One of [`shape`](crate::handlers::buffer::shape).
    pub shape: Opaque<u32>,
    /// Bytes that the call moved.
    pub bytes: Opaque<u32>,
    /// Bytes at its start to pass over: they belong to what was before a mark.
    pub skip: Opaque<u32>,
    /// Bytes to copy after that.
    pub want: Opaque<u32>,
    /// 1: what is copied begins a turn.
    pub begins: Opaque<u32>,
    /// Bytes of the tail that is waited for, 0 if none is.
    pub tail_len: Opaque<u32>,
    /// Id of the mark that is waited for.
    pub mark: Opaque<u32>,
    /// Flags of the record that say how the walk from frame to frame stands; 0 if there is none.
    pub walk_flags: Opaque<u32>,
    /// As in the record.
    pub skipped: Opaque<u32>,
    /// As in the record.
    pub ahead: Opaque<u32>,
}

/// Where a walk through an iovec is.
#[repr(C)]
pub(crate) struct Walk {
    /// Address of the next entry.
    pub entry: Opaque<u64>,
    /// Entries left, counted down.
    pub entries: Opaque<u64>,
    /// Rest of the current segment.
    pub base: Opaque<u64>,
    /// Bytes in it.
    pub len: Opaque<u64>,
    /// Bytes to pass over.
    pub skip: Opaque<u64>,
    /// The last eight bytes so far, 0 if they could not be read.
    pub tail: Opaque<u64>,
    /// Bytes still wanted.
    pub want: Opaque<u32>,
    /// Bytes that no record stands for yet.
    pub left: Opaque<u32>,
    /// Bytes in the scratch record.
    pub filled: Opaque<u32>,
    /// Zero.
    pub reserved: u32,
    /// The walk from frame to frame, as in [`FrameWalk`](wirespan_common::policy::FrameWalk).
    pub frame_key: Opaque<u64>,
    /// As there.
    pub frame_have: Opaque<u32>,
    /// As there.
    pub frame_left: Opaque<u32>,
    /// As there.
    pub frame_wanted: Opaque<u32>,
    /// 1: something of the call is wanted.
    pub wanted: Opaque<u32>,
    /// One of [`shape`](crate::handlers::buffer::shape).
    pub shape: Opaque<u32>,
    /// Zero.
    pub reserved_too: u32,
}

/// An exec record while it is built.
#[repr(C)]
pub(crate) struct ExecScratch {
    /// The record.
    pub record: ExecRecord,
}
