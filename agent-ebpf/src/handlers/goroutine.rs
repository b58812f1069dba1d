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
    policy::GoLayout,
    reason::Reason,
};

/// [`PersistConn`] in `net/http.persistConn`. Measured, the same from 1.21 to 1.26, as are all below.
const PERSIST_CONN: u64 = 88;
/// The data word of `tls.Conn.conn`.
const TLS_CONN_DATA: u64 = 8;
/// [`Descriptor`] in `net.netFD`.
const DESCRIPTOR: u64 = 16;

/// A part of `persistConn`.
#[derive(Clone, Copy)]
#[repr(C)]
struct PersistConn {
    /// The data word of `conn`, an interface.
    conn: u64,
    /// `tlsState`: not nil over TLS.
    tls: u64,
}

/// `net.netFD`, which begins with a `poll.FD`, from `Sysfd` on.
#[derive(Clone, Copy)]
#[repr(C)]
struct Descriptor {
    number: u64,
    unused: [u64; 3],
    /// `IsStream` is its first byte.
    is_stream: u64,
    family: u64,
    socket_type: u64,
}

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
    let (parent_goroutine, site) = origin(g, go::layout(process));
    let header = emit::header_by::<SpawnRecord>(kind::SPAWN, thread, process);
    emit(&SpawnRecord { header, goroutine, parent_goroutine, site }, Wake::Timer)
}

/// Who created a goroutine, and where: two fields that are neighbours in every Go that was seen.
#[inline(always)]
fn origin(g: u64, layout: &GoLayout) -> (u64, u64) {
    let GoLayout { parent_goid_offset: parent, gopc_offset: site, .. } = *layout;
    let at = |offset: u32| g.wrapping_add(u64::from(offset));
    if site == parent.wrapping_add(8) {
        let [parent, site] = user::read(at(parent)).unwrap_or_default();
        return (parent, site);
    }
    (user::read(at(parent)).unwrap_or_default(), user::read(at(site)).unwrap_or_default())
}

/// The file descriptor behind a `persistConn`. A program may dial with a type of its own: then what looks like a `netFD` is
/// none, and nothing is said.
#[inline(always)]
fn descriptor(connection: u64) -> Option<u32> {
    const AF_INET: u64 = 2;
    const AF_INET6: u64 = 10;
    const SOCK_STREAM: u64 = 1;
    let PersistConn { mut conn, tls } = user::read(connection.wrapping_add(PERSIST_CONN))?;
    if tls != 0 {
        conn = user::read(conn.wrapping_add(TLS_CONN_DATA))?;
    }
    let fd: u64 = user::read(conn)?;
    let Descriptor { number, is_stream, family, socket_type, .. } = user::read(fd.wrapping_add(DESCRIPTOR))?;
    if is_stream as u8 != 1 || (family != AF_INET && family != AF_INET6) || socket_type != SOCK_STREAM {
        return None;
    }
    Some(number as u32)
}
