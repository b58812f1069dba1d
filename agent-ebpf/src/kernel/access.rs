//! Two ways to read a field of a kernel object: a plain load through a pointer whose type the verifier knows, or a copy by helper.
use aya_ebpf::helpers::{bpf_probe_read_kernel, generated};
use core::ffi::c_void;
use wirespan_common::reason::Reason;

/// How the fields behind a pointer are read.
pub(crate) trait Access {
    /// The field of type `T` at `offset` from `base`.
    fn read<T: Copy>(base: *const u8, offset: u32) -> Result<T, Reason>;

    /// The cookie of a `struct sock` that has none yet.
    fn make_cookie(sock: *const u8) -> Result<u64, Reason>;
}

/// The pointer came typed from BTF (tp_btf and fexit arguments, helpers): a load, no helper.
pub(crate) struct Typed;

/// The pointer is a number (kprobe arguments, results of other probed reads).
pub(crate) struct Probed;

impl Access for Typed {
    #[inline(always)]
    fn read<T: Copy>(base: *const u8, offset: u32) -> Result<T, Reason> {
        let field = base.wrapping_add(offset as usize).cast::<T>();
        // SAFETY: the verifier checks the load against the BTF of the pointer's type and makes a faulting one read zero.
        Ok(unsafe { field.read() })
    }

    #[inline(always)]
    fn make_cookie(sock: *const u8) -> Result<u64, Reason> {
        // SAFETY: the verifier checks the pointer's type.
        Ok(unsafe { generated::bpf_get_socket_cookie(sock.cast_mut().cast::<c_void>()) })
    }
}

impl Access for Probed {
    #[inline(always)]
    fn read<T: Copy>(base: *const u8, offset: u32) -> Result<T, Reason> {
        let field = base.wrapping_add(offset as usize).cast::<T>();
        // SAFETY: the helper checks the address.
        unsafe { bpf_probe_read_kernel(field) }.map_err(|_| Reason::KernelMemory)
    }

    /// Only a typed program or a `sock_diag` dump can make one.
    #[inline(always)]
    fn make_cookie(_sock: *const u8) -> Result<u64, Reason> {
        Err(Reason::NoCookie)
    }
}
