//! What was read from the kernel's tables, held back until the records have come as far.
//!
//! Shape: events with the time at which they were read, due when every record written before that has been acted on. A table
//! shows the present, the records what led to it: told at once, the end of a body would come before the bytes of its middle.
use wirespan_core::event::Nanos;

/// See the file's doc.
pub(super) struct Passed<T> {
    waiting: Vec<(Nanos, T)>,
}

impl<T> Passed<T> {
    pub(super) fn new() -> Passed<T> {
        Passed { waiting: Vec::new() }
    }

    /// An event that was read at `now`.
    pub(super) fn push(&mut self, now: Nanos, event: T) {
        self.waiting.push((now, event));
    }

    /// Is nothing held back?
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// All records written before `settled` have been acted on: what may be told now, oldest first.
    pub(super) fn due(&mut self, settled: Nanos) -> Vec<T> {
        let due = self.waiting.iter().take_while(|(read, _)| *read <= settled).count();
        self.waiting.drain(..due).map(|(_, event)| event).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_waits_for_the_records_before_it() {
        let mut passed = Passed::new();
        passed.push(Nanos(5), 'a');
        passed.push(Nanos(7), 'b');
        assert!(passed.due(Nanos(4)).is_empty());
        assert_eq!(passed.due(Nanos(5)), ['a']);
        assert!(!passed.is_empty());
        assert_eq!(passed.due(Nanos(9)), ['b']);
        assert!(passed.is_empty());
    }
}
