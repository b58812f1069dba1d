//! What is known of a CPython process: where its threads keep their contexts, and where contexts are created.
//!
//! Shape: a pid → [`Look`]. Read are the exported names of the interpreter's file and a few words of the process's memory, each step
//! checked: `_PyRuntime` leads to the interpreter, that to its threads' states, and a slot of such a thread must lead back to its
//! state. Offsets were measured for each minor version; a wrong one yields no context, never a wrong link. An interpreter that has
//! not begun yet has no threads: it is looked at again.
//! Not here: attaching (see `uprobes`). x86-64 and glibc only.
mod code;
mod image;
mod memory;
mod queue;
mod uvloop;
#[cfg(test)]
mod tests;

pub use code::Place;
pub use queue::Queue;
pub use uvloop::Uvloop;

use image::{Image, Names};
use memory::{Mapped, Memory};
use std::{fs::File, path::PathBuf};
use thiserror::Error;
use wirespan_common::policy::PythonLayout;

/// Why something is not known of a Python process.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Unknown {
    /// A version that nobody has measured.
    #[error("{0} is not a version whose contexts are known (3.9 to 3.14)")]
    Version(String),
    /// The interpreter has no thread yet.
    #[error("its interpreter has not begun")]
    NotBegun,
    /// Births would not be in the order of the ring.
    #[error("contexts of free-threaded builds are not known")]
    FreeThreaded,
    /// No slot of a thread leads to the thread's state: another C library, or a build with other offsets.
    #[error("the state of its threads is not where it is expected")]
    States,
    /// The code that creates contexts is not as expected.
    #[error("the code of PyContext_CopyCurrent is not as expected")]
    Code,
}

/// The interpreter of a process.
#[derive(Clone, Debug)]
pub struct Interpreter {
    /// `3.12`.
    pub version: String,
    /// The file that holds it, where the agent can open it.
    pub path: PathBuf,
    /// Its name, as the process sees it.
    pub name: PathBuf,
    /// Where a thread keeps its context.
    pub layout: Result<PythonLayout, Unknown>,
    /// Where a new context is in a register, as offsets in the file.
    pub births: Result<Vec<Place>, Unknown>,
}

/// Where the states of threads are, by minor version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct States {
    /// Of the first interpreter in `_PyRuntime`.
    interpreter: u64,
    /// Of the first thread in that.
    thread: u64,
    /// Of `pthread_self` in a thread's state.
    thread_id: u64,
    /// Of the context in a thread's state.
    context: u32,
}

/// The first minor version of Python 3 with these offsets. 3.13 and later say at the beginning of `_PyRuntime` where the first two are.
const STATES: [(u64, States); 4] = [
    (9, States { interpreter: 32, thread: 8, thread_id: 176, context: 240 }),
    (11, States { interpreter: 40, thread: 16, thread_id: 152, context: 224 }),
    (12, States { interpreter: 40, thread: 72, thread_id: 136, context: 208 }),
    (13, States { interpreter: 632, thread: 7344, thread_id: 152, context: 208 }),
];
/// The last minor version that was measured.
const LAST_MINOR: u64 = 14;
/// `PyThreadState.next`.
const NEXT: u64 = 8;
/// `PyContext.ctx_entered`.
const ENTERED: u32 = 40;
/// Offset of `specific_1stblock` in glibc's `struct pthread`, and of the pointer in an entry of it.
const SLOTS: u64 = 784 + 8;
const SLOT_BYTES: u64 = 16;
const SLOTS_MAX: u64 = 32;
/// Threads that are looked at.
const THREADS_MAX: usize = 64;

/// Looks at a process. `None`: it has no interpreter of Python, or none yet.
#[must_use]
pub fn look(pid: u32) -> Option<Interpreter> {
    memory::mapped(pid)?.into_iter().find_map(|mapped| {
        let file = File::open(&mapped.path).ok()?;
        let image = Image::read(&file)?;
        Some(inspect(pid, mapped, &image))
    })
}

/// Where a process hands work to other threads. `None`: nothing that is known.
#[must_use]
pub fn look_for_queue(pid: u32, interpreter: &Interpreter) -> Option<Queue> {
    queue::look(pid, &interpreter.path, &interpreter.name)
}

/// The uvloop of a process. `None`: it has loaded none, or none yet.
#[must_use]
pub fn look_for_uvloop(pid: u32) -> Option<Uvloop> {
    uvloop::look(pid)
}

fn inspect(pid: u32, mapped: Mapped, image: &Image<'_>) -> Interpreter {
    let Names { copy_current, version, .. } = image.names;
    let minor = minor(image, version);
    let version = minor.map_or_else(|| "this version".to_owned(), |minor| format!("3.{minor}"));
    let states = minor
        .filter(|minor| *minor <= LAST_MINOR)
        .and_then(|minor| STATES.iter().rev().find(|(first, _)| *first <= minor))
        .map(|(_, states)| *states)
        .ok_or_else(|| Unknown::Version(version.clone()));
    let memory = Memory::of(pid).zip(image.base(mapped.start));
    let layout = match (states, &memory) {
        (Ok(states), Some((memory, base))) => layout(memory, *base, image, states),
        (Ok(_), None) => Err(Unknown::States),
        (Err(unknown), _) => Err(unknown),
    };
    let births = code::results(image, copy_current).ok_or(Unknown::Code).map(|mut places| {
        let others = memory.map(|(memory, base)| rare(&memory, base, image)).unwrap_or_default();
        places.extend(others.into_iter().filter_map(|address| code::results(image, address)).flatten());
        places.sort_unstable();
        places.dedup();
        places
    });
    Interpreter { version, path: mapped.path, name: mapped.name, layout, births }
}

/// 12 of 3.12. Before 3.11 the file does not say; 3.9 and 3.10 have the same offsets.
fn minor(image: &Image<'_>, version: u64) -> Option<u64> {
    match version {
        0 => (image.names.get_interpreter != 0).then_some(10),
        version => image.word(version).filter(|word| word >> 24 == 3).map(|word| word >> 16 & 0xff),
    }
}

/// Functions that create contexts beside `PyContext_CopyCurrent`: `Context()` and `Context.copy`. Programs hardly call them, but an
/// address that such a context uses again must not be taken for the one before.
fn rare(memory: &Memory, base: u64, image: &Image<'_>) -> Vec<u64> {
    // Source: Include/cpython/object.h `PyTypeObject`, Include/methodobject.h `PyMethodDef` (3.9 to 3.14).
    const METHODS: u64 = 232;
    const NEW: u64 = 312;
    const METHOD_BYTES: u64 = 32;
    const METHODS_MAX: u64 = 32;
    const COPY: u64 = u64::from_le_bytes(*b"copy\0\0\0\0");
    const COPY_BYTES: u64 = (1 << 40) - 1;
    let context_type = base.wrapping_add(image.names.context_type);
    let new = memory.word(context_type.wrapping_add(NEW));
    let methods = memory.word(context_type.wrapping_add(METHODS));
    let copy = methods.and_then(|methods| {
        let mut entries = (0..METHODS_MAX).map(|at| methods.wrapping_add(METHOD_BYTES * at));
        let entry = entries.find(|entry| {
            let name = memory.word(*entry).and_then(|name| memory.word(name));
            name.is_some_and(|name| name & COPY_BYTES == COPY)
        })?;
        memory.word(entry.wrapping_add(8))
    });
    let functions = [new, copy].into_iter().flatten();
    functions.filter_map(|function| function.checked_sub(base)).collect()
}

fn layout(memory: &Memory, base: u64, image: &Image<'_>, states: States) -> Result<PythonLayout, Unknown> {
    let runtime = base.wrapping_add(image.names.runtime);
    let context_type = base.wrapping_add(image.names.context_type);
    let states = stated(memory, runtime, states)?;
    let first = memory.word(runtime.wrapping_add(states.interpreter)).filter(|interpreter| *interpreter != 0);
    let first = first.and_then(|interpreter| memory.word(interpreter.wrapping_add(states.thread)));
    let mut state = first.filter(|state| *state != 0).ok_or(Unknown::NotBegun)?;
    let mut has_thread = false;
    for _ in 0..THREADS_MAX {
        let thread = memory.word(state.wrapping_add(states.thread_id)).filter(|thread| *thread != 0);
        has_thread |= thread.is_some();
        if let Some(slot) = thread.and_then(|thread| slot(memory, thread, state)) {
            return Ok(PythonLayout {
                context_type,
                state_slot: slot,
                context_offset: states.context,
                entered_offset: ENTERED,
                reserved: [0; 3],
            });
        }
        match memory.word(state.wrapping_add(NEXT)) {
            Some(0) => break,
            Some(next) => state = next,
            None => return Err(Unknown::States),
        }
    }
    Err(if has_thread { Unknown::States } else { Unknown::NotBegun })
}

/// What the interpreter itself says of its offsets. Source: Include/internal/pycore_debug_offsets.h `_Py_DebugOffsets` (3.13, 3.14).
fn stated(memory: &Memory, runtime: u64, states: States) -> Result<States, Unknown> {
    const COOKIE: u64 = u64::from_le_bytes(*b"xdebugpy");
    // Numbers of the fields `free_threaded`, `runtime_state.interpreters_head` and `interpreter_state.threads_head`.
    const FREE_THREADED: u64 = 2;
    const INTERPRETER: u64 = 5;
    const THREAD: u64 = 9;
    let said = || {
        let field = |at: u64| memory.word(runtime.wrapping_add(8 * at));
        if field(0)? != COOKIE {
            return None;
        }
        Some((field(FREE_THREADED)?, field(INTERPRETER)?, field(THREAD)?))
    };
    match said() {
        Some((1.., _, _)) => Err(Unknown::FreeThreaded),
        Some((0, interpreter, thread)) if interpreter < 1 << 20 && thread < 1 << 20 => {
            Ok(States { interpreter, thread, ..states })
        }
        _ => Ok(states),
    }
}

/// The slot of a thread, from its fs base, that leads to its state.
fn slot(memory: &Memory, thread: u64, state: u64) -> Option<u32> {
    let mut slots = (0..SLOTS_MAX).map(|key| SLOTS + SLOT_BYTES * key);
    let found = slots.find(|slot| memory.word(thread.wrapping_add(*slot)) == Some(state))?;
    u32::try_from(found).ok()
}
