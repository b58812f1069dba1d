//! Where the bytes of a call are in user memory.
//!
//! Shape: a [`Buffer`], found in the saved registers or in the kernel's iterator; read at the return of the call: at its entry
//! up to a third of the pages are not there yet.
use crate::{
    emit::{Scratch, Walk},
    kernel::user,
};
use wirespan_common::limits;

/// What kind of buffer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// None that could be found.
    Nowhere,
    /// One piece of memory.
    Flat,
    /// An array of `struct iovec`.
    Vector,
    /// A `struct user_msghdr` that points to one.
    Message,
}

/// A call's buffer.
#[derive(Clone, Copy)]
pub(crate) struct Buffer {
    /// What `address` points to.
    pub shape: Shape,
    /// User address, or kernel address of the first entry of a kernel iovec.
    pub address: u64,
    /// Entries of a vector.
    pub segments: u64,
    /// Bytes to pass over in the first one.
    pub offset: u64,
}

impl Buffer {
    /// There is none.
    pub(crate) const NOWHERE: Self = Self { shape: Shape::Nowhere, address: 0, segments: 0, offset: 0 };

    /// One piece of memory.
    #[inline(always)]
    pub(crate) const fn flat(address: u64) -> Self {
        Self { shape: Shape::Flat, address, segments: 0, offset: 0 }
    }

    /// An array of `struct iovec` in user memory.
    #[inline(always)]
    pub(crate) const fn vector(address: u64, segments: u64) -> Self {
        Self { shape: Shape::Vector, address, segments, offset: 0 }
    }

    /// A `struct user_msghdr`.
    #[inline(always)]
    pub(crate) const fn message(address: u64) -> Self {
        Self { shape: Shape::Message, address, segments: 0, offset: 0 }
    }

    /// A message as the vector it points to. Source: include/linux/socket.h `struct user_msghdr`.
    #[inline(always)]
    pub(crate) fn resolved(self) -> Self {
        const MSG_IOV: u64 = 16;
        if self.shape != Shape::Message {
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

/// The last eight bytes of what a call moved, last byte in the most significant position, given those before the call.
#[inline(always)]
pub(crate) fn tail<E: Entries>(scratch: &mut Scratch, buffer: Buffer, bytes: u32, before: u64) -> u64 {
    let buffer = buffer.resolved();
    match buffer.shape {
        Shape::Nowhere | Shape::Message => 0,
        Shape::Flat => tail_of(before, buffer.address, u64::from(bytes)).unwrap_or_default(),
        Shape::Vector => tail_of_vector::<E>(scratch, buffer, bytes, before).unwrap_or_default(),
    }
}

#[inline(always)]
fn tail_of_vector<E: Entries>(scratch: &mut Scratch, buffer: Buffer, bytes: u32, before: u64) -> Option<u64> {
    scratch.store_walk(Walk {
        entry: buffer.address,
        entries: buffer.segments,
        base: 0,
        len: 0,
        skip: buffer.offset,
        tail: before,
        want: bytes,
        left: 0,
        filled: 0,
        reserved: 0,
    });
    let mut step = 0;
    while step < limits::IOV_SEGMENTS {
        step += 1;
        let mut walk = scratch.load_walk();
        if walk.want == 0 {
            return Some(walk.tail);
        }
        if walk.entries == 0 {
            return None;
        }
        let segment = E::read(walk.entry)?;
        let len = segment.len.saturating_sub(walk.skip).min(u64::from(walk.want));
        walk.tail = tail_of(walk.tail, segment.base.wrapping_add(walk.skip), len)?;
        walk.want -= len as u32;
        walk.skip = 0;
        walk.entry = walk.entry.wrapping_add(size_of::<Segment>() as u64);
        walk.entries -= 1;
        scratch.store_walk(walk);
    }
    let walk = scratch.load_walk();
    (walk.want == 0).then_some(walk.tail)
}

/// The last eight bytes after `len` more at `address`.
#[inline(always)]
fn tail_of(before: u64, address: u64, len: u64) -> Option<u64> {
    match len {
        0 => Some(before),
        1..8 => Some((before >> (8 * len)) | (user::read_short(address, len)? << (64 - 8 * len))),
        _ => user::read(address.wrapping_add(len - 8)),
    }
}
