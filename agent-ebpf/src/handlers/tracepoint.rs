//! First kind of the socket plane: `sock_send_length` and `sock_recv_length`.
use crate::{
    handlers::{
        buffer::{Buffer, UserEntries},
        bytes::{Moved, on_moved},
        registers,
    },
    kernel::{
        clock::Thread,
        rows::{self, count},
        sock::TcpSocket,
        task::Task,
    },
};
use aya_ebpf::programs::BtfTracePointContext;
use wirespan_common::{event::direction, policy::process, reason::Reason};

/// Flags of a receive that leaves the bytes, or that reads something else.
const MSG_OOB: u32 = 0x1;
const MSG_PEEK: u32 = 0x2;
const MSG_TRUNC: u32 = 0x20;
const MSG_ERRQUEUE: u32 = 0x2000;

/// A call on any socket returned.
#[inline(always)]
pub(crate) fn on_length(ctx: &BtfTracePointContext, towards: u8) -> Result<(), Reason> {
    let thread = Thread::current();
    let Some(process) = rows::process(thread.tgid()) else { return Ok(()) };
    if process.flags & process::IGNORED != 0 {
        return Ok(());
    }
    let task = Task::current();
    let bytes: i32 = ctx.arg(1);
    if bytes <= 0 {
        return registers::on_failure(task, thread);
    }
    let bytes = bytes as u32;
    let flags: u32 = ctx.arg(2);
    if towards == direction::INGRESS && flags & (MSG_OOB | MSG_PEEK | MSG_ERRQUEUE) != 0 {
        return Ok(());
    }
    let Some(socket) = TcpSocket::from_typed(ctx.arg(0)) else { return Ok(()) };
    if socket.is_kernels()? {
        return Ok(());
    }
    if socket.has_upper_layer()? {
        return Err(Reason::UpperLayer);
    }
    let buffer = if towards == direction::INGRESS && flags & MSG_TRUNC != 0 {
        count(Reason::Discarded);
        Buffer::NOWHERE
    } else {
        registers::buffer(task, thread, bytes)?
    };
    let cookie = socket.cookie();
    on_moved::<_, UserEntries>(&Moved {
        process,
        thread,
        task,
        socket,
        cookie,
        direction: towards,
        bytes,
        buffer,
    })
}
