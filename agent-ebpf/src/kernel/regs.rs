//! The running system call: its number and arguments, from the registers saved at its entry.
//!
//! Shape: what differs between processors is in a file for each, with the registers at a probe in a program's code.
#[cfg(bpf_target_arch = "aarch64")]
#[path = "regs/aarch64.rs"]
mod arch;
#[cfg(not(bpf_target_arch = "aarch64"))]
#[path = "regs/x86_64.rs"]
mod arch;

pub(crate) use arch::{COMPAT, Registers, number};

use crate::kernel::{
    access::{Access, Typed},
    task::Task,
};
use arch::{ARGUMENTS, NUMBER};
use aya_ebpf::helpers::generated;
use core::ffi::c_void;
use wirespan_common::reason::Reason;

/// A running system call.
#[derive(Clone, Copy)]
pub(crate) struct SystemCall {
    regs: *const u8,
}

impl SystemCall {
    /// Of the current task.
    #[inline(always)]
    pub(crate) fn current(task: Task) -> Self {
        // SAFETY: the verifier checks the pointer's type.
        let regs = unsafe { generated::bpf_task_pt_regs(task.as_ptr().cast_mut().cast()) };
        Self { regs: (regs as *const u8) }
    }

    /// Its number; `None` if no call is running.
    #[inline(always)]
    pub(crate) fn number(self) -> Result<Option<u64>, Reason> {
        if arch::is_running(self.regs)? { Ok(Some(self.returned_number()?)) } else { Ok(None) }
    }

    /// Its number at its exit. It has 32 bits.
    #[inline(always)]
    pub(crate) fn returned_number(self) -> Result<u64, Reason> {
        let number: u32 = Typed::read(self.regs, NUMBER)?;
        Ok(u64::from(number))
    }

    /// First argument: the file descriptor.
    #[inline(always)]
    pub(crate) fn first(self) -> Result<u64, Reason> {
        Typed::read(self.regs, ARGUMENTS[0])
    }

    /// Second argument: the buffer, iovec, msghdr or mmsghdr.
    #[inline(always)]
    pub(crate) fn second(self) -> Result<u64, Reason> {
        Typed::read(self.regs, ARGUMENTS[1])
    }

    /// Third argument: its length or count.
    #[inline(always)]
    pub(crate) fn third(self) -> Result<u64, Reason> {
        Typed::read(self.regs, ARGUMENTS[2])
    }

    /// Fourth argument: the flags of `recvfrom` and `recvmmsg`.
    #[inline(always)]
    pub(crate) fn fourth(self) -> Result<u64, Reason> {
        Typed::read(self.regs, ARGUMENTS[3])
    }

    /// Fifth argument: the time limit of `recvmmsg`.
    #[inline(always)]
    pub(crate) fn fifth(self) -> Result<u64, Reason> {
        Typed::read(self.regs, ARGUMENTS[4])
    }
}

/// Result of a call, from the context of a `sys_exit_*` tracepoint: common fields, number, then result.
#[inline(always)]
pub(crate) fn result(context: *mut c_void) -> i64 {
    let result = context.cast::<i64>().wrapping_add(2);
    // SAFETY: the verifier checks the load against the size of a tracepoint's context.
    unsafe { result.read() }
}
