//! The one converter from monotonic to Unix time.
//!
//! Shape: [`Nanos`] → nanoseconds since 1970 in UTC. The offset between the two clocks is taken when spans are handed over, for all
//! exporters at once, so that they agree to the nanosecond and a retry hours later says the same.
//! A step of the wall clock moves what is handed over after it; a span that was open during a suspend keeps its length.
use rustix::time::{ClockId, Timespec, clock_gettime};
use std::sync::atomic::{AtomicI64, Ordering};
use wirespan_core::event::Nanos;

/// Smaller changes are ignored: slewing and the jitter of two readings would otherwise reorder spans of one trace that leave in
/// two batches. A wall clock is rarely right to a tenth of a millisecond.
const TOLERANCE_NS: i64 = 100_000;
/// Readings per sample: the one that was interrupted least counts.
const READINGS: usize = 3;

/// The offset in use.
pub(super) struct Clock {
    offset: AtomicI64,
    /// A recording's offset is what it was.
    is_fixed: bool,
}

/// One sample of the offset, good for one hand-over.
#[derive(Clone, Copy)]
pub(super) struct Offset(i64);

impl Clock {
    pub(super) fn new() -> Clock {
        Clock { offset: AtomicI64::new(sample()), is_fixed: false }
    }

    /// The clock of the machine that made a recording.
    pub(super) fn of_recording(offset_ns: i64) -> Clock {
        Clock { offset: AtomicI64::new(offset_ns), is_fixed: true }
    }

    /// The offset now.
    pub(super) fn offset(&self) -> Offset {
        let in_use = self.offset.load(Ordering::Relaxed);
        if self.is_fixed {
            return Offset(in_use);
        }
        let offset = settle(in_use, sample());
        self.offset.store(offset, Ordering::Relaxed);
        Offset(offset)
    }
}

impl Offset {
    /// Nanoseconds since 1970.
    pub(super) fn unix_ns(self, at: Nanos) -> u64 {
        at.0.saturating_add_signed(self.0)
    }

    #[cfg(test)]
    pub(super) fn fixed(offset_ns: i64) -> Offset {
        Offset(offset_ns)
    }
}

/// Keeps the offset in use unless the new one really differs.
fn settle(in_use: i64, sampled: i64) -> i64 {
    if in_use.abs_diff(sampled) > TOLERANCE_NS.unsigned_abs() { sampled } else { in_use }
}

/// `CLOCK_REALTIME` − `CLOCK_MONOTONIC`.
fn sample() -> i64 {
    let read = |clock| nanoseconds(clock_gettime(clock));
    let reading = |_| {
        let before = read(ClockId::Monotonic);
        let wall = read(ClockId::Realtime);
        let after = read(ClockId::Monotonic);
        (after - before, wall - (before + (after - before) / 2))
    };
    (0..READINGS).map(reading).min().map_or(0, |(_, offset)| offset)
}

fn nanoseconds(time: Timespec) -> i64 {
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    #[test]
    fn now_is_now() {
        let monotonic = nanoseconds(clock_gettime(ClockId::Monotonic));
        let unix_ns = Clock::new().offset().unix_ns(Nanos(monotonic as u64));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        assert!(now.abs_diff(Duration::from_nanos(unix_ns)) < Duration::from_secs(1));
    }

    #[test]
    fn jitter_keeps_the_offset_and_a_step_replaces_it() {
        assert_eq!(settle(5_000_000, 5_000_300), 5_000_000);
        assert_eq!(settle(5_000_000, 4_000_000), 4_000_000);
        assert_eq!(settle(5_000_000, i64::MIN), i64::MIN);
    }
}
