//! What CPython programs do between their socket calls: which context is created by whom, and which work is handed to which thread.
//!
//! In: places in the interpreter's code at which a register holds the new context, or the work. Out: births and handovers.
use crate::{
    emit::{self, Wake, emit},
    handlers::bytes::observed_by,
    kernel::{
        clock::{Thread, now_ns},
        file,
        regs::Registers,
        rows::{ANY, count},
        runtime::python,
        sock::TcpSocket,
        task::Task,
        user,
    },
    maps::{QUEUED, Queued},
};
use wirespan_common::{
    event::{BirthRecord, HandoverRecord, handover, kind, runtime},
    reason::Reason,
};

/// A context was created: its address is in the register of that number. None if there was no memory for it.
#[inline(always)]
pub(crate) fn on_birth(registers: Registers, register: u64) -> Result<(), Reason> {
    let thread = Thread::current();
    let Some(process) = observed_by(thread, runtime::PYTHON) else { return Ok(()) };
    let context = registers.named(register)?;
    if !python::is_context(context, process) {
        return Ok(());
    }
    let record = BirthRecord {
        header: emit::header_by::<BirthRecord>(kind::BIRTH, thread, process),
        context,
        creator: python::current(Task::current(), process),
    };
    emit(&record, Wake::Timer)
}

/// Something is about to be put into a queue: the first of the arguments to which the register of that number points.
#[inline(always)]
pub(crate) fn on_put(registers: Registers, register: u64) -> Result<(), Reason> {
    let Some(item) = user::read::<u64>(registers.named(register)?) else { return Ok(()) };
    on_item(item, handover::PUT)
}

/// Something was taken out of a queue: its address is in the register of that number.
#[inline(always)]
pub(crate) fn on_taken(registers: Registers, register: u64) -> Result<(), Reason> {
    on_item(registers.named(register)?, handover::TAKEN)
}

#[inline(always)]
fn on_item(item: u64, step: u32) -> Result<(), Reason> {
    let thread = Thread::current();
    let Some(process) = observed_by(thread, runtime::PYTHON) else { return Ok(()) };
    if !python::is_work(item) {
        return Ok(());
    }
    let record = HandoverRecord {
        header: emit::header_by::<HandoverRecord>(kind::HANDOVER, thread, process),
        item,
        context: python::current(Task::current(), process),
        step,
        reserved: 0,
    };
    emit(&record, Wake::Timer)
}

/// `UVHandle._handle`, after the head of an object and the table of its methods. Measured, the same from uvloop 0.17 to 0.23.
const UV_HANDLE: u64 = 24;
/// `uv_stream_t.io_watcher.fd`, of libuv 1.43 to 1.48.
const UV_DESCRIPTOR: u64 = 184;

/// Bytes are written to a stream of uvloop, which may send them later, in a context of its own: the stream is in the register of that
/// number.
#[inline(always)]
pub(crate) fn on_queued(registers: Registers, register: u64) -> Result<(), Reason> {
    let thread = Thread::current();
    let Some(process) = observed_by(thread, runtime::PYTHON) else { return Ok(()) };
    let stream = registers.named(register)?;
    let Some(handle) = user::read::<u64>(stream.wrapping_add(UV_HANDLE)) else { return Ok(()) };
    let Some(number) = user::read::<u32>(handle.wrapping_add(UV_DESCRIPTOR)) else { return Ok(()) };
    let task = Task::current();
    let Some(sock) = file::socket(task, number)? else { return Ok(()) };
    let Some(socket) = TcpSocket::from_address(sock)? else { return Ok(()) };
    let queued = Queued { context: python::current(task, process), at_ns: now_ns() };
    if QUEUED.insert(socket.cookie()?, queued, ANY).is_err() {
        count(Reason::Internal);
    }
    Ok(())
}
