//! What the event loops of Node.js do between their socket calls: in slices, each begun by one callback.
//!
//! In: places in Node's code, and every socket call of the thread. Out: [`SliceRecord`]s, of slices that had an effect alone: most have
//! none. A callback within a callback begins no slice; the first one after a receive is that receive's own. Among timers and
//! immediates (`state` has [`LATER`]) callbacks are JavaScript's own affair: there a slice is what runs after promises were resolved.
//! The registers are those of the System V calling convention. All numbers are bits of `f64`: integers that are only compared.
use crate::{
    emit::{self, Wake, emit},
    handlers::bytes::{Moved, observed_by},
    kernel::{
        access::Access,
        clock::{Thread, now_ns},
        regs::Registers,
        rows,
        runtime::node,
        user,
    },
    maps::{EventLoop, LOOPS},
};
use core::hint::black_box;
use wirespan_common::{
    event::{SliceRecord, direction, kind, runtime, slice},
    policy::Process,
    reason::Reason,
};

/// Bits of [`EventLoop::state`]: the slice has its record; …
const WRITTEN: u32 = 1 << 0;
/// … timers or immediates are running; …
const LATER: u32 = 1 << 1;
/// … the end of what waits for promises was seen on this thread; …
const COMPLETES: u32 = 1 << 2;
/// … the slice's end will be; …
const BOUNDED: u32 = 1 << 3;
/// … what waits for promises runs.
const DRAINS: u32 = 1 << 4;

/// The three numbers, while they run.
type Ids = [u64; 3];

/// `node::InternalCallbackScope::InternalCallbackScope(Environment*, …, async_context const&, …)`.
#[inline(always)]
pub(crate) fn on_callback(registers: Registers) -> Result<(), Reason> {
    let thread = Thread::current();
    let Some(process) = observed_by(thread, runtime::NODE) else { return Ok(()) };
    // Chosen among values: the verifier allows no choice among places of the context.
    let (fourth, fifth) = (black_box(registers.cx()?), black_box(registers.r8()?));
    let context = if node::layout(process).context_is_fifth == 1 { fifth } else { fourth };
    let Some(row) = learn(thread, registers.si()?, process) else { return Ok(()) };
    let Some([id, trigger]) = user::read::<[u64; 2]>(context) else { return Ok(()) };
    called(row, id, trigger, thread, process)
}

/// `node::InternalCallbackScope::InternalCallbackScope(AsyncWrap*, int)`.
#[inline(always)]
pub(crate) fn on_wrap_callback(registers: Registers) -> Result<(), Reason> {
    let thread = Thread::current();
    let Some(process) = observed_by(thread, runtime::NODE) else { return Ok(()) };
    let wrap = registers.si()?;
    let Some(environment) = node::environment_of(wrap, process) else { return Ok(()) };
    let Some(row) = learn(thread, environment, process) else { return Ok(()) };
    let Some([id, trigger]) = node::of_wrap(wrap, process) else { return Ok(()) };
    called(row, id, trigger, thread, process)
}

/// `node::Environment::RunTimers` and `CheckImmediate`.
#[inline(always)]
pub(crate) fn on_later() -> Result<(), Reason> {
    let thread = Thread::current();
    let Some(process) = observed_by(thread, runtime::NODE) else { return Ok(()) };
    let Some(row) = rows::event_loop(thread.pid_tgid) else { return Ok(()) };
    let Some(ids) = user::read::<Ids>(row.ids) else { return Ok(()) };
    let begun = begin(row, Slice { cause: slice::NOBODY, ..Slice::default() }, ids, thread, process);
    row.state |= LATER;
    row.resolvers = [0; 3];
    begun
}

/// A promise's `resolve` function is called: what waits for it will run for whoever calls.
#[inline(always)]
pub(crate) fn on_resolve() -> Result<(), Reason> {
    let Some((row, _, _)) = current() else { return Ok(()) };
    if row.state & LATER == 0 && !may_name_another(row) {
        return Ok(());
    }
    let Some([id, trigger, _]) = user::read::<Ids>(row.ids) else { return Ok(()) };
    // After a read the callback itself, what it has called and what was created since are the read's own.
    let is_own = row.state & LATER == 0 && (id == row.id || id == row.nested || id > row.youngest);
    if id != 0 && !is_own {
        let [first, ..] = row.resolvers;
        row.resolvers = [if first == 0 { id } else { first }, id, trigger];
    }
    Ok(())
}

/// What waits for promises begins to run.
#[inline(always)]
pub(crate) fn on_waiting() -> Result<(), Reason> {
    let Some((row, thread, process)) = current() else { return Ok(()) };
    let Some(ids) = user::read::<Ids>(row.ids) else { return Ok(()) };
    let [first, id, trigger] = row.resolvers;
    if row.state & LATER == 0 {
        row.state |= DRAINS;
        row.resolvers = [0; 3];
        let said = Slice { cause: slice::NAMED, conn: first, id, trigger };
        return if id == 0 { Ok(()) } else { say(row, said, ids, thread, process) };
    }
    let next = match id {
        0 => Slice { cause: slice::NOBODY, ..Slice::default() },
        _ => Slice { cause: slice::RESOLVED, conn: first, id, trigger },
    };
    let begun = begin(row, next, ids, thread, process);
    row.resolvers = [0; 3];
    row.state |= if row.state & COMPLETES != 0 { BOUNDED | DRAINS } else { DRAINS };
    begun
}

/// Nothing waits any more.
#[inline(always)]
pub(crate) fn on_completed() -> Result<(), Reason> {
    let Some((row, thread, process)) = current() else { return Ok(()) };
    row.state |= COMPLETES;
    row.state &= !DRAINS;
    row.resolvers = [0; 3];
    if row.state & LATER == 0 {
        return Ok(());
    }
    let Some(ids) = user::read::<Ids>(row.ids) else { return Ok(()) };
    begin(row, Slice { cause: slice::NOBODY, ..Slice::default() }, ids, thread, process)
}

/// A socket call: what was received begins a slice, what is sent is an effect.
#[inline(always)]
pub(crate) fn on_moved<A: Access>(moved: &Moved<'_, A>) -> Result<(), Reason> {
    let Some(row) = rows::event_loop(moved.thread.pid_tgid) else { return Ok(()) };
    if moved.direction == direction::EGRESS {
        return write(row, moved.thread, moved.process);
    }
    let Some(ids) = user::read::<Ids>(row.ids) else { return Ok(()) };
    let next = Slice { cause: slice::READ, conn: moved.cookie, ..Slice::default() };
    let begun = begin(row, next, ids, moved.thread, moved.process);
    row.state &= !LATER;
    row.resolvers = [0; 3];
    begun
}

/// A connection is being opened by the running thread: who asks for it.
#[inline(always)]
pub(crate) fn on_connect(cookie: u64) -> Result<(), Reason> {
    let thread = Thread::current();
    let Some(process) = observed_by(thread, runtime::NODE) else { return Ok(()) };
    let Some(row) = rows::event_loop(thread.pid_tgid) else { return Ok(()) };
    let Some(ids) = user::read::<Ids>(row.ids) else { return Ok(()) };
    let [id, trigger, _] = ids;
    say(row, Slice { cause: slice::CONNECT, conn: cookie, id, trigger }, ids, thread, process)
}

/// Something happens in the running slice.
#[inline(always)]
fn say(row: &mut EventLoop, what: Slice, ids: Ids, thread: Thread, process: &Process) -> Result<(), Reason> {
    write(row, thread, process)?;
    let header = emit::header_by::<SliceRecord>(kind::SLICE, thread, process);
    let Slice { cause, conn, id, trigger } = what;
    let [_, _, youngest] = ids;
    let begun_at_ns = header.at_ns;
    let record = SliceRecord { header, begun_at_ns, conn, id, trigger, youngest, cause, flags: 0 };
    emit(&record, Wake::Timer)
}

/// The running thread.
#[inline(always)]
fn current() -> Option<(&'static mut EventLoop, Thread, &'static Process)> {
    let thread = Thread::current();
    let process = observed_by(thread, runtime::NODE)?;
    Some((rows::event_loop(thread.pid_tgid)?, thread, process))
}

/// A library may know better than we whose answer was read: it resolves by a resource of its own, before anything that waits runs.
#[inline(always)]
fn may_name_another(row: &EventLoop) -> bool {
    row.cause == slice::READ && row.state & COMPLETES != 0 && row.state & DRAINS == 0
}

/// The thread's row. A thread's number may be another's by now: each callback says where its ids are.
#[inline(always)]
fn learn(thread: Thread, environment: u64, process: &Process) -> Option<&'static mut EventLoop> {
    let ids = node::ids_of(environment, process)?;
    if rows::event_loop(thread.pid_tgid).is_none_or(|row| row.ids != ids) {
        let row = EventLoop {
            ids,
            at_ns: 0,
            conn: 0,
            id: 0,
            trigger: 0,
            youngest: 0,
            resolvers: [0; 3],
            nested: 0,
            cause: 0,
            state: 0,
        };
        LOOPS.insert(thread.pid_tgid, row, rows::ANY).ok()?;
    }
    rows::event_loop(thread.pid_tgid)
}

/// How a slice begins.
#[derive(Clone, Copy, Default)]
struct Slice {
    cause: u32,
    conn: u64,
    id: u64,
    trigger: u64,
}

/// JavaScript is called by the loop, or by something that JavaScript has called.
#[inline(always)]
fn called(
    row: &mut EventLoop,
    id: u64,
    trigger: u64,
    thread: Thread,
    process: &Process,
) -> Result<(), Reason> {
    let Some(ids) = user::read::<Ids>(row.ids) else { return Ok(()) };
    let [running, ..] = ids;
    if running != 0 {
        row.nested = id;
        return Ok(());
    }
    if id == 0 {
        return begin(row, Slice { cause: slice::NOBODY, ..Slice::default() }, ids, thread, process);
    }
    if row.cause == slice::READ && row.id == 0 && row.state & WRITTEN == 0 {
        row.id = id;
        row.trigger = trigger;
        return Ok(());
    }
    // Of the parts of one message each is called for itself; of others the constructor may have called the other one.
    let [_, _, youngest] = ids;
    let is_again = row.cause == slice::READ
        || row.cause == slice::CALLBACK && row.youngest == youngest && row.state & WRITTEN == 0;
    if is_again && row.id == id {
        return Ok(());
    }
    let begun = begin(row, Slice { cause: slice::CALLBACK, conn: 0, id, trigger }, ids, thread, process);
    row.state &= !LATER;
    begun
}

/// Ends the slice, and begins the next.
#[inline(always)]
fn begin(
    row: &mut EventLoop,
    next: Slice,
    ids: Ids,
    thread: Thread,
    process: &Process,
) -> Result<(), Reason> {
    let [_, _, youngest] = ids;
    let written = if row.youngest == youngest { Ok(()) } else { write(row, thread, process) };
    row.at_ns = now_ns();
    row.conn = next.conn;
    row.id = next.id;
    row.trigger = next.trigger;
    row.youngest = youngest;
    row.cause = next.cause;
    row.nested = 0;
    row.state &= !(WRITTEN | BOUNDED | DRAINS);
    written
}

/// The slice has an effect: user space must know of it.
#[inline(always)]
fn write(row: &mut EventLoop, thread: Thread, process: &Process) -> Result<(), Reason> {
    if row.state & WRITTEN != 0 || row.cause == 0 {
        return Ok(());
    }
    let record = SliceRecord {
        header: emit::header_by::<SliceRecord>(kind::SLICE, thread, process),
        begun_at_ns: row.at_ns,
        conn: row.conn,
        id: row.id,
        trigger: row.trigger,
        youngest: row.youngest,
        cause: row.cause,
        flags: if row.state & BOUNDED != 0 { slice::IS_BOUNDED } else { 0 },
    };
    emit(&record, Wake::Timer)?;
    row.state |= WRITTEN;
    Ok(())
}
