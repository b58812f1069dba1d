//! The only readers of kernel and user memory, and of map rows: what the verifier checks, as safe values.
pub(crate) mod access;
pub(crate) mod clock;
pub(crate) mod file;
pub(crate) mod globals;
pub(crate) mod opaque;
pub(crate) mod regs;
pub(crate) mod rows;
pub(crate) mod runtime;
pub(crate) mod sock;
pub(crate) mod task;
pub(crate) mod user;
