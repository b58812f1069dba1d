//! What user space writes back: whom to observe, and how much to copy of each connection.
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// How much of a connection is copied.
pub mod capture {
    /// The first `head_*` bytes of each turn. A turn ends when the direction flips.
    pub const HEAD: u32 = 0;
    /// Nothing, and no record at all: an unknown protocol, TLS ciphertext, an upgraded connection.
    pub const STOP: u32 = 1;
    /// Every call in full of which a frame is wanted, see [`frame`](super::frame); nothing of the others.
    pub const FRAMES: u32 = 2;
}

/// Frames, as [`capture::FRAMES`] knows them: a length in three bytes, a type, flags, four bytes that do not matter, and so many bytes of
/// payload. Wanted are those of a type that is in [`WANTED`](frame::WANTED), and those of type 0 that carry [`LAST`](frame::LAST).
pub mod frame {
    /// Bytes of a header that are looked at: length, type, flags.
    pub const KEY_BYTES: u32 = 5;
    /// Bytes of a header after that.
    pub const REST_BYTES: u32 = 4;
    /// Types that say something: a bit each, modulo 64. HTTP/2: HEADERS, RST_STREAM, SETTINGS, PUSH_PROMISE, GOAWAY, CONTINUATION.
    pub const WANTED: u64 = 1 << 1 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 7 | 1 << 9;
    /// The flag of type 0 that says something. HTTP/2: END_STREAM.
    pub const LAST: u64 = 1;
    /// [`BytesRecord::ahead`](crate::event::BytesRecord::ahead) inside a header.
    pub const INSIDE_HEADER: u32 = u32::MAX;
}

/// Values of [`Mark::armed`].
pub mod armed {
    /// No mark.
    pub const NONE: u32 = 0;
    /// Until sequence number `seq`.
    pub const SEQ: u32 = 1;
    /// Until a call ends with `tail`.
    pub const TAIL: u32 = 2;
}

/// A point in one direction's stream that user space waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Mark {
    /// One of [`armed`]. While a mark is armed nothing is copied in that direction before it; what a call moves after it
    /// begins a new turn. A turn of this direction that begins anew takes a `TAIL` mark back: the body it waited for is over.
    pub armed: u32,
    /// Sequence number of the first byte after the body.
    pub seq: u32,
    /// The tail: its last byte in the most significant position, `tail_len` bytes, the rest zero.
    pub tail: u64,
    /// 1 to 8.
    pub tail_len: u32,
    /// Tells this mark from the one before it in the same direction; never 0. The kernel writes it to
    /// [`ConnectionState::passed`] and from then on treats the mark as unarmed, so that a mark that user space has not
    /// yet taken back does not hide the next message.
    pub id: u32,
}

/// What user space says of one direction's walk from frame to frame: by the number at which it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct WalkTrust {
    /// A frame began there: calls may be skipped.
    pub trusted: u32,
    /// None did: it has to begin anew.
    pub refused: u32,
}

/// One direction's walk from frame to frame. Only where [`capture::FRAMES`] is the policy.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct FrameWalk {
    /// The part of a header that was seen, first byte lowest.
    pub key: u64,
    /// How many bytes of it.
    pub have: u32,
    /// Sequence number at which it began; 0 if it has not.
    pub from: u32,
    /// Sequence number after the last call that was walked through.
    pub reached: u32,
    /// Bytes from there to the next frame.
    pub left: u32,
    /// 1: those belong to a frame that is wanted.
    pub wanted: u32,
    /// Bytes of calls that were skipped since the last record.
    pub skipped: u32,
}

/// One row of `WALKS`, keyed by socket cookie: both directions' walks. Made by the first call that is walked through, deleted by
/// `tcp_destroy_sock`.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct FrameWalks {
    /// By direction.
    pub walks: [FrameWalk; 2],
}

/// One row of `POLICIES`, keyed by socket cookie. User space inserts, `tcp_destroy_sock` deletes; user space alone writes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Policy {
    /// One of [`capture`].
    pub capture: u32,
    /// Bytes copied per turn and direction, indexed by [`crate::event::direction`]; 0 takes the default.
    pub head: [u32; 2],
    /// Zero.
    pub reserved: u32,
    /// Marks by direction.
    pub marks: [Mark; 2],
    /// What is known of the walks, by direction.
    pub walks: [WalkTrust; 2],
}
const _: () = assert!(size_of::<Policy>() == 80);

/// One row of `CONNECTIONS`, keyed by socket cookie. The kernel writes it; user space reads it after arming a mark,
/// because the bytes may have passed before. Deleted by `tcp_destroy_sock`.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ConnectionState {
    /// Time of the last byte per direction.
    pub last_at_ns: [u64; 2],
    /// The last eight bytes of a direction as of its last call that was not copied in full, last byte in the most
    /// significant position; 0 if they could not be read.
    pub last_tail: [u64; 2],
    /// Sequence number after the last byte per direction, bytes of skipped calls at the end aside.
    pub last_seq: [u32; 2],
    /// Bytes copied in the current turn per direction.
    pub copied: [u32; 2],
    /// [`Mark::id`] of the last mark passed or taken back per direction.
    pub passed: [u32; 2],
    /// Direction of the current turn.
    pub turn: u8,
    /// Direction of the first byte ever seen: who opens the conversation.
    pub opener: u8,
    /// TCP state from which the connection was closed, 0 while it is not.
    pub closed_from: u8,
    /// 1: its last [`crate::event::StateRecord`] was written.
    pub ended: u8,
    /// Zero.
    pub reserved: u32,
}
const _: () = assert!(size_of::<ConnectionState>() == 64);

/// Bits of [`Process::flags`].
pub mod process {
    /// Followed from fork or exec; user space has not decided.
    pub const PROVISIONAL: u32 = 1 << 0;
    /// Decided against: kept so that threads and re-reads cost one look-up; nothing is copied.
    pub const IGNORED: u32 = 1 << 1;
    /// It began to listen on a chosen port while it was undecided: user space will read of that, and decides then.
    pub const LISTENS: u32 = 1 << 2;
}

/// One row of `PROCESSES`, keyed by tgid: the filter of the whole kernel side.
/// Inserted by user space, and by fork and exec (provisional); deleted at exit of the last thread.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Process {
    /// Bits of [`process`].
    pub flags: u32,
    /// As in [`crate::event::Header::start_ticks`].
    pub start_ticks: u32,
    /// One of [`crate::event::runtime`].
    pub runtime: u32,
    /// Zero.
    pub reserved: u32,
    /// Where the runtime keeps what it works on: [`GoLayout`], [`PythonLayout`] or [`NodeLayout`], by `runtime`.
    pub layout: [u64; 4],
}
const _: () = assert!(size_of::<Process>() == 48);

/// [`Process::layout`] of a Go program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct GoLayout {
    /// Offset of the pointer to `g` from the thread's fs base.
    pub tls_offset: i32,
    /// Offset of `goid` in `g`.
    pub goid_offset: u32,
    /// Offset of `parentGoid` in `g`.
    pub parent_goid_offset: u32,
    /// Offset of `gopc` in `g`, the address of the `go` statement that created it.
    pub gopc_offset: u32,
    /// Zero.
    pub reserved: [u64; 2],
}
const _: () = assert!(size_of::<GoLayout>() == size_of::<[u64; 4]>());

/// [`Process::layout`] of a CPython program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct PythonLayout {
    /// Address of `PyContext_Type`: what is no object of this type is no context.
    pub context_type: u64,
    /// Offset, from the thread's fs base, of the slot in which it keeps its `PyThreadState`.
    pub state_slot: u32,
    /// Offset of `context` in `PyThreadState`.
    pub context_offset: u32,
    /// Offset of `ctx_entered` in a context.
    pub entered_offset: u32,
    /// Zero.
    pub reserved: [u32; 3],
}
const _: () = assert!(size_of::<PythonLayout>() == size_of::<[u64; 4]>());

/// [`Process::layout`] of Node.js: what a thread's event loop works on is an array of `f64`, {running async id, the one that
/// triggered it, the youngest, …}, in memory of its `node::Environment`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct NodeLayout {
    /// Offset of the pointer to that array in `Environment`.
    pub ids_offset: u32,
    /// Offset of the async id in `AsyncWrap`; the one that triggered it follows.
    pub wrap_id_offset: u32,
    /// Offset of the pointer to the `Environment` in `Realm`.
    pub environment_offset: u32,
    /// 1: a callback's `async_context` is the fifth argument, else it is the fourth.
    pub context_is_fifth: u32,
    /// Zero.
    pub reserved: [u64; 2],
}
const _: () = assert!(size_of::<NodeLayout>() == size_of::<[u64; 4]>());
