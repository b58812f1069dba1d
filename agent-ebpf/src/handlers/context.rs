//! What CPython programs do between their socket calls: which context is created by whom.
//!
//! In: a place in the interpreter's code at which a register holds the new context. Out: births.
use crate::{
    emit::{self, Wake, emit},
    handlers::bytes::observed_by,
    kernel::{clock::Thread, regs::Registers, runtime::python, task::Task},
};
use wirespan_common::{
    event::{BirthRecord, kind, runtime},
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
