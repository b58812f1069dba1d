//! What became of a batch, and how long to wait before the next attempt.
//!
//! Source: OTLP specification 1.x, "Failures" and "Throttling"; exponential backoff with jitter.
use std::{error::Error, time::Duration};

/// The longest hint of a collector that is obeyed: a wrong one must not silence an agent for a day.
const LONGEST_HINT: Duration = Duration::from_secs(300);

/// What became of a batch.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It has arrived; `rejected` spans of it were thrown away there and must not be sent again.
    Delivered {
        /// Encoded size before compression.
        bytes: u64,
        /// Spans that the receiver did not want.
        rejected: u64,
        /// What the receiver has to say.
        message: String,
    },
    /// It may arrive later. The receiver may have said when.
    Retry(Trouble, Option<Duration>),
    /// It will never arrive.
    Refused(Trouble),
    /// Nobody reads any more.
    Closed,
}

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    #[error("cannot reach the receiver: {}", root_cause(.0.as_ref()))]
    Unreachable(#[source] Box<dyn Error + Send + Sync>),
    #[error("gRPC status {code:?}: {message}")]
    Grpc { code: tonic::Code, message: String },
    #[error("HTTP status {status}: {message}")]
    Http { status: u16, message: String },
    #[error("cannot write: {0}")]
    Write(#[from] std::io::Error),
}

/// The end of a chain of errors says what happened: the beginning says "transport error".
fn root_cause(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// Pauses that grow by half, each a random part between a half and the whole of its step.
pub(super) struct Backoff {
    initial: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    pub(super) fn new(initial: Duration, longest: Duration) -> Backoff {
        Backoff { initial, longest, next: initial }
    }

    /// The next pause; `hint` is what the receiver asked for.
    pub(super) fn pause(&mut self, hint: Option<Duration>) -> Duration {
        let step = self.next.min(self.longest);
        self.next = (step + step / 2).min(self.longest);
        match hint {
            Some(hint) => hint.min(LONGEST_HINT),
            None => step / 2 + (step / 2).mul_f64(random_part()),
        }
    }

    pub(super) fn reset(&mut self) {
        self.next = self.initial;
    }
}

/// Uniform in 0..1; without randomness the pause is just not spread.
fn random_part() -> f64 {
    f64::from(getrandom::u32().unwrap_or(u32::MAX)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backoff() -> Backoff {
        Backoff::new(Duration::from_millis(100), Duration::from_millis(300))
    }

    #[test]
    fn pauses_grow_to_their_cap_and_begin_again_after_success() {
        let mut backoff = backoff();
        let mut steps = [100, 150, 225, 300, 300].into_iter();
        assert!(steps.all(|step: u64| {
            let pause = backoff.pause(None);
            pause >= Duration::from_millis(step / 2) && pause <= Duration::from_millis(step)
        }));
        backoff.reset();
        assert!(backoff.pause(None) <= Duration::from_millis(100));
    }

    #[test]
    fn pauses_are_spread() {
        let pauses: std::collections::HashSet<_> = (0..16).map(|_| backoff().pause(None)).collect();
        assert!(pauses.len() > 8);
    }

    #[test]
    fn a_hint_is_obeyed_within_reason() {
        assert_eq!(backoff().pause(Some(Duration::from_secs(7))), Duration::from_secs(7));
        assert_eq!(backoff().pause(Some(Duration::from_secs(86_400))), LONGEST_HINT);
    }
}
