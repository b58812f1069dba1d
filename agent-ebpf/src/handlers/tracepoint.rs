//! First kind of the socket plane: `sock_send_length` and `sock_recv_length`.
use crate::{
    handlers::{
        buffer::{Buffer, UserEntries},
        bytes::{Moved, observed, on_moved},
        receive, registers,
    },
    kernel::{clock::Thread, rows::count, sock::TcpSocket, task::Task},
};
use aya_ebpf::programs::BtfTracePointContext;
use wirespan_common::{event::direction, reason::Reason};

/// A call on any socket returned.
#[inline(always)]
pub(crate) fn on_length(ctx: &BtfTracePointContext, towards: u8) -> Result<(), Reason> {
    let thread = Thread::current();
    let Some(process) = observed(thread) else { return Ok(()) };
    let task = Task::current();
    let bytes: i32 = ctx.arg(1);
    if bytes <= 0 {
        return registers::on_failure(task, thread);
    }
    let bytes = bytes as u32;
    let flags = if towards == direction::INGRESS { ctx.arg(2) } else { 0 };
    if receive::takes_nothing(flags) {
        return Ok(());
    }
    let Some(socket) = TcpSocket::from_typed(ctx.arg(0)) else { return Ok(()) };
    if !socket.is_plain()? {
        return Ok(());
    }
    let buffer = if receive::discards(flags) {
        count(Reason::Discarded);
        Buffer::NOWHERE
    } else {
        registers::buffer(task, thread, bytes)?
    };
    let cookie = socket.cookie()?;
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
