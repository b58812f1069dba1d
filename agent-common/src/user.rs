//! `aya::Pod` for what crosses a map or a global: the one list, and the crate's only unsafe.
#![expect(unsafe_code, reason = "aya::Pod is an unsafe trait")]
use crate::{offsets, policy};

/// Implements `aya::Pod` after having the compiler check what it promises.
macro_rules! pod {
    ($($name:ty,)+) => {$(
        const _: () = {
            const fn is_plain<T: zerocopy::FromBytes + zerocopy::IntoBytes + Copy + 'static>() {}
            is_plain::<$name>();
        };
        // SAFETY: `FromBytes + IntoBytes`, checked above: any bytes are a value, and a value has no padding.
        unsafe impl aya::Pod for $name {}
    )+};
}

pod! {
    offsets::Kernel,
    offsets::Offsets,
    policy::ConnectionState,
    policy::FrameWalks,
    policy::Policy,
    policy::Process,
}
