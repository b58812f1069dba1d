//! Every size that both sides must agree on, with its reason.

/// Bytes of the executed file's name in an exec record: longer names are rare and `/proc/PID/exe` has the whole.
pub const EXEC_FILENAME_BYTES: usize = 256;
/// Bytes of the argument block in an exec record: enough to name an interpreter's script when `/proc` is already gone.
pub const EXEC_ARGS_BYTES: usize = 512;
/// Bytes of data in one record. A call is split into at most [`RECORDS_PER_CALL`] of them. A per-CPU value may have 32 KiB.
pub const RECORD_DATA_BYTES: usize = 16 * 1024;
/// Records that one call may write: with [`RECORD_DATA_BYTES`] the header block of 64 KiB (design §8) in one receive.
pub const RECORDS_PER_CALL: usize = 4;
/// Bytes copied of a turn in the direction that speaks first on a connection: a whole header block.
pub const HEAD_OPENING_BYTES: u32 = 64 * 1024;
/// Bytes copied of a turn that answers, at least: a status line and its header block, not the body.
pub const HEAD_ANSWERING_BYTES: u32 = 4 * 1024;
/// Bytes copied of a turn that answers, for each byte copied of the turn that it answers: answers to pipelined requests are one
/// turn, and each has a few times the bytes of its request. What answers a body is short anyway.
pub const ANSWERING_BYTES_PER_OPENING_BYTE: u32 = 8;
/// Bytes copied of a turn that answers, at most.
pub const HEAD_ANSWERING_MAX_BYTES: u32 = 32 * 1024;
/// Bytes copied of a turn that answers on a connection that was seen to pipeline.
pub const HEAD_PIPELINED_BYTES: u32 = 128 * 1024;
/// Bytes copied of each further short call of a turn that answers, until [`ANSWERING_TURN_BYTES`] are copied in all: answers to
/// pipelined requests are one turn, and each begins with a call.
pub const ANSWERING_CALL_BYTES: u32 = 1024;
/// Bytes of a call that is short: large bodies travel in larger ones, and cost no record more.
pub const ANSWERING_SHORT_CALL_BYTES: u32 = 8 * 1024;
/// Bytes copied of a turn that answers, in all; each further call counts as [`ANSWERING_CALL_BYTES`] at least, so that a body in
/// many small calls costs a dozen records and no more.
pub const ANSWERING_TURN_BYTES: u32 = 16 * 1024;
/// Segments of one iovec that are walked; `UIO_MAXIOV` is 1,024, real servers use two to eight.
pub const IOV_SEGMENTS: usize = 32;
/// Connections whose turns are followed in the kernel.
pub const CONNECTIONS: u32 = 65_536;
/// Connections with a policy of their own.
pub const POLICIES: u32 = 15_360;
/// Connections that are walked from frame to frame; further ones are copied whole.
pub const WALKS: u32 = 4_096;
/// Threads in the middle of a `sendmmsg` or `recvmmsg` on TCP: rare, and each holds its row for microseconds.
pub const VECTORS: u32 = 1_024;
/// Threads inside `tcp_sendmsg` or `tcp_recvmsg`, where kprobes are used: one that waits for bytes holds its row meanwhile.
pub const INFLIGHT: u32 = 4_096;
/// Connections of uvloop with bytes that wait to be sent: each holds its row until the loop's end.
pub const QUEUED: u32 = 4_096;
/// Threads that run an event loop of Node.js; the one that was idle for longest is forgotten, and begins anew.
pub const LOOPS: u32 = 2_048;
/// Ports whose listeners are observed.
pub const PORTS: u32 = 1_024;
/// Processes observed or followed provisionally.
pub const PROCESSES: u32 = 8_192;
/// Ring bytes per started group of four CPUs.
pub const RING_BYTES: u32 = 4 * 1024 * 1024;

/// Bytes copied of a turn that answers one of which `opening` bytes were copied.
#[inline(always)]
pub const fn answering_bytes(opening: u32) -> u32 {
    let bytes = opening.wrapping_mul(ANSWERING_BYTES_PER_OPENING_BYTE);
    if bytes < HEAD_ANSWERING_BYTES {
        HEAD_ANSWERING_BYTES
    } else if bytes < HEAD_ANSWERING_MAX_BYTES {
        bytes
    } else {
        HEAD_ANSWERING_MAX_BYTES
    }
}
