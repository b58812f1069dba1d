//! Fields of `task_struct`. Source: include/linux/sched.h (v6.18).
use crate::kernel::{
    access::{Access, Typed},
    globals::{offset, setting},
    regs::COMPAT,
};
use aya_ebpf::helpers::{bpf_probe_read_kernel_str_bytes, generated};
use wirespan_common::reason::Reason;

/// A task whose pointer the verifier knows.
#[derive(Clone, Copy)]
pub(crate) struct Task(*const u8);

impl Task {
    /// A tracepoint's argument.
    #[inline(always)]
    pub(crate) fn new(task: *const u8) -> Self {
        Self(task)
    }

    /// The one that runs.
    #[inline(always)]
    pub(crate) fn current() -> Self {
        // SAFETY: no arguments.
        Self(unsafe { generated::bpf_get_current_task_btf() }.cast_const().cast())
    }

    /// The kernel's pointer.
    #[inline(always)]
    pub(crate) fn as_ptr(self) -> *const u8 {
        self.0
    }

    /// Its process.
    #[inline(always)]
    pub(crate) fn tgid(self) -> Result<u32, Reason> {
        Typed::read(self.0, offset!(task_tgid))
    }

    /// Itself.
    #[inline(always)]
    pub(crate) fn tid(self) -> Result<u32, Reason> {
        Typed::read(self.0, offset!(task_pid))
    }

    /// Start of its process in clock ticks, as `/proc/PID/stat` field 22 shows it.
    #[inline(always)]
    pub(crate) fn start_ticks(self) -> Result<u32, Reason> {
        let leader: *const u8 = Typed::read(self.0, offset!(task_group_leader))?;
        let start_ns: u64 = Typed::read(leader, offset!(task_start_boottime))?;
        let tick_ns = u64::from(setting!(tick_ns));
        Ok(start_ns.checked_div(tick_ns).unwrap_or_default() as u32)
    }

    /// Threads of its process that have not ended.
    #[inline(always)]
    pub(crate) fn live_threads(self) -> Result<u32, Reason> {
        let signal: *const u8 = Typed::read(self.0, offset!(task_signal))?;
        Typed::read(signal, offset!(signal_live))
    }

    /// Exit code as `wait` shows it.
    #[inline(always)]
    pub(crate) fn exit_code(self) -> Result<u32, Reason> {
        Typed::read(self.0, offset!(task_exit_code))
    }

    /// Start and end of the argument block in user memory.
    #[inline(always)]
    pub(crate) fn arguments(self) -> Result<(u64, u64), Reason> {
        let mm: *const u8 = Typed::read(self.0, offset!(task_mm))?;
        Ok((Typed::read(mm, offset!(mm_arg_start))?, Typed::read(mm, offset!(mm_arg_end))?))
    }

    /// Is a 32-bit system call running?
    #[inline(always)]
    pub(crate) fn in_compat_call(self) -> Result<bool, Reason> {
        let status: u32 = Typed::read(self.0, offset!(task_status))?;
        Ok(status & COMPAT != 0)
    }

    /// Start of the running thread's own storage in user memory.
    #[inline(always)]
    pub(crate) fn thread_storage(self) -> Result<u64, Reason> {
        Typed::read(self.0, offset!(task_fsbase))
    }
}

/// The file that is being executed, as the caller named it. Source: include/linux/binfmts.h.
#[inline(always)]
pub(crate) fn executed_file(binprm: *const u8, to: &mut [u8]) -> Result<(), Reason> {
    let name: *const u8 = Typed::read(binprm, offset!(binprm_filename))?;
    // SAFETY: the helper checks the address and writes at most `to.len()` bytes.
    unsafe { bpf_probe_read_kernel_str_bytes(name, to) }.map(|_| ()).map_err(|_| Reason::KernelMemory)
}
