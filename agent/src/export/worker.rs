//! One exporter at work: takes batches from its queue, sends them, waits when the receiver cannot take them.
//!
//! Shape: [`Queue`] → [`Exporter`] → counters. A batch that may be sent again goes back to the queue's front, where it ages like
//! everything else: an outage loses what does not fit the queue, and nothing because of a number of attempts.
//! Repeating trouble is logged once, then counted, until it is over.
use super::{
    Counts,
    console::Console,
    grpc::Grpc,
    http::Http,
    json::{Json, written},
    outcome::{Backoff, Outcome, Trouble},
    queue::{Queue, Wake},
    stamped::Stamped,
};
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
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
    Grpc(Box<Grpc>),
    Http(Box<Http>),
    Json(Json),
    Console(Console),
}

impl Exporter {
    async fn send(&mut self, spans: &[Arc<Stamped>]) -> Outcome {
        match self {
            Exporter::Grpc(grpc) => grpc.send(spans).await,
            Exporter::Http(http) => http.send(spans).await,
            Exporter::Json(json) => json.send(spans).await,
            Exporter::Console(console) => console.send(spans).await,
        }
    }

    /// When it wants to be asked without a batch.
    fn due(&self) -> Option<Instant> {
        match self {
            Exporter::Console(console) => console.due(),
            Exporter::Grpc(_) | Exporter::Http(_) | Exporter::Json(_) => None,
        }
    }

    /// Spans that it has taken and not yet passed on.
    fn held(&self) -> usize {
        match self {
            Exporter::Console(console) => console.held(),
            Exporter::Grpc(_) | Exporter::Http(_) | Exporter::Json(_) => 0,
        }
    }

    /// Its own time has come, or the end.
    async fn tick(&mut self, is_end: bool) -> Outcome {
        match self {
            Exporter::Console(console) if is_end => console.finish().await,
            Exporter::Console(console) => console.tick().await,
            Exporter::Grpc(_) | Exporter::Http(_) | Exporter::Json(_) => written(Ok(()), 0),
        }
    }
}

/// What a worker shares with the handle.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) name: &'static str,
    pub(super) queue: Arc<Queue>,
    /// Spans that the exporter holds back.
    pub(super) held: Arc<AtomicUsize>,
    pub(super) counts: Arc<Mutex<Counts>>,
    /// Set to true when nobody reads any more.
    pub(super) closed: watch::Sender<bool>,
}

impl Shared {
    /// Spans on their way.
    pub(super) fn depth(&self) -> usize {
        self.queue.depth() + self.held.load(Ordering::Relaxed)
    }

    pub(super) fn count(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Runs until the queue is closed and empty, or nobody reads any more.
pub(super) async fn run(mut exporter: Exporter, backoff: Backoff, shared: Shared) {
    let mut health = Health { backoff, failures: 0, has_warned: false };
    loop {
        let wake = shared.queue.wake(exporter.due()).await;
        let spans = shared.queue.take();
        let is_end = wake == Wake::Closing && spans.is_empty();
        let outcome = match (wake, spans.is_empty()) {
            (_, false) => exporter.send(&spans).await,
            (Wake::Batch, true) => continue,
            (Wake::Due | Wake::Closing, true) => exporter.tick(is_end).await,
        };
        let held = exporter.held();
        let left = (shared.held.swap(held, Ordering::Relaxed) + spans.len()).saturating_sub(held);
        let pause = health.settle(outcome, spans, left as u64, &shared);
        match pause {
            None => return,
            Some(_) if is_end => return,
            Some(pause) if !pause.is_zero() => wait(pause, &shared.queue).await,
            Some(_) => {}
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
    /// Something was refused or rejected, and that was logged.
    has_warned: bool,
}

impl Health {
    /// Counts what became of the `count` spans that have left the exporter, or puts `spans` back. Returns the pause before the next batch, or `None` if there is no point in one.
    fn settle(
        &mut self,
        outcome: Outcome,
        spans: Vec<Arc<Stamped>>,
        count: u64,
        shared: &Shared,
    ) -> Option<Duration> {
        let name = shared.name;
        match outcome {
            Outcome::Delivered { bytes, rejected, message } => {
                shared.queue.sent();
                self.delivered(name, rejected, &message);
                let rejected = rejected.min(count);
                shared.count(|counts| {
                    counts.exported += count - rejected;
                    counts.rejected += rejected;
                    counts.requests += u64::from(bytes > 0);
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
                self.refused(name, &error, count);
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
        if self.has_warned {
            debug!(exporter, rejected, message, "the receiver took a part");
        } else {
            warn!(exporter, rejected, message, "the receiver took a part; from now on this is only counted");
        }
        self.has_warned = true;
    }

    fn refused(&mut self, exporter: &str, error: &Trouble, spans: u64) {
        if self.has_warned {
            debug!(exporter, %error, spans, "spans were refused");
        } else {
            warn!(exporter, %error, spans, "spans were refused; from now on this is only counted");
        }
        self.has_warned = true;
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
