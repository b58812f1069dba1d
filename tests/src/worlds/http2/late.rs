//! How late programs wake on this machine: who waits for a processor cannot say how long a call took.
use anyhow::{Context, Result};
use std::{
    sync::mpsc::{RecvTimeoutError, sync_channel},
    time::{Duration, Instant},
};

/// A sleeper that wakes so often.
const EVERY: Duration = Duration::from_millis(5);
/// As late as it may be where nobody waits.
const USUAL: Duration = Duration::from_millis(5);
/// A call passes through so many hands, each of which may have to wait.
const HANDS: u32 = 4;

/// What `work` gives, and how much longer than they last calls may seem to last meanwhile.
pub(super) fn while_doing<T>(work: impl FnOnce() -> Result<T>) -> Result<(T, Duration)> {
    let (over, is_over) = sync_channel::<()>(1);
    std::thread::scope(|scope| {
        let sleeper = scope.spawn(move || {
            let mut latest = Duration::ZERO;
            loop {
                let begun = Instant::now();
                if is_over.recv_timeout(EVERY) != Err(RecvTimeoutError::Timeout) {
                    return latest;
                }
                latest = latest.max(begun.elapsed().saturating_sub(EVERY));
            }
        });
        let done = work();
        drop(over);
        let latest = sleeper.join().ok().context("the sleeper panicked")?;
        Ok((done?, latest.saturating_sub(USUAL) * HANDS))
    })
}
