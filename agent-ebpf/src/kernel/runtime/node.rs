//! Async ids of Node.js. Source: src/env.h `AsyncHooks::Fields`, src/async_wrap.h `AsyncWrap` (v18 to v26); where they are differs by
//! version and is told by user space.
use crate::kernel::{clock::Thread, rows, user};
use wirespan_common::policy::{NodeLayout, Process};

/// Offset of the pointer to the `Realm` in `BaseObject`, the same from v18 to v26 (before, an `Environment` was there).
const REALM: u64 = 16;

/// Where this program keeps its async ids.
#[inline(always)]
pub(crate) fn layout(process: &Process) -> &NodeLayout {
    zerocopy::transmute_ref!(&process.layout)
}

/// The numbers of the running thread: of the work that runs, of what triggered it, and the youngest.
#[inline(always)]
pub(crate) fn ids() -> [u64; 3] {
    let Some(event_loop) = rows::event_loop(Thread::current().pid_tgid) else { return [0; 3] };
    user::read(event_loop.ids).unwrap_or_default()
}

/// Address of the async ids of an `Environment`.
#[inline(always)]
pub(crate) fn ids_of(environment: u64, process: &Process) -> Option<u64> {
    user::read(environment.wrapping_add(u64::from(layout(process).ids_offset)))
}

/// The `Environment` of an `AsyncWrap`.
#[inline(always)]
pub(crate) fn environment_of(wrap: u64, process: &Process) -> Option<u64> {
    let realm: u64 = user::read(wrap.wrapping_add(REALM))?;
    user::read(realm.wrapping_add(u64::from(layout(process).environment_offset)))
}

/// The async id of an `AsyncWrap`, and the one that triggered it.
#[inline(always)]
pub(crate) fn of_wrap(wrap: u64, process: &Process) -> Option<[u64; 2]> {
    user::read(wrap.wrapping_add(u64::from(layout(process).wrap_id_offset)))
}
