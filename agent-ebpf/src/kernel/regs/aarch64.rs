//! arm64. Source: arch/arm64/include/asm/ptrace.h, include/uapi/asm-generic/unistd.h (v6.18).
use crate::kernel::access::{Access, Typed};
use core::{ffi::c_void, mem::offset_of};
use wirespan_common::reason::Reason;

/// The first fields of `struct pt_regs` of arm64, little-endian.
#[repr(C)]
struct PtRegs {
    regs: [u64; 31],
    sp: u64,
    pc: u64,
    pstate: u64,
    orig_x0: u64,
    syscallno: i32,
}

/// Numbers of the calls that move bytes of a socket.
pub(crate) mod number {
    pub(crate) const READ: u64 = 63;
    pub(crate) const WRITE: u64 = 64;
    pub(crate) const READV: u64 = 65;
    pub(crate) const WRITEV: u64 = 66;
    pub(crate) const SPLICE: u64 = 76;
    pub(crate) const SENDTO: u64 = 206;
    pub(crate) const RECVFROM: u64 = 207;
    pub(crate) const SENDMSG: u64 = 211;
    pub(crate) const RECVMSG: u64 = 212;
    pub(crate) const RECVMMSG: u64 = 243;
    pub(crate) const SENDMMSG: u64 = 269;
    pub(crate) const PREADV2: u64 = 286;
    pub(crate) const PWRITEV2: u64 = 287;
}

/// Says of a task that it is a 32-bit program. Source: arch/arm64/include/asm/thread_info.h `TIF_32BIT`.
pub(crate) const COMPAT: u32 = 1 << 22;
/// Where the number of a system call is.
pub(super) const NUMBER: u32 = offset_of!(PtRegs, syscallno) as u32;
/// Where its first five arguments are. The first register holds the result once the call is over.
pub(super) const ARGUMENTS: [u32; 5] = [offset_of!(PtRegs, orig_x0) as u32, 8, 16, 24, 32];

/// Is a system call running? Not in a kernel thread or io_uring worker, which has no user instruction pointer, nor in work done on
/// the way back to user space, when the first register already holds the call's result.
#[inline(always)]
pub(super) fn is_running(regs: *const u8) -> Result<bool, Reason> {
    let first: u64 = Typed::read(regs, offset_of!(PtRegs, regs) as u32)?;
    let given: u64 = Typed::read(regs, offset_of!(PtRegs, orig_x0) as u32)?;
    let pc: u64 = Typed::read(regs, offset_of!(PtRegs, pc) as u32)?;
    Ok(first == given && pc != 0)
}

/// The registers of a program at a probe in its code: no place in code for arm64 is known, so none of this is ever attached there.
#[derive(Clone, Copy)]
pub(crate) struct Registers;

/// Registers that only x86-64 has.
macro_rules! absent {
    ($($name:ident),+) => {
        $(
            /// None.
            #[inline(always)]
            pub(crate) fn $name(self) -> Result<u64, Reason> {
                Err(Reason::Internal)
            }
        )+
    };
}

impl Registers {
    /// From the probe's context.
    #[inline(always)]
    pub(crate) fn of_probe(_context: *mut c_void) -> Self {
        Self
    }

    /// None.
    #[inline(always)]
    pub(crate) fn named(self, _number: u64) -> Result<u64, Reason> {
        Err(Reason::Internal)
    }

    absent!(ax, bx, cx, si, r8, r14);
}
