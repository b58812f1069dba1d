//! The buffer of the running system call, from its saved registers.
//!
//! In: the call, and how many bytes it moved. Out: a [`Buffer`], [`Buffer::NOWHERE`] for calls that have none (sendfile, splice,
//! io_uring). `sendmmsg` and `recvmmsg` move several messages and show the start of their vector only: [`VECTORS`] counts along.
use crate::{
    handlers::buffer::Buffer,
    kernel::{
        clock::Thread,
        regs::{SystemCall, number},
        rows::{self, ANY, count},
        task::Task,
        user,
    },
    maps::{VECTORS, VectorPlace},
};
use wirespan_common::reason::Reason;

/// Size of `struct mmsghdr`. Source: include/linux/socket.h.
pub(crate) const MMSGHDR_BYTES: u64 = 64;

/// The buffer of the call that is running in `task`.
#[inline(always)]
pub(crate) fn buffer(task: Task, thread: Thread, bytes: u32) -> Result<Buffer, Reason> {
    if task.in_compat_call()? {
        count(Reason::Compat);
        return Ok(Buffer::NOWHERE);
    }
    let call = SystemCall::current(task);
    let Some(number) = call.number()? else { return Ok(Buffer::NOWHERE) };
    of_call(call, number, thread, bytes)
}

/// The buffer of a call that has returned with a single message, if it was one of several.
#[inline(always)]
pub(crate) fn returned_buffer(call: SystemCall, number: u64) -> Result<Buffer, Reason> {
    let address = call.second()?;
    Ok(match number {
        number::READ | number::WRITE | number::SENDTO | number::RECVFROM => Buffer::flat(address),
        number::READV | number::WRITEV | number::PREADV2 | number::PWRITEV2 => {
            Buffer::vector(address, call.third()?)
        }
        // The first message of a vector is at its start.
        number::SENDMSG | number::RECVMSG | number::SENDMMSG | number::RECVMMSG => Buffer::message(address),
        _ => Buffer::NOWHERE,
    })
}

/// The buffer of a running call by its number.
#[inline(always)]
fn of_call(call: SystemCall, number: u64, thread: Thread, bytes: u32) -> Result<Buffer, Reason> {
    match number {
        number::SENDMMSG => in_vector(thread, call.second()?, call.third()?, bytes),
        // A time limit may end the call after any message without another event: its place would be a guess.
        number::RECVMMSG if call.fifth()? != 0 => {
            count(Reason::VectorPlace);
            Ok(Buffer::NOWHERE)
        }
        number::RECVMMSG => in_vector(thread, call.second()?, call.third()?, bytes),
        _ => returned_buffer(call, number),
    }
}

/// The message that a `sendmmsg` or `recvmmsg` has just moved. Source: net/socket.c `__sys_sendmmsg`, `do_recvmmsg` (v6.18):
/// messages are moved in order until one fails or moves less than it could, or the vector ends.
#[inline(always)]
fn in_vector(thread: Thread, vector: u64, messages: u64, bytes: u32) -> Result<Buffer, Reason> {
    let next = match rows::vector_place(thread.pid_tgid) {
        Some(place) if place.vector == vector => place.next,
        _ => 0,
    };
    let message = Buffer::message(vector.wrapping_add(u64::from(next) * MMSGHDR_BYTES));
    let is_last = u64::from(next) + 1 >= messages || is_short(message, bytes);
    if is_last {
        forget_vector(thread);
    } else {
        let place = VectorPlace { vector, next: next + 1, reserved: 0 };
        VECTORS.insert(thread.pid_tgid, place, ANY).map_err(|_| Reason::VectorPlace)?;
    }
    Ok(message)
}

/// Did a message move less than its iovec holds? Only one segment is looked at: with more the call goes on only if the sum
/// was moved, and a wrong "no" is put right by the next call's own vector.
#[inline(always)]
fn is_short(message: Buffer, bytes: u32) -> bool {
    let vector = message.resolved();
    if vector.segments != 1 {
        return false;
    }
    let Some(len) = user::read::<u64>(vector.address.wrapping_add(8)) else { return false };
    len > u64::from(bytes)
}

/// A call ended or failed: its thread is in no vector any more.
#[inline(always)]
pub(crate) fn forget_vector(thread: Thread) {
    if rows::vector_place(thread.pid_tgid).is_some() && VECTORS.remove(thread.pid_tgid).is_err() {
        count(Reason::VectorPlace);
    }
}

/// A call moved nothing or failed: if it was one of several messages, it was the last.
#[inline(always)]
pub(crate) fn on_failure(task: Task, thread: Thread) -> Result<(), Reason> {
    let number = SystemCall::current(task).returned_number()?;
    if number == number::SENDMMSG || number == number::RECVMMSG {
        forget_vector(thread);
    }
    Ok(())
}
