//! Flags of a receive. Source: include/linux/socket.h (v6.18).

const MSG_OOB: u32 = 0x1;
const MSG_PEEK: u32 = 0x2;
const MSG_TRUNC: u32 = 0x20;
const MSG_ERRQUEUE: u32 = 0x2000;

/// Does it leave the bytes where they are, or read something that is not in the stream?
#[inline(always)]
pub(crate) const fn takes_nothing(flags: u32) -> bool {
    flags & (MSG_OOB | MSG_PEEK | MSG_ERRQUEUE) != 0
}

/// Does it throw the bytes away instead of copying them?
#[inline(always)]
pub(crate) const fn discards(flags: u32) -> bool {
    flags & MSG_TRUNC != 0
}
