//! Where the bytes of a call are in user memory.
//!
//! Shape: a [`Buffer`], found in the saved registers or in the kernel's iterator; read at the return of the call: at its entry
//! up to a third of the pages are not there yet.
use crate::kernel::user;

/// Kinds of buffers. Numbers, because they pass through map memory.
pub(crate) mod shape {
    /// None that could be found.
    pub(crate) const NOWHERE: u32 = 0;
    /// One piece of memory.
    pub(crate) const FLAT: u32 = 1;
    /// An array of `struct iovec`.
    pub(crate) const VECTOR: u32 = 2;
    /// A `struct user_msghdr` that points to one.
    pub(crate) const MESSAGE: u32 = 3;
}

/// A call's buffer.
#[derive(Clone, Copy)]
pub(crate) struct Buffer {
    /// One of [`shape`]: what `address` points to.
    pub shape: u32,
    /// User address, or kernel address of the first entry of a kernel iovec.
    pub address: u64,
    /// Entries of a vector.
    pub segments: u64,
    /// Bytes to pass over in the first one.
    pub offset: u64,
}

impl Buffer {
    /// There is none.
    pub(crate) const NOWHERE: Self = Self { shape: shape::NOWHERE, address: 0, segments: 0, offset: 0 };

    /// One piece of memory.
    #[inline(always)]
    pub(crate) const fn flat(address: u64) -> Self {
        Self { shape: shape::FLAT, address, ..Self::NOWHERE }
    }

    /// An array of `struct iovec`.
    #[inline(always)]
    pub(crate) const fn vector(address: u64, segments: u64) -> Self {
        Self { shape: shape::VECTOR, address, segments, ..Self::NOWHERE }
    }

    /// A `struct user_msghdr`.
    #[inline(always)]
    pub(crate) const fn message(address: u64) -> Self {
        Self { shape: shape::MESSAGE, address, ..Self::NOWHERE }
    }

    /// A message as the vector it points to. Source: include/linux/socket.h `struct user_msghdr`.
    #[inline(always)]
    pub(crate) fn resolved(self) -> Self {
        const MSG_IOV: u64 = 16;
        if self.shape != shape::MESSAGE {
            return self;
        }
        match user::read::<Segment>(self.address.wrapping_add(MSG_IOV)) {
            Some(Segment { base: address, len: segments }) => Self::vector(address, segments),
            None => Self::NOWHERE,
        }
    }
}

/// `struct iovec`; `msg_iov` and `msg_iovlen` of a message have the same layout.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Segment {
    /// Where.
    pub base: u64,
    /// How long.
    pub len: u64,
}

/// Where the entries of a vector are.
pub(crate) trait Entries {
    /// The entry at `address`.
    fn read(address: u64) -> Option<Segment>;
}

/// In user memory, as the call's arguments name it.
pub(crate) struct UserEntries;

impl Entries for UserEntries {
    #[inline(always)]
    fn read(address: u64) -> Option<Segment> {
        user::read(address)
    }
}
