//! x86-64. Source: arch/x86/include/asm/ptrace.h, arch/x86/entry/syscalls/syscall_64.tbl (v6.18).
use crate::kernel::access::{Access, Probed, Typed};
use core::{ffi::c_void, mem::offset_of};
use wirespan_common::{event::register, reason::Reason};

/// `struct pt_regs` of x86-64.
#[repr(C)]
struct PtRegs {
    r15: u64,
    r14: u64,
    r13: u64,
    r12: u64,
    bp: u64,
    bx: u64,
    r11: u64,
    r10: u64,
    r9: u64,
    r8: u64,
    ax: u64,
    cx: u64,
    dx: u64,
    si: u64,
    di: u64,
    orig_ax: u64,
    ip: u64,
}

/// Numbers of the calls that move bytes of a socket.
pub(crate) mod number {
    pub(crate) const READ: u64 = 0;
    pub(crate) const WRITE: u64 = 1;
    pub(crate) const READV: u64 = 19;
    pub(crate) const WRITEV: u64 = 20;
    pub(crate) const SENDTO: u64 = 44;
    pub(crate) const RECVFROM: u64 = 45;
    pub(crate) const SENDMSG: u64 = 46;
    pub(crate) const RECVMSG: u64 = 47;
    pub(crate) const SPLICE: u64 = 275;
    pub(crate) const RECVMMSG: u64 = 299;
    pub(crate) const SENDMMSG: u64 = 307;
    pub(crate) const PREADV2: u64 = 327;
    pub(crate) const PWRITEV2: u64 = 328;
}

/// Says of a task that a 32-bit system call is running. Source: arch/x86/include/asm/thread_info.h `TS_COMPAT`.
pub(crate) const COMPAT: u32 = 2;
/// Where the number of a system call is.
pub(super) const NUMBER: u32 = offset_of!(PtRegs, orig_ax) as u32;
/// Where its first five arguments are.
pub(super) const ARGUMENTS: [u32; 5] = [
    offset_of!(PtRegs, di) as u32,
    offset_of!(PtRegs, si) as u32,
    offset_of!(PtRegs, dx) as u32,
    offset_of!(PtRegs, r10) as u32,
    offset_of!(PtRegs, r8) as u32,
];

/// Is a system call running? Not in a kernel thread or io_uring worker, which has no user instruction pointer, nor in work done on
/// the way back to user space (io_uring completions), when `ax` already holds the call's result.
#[inline(always)]
pub(super) fn is_running(regs: *const u8) -> Result<bool, Reason> {
    const ENOSYS: i64 = 38;
    let ax: u64 = Typed::read(regs, offset_of!(PtRegs, ax) as u32)?;
    let ip: u64 = Typed::read(regs, offset_of!(PtRegs, ip) as u32)?;
    Ok(ax as i64 == -ENOSYS && ip != 0)
}

/// The registers of a program at a probe in its code.
#[derive(Clone, Copy)]
pub(crate) struct Registers(*const u8);

impl Registers {
    /// From the probe's context.
    #[inline(always)]
    pub(crate) fn of_probe(context: *mut c_void) -> Self {
        Self(context.cast_const().cast())
    }

    /// `RAX`.
    #[inline(always)]
    pub(crate) fn ax(self) -> Result<u64, Reason> {
        Typed::read(self.0, offset_of!(PtRegs, ax) as u32)
    }

    /// `RBX`.
    #[inline(always)]
    pub(crate) fn bx(self) -> Result<u64, Reason> {
        Typed::read(self.0, offset_of!(PtRegs, bx) as u32)
    }

    /// The one that user space named when it attached the probe, by [`register`].
    #[inline(always)]
    pub(crate) fn named(self, number: u64) -> Result<u64, Reason> {
        let place = match number {
            register::AX => offset_of!(PtRegs, ax),
            register::BX => offset_of!(PtRegs, bx),
            register::BP => offset_of!(PtRegs, bp),
            register::DI => offset_of!(PtRegs, di),
            register::R12 => offset_of!(PtRegs, r12),
            register::R13 => offset_of!(PtRegs, r13),
            register::R14 => offset_of!(PtRegs, r14),
            register::R15 => offset_of!(PtRegs, r15),
            register::SI => offset_of!(PtRegs, si),
            _ => return Err(Reason::Internal),
        };
        // The verifier wants a load from the context to be at a place that it knows.
        Probed::read(self.0, place as u32)
    }

    /// `RCX`.
    #[inline(always)]
    pub(crate) fn cx(self) -> Result<u64, Reason> {
        Typed::read(self.0, offset_of!(PtRegs, cx) as u32)
    }

    /// `RSI`.
    #[inline(always)]
    pub(crate) fn si(self) -> Result<u64, Reason> {
        Typed::read(self.0, offset_of!(PtRegs, si) as u32)
    }

    /// `R8`.
    #[inline(always)]
    pub(crate) fn r8(self) -> Result<u64, Reason> {
        Typed::read(self.0, offset_of!(PtRegs, r8) as u32)
    }

    /// `R14`.
    #[inline(always)]
    pub(crate) fn r14(self) -> Result<u64, Reason> {
        Typed::read(self.0, offset_of!(PtRegs, r14) as u32)
    }
}
