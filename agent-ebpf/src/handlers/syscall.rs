//! Fourth kind of the socket plane: the exits of system calls.
//!
//! The file descriptor leads to the socket. What io_uring moves is not seen at all.
use crate::{
    handlers::{
        buffer::{Buffer, UserEntries},
        bytes::{Moved, observed, on_moved},
        receive, registers,
    },
    kernel::{
        clock::Thread,
        file,
        regs::{SystemCall, number},
        rows::count,
        sock::TcpSocket,
        task::Task,
        user,
    },
};
use wirespan_common::{event::direction, limits, reason::Reason};

/// A call on any file returned.
#[inline(always)]
pub(crate) fn on_exit(result: i64, towards: u8) -> Result<(), Reason> {
    let thread = Thread::current();
    let Some(process) = observed(thread) else { return Ok(()) };
    if result <= 0 {
        return Ok(());
    }
    let task = Task::current();
    let call = SystemCall::current(task);
    let number = call.returned_number()?;
    let descriptor =
        if number == number::SPLICE && towards == direction::EGRESS { call.third()? } else { call.first()? };
    let Some(sock) = file::socket(task, descriptor as u32)? else { return Ok(()) };
    let Some(socket) = TcpSocket::from_address(sock)? else { return Ok(()) };
    let flags = if towards == direction::INGRESS { flags(call, number)? } else { 0 };
    if receive::takes_nothing(flags) || !socket.is_plain()? {
        return Ok(());
    }
    let several = result > 1 && matches!(number, number::SENDMMSG | number::RECVMMSG);
    let buffer = if receive::discards(flags) {
        count(Reason::Discarded);
        Buffer::NOWHERE
    } else if several {
        count(Reason::VectorPlace);
        Buffer::NOWHERE
    } else {
        registers::returned_buffer(call, number)?
    };
    let bytes = if matches!(number, number::SENDMMSG | number::RECVMMSG) {
        messages_bytes(call.second()?, result as u64)
    } else {
        result as u32
    };
    if bytes == 0 {
        return Ok(());
    }
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

/// Flags of a receive, by the call that made it.
#[inline(always)]
fn flags(call: SystemCall, number: u64) -> Result<u32, Reason> {
    Ok(match number {
        number::RECVFROM | number::RECVMMSG => call.fourth()? as u32,
        number::RECVMSG => call.third()? as u32,
        _ => 0,
    })
}

/// Bytes of the messages that one call moved. With more messages than are looked at, the first bytes are a gap.
#[inline(always)]
fn messages_bytes(vector: u64, messages: u64) -> u32 {
    const MSG_LEN: u64 = 56;
    let mut bytes = 0_u32;
    let mut message = 0;
    while message < limits::IOV_SEGMENTS as u64 {
        if message >= messages {
            break;
        }
        let from_end = messages - 1 - message;
        let len: Option<u32> = user::read(vector.wrapping_add(from_end * registers::MMSGHDR_BYTES + MSG_LEN));
        let Some(len) = len else { break };
        bytes = bytes.wrapping_add(len);
        message += 1;
    }
    bytes
}
