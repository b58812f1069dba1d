//! What user space writes back: whom to observe, and how much to copy of each connection.
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// How much of a connection is copied.
pub mod capture {
    /// The first `head_*` bytes of each turn. A turn ends when the direction flips.
    pub const HEAD: u32 = 0;
    /// Nothing, and no record at all: an unknown protocol, TLS ciphertext, an upgraded connection.
    pub const STOP: u32 = 1;
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
}
const _: () = assert!(size_of::<Policy>() == 64);

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
    /// Sequence number after the last byte per direction.
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
