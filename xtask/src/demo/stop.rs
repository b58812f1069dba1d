//! Ctrl-C and the end of a time: when the demo should come to its end.
//!
//! Shape: SIGINT and SIGTERM → a flag that every loop looks at.
use anyhow::{Context, Result};
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    flag,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// How often a waiting loop looks again.
const LOOK: Duration = Duration::from_millis(20);

/// Somebody wants the demo to end.
#[derive(Clone)]
pub(super) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// From now on Ctrl-C and SIGTERM set the flag instead of ending the demo with its services left behind.
    pub(super) fn on_signals() -> Result<Stop> {
        let stop = Stop(Arc::new(AtomicBool::new(false)));
        for signal in [SIGINT, SIGTERM] {
            flag::register(signal, Arc::clone(&stop.0)).context("catch Ctrl-C")?;
        }
        Ok(stop)
    }

    /// Only what the demo itself decides ends it.
    #[cfg(test)]
    pub(super) fn never() -> Stop {
        Stop(Arc::new(AtomicBool::new(false)))
    }

    /// True once the demo should end.
    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Ends the demo from inside.
    pub(super) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Waits until `done`, at most for `limit`. False if the time was over or the demo is to end.
    pub(super) fn wait(&self, limit: Duration, mut done: impl FnMut() -> bool) -> bool {
        let deadline = Instant::now() + limit;
        loop {
            if done() {
                return true;
            }
            if self.is_set() || Instant::now() >= deadline {
                return false;
            }
            thread::park_timeout(LOOK);
        }
    }
}
