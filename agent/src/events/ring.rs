//! Drains the kernel's ring.
//!
//! Shape: records as borrowed bytes, in the order the kernel wrote them. No record waits longer than the caller's timer:
//! the kernel wakes nobody per record, which would cost the observed program 6 µs a call.
use aya::maps::{MapData, RingBuf};
use rustix::{
    buffer::spare_capacity,
    event::{Timespec, epoll},
    io::Errno,
};
use std::{
    os::fd::{AsFd, OwnedFd},
    time::Duration,
};

/// The consumer's end.
pub struct Ring {
    ring: RingBuf<MapData>,
    /// Told when the kernel side wakes somebody, not as long as there is something to read.
    attention: OwnedFd,
}

impl Ring {
    pub(crate) fn new(ring: RingBuf<MapData>) -> Result<Self, Errno> {
        let attention = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let edges = epoll::EventFlags::IN | epoll::EventFlags::ET;
        epoll::add(&attention, ring.as_fd(), epoll::EventData::new_u64(0), edges)?;
        Ok(Self { ring, attention })
    }

    /// Hands over what is there, at most `limit` records, and says how many. A record's room is free again when `each`
    /// returns: a slow `each` fills the ring.
    pub fn drain(&mut self, limit: usize, mut each: impl FnMut(&[u8])) -> usize {
        let mut records = 0;
        while records < limit {
            let Some(record) = self.ring.next() else { break };
            each(&record);
            records += 1;
        }
        records
    }

    /// Waits until the kernel asks for attention (a process to look at, a ring that fills) or `timeout` is over.
    /// Records that ask for nothing do not end the wait. A signal does.
    pub fn wait(&self, timeout: Duration) {
        let timeout = Timespec::try_from(timeout).ok();
        let mut events = Vec::with_capacity(1);
        // An interrupted wait is a short one: the caller drains and waits again.
        epoll::wait(&self.attention, spare_capacity(&mut events), timeout.as_ref()).unwrap_or_default();
    }
}
