//! Memory of the process whose call is running.
use aya_ebpf::helpers::{bpf_probe_read_user, generated};
use core::{ffi::c_void, hint::black_box};

/// A plain value.
#[inline(always)]
pub(crate) fn read<T: Copy>(address: u64) -> Option<T> {
    // SAFETY: the helper checks the address and never faults a page in.
    unsafe { bpf_probe_read_user(address as *const T) }.ok()
}

/// `len` bytes into `to`, all or none. `len` is at most `to.len()` by the caller's masks, which the verifier checks.
#[inline(always)]
pub(crate) fn copy(to: *mut u8, len: u32, address: u64) -> bool {
    // SAFETY: the verifier checks `to` and `len`, the helper checks the address.
    unsafe { generated::bpf_probe_read_user(to.cast::<c_void>(), len, address as *const c_void) == 0 }
}

/// Up to 7 bytes, in the low bytes of the result.
#[inline(always)]
pub(crate) fn read_short(address: u64, len: u64) -> Option<u64> {
    let mut value = 0_u64;
    // The compiler knows that the mask changes nothing; the verifier does not, and must see it.
    copy((&raw mut value).cast(), (black_box(len) & 7) as u32, address).then_some(value)
}

/// Eight bytes of a copy, from `place` on.
#[inline(always)]
pub(crate) fn word<const N: usize>(copy: &[u8; N], place: u32) -> u64 {
    const {
        assert!(N > 0x4000 + 8);
    }
    let word = copy.as_ptr().wrapping_add((place & 0x3fff) as usize).cast::<u64>();
    // SAFETY: `N` is larger than the masked place by more than eight bytes.
    unsafe { word.read_unaligned() }
}
