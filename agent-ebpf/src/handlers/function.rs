//! Second and third kind of the socket plane: the functions `tcp_sendmsg` and `tcp_recvmsg`, by fexit or by kprobe and kretprobe.
use crate::{
    handlers::{
        buffer::Buffer,
        bytes::{Moved, observed, on_moved},
        iterator::{self, KernelEntries},
        receive,
    },
    kernel::{
        access::{Access, Probed},
        clock::Thread,
        rows::{self, ANY, count},
        sock::TcpSocket,
        task::Task,
    },
    maps::{INFLIGHT, InflightCall},
};
use wirespan_common::{event::direction, policy::Process, reason::Reason};

/// A function returned, seen with its arguments. A thread of an observed process runs it, or io_uring on its behalf.
#[inline(always)]
pub(crate) fn on_exit(
    sock: *const u8,
    message: *const u8,
    flags: u32,
    result: i32,
    towards: u8,
) -> Result<(), Reason> {
    let thread = Thread::current();
    let Some(process) = observed(thread) else { return Ok(()) };
    if result <= 0 || receive::takes_nothing(flags) {
        return Ok(());
    }
    let bytes = result as u32;
    let Some(socket) = TcpSocket::from_typed(sock) else { return Ok(()) };
    moved(thread, process, socket, Call { message, flags, bytes, towards })
}

/// Pages were sent that no user memory holds: they are counted.
#[inline(always)]
pub(crate) fn on_pages(sock: *const u8, result: i32) -> Result<(), Reason> {
    on_exit(sock, core::ptr::null(), 0, result, direction::EGRESS)
}

/// A function was called: its arguments are gone when it returns.
#[inline(always)]
pub(crate) fn on_call(sock: u64, message: u64, flags: u32, towards: u8) -> Result<(), Reason> {
    let thread = Thread::current();
    if observed(thread).is_none() || receive::takes_nothing(flags) {
        return Ok(());
    }
    let call = InflightCall { sock, message, flags, reserved: 0 };
    INFLIGHT.insert(key(thread, towards), call, ANY).map_err(|_| Reason::InflightFull)
}

/// A function returned, seen without its arguments.
#[inline(always)]
pub(crate) fn on_return(result: i32, towards: u8) -> Result<(), Reason> {
    let thread = Thread::current();
    let Some(process) = observed(thread) else { return Ok(()) };
    let key = key(thread, towards);
    // A peek left none; so did a call that began before the program was attached, or that a full map refused.
    let Some(call) = rows::inflight_call(key).copied() else { return Ok(()) };
    if INFLIGHT.remove(key).is_err() {
        count(Reason::Internal);
    }
    if result <= 0 {
        return Ok(());
    }
    let bytes = result as u32;
    let socket = TcpSocket::<Probed>::from_address(call.sock as *const u8)?;
    let Some(socket) = socket else { return Ok(()) };
    let message = call.message as *const u8;
    moved(thread, process, socket, Call { message, flags: call.flags, bytes, towards })
}

/// A call that moved bytes, however its arguments were learnt.
struct Call {
    message: *const u8,
    flags: u32,
    bytes: u32,
    towards: u8,
}

#[inline(always)]
fn moved<A: Access>(
    thread: Thread,
    process: &Process,
    socket: TcpSocket<A>,
    call: Call,
) -> Result<(), Reason> {
    if !socket.is_plain()? {
        return Ok(());
    }
    let Call { message, flags, bytes, towards: direction } = call;
    let buffer = buffer(message, flags, bytes)?;
    let cookie = socket.cookie()?;
    let task = Task::current();
    let moved = Moved { process, thread, task, socket, cookie, direction, bytes, buffer };
    on_moved::<_, KernelEntries>(&moved)
}

#[inline(always)]
fn buffer(message: *const u8, flags: u32, bytes: u32) -> Result<Buffer, Reason> {
    if receive::discards(flags) {
        count(Reason::Discarded);
        return Ok(Buffer::NOWHERE);
    }
    if message.is_null() {
        return Ok(Buffer::NOWHERE);
    }
    iterator::buffer(message, bytes)
}

/// A thread can be in one send and one receive at once: never in two of the same. Thread ids have at most 22 bits.
#[inline(always)]
const fn key(thread: Thread, towards: u8) -> u64 {
    if towards == direction::EGRESS { thread.pid_tgid } else { thread.pid_tgid | 1 << 31 }
}
