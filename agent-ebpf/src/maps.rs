//! All maps. Preallocated, because allocation in a probe may fail or deadlock on older kernels; together below 16 MiB.
use crate::scratch::{ExecScratch, Scratch};
use aya_ebpf::{
    macros::map,
    maps::{HashMap, LruHashMap, PerCpuArray, RingBuf},
};
use wirespan_common::{
    limits,
    policy::{ConnectionState, FrameWalks, Policy, Process},
    reason,
};

/// Every record, of bytes, processes and connections alike: the order of one ring gives a process its identity over time.
/// Capacity: set by user space, [`limits::RING_BYTES`] per four CPUs; when full the record is dropped and counted.
#[map]
pub(crate) static EVENTS: RingBuf = RingBuf::with_byte_size(limits::RING_BYTES, 0);

/// tgid → [`Process`]: the filter. Inserted by user space, by fork of an observed process and by exec; deleted at the exit of
/// the last thread and by user space. A missed delete leaves a row that user space finds by its start time.
#[map]
pub(crate) static PROCESSES: HashMap<u32, Process> = HashMap::with_max_entries(limits::PROCESSES, 0);

/// Port, host order → 1: whoever begins to listen there is followed from that moment. Written by user space alone, once.
#[map]
pub(crate) static PORTS: HashMap<u16, u8> = HashMap::with_max_entries(limits::PORTS, 0);

/// Socket cookie → [`FrameWalks`], of connections whose policy is to walk. A missed delete leaves a dead row.
#[map]
pub(crate) static WALKS: HashMap<u64, FrameWalks> = HashMap::with_max_entries(limits::WALKS, 0);

/// Socket cookie → [`ConnectionState`]. Inserted by the first bytes an observed process moves, deleted when the socket is
/// destroyed. A missed delete leaves a dead row: cookies are never reused.
#[map]
pub(crate) static CONNECTIONS: HashMap<u64, ConnectionState> =
    HashMap::with_max_entries(limits::CONNECTIONS, 0);

/// Socket cookie → [`Policy`]. Inserted by user space alone, deleted when the socket is destroyed.
#[map]
pub(crate) static POLICIES: HashMap<u64, Policy> = HashMap::with_max_entries(limits::POLICIES, 0);

/// Thread (`pid_tgid`) → place in the vector of its running `sendmmsg` or `recvmmsg`. Inserted at a message that is not the
/// last, deleted at the last; what is left by a call that ends unseen is evicted (LRU).
#[map]
pub(crate) static VECTORS: LruHashMap<u64, VectorPlace> = LruHashMap::with_max_entries(limits::VECTORS, 0);

/// Thread and direction → [`InflightCall`], for kprobes. Inserted at the call, deleted at its return. A return that is missed
/// leaves a row until the thread's next call, or its eviction (LRU).
#[map]
pub(crate) static INFLIGHT: LruHashMap<u64, InflightCall> = LruHashMap::with_max_entries(limits::INFLIGHT, 0);

/// Thread (`pid_tgid`) → where its event loop is, for Node.js. Inserted at its first callback, evicted (LRU) or written anew when
/// the number of a thread that has ended is another's.
#[map]
pub(crate) static LOOPS: LruHashMap<u64, EventLoop> = LruHashMap::with_max_entries(limits::LOOPS, 0);

/// Socket cookie → [`Queued`], for uvloop. Inserted when bytes are queued, deleted when the next are sent; what is left when a
/// connection ends before that is evicted (LRU).
#[map]
pub(crate) static QUEUED: LruHashMap<u64, Queued> = LruHashMap::with_max_entries(limits::QUEUED, 0);

/// [`reason::Reason`] → how often, per CPU.
#[map]
pub(crate) static REASONS: PerCpuArray<u64> = PerCpuArray::with_max_entries(reason::ROWS, 0);

/// Direction → the record being built, per CPU. A program does not run twice at once on one CPU, and each direction of a hook
/// kind is one program: so its row is its own, even if it is interrupted by the other.
#[map]
pub(crate) static SCRATCH: PerCpuArray<Scratch> = PerCpuArray::with_max_entries(2, 0);

/// 0 → the exec record being built, per CPU; of one program alone.
#[map]
pub(crate) static EXEC_SCRATCH: PerCpuArray<ExecScratch> = PerCpuArray::with_max_entries(1, 0);

/// Where a thread is in the vector of messages of one call.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct VectorPlace {
    /// Address of the vector.
    pub vector: u64,
    /// Message that comes next.
    pub next: u32,
    /// Zero.
    pub reserved: u32,
}

/// Arguments of a function that is running.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct InflightCall {
    /// `struct sock *`.
    pub sock: u64,
    /// `struct msghdr *`.
    pub message: u64,
    /// `MSG_*`.
    pub flags: u32,
    /// Zero.
    pub reserved: u32,
}

/// Who queued bytes that another context will send.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Queued {
    /// Address of the context; 0 if none.
    pub context: u64,
    /// When.
    pub at_ns: u64,
}

/// Where a thread's event loop is. Only the thread itself uses its row.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct EventLoop {
    /// Address of its async ids.
    pub ids: u64,
    /// When the slice began.
    pub at_ns: u64,
    /// As in the record.
    pub conn: u64,
    /// As in the record.
    pub id: u64,
    /// As in the record.
    pub trigger: u64,
    /// As in the record.
    pub youngest: u64,
    /// First and last async id that has resolved a promise since waiting work last ran, and what triggered the last.
    pub resolvers: [u64; 3],
    /// The last resource whose callback was called within the slice's own.
    pub nested: u64,
    /// As in the record; 0 before the first slice.
    pub cause: u32,
    /// Bits, see `handlers::event_loop`.
    pub state: u32,
}
