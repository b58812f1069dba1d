//! What was read from the kernel's tables, held back until the ring has come as far.
//!
//! Shape: events pushed while the ring is drained, due when every record written before them has been taken. A table shows the
//! present, the ring what led to it: told at once, the end of a body would come before the bytes of its middle.

/// Drains of the full length after which everything has been taken that was in the ring at their start: it holds no more records.
const FULL_DRAINS: u64 = 2;

/// Events and the drain that they were made in.
pub(super) struct Passed<T> {
    waiting: Vec<(u64, T)>,
    drains: u64,
}

impl<T> Passed<T> {
    pub(super) fn new() -> Passed<T> {
        Passed { waiting: Vec::new(), drains: 0 }
    }

    /// An event that was read just now.
    pub(super) fn push(&mut self, event: T) {
        self.waiting.push((self.drains, event));
    }

    /// Is nothing held back?
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// A drain has ended, with the ring empty or not: what may be told now, oldest first.
    pub(super) fn due(&mut self, is_empty: bool) -> Vec<T> {
        self.drains += 1;
        let drains = self.drains;
        let due = self
            .waiting
            .iter()
            .take_while(|(since, _)| is_empty || since.saturating_add(FULL_DRAINS) < drains)
            .count();
        self.waiting.drain(..due).map(|(_, event)| event).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_ring_has_come_as_far_as_any_table() {
        let mut passed = Passed::new();
        passed.push(1);
        passed.push(2);
        assert_eq!(passed.due(true), [1, 2]);
        assert!(passed.is_empty());
    }

    #[test]
    fn a_ring_that_never_empties_is_drained_twice_in_full() {
        let mut passed = Passed::new();
        passed.push(1);
        assert!(passed.due(false).is_empty());
        passed.push(2);
        assert!(passed.due(false).is_empty());
        assert_eq!(passed.due(false), [1]);
        assert_eq!(passed.due(false), [2]);
    }
}
