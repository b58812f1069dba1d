//! What Go programs do between their socket calls: who asks for a request, and who creates whom.
//!
//! In: two places in the program's own code. Out: claims and spawns. The registers are those of Go's internal calling
//! convention on x86-64: arguments in `AX`, `BX`, …, the running `g` in `R14`. Source: src/cmd/compile/abi-internal.md (go1.26).
use crate::{
    emit::{self, Wake, emit},
    handlers::bytes::observed_by,
    kernel::{clock::Thread, file, regs::Registers, runtime::go, sock::TcpSocket, task::Task, user},
};
use wirespan_common::{
    event::{ClaimRecord, SpawnRecord, kind, runtime},
    reason::Reason,
};

/// `persistConn.conn`, an interface: the data word. Measured, the same from 1.21 to 1.26, as are all below.
const PERSIST_CONN_DATA: u64 = 88;
/// `persistConn.tlsState`: not nil over TLS.
const PERSIST_CONN_TLS: u64 = 96;
/// The data word of `tls.Conn.conn`.
const TLS_CONN_DATA: u64 = 8;
/// `poll.FD.Sysfd`, at the start of `net.netFD`.
const FD_NUMBER: u64 = 16;
/// `poll.FD.IsStream`.
const FD_IS_STREAM: u64 = 48;
/// `net.netFD.family` and `sotype`.
const FD_FAMILY: u64 = 56;
const FD_SOCKET_TYPE: u64 = 64;

/// A goroutine asks for a request on a pooled connection: its `persistConn` is in `AX`.
#[inline(always)]
pub(crate) fn on_request(registers: Registers) -> Result<(), Reason> {
    let thread = Thread::current();
    let Some(process) = observed_by(thread, runtime::GO) else { return Ok(()) };
    let Some(goroutine) = go::goid(registers.r14()?, process) else { return Ok(()) };
    let Some(descriptor) = descriptor(registers.ax()?) else { return Ok(()) };
    let Some(sock) = file::socket(Task::current(), descriptor)? else { return Ok(()) };
    let Some(socket) = TcpSocket::from_address(sock)? else { return Ok(()) };
    let header = emit::header_by::<ClaimRecord>(kind::CLAIM, thread, process);
    emit(&ClaimRecord { header, conn: socket.cookie()?, goroutine }, Wake::Timer)
}

/// A goroutine was created: its `g` is in `BX`, which `runtime.runqput` takes. The thread's own `g` is the scheduler's.
#[inline(always)]
pub(crate) fn on_spawn(registers: Registers) -> Result<(), Reason> {
    let thread = Thread::current();
    let Some(process) = observed_by(thread, runtime::GO) else { return Ok(()) };
    let g = registers.bx()?;
    let Some(goroutine) = go::goid(g, process) else { return Ok(()) };
    let field = |offset: u32| user::read::<u64>(g.wrapping_add(u64::from(offset))).unwrap_or_default();
    let layout = go::layout(process);
    let record = SpawnRecord {
        header: emit::header_by::<SpawnRecord>(kind::SPAWN, thread, process),
        goroutine,
        parent_goroutine: field(layout.parent_goid_offset),
        site: field(layout.gopc_offset),
    };
    emit(&record, Wake::Timer)
}

/// The file descriptor behind a `persistConn`. A program may dial with a type of its own: then what looks like a `netFD` is
/// none, and nothing is said.
#[inline(always)]
fn descriptor(connection: u64) -> Option<u32> {
    const AF_INET: u64 = 2;
    const AF_INET6: u64 = 10;
    const SOCK_STREAM: u64 = 1;
    let mut conn: u64 = user::read(connection.wrapping_add(PERSIST_CONN_DATA))?;
    if user::read::<u64>(connection.wrapping_add(PERSIST_CONN_TLS))? != 0 {
        conn = user::read(conn.wrapping_add(TLS_CONN_DATA))?;
    }
    let fd: u64 = user::read(conn)?;
    let is_stream: u8 = user::read(fd.wrapping_add(FD_IS_STREAM))?;
    let family: u64 = user::read(fd.wrapping_add(FD_FAMILY))?;
    let socket_type: u64 = user::read(fd.wrapping_add(FD_SOCKET_TYPE))?;
    if is_stream != 1 || (family != AF_INET && family != AF_INET6) || socket_type != SOCK_STREAM {
        return None;
    }
    let number: u64 = user::read(fd.wrapping_add(FD_NUMBER))?;
    Some(number as u32)
}
