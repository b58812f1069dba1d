//! The records of the ring buffer.
//!
//! Each record is a [`Header`], the struct that its `kind` names, and for [`BytesRecord`] `captured` bytes of data.
//! Clock: `CLOCK_MONOTONIC` nanoseconds (`bpf_ktime_get_ns`). Integers are in host byte order, ports too.
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// What a record is. Numbers are explicit and never reused.
pub mod kind {
    /// [`super::BytesRecord`], followed by `captured` bytes.
    pub const BYTES: u16 = 1;
    /// [`super::ProgressRecord`]: a mark was passed, or a turn of uncopied bytes ended with the armed tail.
    pub const PROGRESS: u16 = 2;
    /// [`super::StateRecord`]: a connection changed its TCP state.
    pub const STATE: u16 = 3;
    /// [`super::ExecRecord`].
    pub const EXEC: u16 = 4;
    /// [`super::ForkRecord`].
    pub const FORK: u16 = 5;
    /// [`super::ExitRecord`].
    pub const EXIT: u16 = 6;
    /// [`super::ListenRecord`].
    pub const LISTEN: u16 = 7;
    /// [`super::ClaimRecord`].
    pub const CLAIM: u16 = 8;
    /// [`super::SpawnRecord`].
    pub const SPAWN: u16 = 9;
    /// [`super::BirthRecord`].
    pub const BIRTH: u16 = 10;
    /// [`super::SliceRecord`].
    pub const SLICE: u16 = 13;
    /// [`super::HandoverRecord`].
    pub const HANDOVER: u16 = 16;
}

/// Which way bytes moved, seen from the process whose call moved them.
pub mod direction {
    /// Sent by the process.
    pub const EGRESS: u8 = 0;
    /// Received by the process.
    pub const INGRESS: u8 = 1;
}

/// Where the bytes were read.
pub mod source {
    /// A socket call: `seq` is the TCP sequence number of the first byte.
    pub const SOCKET: u8 = 0;
    /// A TLS library's plaintext: `seq` is that stream's own running offset.
    pub const TLS: u8 = 1;
}

/// Who knows which work a thread does: what the numbers of a `task` mean.
///
/// | runtime | first | second | third |
/// |---|---|---|---|
/// | [`runtime::GO`] | goid of the running goroutine | – | – |
/// | [`runtime::NGINX`] | sending to an upstream: socket cookie of the client's connection for whose request it is | bytes of that request's response that were sent | – |
/// | [`runtime::PYTHON`] | address of the context that the thread has entered, or that has queued what is sent | when it did that, else 0 | – |
/// | [`runtime::NODE`] | running async id, as the bits of an `f64` | the one that triggered it, likewise | the youngest, likewise |
pub mod runtime {
    /// Nobody: the thread is all that is known.
    pub const NONE: u8 = 0;
    /// Go.
    pub const GO: u8 = 1;
    /// CPython.
    pub const PYTHON: u8 = 2;
    /// Node.js.
    pub const NODE: u8 = 3;
    /// nginx, and what was made of it.
    pub const NGINX: u8 = 4;
}

/// Registers that a probe may be told to read: the cookie of its link.
pub mod register {
    /// `RAX`.
    pub const AX: u64 = 1;
    /// `RBX`.
    pub const BX: u64 = 2;
    /// `RBP`.
    pub const BP: u64 = 3;
    /// `RDI`.
    pub const DI: u64 = 4;
    /// `R12`.
    pub const R12: u64 = 5;
    /// `R13`.
    pub const R13: u64 = 6;
    /// `R14`.
    pub const R14: u64 = 7;
    /// `R15`.
    pub const R15: u64 = 8;
    /// `RSI`.
    pub const SI: u64 = 9;
}

/// States of a TCP connection. Source: include/net/tcp_states.h.
pub mod tcp_state {
    /// Open.
    pub const ESTABLISHED: u16 = 1;
    /// Connecting.
    pub const SYN_SENT: u16 = 2;
    /// This end has closed.
    pub const FIN_WAIT1: u16 = 4;
    /// This end has closed, and the other knows.
    pub const FIN_WAIT2: u16 = 5;
    /// Both have closed; late packets are awaited.
    pub const TIME_WAIT: u16 = 6;
    /// Gone.
    pub const CLOSE: u16 = 7;
    /// The other end has closed.
    pub const CLOSE_WAIT: u16 = 8;
    /// The other end has closed, then this one.
    pub const LAST_ACK: u16 = 9;
    /// Listening.
    pub const LISTEN: u16 = 10;
    /// Both ends have closed at once.
    pub const CLOSING: u16 = 11;
}

/// Bits of [`Header::flags`] in a [`BytesRecord`].
pub mod flags {
    /// First record of a turn: `opposite_*` sum up the turn that it ends, and are zero if there was none.
    pub const TURN_BEGINS: u16 = 1 << 0;
    /// The user's buffer could not be read at all or only in part: `captured` is what could.
    pub const UNREADABLE: u16 = 1 << 1;
    /// The call has no user buffer (sendfile, splice, io_uring): counted, not copied.
    pub const NO_BUFFER: u16 = 1 << 2;
    /// The policy's budget ended inside this call.
    pub const TRUNCATED: u16 = 1 << 3;
    /// The process was followed from fork or exec and user space has not yet said whether it is wanted.
    pub const PROVISIONAL: u16 = 1 << 4;
    /// The socket is in blocking mode, and no epoll instance watches it: who wants its bytes waits for them in the call.
    pub const BLOCKING: u16 = 1 << 5;
    /// The socket is in non-blocking mode, and no epoll instance watches it: who wants its bytes waits for them in `poll`.
    pub const POLLED: u16 = 1 << 6;
    /// The policy is [`capture::FRAMES`](crate::policy::capture::FRAMES): `skipped` and `ahead` mean something.
    pub const WALKED: u16 = 1 << 7;
    /// And the walk begins with this record, on the chance that a frame does.
    pub const WALK_BEGINS: u16 = 1 << 8;
}

/// First in every record. Written by `agent-ebpf/src/emit.rs`.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Header {
    /// When it was written, of bytes when the call returned, monotonic. Records are read in the order of these times: one about
    /// the past has that time in a field of its own.
    pub at_ns: u64,
    /// Kernel tgid in the initial pid namespace: user space calls it pid.
    pub tgid: u32,
    /// Kernel pid of the thread.
    pub tid: u32,
    /// Start of the process in clock ticks since boot, as in field 22 of `/proc/PID/stat`: with `tgid` the identity of a process.
    pub start_ticks: u32,
    /// Length of the record with this header and its data.
    pub len: u32,
    /// One of [`kind`].
    pub kind: u16,
    /// Bits, by kind.
    pub flags: u16,
    /// The CPU that wrote it.
    pub cpu: u32,
}
const _: () = assert!(size_of::<Header>() == 32);

/// The two ends of a connection, from the process's point of view.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Endpoints {
    /// IPv6, or IPv4 mapped into `::ffff:0:0/96`, network order.
    pub local: [u8; 16],
    /// As `local`.
    pub remote: [u8; 16],
    /// Host order.
    pub local_port: u16,
    /// Host order.
    pub remote_port: u16,
}
const _: () = assert!(size_of::<Endpoints>() == 36);

/// Bytes that one call moved on one TCP connection. Written by the socket plane, at most four per call.
///
/// A call that moves more than the policy copies has `captured < len`; the next record's `seq` shows what was skipped.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct BytesRecord {
    /// First.
    pub header: Header,
    /// Socket cookie.
    pub conn: u64,
    /// What the thread works on, in numbers of its [`runtime`]; 0 where one could not be read.
    pub task: [u64; 3],
    /// Time of the last byte of the opposite direction's turn (see [`flags::TURN_BEGINS`]).
    pub opposite_at_ns: u64,
    /// Sequence number after the last byte of the opposite direction's turn.
    pub opposite_seq: u32,
    /// Sequence number of the first byte.
    pub seq: u32,
    /// Bytes this record stands for: copied or not.
    pub moved: u32,
    /// Bytes of data that follow.
    pub captured: u32,
    /// Bytes directly before `seq` that were skipped: whole calls of which nothing is wanted.
    pub skipped: u32,
    /// Bytes from `seq` to the next frame, or [`INSIDE_HEADER`](crate::policy::frame::INSIDE_HEADER).
    pub ahead: u32,
    /// The two ends.
    pub endpoints: Endpoints,
    /// One of [`direction`].
    pub direction: u8,
    /// One of [`source`].
    pub source: u8,
    /// One of [`runtime`].
    pub runtime: u8,
    /// Zero.
    pub reserved: u8,
}
const _: () = assert!(size_of::<BytesRecord>() == 136);

/// A mark was passed (see [`crate::policy::Mark`]): nothing is copied, the end of a body is timed.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ProgressRecord {
    /// First.
    pub header: Header,
    /// When the call that passed the mark returned, monotonic.
    pub passed_at_ns: u64,
    /// Socket cookie.
    pub conn: u64,
    /// Sequence number after the last byte of that call.
    pub seq: u32,
    /// One of [`direction`].
    pub direction: u8,
    /// 1 if the call ended with the armed tail, 0 if a sequence number was passed.
    pub by_tail: u8,
    /// Zero.
    pub reserved: [u8; 2],
}
const _: () = assert!(size_of::<ProgressRecord>() == 56);

/// A connection of an observed process changed its TCP state. Written by `inet_sock_set_state`.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct StateRecord {
    /// First. The current task need not own the socket: `tgid` and `tid` are zero.
    pub header: Header,
    /// Socket cookie.
    pub conn: u64,
    /// Time of the last byte per direction, indexed by [`direction`]; 0 if none was seen.
    pub last_at_ns: [u64; 2],
    /// Sequence number after the last byte per direction.
    pub last_seq: [u32; 2],
    /// `TCP_*` of include/net/tcp_states.h.
    pub old_state: u16,
    /// As `old_state`. `TCP_CLOSE` is the last record of a connection.
    pub new_state: u16,
    /// Zero.
    pub reserved: u32,
}
const _: () = assert!(size_of::<StateRecord>() == 72);

/// A process replaced its program. Written by `sched_process_exec`; wakes user space.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ExecRecord {
    /// First.
    pub header: Header,
    /// The file that was executed as the caller named it, NUL-padded, cut at the end.
    pub filename: [u8; crate::limits::EXEC_FILENAME_BYTES],
    /// Start of the argument block: NUL-separated, cut at the end.
    pub args: [u8; crate::limits::EXEC_ARGS_BYTES],
    /// Bytes of `args` that are set.
    pub args_len: u32,
    /// Zero.
    pub reserved: u32,
}

/// A process was forked. Written by `sched_process_fork` for children of observed processes.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ForkRecord {
    /// First: `tgid` and `start_ticks` are the child's.
    pub header: Header,
    /// The parent's tgid.
    pub parent_tgid: u32,
    /// The parent's start.
    pub parent_start_ticks: u32,
}
const _: () = assert!(size_of::<ForkRecord>() == 40);

/// The last thread of an observed process ended. Written by `sched_process_exit`.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ExitRecord {
    /// First.
    pub header: Header,
    /// `task_struct.exit_code`.
    pub exit_code: u32,
    /// Zero.
    pub reserved: u32,
}
const _: () = assert!(size_of::<ExitRecord>() == 40);

/// A process began to listen. Written by `inet_sock_set_state` at `TCP_LISTEN`, for every process; wakes user space.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ListenRecord {
    /// First.
    pub header: Header,
    /// Address and port, as in [`Endpoints`].
    pub local: [u8; 16],
    /// Host order.
    pub local_port: u16,
    /// Zero.
    pub reserved: [u8; 6],
}
const _: () = assert!(size_of::<ListenRecord>() == 56);

/// A goroutine is about to have a request sent on a connection: the next one on it is its own, whoever writes the bytes.
/// Written at `net/http.(*persistConn).roundTrip`, at most once per request.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ClaimRecord {
    /// First.
    pub header: Header,
    /// Socket cookie.
    pub conn: u64,
    /// goid of the goroutine that asked.
    pub goroutine: u64,
}
const _: () = assert!(size_of::<ClaimRecord>() == 48);

/// A goroutine was created. Written in `runtime.newproc`, once per `go` statement that runs.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct SpawnRecord {
    /// First.
    pub header: Header,
    /// Its goid.
    pub goroutine: u64,
    /// goid of the goroutine that ran the `go` statement.
    pub parent_goroutine: u64,
    /// Address of the `go` statement: the same for all goroutines that it creates.
    pub site: u64,
}
const _: () = assert!(size_of::<SpawnRecord>() == 56);

/// A context of Python was created as a copy of the current one. Written in `PyContext_CopyCurrent`, once per context.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct BirthRecord {
    /// First.
    pub header: Header,
    /// Its address. Addresses are used again when a context is gone.
    pub context: u64,
    /// Address of the context that the thread had entered; 0 if none.
    pub creator: u64,
}
const _: () = assert!(size_of::<BirthRecord>() == 48);

/// What happened to an item: values of [`HandoverRecord::step`].
pub mod handover {
    /// It is about to be put into a queue.
    pub const PUT: u32 = 1;
    /// A thread has taken it out.
    pub const TAKEN: u32 = 2;
}

/// Work of Python that is handed to a pool of threads. Written in `SimpleQueue.put`, and where `get` or `get_nowait` has its result.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct HandoverRecord {
    /// First.
    pub header: Header,
    /// Address of the item. Addresses are used again when the work is done.
    pub item: u64,
    /// Address of the context that the thread had entered; 0 if none.
    pub context: u64,
    /// One of [`handover`].
    pub step: u32,
    /// Zero.
    pub reserved: u32,
}
const _: () = assert!(size_of::<HandoverRecord>() == 56);

/// How a slice of an event loop began: values of [`SliceRecord::cause`].
pub mod slice {
    /// Bytes were received on a connection; `id` is the callback's, if one was called.
    pub const READ: u32 = 1;
    /// Another callback was called, of the resource `id`.
    pub const CALLBACK: u32 = 2;
    /// Timers or immediates, before it is known whose; or a callback that is no resource's.
    pub const NOBODY: u32 = 3;
    /// Among timers or immediates: what waited for promises that `id` has resolved. `conn` is the first that resolved one.
    pub const RESOLVED: u32 = 4;
    /// A connection is being opened, and by whom: no slice begins.
    pub const CONNECT: u32 = 5;
    /// After a read a resource that was there before has resolved a promise: whose answer was read. As [`RESOLVED`], but no slice begins.
    pub const NAMED: u32 = 6;

    /// Bit of [`super::SliceRecord::flags`]: the end of the slice is seen, so what is created in it is its own.
    pub const IS_BOUNDED: u32 = 1 << 0;
}

/// A part of an event loop's work that began in one way (see [`slice`]), and had an effect: a socket call that sends, or a new async
/// id. Written before that call's own record, or when the next slice begins.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct SliceRecord {
    /// First.
    pub header: Header,
    /// When the slice began, monotonic.
    pub begun_at_ns: u64,
    /// Socket cookie, or see [`slice::RESOLVED`].
    pub conn: u64,
    /// Async id, as the bits of an `f64`; 0 is none.
    pub id: u64,
    /// The async id that triggered `id`, likewise.
    pub trigger: u64,
    /// The youngest async id when the slice began, likewise: those after it are of this slice.
    pub youngest: u64,
    /// One of [`slice`].
    pub cause: u32,
    /// Bits, see [`slice`].
    pub flags: u32,
}
const _: () = assert!(size_of::<SliceRecord>() == 80);
