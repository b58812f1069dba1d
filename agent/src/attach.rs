//! Loads the kernel programs, chooses hooks, writes policies. Only this room and `events/ring.rs` name aya.
//!
//! Shape: [`Settings`] in; [`Kernel`] out, which owns every link: dropping it, or the end of the process in any way,
//! detaches everything, because nothing is pinned. What was chosen, and why not the rest, is a value: [`HookReport`].
//! Not here: which processes to observe (see `discover`), what the records mean (see `events`).
pub mod btf;
mod cookies;
mod elf;
pub mod go;
pub mod hooks;
mod kernel;
mod load;
mod losses;
mod nginx;
pub mod node;
pub mod offsets;
pub mod python;
mod policies;
mod processes;
mod pythons;
mod rehearsal;
mod report;
mod tracefs;
mod uprobes;

pub use self::{
    hooks::{HookId, Kind},
    kernel::{Error, FollowExec, Kernel, Settings, Survey, survey},
    losses::{Misses, ProgramCount},
    processes::Runtime,
    report::{HookReport, Outcome, ProgramReport, VariantReport},
};
