//! One exporter at work: takes batches from its queue, sends them, waits when the receiver cannot take them.
//!
//! Shape: [`Queue`] → [`Exporter`] → counters. A batch that may be sent again goes back to the queue's front, where it ages like
//! everything else: an outage loses what does not fit the queue, and nothing because of a number of attempts.
//! Repeating trouble is logged once, then counted, until it is over.
use super::{
    Counts, encode,
    grpc::Grpc,
    http::Http,
    json::Json,
    outcome::{Backoff, Outcome, Trouble},
    queue::{Queue, Wake},
    stamped::Stamped,
};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{sync::watch, time::Instant};
use tracing::{debug, info, warn};

/// Attempts in vain after which a closing exporter gives up: the receiver is down, and somebody waits for the agent to end.
const CLOSING_ATTEMPTS: u32 = 3;
/// Pause between those attempts.
const CLOSING_PAUSE: Duration = Duration::from_millis(200);

/// Every way out. Closed on purpose: each arm passes the same tests.
pub(super) enum Exporter {
    Grpc(Grpc),
    Http(Http),
    Json(Json),
}

impl Exporter {
    async fn send(&mut self, spans: &[Arc<Stamped>]) -> Outcome {
        match self {
            Exporter::Grpc(grpc) => grpc.send(encode::request(spans)).await,
            Exporter::Http(http) => http.send(&encode::request(spans)).await,
            Exporter::Json(json) => json.send(&encode::request(spans)).await,
        }
    }

    /// When it wants to be asked without a batch.
    fn due(&self) -> Option<Instant> {
        None
    }
}

/// What a worker shares with the handle.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) name: &'static str,
    pub(super) queue: Arc<Queue>,
    pub(super) counts: Arc<Mutex<Counts>>,
    /// Set to true when nobody reads any more.
    pub(super) closed: watch::Sender<bool>,
}

impl Shared {
    pub(super) fn count(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Runs until the queue is closed and empty, or nobody reads any more.
pub(super) async fn run(mut exporter: Exporter, backoff: Backoff, shared: Shared) {
    let mut health = Health { backoff, failures: 0, has_rejected: false };
    loop {
        let wake = shared.queue.wake(exporter.due()).await;
        let spans = shared.queue.take();
        if spans.is_empty() && wake == Wake::Closing {
            return;
        }
        if spans.is_empty() {
            continue;
        }
        let outcome = exporter.send(&spans).await;
        let Some(pause) = health.settle(outcome, spans, &shared) else { return };
        if !pause.is_zero() {
            wait(pause, &shared.queue).await;
        }
    }
}

/// A pause ends early when the agent does.
async fn wait(pause: Duration, queue: &Queue) {
    if queue.is_closing() {
        return tokio::time::sleep(pause.min(CLOSING_PAUSE)).await;
    }
    tokio::select! {
        () = tokio::time::sleep(pause) => {}
        () = queue.closing() => {}
    }
}

/// How the receiver has been.
struct Health {
    backoff: Backoff,
    /// Attempts in vain since the last success.
    failures: u32,
    has_rejected: bool,
}

impl Health {
    /// Counts what became of `spans`. Returns the pause before the next batch, or `None` if there is no point in one.
    fn settle(&mut self, outcome: Outcome, spans: Vec<Arc<Stamped>>, shared: &Shared) -> Option<Duration> {
        let name = shared.name;
        let count = spans.len() as u64;
        match outcome {
            Outcome::Delivered { bytes, rejected, message } => {
                shared.queue.sent();
                self.delivered(name, rejected, &message);
                let rejected = rejected.min(count);
                shared.count(|counts| {
                    counts.exported += count - rejected;
                    counts.rejected += rejected;
                    counts.requests += 1;
                    counts.bytes += bytes;
                });
                Some(Duration::ZERO)
            }
            Outcome::Retry(trouble, hint) => {
                shared.queue.put_back(spans);
                shared.count(|counts| counts.retries += 1);
                self.troubled(name, &trouble);
                if shared.queue.is_closing() && self.failures >= CLOSING_ATTEMPTS {
                    return None;
                }
                Some(self.backoff.pause(hint))
            }
            Outcome::Refused(error) => {
                shared.queue.sent();
                shared.count(|counts| counts.refused += count);
                warn!(exporter = name, %error, spans = count, "spans were refused");
                Some(Duration::ZERO)
            }
            Outcome::Closed => {
                shared.queue.sent();
                shared.count(|counts| counts.unread += count);
                shared.closed.send_replace(true);
                None
            }
        }
    }

    fn delivered(&mut self, exporter: &str, rejected: u64, message: &str) {
        if self.failures > 0 {
            info!(exporter, attempts_in_vain = self.failures, "exporting again");
        }
        self.failures = 0;
        self.backoff.reset();
        if rejected == 0 && message.is_empty() {
            return;
        }
        if self.has_rejected {
            debug!(exporter, rejected, message, "the receiver took a part");
        } else {
            warn!(exporter, rejected, message, "the receiver took a part; from now on this is only counted");
        }
        self.has_rejected = true;
    }

    fn troubled(&mut self, exporter: &str, error: &Trouble) {
        if self.failures == 0 {
            warn!(exporter, %error, "cannot export; spans wait in the queue");
        } else {
            debug!(exporter, %error, "cannot export yet");
        }
        self.failures = self.failures.saturating_add(1);
    }
}
