//! What CPython programs do between their socket calls: which context is created by whom, and which work is handed to which thread.
//!
//! In: places in the interpreter's code at which a register holds the new context, or the work. Out: births and handovers.
use crate::{
    emit::{self, Wake, emit},
    handlers::bytes::observed_by,
    kernel::{clock::Thread, regs::Registers, runtime::python, task::Task, user},
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
