//! Two ways to read a field of a kernel object: a plain load through a pointer whose type the verifier knows, or a copy by helper.
use aya_ebpf::helpers::bpf_probe_read_kernel;
use wirespan_common::reason::Reason;

/// How the fields behind a pointer are read.
pub(crate) trait Access {
    /// The field of type `T` at `offset` from `base`.
    fn read<T: Copy>(base: *const u8, offset: u32) -> Result<T, Reason>;
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
}

impl Access for Probed {
    #[inline(always)]
    fn read<T: Copy>(base: *const u8, offset: u32) -> Result<T, Reason> {
        let field = base.wrapping_add(offset as usize).cast::<T>();
        // SAFETY: the helper checks the address.
        unsafe { bpf_probe_read_kernel(field) }.map_err(|_| Reason::KernelMemory)
    }
}
