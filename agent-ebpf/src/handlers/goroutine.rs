//! What Go programs do between their socket calls: who asks for a request, and who creates whom.
//!
//! In: two places in the program's own code. Out: claims and spawns. The registers are those of Go's internal calling
//! convention on x86-64: arguments in `AX`, `BX`, …, the running `g` in `R14`. Source: src/cmd/compile/abi-internal.md (go1.26).
use crate::{
    emit::{self, Wake, emit},
    handlers::bytes::observed,
    kernel::{
        clock::{Thread, now_ns},
        file,
        regs::Registers,
        sock::TcpSocket,
        task::Task,
        user,
    },
};
use wirespan_common::{
    event::{ClaimRecord, Header, SpawnRecord, kind},
    policy::{Process, process},
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
    let Some(process) = observed(thread).filter(|process| process.flags & process::GO != 0) else {
        return Ok(());
    };
    let g = registers.r14()?;
    let Some(goroutine) = user::read::<u64>(g.wrapping_add(u64::from(process.goid_offset))) else {
        return Ok(());
    };
    let Some(descriptor) = descriptor(registers.ax()?) else { return Ok(()) };
    let Some(sock) = file::socket(Task::current(), descriptor)? else { return Ok(()) };
    let Some(socket) = TcpSocket::from_address(sock)? else { return Ok(()) };
    let mut record = ClaimRecord {
        conn: socket.cookie()?,
        goroutine,
        parent_goroutine: parent(process, g),
        ..ClaimRecord::default()
    };
    record.header = header_of::<ClaimRecord>(kind::CLAIM, thread, process);
    emit(&record, Wake::Timer)
}

/// A goroutine was created: its `g` is in `BX`, which `runtime.runqput` takes. The thread's own `g` is the scheduler's.
#[inline(always)]
pub(crate) fn on_spawn(registers: Registers) -> Result<(), Reason> {
    let thread = Thread::current();
    let Some(process) = observed(thread).filter(|process| process.flags & process::GO != 0) else {
        return Ok(());
    };
    let g = registers.bx()?;
    let Some(goroutine) = user::read::<u64>(g.wrapping_add(u64::from(process.goid_offset))) else {
        return Ok(());
    };
    let site = user::read::<u64>(g.wrapping_add(u64::from(process.gopc_offset))).unwrap_or_default();
    let mut record =
        SpawnRecord { goroutine, parent_goroutine: parent(process, g), site, ..SpawnRecord::default() };
    record.header = header_of::<SpawnRecord>(kind::SPAWN, thread, process);
    emit(&record, Wake::Timer)
}

#[inline(always)]
fn parent(process: &Process, g: u64) -> u64 {
    user::read::<u64>(g.wrapping_add(u64::from(process.parent_goid_offset))).unwrap_or_default()
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

#[inline(always)]
fn header_of<T>(kind: u16, thread: Thread, process: &Process) -> Header {
    let mut header = emit::header::<T>(kind);
    header.at_ns = now_ns();
    header.tgid = thread.tgid();
    header.tid = thread.tid();
    header.start_ticks = process.start_ticks;
    header
}
