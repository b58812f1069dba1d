//! The read-only globals that user space fills in before loading: the verifier knows their values and drops dead branches.
use wirespan_common::offsets::{Kernel, Offsets};

/// Offsets of this kernel's fields.
#[unsafe(no_mangle)]
pub(crate) static OFFSETS: Offsets = Offsets::UNKNOWN;

/// What else differs between kernels, and settings.
#[unsafe(no_mangle)]
pub(crate) static KERNEL: Kernel = Kernel::UNKNOWN;

/// One offset, read where it is used: the compiler must not take the value from the initialiser.
macro_rules! offset {
    ($field:ident) => {
        // SAFETY: a field of an initialised static.
        unsafe { core::ptr::read_volatile(&raw const $crate::kernel::globals::OFFSETS.$field) }
    };
}

/// One field of [`KERNEL`].
macro_rules! setting {
    ($field:ident) => {
        // SAFETY: a field of an initialised static.
        unsafe { core::ptr::read_volatile(&raw const $crate::kernel::globals::KERNEL.$field) }
    };
}

pub(crate) use {offset, setting};

/// What is done about programs that are executed.
#[inline(always)]
pub(crate) fn follow_exec() -> u32 {
    setting!(follow_exec)
}

/// Bytes in the ring above which user space is woken.
#[inline(always)]
pub(crate) fn high_water_bytes() -> u64 {
    u64::from(setting!(high_water_bytes))
}

/// Is `flags` the fifth parameter of `tcp_recvmsg`, or the fourth?
#[inline(always)]
pub(crate) fn recvmsg_flags_are_fifth() -> bool {
    setting!(recvmsg_flags_arg) == 4
}
