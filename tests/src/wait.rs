//! Waiting for a condition, never for a time.
//!
//! Shape: a question and a deadline → its answer, or an error that says what was waited for. Clock: monotonic.
use anyhow::{Result, bail};
use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Long enough for a loaded machine and for a virtual one that emulates each instruction; a condition that holds is seen at once, so
/// only failures take so long.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Between two questions about something that cannot wake us (a port, a file).
const PAUSE: Duration = Duration::from_millis(5);

/// Asks until there is an answer. An error of the question ends the wait.
pub fn eventually<T>(what: &str, within: Duration, mut ask: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let deadline = Instant::now() + within;
    loop {
        if let Some(answer) = ask()? {
            return Ok(answer);
        }
        if Instant::now() >= deadline {
            bail!("waited {within:?} for {what}");
        }
        std::thread::park_timeout(PAUSE);
    }
}

/// Lets time pass where the time is the scene itself (an agent that stands still for two seconds), not a hope.
pub fn pass(time: Duration) {
    let end = Instant::now() + time;
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        std::thread::park_timeout(left);
    }
}

/// A value that one thread feeds and others wait on.
#[derive(Debug, Default)]
pub struct Feed<T> {
    state: Arc<(Mutex<T>, Condvar)>,
}

impl<T> Clone for Feed<T> {
    fn clone(&self) -> Feed<T> {
        Feed { state: self.state.clone() }
    }
}

impl<T> Feed<T> {
    /// Changes the value and wakes who waits.
    pub fn update(&self, change: impl FnOnce(&mut T)) {
        change(&mut self.lock());
        self.state.1.notify_all();
    }

    /// Looks at the value now.
    pub fn look<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        look(&self.lock())
    }

    /// Waits until `ask` has an answer; `None` when the time is over.
    pub fn wait<R>(&self, within: Duration, mut ask: impl FnMut(&T) -> Option<R>) -> Option<R> {
        let deadline = Instant::now() + within;
        let mut guard = self.lock();
        loop {
            if let Some(answer) = ask(&guard) {
                return Some(answer);
            }
            let left = deadline.checked_duration_since(Instant::now())?;
            guard = self.state.1.wait_timeout(guard, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, T> {
        // A reader thread that panicked leaves a value that is still worth showing in the failure.
        self.state.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The last lines of an output, and whether it is at its end.
#[derive(Debug, Default)]
pub struct Lines {
    /// Oldest first.
    pub lines: VecDeque<String>,
    /// The writer closed it.
    pub closed: bool,
}

impl Lines {
    const KEPT: usize = 10_000;

    /// Takes one more; the oldest goes when there are too many.
    pub fn push(&mut self, line: String) {
        if self.lines.len() == Lines::KEPT {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    /// The last few, for a failure's text.
    pub fn tail(&self, count: usize) -> String {
        let skip = self.lines.len().saturating_sub(count);
        self.lines.iter().skip(skip).map(|line| format!("    {line}\n")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_that_never_holds_says_what_was_waited_for() {
        let error = eventually("the moon", Duration::from_millis(20), || Ok(None::<()>)).unwrap_err();
        assert_eq!(error.to_string(), "waited 20ms for the moon");
    }

    #[test]
    fn a_feed_wakes_its_waiter_as_soon_as_the_condition_holds() {
        let feed = Feed::<u32>::default();
        let other = feed.clone();
        let thread = std::thread::spawn(move || (0..10).for_each(|_| other.update(|value| *value += 1)));
        assert_eq!(feed.wait(PATIENCE, |value| (*value == 10).then_some(*value)), Some(10));
        thread.join().unwrap();
        assert_eq!(feed.wait(Duration::ZERO, |value| (*value == 11).then_some(())), None);
    }

    #[test]
    fn only_the_last_lines_are_kept() {
        let mut lines = Lines::default();
        (0..Lines::KEPT + 5).for_each(|n| lines.push(n.to_string()));
        assert_eq!(lines.lines.front().map(String::as_str), Some("5"));
        assert_eq!(lines.tail(1), format!("    {}\n", Lines::KEPT + 4));
    }
}
