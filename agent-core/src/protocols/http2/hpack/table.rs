//! The dynamic table: the newest entry first. RFC 7541 §2.3.2, §4.
use bytes::Bytes;
use std::collections::VecDeque;

/// What an entry costs beside its octets (§4.1).
const OVERHEAD_BYTES: usize = 32;

/// One entry.
#[derive(Debug)]
pub(super) struct Entry {
    /// `None`: it was named after an entry that is unknown.
    pub(super) name: Option<Bytes>,
    pub(super) value: Bytes,
}

impl Entry {
    /// At most what its owner counts: an unknown name has a length that nobody knows.
    fn bytes(&self) -> usize {
        self.name.as_ref().map_or(0, Bytes::len) + self.value.len() + OVERHEAD_BYTES
    }
}

/// The entries that are known. Those that are not are older, or were dropped by the encoder too.
#[derive(Debug)]
pub(super) struct Table {
    entries: VecDeque<Entry>,
    bytes: usize,
    max_bytes: usize,
}

impl Table {
    pub(super) fn new(max_bytes: usize) -> Table {
        Table { entries: VecDeque::new(), bytes: 0, max_bytes }
    }

    /// Octets that it holds, as its owner counts them.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn get(&self, place: usize) -> Option<&Entry> {
        self.entries.get(place)
    }

    /// Adds an entry. One that is larger than the table would not be kept by its owner (§4.4): then it is never referred to either.
    pub(super) fn add(&mut self, name: Option<Bytes>, value: Bytes) {
        let entry = Entry { name, value };
        let bytes = entry.bytes();
        self.make_room(self.max_bytes.saturating_sub(bytes));
        self.bytes += bytes;
        self.entries.push_front(entry);
    }

    pub(super) fn resize(&mut self, max_bytes: usize) {
        self.max_bytes = max_bytes;
        self.make_room(max_bytes);
    }

    /// Nothing is known any more; from now on it may hold this much.
    pub(super) fn clear(&mut self, max_bytes: usize) {
        *self = Table::new(max_bytes);
    }

    fn make_room(&mut self, max_bytes: usize) {
        while self.bytes > max_bytes {
            let Some(oldest) = self.entries.pop_back() else { return };
            self.bytes -= oldest.bytes();
        }
    }
}
