//! Records in the order of their times, each once.
//!
//! Shape: records as the ring or a recording has them → the same in order, as soon as nothing can come before them any more.
//! The ring is in the order in which room was taken in it; a record's time is taken a little earlier, and a program may be
//! interrupted between the two. Whoever decides what came first needs the times.
//! Invariant: what comes too late for its place is handed over at once, counted, and told as a loss.
use crate::events::decode::time_of;
use wirespan_core::{counters, event::Nanos};
use zerocopy::IntoBytes;

/// A record is held until it is so old: a program may be interrupted for that long between its time and its place in the ring.
pub const SETTLED_NS: u64 = 2_000_000;
/// Room that is filled before it is looked for what may go, and twice of which is kept when a burst is over: 256 KiB.
const KEPT_WORDS: usize = 1 << 15;
const KEPT_RECORDS: usize = 1 << 11;
const WORD_BYTES: usize = size_of::<u64>();

counters! {
    /// What was not in order.
    Counts in "order" {
        late: "loss", "records", "Records that came after younger ones had been acted on: what was decided meanwhile may have lacked them.";
        twice: "work", "records", "Records that were there already, to the byte.";
    }
}

/// See the file's doc.
#[derive(Debug, Default)]
pub struct Order {
    held: Vec<Held>,
    /// Words, so that each record begins where the kernel's do: at a multiple of eight.
    words: Vec<u64>,
    newest: Nanos,
    settled: Nanos,
    counts: Counts,
    /// Late records that [`Order::was_late`] has told of.
    told: u64,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    at: Nanos,
    start: usize,
    len: usize,
}

impl Held {
    fn words<'a>(&self, words: &'a [u64]) -> &'a [u64] {
        words.get(self.start..self.start + self.len.div_ceil(WORD_BYTES)).unwrap_or_default()
    }

    fn bytes<'a>(&self, words: &'a [u64]) -> &'a [u8] {
        self.words(words).as_bytes().get(..self.len).unwrap_or_default()
    }
}

impl Order {
    /// Takes a record. Those that are too short to have a time keep their place.
    pub fn push(&mut self, record: &[u8]) {
        let at = time_of(record).unwrap_or(self.newest);
        self.newest = self.newest.max(at);
        self.counts.late += u64::from(at < self.settled);
        let start = self.words.len();
        self.held.push(Held { at, start, len: record.len() });
        let end = self.words.len() + record.len().div_ceil(WORD_BYTES);
        self.words.resize(end, 0);
        if let Some(room) = self.words.get_mut(start..)
            && let Some((room, _)) = room.as_mut_bytes().split_at_mut_checked(record.len())
        {
            room.copy_from_slice(record);
        }
    }

    /// A record that somebody acts on at once: only its time is noted.
    pub fn pass(&mut self, record: &[u8]) {
        self.newest = self.newest.max(time_of(record).unwrap_or_default());
    }

    /// The time of the youngest record that came.
    pub fn newest(&self) -> Nanos {
        self.newest
    }

    /// All records before that time were handed over.
    pub fn settled(&self) -> Nanos {
        self.settled
    }

    /// Has a record come too late since this was last asked? Then a loss is to be told before the next release.
    pub fn was_late(&mut self) -> bool {
        std::mem::replace(&mut self.told, self.counts.late) < self.counts.late
    }

    /// What was counted.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Hands over, oldest first, what is older than `until`.
    pub fn release(&mut self, until: Nanos, mut each: impl FnMut(&[u8])) {
        self.settled = self.settled.max(until);
        self.held.sort_by_key(|held| held.at);
        let ready = self.held.partition_point(|held| held.at < self.settled);
        let mut before: Option<Held> = None;
        for held in self.held.iter().take(ready) {
            // Equal records have equal times, so they are neighbours but for others of that nanosecond.
            if before.is_some_and(|before| {
                before.at == held.at && before.bytes(&self.words) == held.bytes(&self.words)
            }) {
                self.counts.twice += 1;
                continue;
            }
            each(held.bytes(&self.words));
            before = Some(*held);
        }
        self.forget(ready);
    }

    /// Gives up the first `ready` records, and their room once it is much: what is still held must then be moved.
    fn forget(&mut self, ready: usize) {
        self.held.drain(..ready);
        if !self.held.is_empty() && self.words.len() < KEPT_WORDS {
            return;
        }
        let mut words = Vec::new();
        for held in &mut self.held {
            let start = words.len();
            words.extend_from_slice(held.words(&self.words));
            held.start = start;
        }
        if self.words.capacity() > 2 * KEPT_WORDS {
            self.words = words;
            self.held.shrink_to(KEPT_RECORDS);
        } else {
            self.words.clear();
            self.words.append(&mut words);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use wirespan_common::event::Header;

    /// A record of nothing but a header, with a time and a letter.
    fn record(at: u64, letter: u8) -> Vec<u8> {
        let mut bytes = vec![0; size_of::<Header>()];
        bytes[..8].copy_from_slice(&at.to_le_bytes());
        bytes[8] = letter;
        bytes
    }

    fn released(order: &mut Order, until: u64) -> Vec<(u64, char)> {
        let mut out = Vec::new();
        order.release(Nanos(until), |bytes| {
            let (at, letter) = bytes.split_first_chunk().unwrap();
            out.push((u64::from_le_bytes(*at), char::from(letter[0])));
        });
        out
    }

    #[test]
    fn what_is_young_is_held_and_the_rest_comes_by_time() {
        let mut order = Order::default();
        for (at, letter) in [(5, b'a'), (3, b'b'), (9, b'c'), (3, b'd')] {
            order.push(&record(at, letter));
        }
        assert_eq!(released(&mut order, 6), [(3, 'b'), (3, 'd'), (5, 'a')]);
        order.push(&record(8, b'e'));
        assert_eq!(released(&mut order, 10), [(8, 'e'), (9, 'c')]);
        assert_eq!((order.counts.late, order.newest(), order.settled()), (0, Nanos(9), Nanos(10)));
    }

    #[test]
    fn what_comes_too_late_is_counted_and_handed_over() {
        let mut order = Order::default();
        order.push(&record(5, b'a'));
        assert_eq!(released(&mut order, 6), [(5, 'a')]);
        order.push(&record(4, b'b'));
        assert_eq!((order.counts.late, order.was_late(), order.was_late()), (1, true, false));
        assert_eq!(released(&mut order, 0), [(4, 'b')]);
    }

    #[test]
    fn what_comes_twice_is_handed_over_once_and_what_is_only_alike_both_times() {
        let mut order = Order::default();
        for (at, letter) in [(5, b'a'), (7, b'a'), (5, b'a'), (5, b'b')] {
            order.push(&record(at, letter));
        }
        assert_eq!(released(&mut order, 9), [(5, 'a'), (5, 'b'), (7, 'a')]);
        assert_eq!(order.counts.twice, 1);
    }

    #[test]
    fn a_record_without_a_time_keeps_its_place() {
        let mut order = Order::default();
        order.push(&record(5, b'a'));
        order.push(b"short");
        order.push(&record(6, b'b'));
        let mut lengths = Vec::new();
        order.release(Nanos(9), |bytes| lengths.push(bytes.len()));
        assert_eq!(lengths, [32, 5, 32]);
    }

    proptest! {
        #[test]
        fn whatever_is_late_by_less_than_is_held_comes_in_order_and_nothing_is_lost(
            late in prop::collection::vec(0_u64..20, 1..200),
            every in 1_usize..9,
        ) {
            let mut arriving: Vec<(u64, u64)> = (0_u64..).zip(&late).map(|(at, late)| (at * 3 + late, at * 3)).collect();
            arriving.sort();
            let mut order = Order::default();
            let mut out = Vec::new();
            for (n, (now, at)) in arriving.iter().enumerate() {
                order.push(&record(*at, b'x'));
                if n % every == 0 {
                    out.extend(released(&mut order, now.saturating_sub(20)));
                }
            }
            out.extend(released(&mut order, u64::MAX));
            let times: Vec<u64> = out.iter().map(|(at, _)| *at).collect();
            prop_assert_eq!(times, (0..late.len() as u64).map(|at| at * 3).collect::<Vec<_>>());
            prop_assert_eq!(order.counts.late, 0);
        }
    }
}
