//! Goroutines. Source: src/runtime/runtime2.go `g` (go1.26); where its fields are differs by version and is told by user space.
use crate::kernel::{task::Task, user};
use wirespan_common::policy::{GoLayout, Process};

/// Where this program keeps its goroutines.
#[inline(always)]
pub(crate) fn layout(process: &Process) -> &GoLayout {
    zerocopy::transmute_ref!(&process.layout)
}

/// goid of the running goroutine. Go keeps the pointer to its `g` in a thread-local slot: machine code reads it the same way.
#[inline(always)]
pub(crate) fn current(thread: Task, process: &Process) -> u64 {
    let Ok(base) = thread.thread_storage() else { return 0 };
    let slot = base.wrapping_add(i64::from(layout(process).tls_offset) as u64);
    let Some(g) = user::read::<u64>(slot) else { return 0 };
    goid(g, process).unwrap_or_default()
}

/// A goroutine's number.
#[inline(always)]
pub(crate) fn goid(g: u64, process: &Process) -> Option<u64> {
    user::read(g.wrapping_add(u64::from(layout(process).goid_offset)))
}
