//! The buffer of a call from the kernel's own iterator, for hooks on `tcp_sendmsg` and `tcp_recvmsg`.
//!
//! In: a `struct msghdr` whose iterator has been advanced by the call. Out: a [`Buffer`] that begins where the call began.
//! Whatever system call or io_uring request it is, the iterator names its user memory; sendfile and the kernel's own
//! senders have none. Source: include/linux/uio.h `struct iov_iter` (v6.18; `FORMER_NAMES` in `attach/offsets.rs` for older).
use crate::{
    handlers::buffer::{Buffer, Entries, Segment},
    kernel::{
        access::{Access, Probed},
        globals::{offset, setting},
    },
};
use wirespan_common::{limits, reason::Reason};

/// Entries that are walked back: several times those that are copied, as each costs one read alone.
const REWIND: usize = 4 * limits::IOV_SEGMENTS;

/// Entries of a vector that the kernel copied from the call's arguments.
pub(crate) struct KernelEntries;

impl Entries for KernelEntries {
    #[inline(always)]
    fn read(address: u64) -> Option<Segment> {
        Probed::read(address as *const u8, 0).ok()
    }
}

/// Where the last `bytes` of a message are.
#[inline(always)]
pub(crate) fn buffer(message: *const u8, bytes: u32) -> Result<Buffer, Reason> {
    let iterator = message.wrapping_add(offset!(msghdr_iter) as usize);
    let kind: u8 = Probed::read(iterator, offset!(iter_type))?;
    let done: u64 = Probed::read(iterator, offset!(iter_offset))?;
    let kind = u32::from(kind);
    if kind == setting!(iter_ubuf_type) {
        let base: u64 = Probed::read(iterator, offset!(iter_ubuf))?;
        // A receive that throws bytes away does not advance.
        let Some(start) = done.checked_sub(u64::from(bytes)) else { return Ok(Buffer::NOWHERE) };
        return Ok(Buffer::flat(base.wrapping_add(start)));
    }
    if kind == setting!(iter_iovec_type) {
        let entry: u64 = Probed::read(iterator, offset!(iter_iov))?;
        return Ok(rewound(entry, done, bytes));
    }
    Ok(Buffer::NOWHERE)
}

/// Walks back from where the iterator is to where the call began.
#[inline(always)]
fn rewound(entry: u64, done: u64, bytes: u32) -> Buffer {
    let (mut entry, mut done, mut back) = (entry, done, u64::from(bytes));
    let mut step = 0;
    while step < REWIND {
        step += 1;
        if done >= back {
            return Buffer { offset: done - back, ..Buffer::vector(entry, u64::MAX) };
        }
        back -= done;
        entry = entry.wrapping_sub(size_of::<Segment>() as u64);
        let Some(segment) = KernelEntries::read(entry) else { return Buffer::NOWHERE };
        done = segment.len;
    }
    Buffer::NOWHERE
}
