//! Time, CPU and identity of the running task.
use aya_ebpf::helpers::{bpf_get_current_pid_tgid, generated};

/// `CLOCK_MONOTONIC` nanoseconds.
#[inline(always)]
pub(crate) fn now_ns() -> u64 {
    // SAFETY: no arguments.
    unsafe { generated::bpf_ktime_get_ns() }
}

/// Number of this CPU.
#[inline(always)]
pub(crate) fn cpu() -> u32 {
    // SAFETY: no arguments.
    unsafe { generated::bpf_get_smp_processor_id() }
}

/// The running thread.
#[derive(Clone, Copy)]
pub(crate) struct Thread {
    /// tgid in the upper half, pid in the lower.
    pub pid_tgid: u64,
}

impl Thread {
    /// The current one.
    #[inline(always)]
    pub(crate) fn current() -> Self {
        Self { pid_tgid: bpf_get_current_pid_tgid() }
    }

    /// Its process.
    #[inline(always)]
    pub(crate) fn tgid(self) -> u32 {
        (self.pid_tgid >> 32) as u32
    }

    /// Itself.
    #[inline(always)]
    pub(crate) fn tid(self) -> u32 {
        self.pid_tgid as u32
    }
}
