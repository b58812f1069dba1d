//! Contexts of CPython. Source: Include/internal/pycore_context.h `_pycontextobject` (3.9 to 3.14); where a thread keeps its state,
//! and that its context, is told by user space.
use crate::{
    kernel::{access::Access, rows, sock::TcpSocket, task::Task, user},
    maps::{QUEUED, Queued},
};
use wirespan_common::{
    event::direction,
    policy::{Process, PythonLayout},
    reason::Reason,
};

/// `PyObject.ob_type`.
const TYPE_OFFSET: u64 = 8;
/// `PyTypeObject.tp_name`.
const NAME_OFFSET: u64 = 24;

#[inline(always)]
fn layout(process: &Process) -> &PythonLayout {
    zerocopy::transmute_ref!(&process.layout)
}

/// Address of the context that the thread has entered, 0 if none: the base context of a thread is nobody's in particular.
///
/// The state is read from the slot that `PyGILState_Ensure` uses: it is there while the thread has let go of the interpreter too,
/// as it has around every socket call.
#[inline(always)]
pub(crate) fn current(thread: Task, process: &Process) -> u64 {
    entered(thread, process).unwrap_or_default()
}

/// The context for which bytes are moved, and when it queued them if that was before.
#[inline(always)]
pub(crate) fn sender<A: Access>(
    thread: Task,
    process: &Process,
    socket: &TcpSocket<A>,
    towards: u8,
) -> [u64; 3] {
    let queued = if towards == direction::EGRESS { taken(socket) } else { None };
    match queued {
        Some(queued) => [queued.context, queued.at_ns, 0],
        None => [current(thread, process), 0, 0],
    }
}

/// Who queued what is sent now: asked once.
#[inline(always)]
fn taken<A: Access>(socket: &TcpSocket<A>) -> Option<Queued> {
    let cookie = socket.cookie().ok()?;
    let queued = *rows::queued(cookie)?;
    if QUEUED.remove(cookie).is_err() {
        rows::count(Reason::Internal);
    }
    Some(queued)
}

/// Is there a context at this address?
#[inline(always)]
pub(crate) fn is_context(address: u64, process: &Process) -> bool {
    user::read::<u64>(address.wrapping_add(TYPE_OFFSET)) == Some(layout(process).context_type)
}

/// Is there, at this address, work for a `ThreadPoolExecutor`? Its threads do one such thing after the other; of what else is put
/// into queues nobody knows. Source: Lib/concurrent/futures/thread.py `_WorkItem` (3.9 to 3.14).
#[inline(always)]
pub(crate) fn is_work(address: u64) -> bool {
    const NAME: (u64, u16) = (u64::from_le_bytes(*b"_WorkIte"), u16::from_le_bytes(*b"m\0"));
    named(address) == Some(NAME)
}

/// The first ten bytes of the name of an object's type.
#[inline(always)]
fn named(address: u64) -> Option<(u64, u16)> {
    let object_type: u64 = user::read(address.wrapping_add(TYPE_OFFSET))?;
    let name: u64 = user::read(object_type.wrapping_add(NAME_OFFSET))?;
    Some((user::read(name)?, user::read(name.wrapping_add(8))?))
}

#[inline(always)]
fn entered(thread: Task, process: &Process) -> Option<u64> {
    let layout = layout(process);
    let base = thread.thread_storage().ok()?;
    let state: u64 = user::read(base.wrapping_add(u64::from(layout.state_slot)))?;
    let context: u64 = user::read(state.wrapping_add(u64::from(layout.context_offset)))?;
    // A thread that never used one has none. To find that out by reading costs a fault: a thousand instructions.
    if context == 0 {
        return None;
    }
    let entered: u32 = user::read(context.wrapping_add(u64::from(layout.entered_offset)))?;
    (entered == 1 && is_context(context, process)).then_some(context)
}
