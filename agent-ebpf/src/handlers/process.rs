//! Life of processes: who is followed.
//!
//! In: exec, fork, exit. Out: rows of `PROCESSES` and the records of the same name. A child of an observed process is observed
//! from its first instruction on; so is, provisionally, every program that is executed, until user space has decided, where that
//! is wanted ([`follow_exec`]).
use crate::{
    emit::{self, Wake, emit},
    kernel::{
        clock::now_ns,
        globals,
        rows::{self, ANY},
        task::{Task, executed_file},
        user,
    },
    maps::PROCESSES,
};
use wirespan_common::{
    event::{ExecRecord, ExitRecord, ForkRecord, Header, kind},
    limits,
    offsets::follow_exec,
    policy::{Process, process},
    reason::Reason,
};

/// `sched_process_fork`.
#[inline(always)]
pub(crate) fn on_fork(parent: Task, child: Task) -> Result<(), Reason> {
    let (parent_tgid, child_tgid) = (parent.tgid()?, child.tgid()?);
    if parent_tgid == child_tgid {
        return Ok(());
    }
    let Some(row) = rows::process(parent_tgid) else { return Ok(()) };
    if row.flags & process::IGNORED != 0 {
        return Ok(());
    }
    let inherited = Process { start_ticks: child.start_ticks()?, ..*row };
    let mut record = ForkRecord { parent_tgid, parent_start_ticks: row.start_ticks, ..ForkRecord::default() };
    PROCESSES.insert(child_tgid, inherited, ANY).map_err(|_| Reason::ProcessesFull)?;
    record.header = header_of::<ForkRecord>(kind::FORK, child)?;
    emit(&record, Wake::Timer)
}

/// `sched_process_exec`.
#[inline(always)]
pub(crate) fn on_exec(task: Task, binprm: *const u8) -> Result<(), Reason> {
    let tgid = task.tgid()?;
    match globals::follow_exec() {
        follow_exec::OFF if rows::process(tgid).is_none() => return Ok(()),
        follow_exec::ANNOUNCE if !is_observed(tgid, task.start_ticks()?) => return announce(task),
        _ => {}
    }
    let row = Process { flags: process::PROVISIONAL, start_ticks: task.start_ticks()?, ..Process::default() };
    let inserted = PROCESSES.insert(tgid, row, ANY).map_err(|_| Reason::ProcessesFull);
    let scratch = rows::exec_scratch()?;
    let record = &mut scratch.record;
    record.header = header_of::<ExecRecord>(kind::EXEC, task)?;
    record.filename = [0; limits::EXEC_FILENAME_BYTES];
    executed_file(binprm, &mut record.filename)?;
    let (start, end) = task.arguments()?;
    let len = end.saturating_sub(start).min(limits::EXEC_ARGS_BYTES as u64) as u32;
    record.args = [0; limits::EXEC_ARGS_BYTES];
    record.args_len = if user::copy((&raw mut record.args).cast(), len, start) { len } else { 0 };
    record.reserved = 0;
    emit(record, Wake::Now)?;
    inserted
}

#[inline(always)]
fn is_observed(tgid: u32, start_ticks: u32) -> bool {
    let is_this = |row: &Process| row.start_ticks == start_ticks && row.flags & process::IGNORED == 0;
    rows::process(tgid).is_some_and(is_this)
}

/// Tells that a program was executed and nothing of it: whether it may be looked at is not known yet.
#[inline(always)]
fn announce(task: Task) -> Result<(), Reason> {
    let scratch = rows::exec_scratch()?;
    let record = &mut scratch.record;
    record.header = header_of::<ExecRecord>(kind::EXEC, task)?;
    record.filename = [0; limits::EXEC_FILENAME_BYTES];
    record.args = [0; limits::EXEC_ARGS_BYTES];
    record.args_len = 0;
    record.reserved = 0;
    emit(record, Wake::Now)
}

/// `sched_process_exit`. Two threads may both be the last: the one that deletes the row reports.
#[inline(always)]
pub(crate) fn on_exit(task: Task) -> Result<(), Reason> {
    let tgid = task.tgid()?;
    if rows::process(tgid).is_none() || task.live_threads()? != 0 {
        return Ok(());
    }
    let mut record = ExitRecord { exit_code: task.exit_code()?, ..ExitRecord::default() };
    record.header = header_of::<ExitRecord>(kind::EXIT, task)?;
    if PROCESSES.remove(tgid).is_err() {
        return Ok(());
    }
    emit(&record, Wake::Timer)
}

#[inline(always)]
fn header_of<T>(kind: u16, task: Task) -> Result<Header, Reason> {
    let mut header = emit::header::<T>(kind);
    header.at_ns = now_ns();
    header.tgid = task.tgid()?;
    header.tid = task.tid()?;
    header.start_ticks = task.start_ticks()?;
    Ok(header)
}
