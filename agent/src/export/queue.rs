//! A bounded queue between the pipeline and one exporter: pushing never waits, the oldest gives way.
//!
//! Shape: [`Queue::push`] from any thread; one consumer takes batches, and puts back what could not be sent.
//! Invariant: waiting and being sent together are never more than the capacity; every span that leaves without being taken is counted.
use super::{settings::Batch, stamped::Stamped};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::{sync::Notify, time::Instant};

/// Bytes in one request: collectors take 4 MiB over gRPC if nobody tells them otherwise.
const BATCH_BYTES: usize = 3 * 1024 * 1024;

/// See the module.
pub(super) struct Queue {
    batch: Batch,
    state: Mutex<State>,
    changed: Notify,
    freed: Notify,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Waiting>,
    being_sent: usize,
    is_closing: bool,
}

struct Waiting {
    since: Instant,
    span: Arc<Stamped>,
}

/// Why the consumer woke.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wake {
    /// A batch is full, or its oldest span has waited long enough.
    Batch,
    /// The consumer's own time has come.
    Due,
    /// No more spans will come: take what is there.
    Closing,
}

impl Queue {
    pub(super) fn new(batch: Batch) -> Queue {
        Queue { batch, state: Mutex::default(), changed: Notify::new(), freed: Notify::new() }
    }

    /// Adds spans and returns how many old ones gave way.
    pub(super) fn push(&self, spans: impl IntoIterator<Item = Arc<Stamped>>) -> u64 {
        let since = Instant::now();
        let full = self.batch.max_export_batch_size;
        let mut state = self.lock();
        let before = state.waiting.len();
        state.waiting.extend(spans.into_iter().map(|span| Waiting { since, span }));
        // The consumer looks at its own time for anything else: it is not woken for every push.
        let matters = before == 0 || (before < full && state.waiting.len() >= full);
        let excess = (state.waiting.len() + state.being_sent).saturating_sub(self.batch.max_queue_size);
        let excess = excess.min(state.waiting.len());
        state.waiting.drain(..excess);
        drop(state);
        if matters {
            self.changed.notify_one();
        }
        excess as u64
    }

    /// Waits until there is something to do. `due` is a time of the consumer's own.
    pub(super) async fn wake(&self, due: Option<Instant>) -> Wake {
        loop {
            let changed = self.changed.notified();
            let ripe = {
                let state = self.lock();
                if state.is_closing {
                    return Wake::Closing;
                }
                if state.waiting.len() >= self.batch.max_export_batch_size {
                    return Wake::Batch;
                }
                state.waiting.front().map(|oldest| oldest.since + self.batch.schedule_delay)
            };
            tokio::select! {
                () = sleep_until(ripe) => return Wake::Batch,
                () = sleep_until(due) => return Wake::Due,
                () = changed => {}
            }
        }
    }

    /// Takes the oldest spans, as many as fit one request. They still count towards the capacity until [`Queue::sent`] or
    /// [`Queue::put_back`].
    pub(super) fn take(&self) -> Vec<Arc<Stamped>> {
        let mut state = self.lock();
        let mut bytes = 0;
        let mut taken = Vec::new();
        while taken.len() < self.batch.max_export_batch_size.max(1)
            && let Some(Waiting { span, since }) = state.waiting.pop_front()
        {
            bytes += span.approximate_bytes();
            if bytes > BATCH_BYTES && !taken.is_empty() {
                state.waiting.push_front(Waiting { span, since });
                break;
            }
            taken.push(span);
        }
        state.being_sent = taken.len();
        taken
    }

    /// What was taken is done with.
    pub(super) fn sent(&self) {
        self.lock().being_sent = 0;
        self.freed.notify_one();
    }

    /// Returns when `spans` more make none give way, or nothing is in the way that could leave. For one waiting task.
    pub(super) async fn room(&self, spans: usize) {
        loop {
            let freed = self.freed.notified();
            let depth = self.depth();
            if depth == 0 || depth + spans <= self.batch.max_queue_size {
                return;
            }
            freed.await;
        }
    }

    /// What was taken waits again, before all others.
    pub(super) fn put_back(&self, spans: Vec<Arc<Stamped>>) {
        let since = Instant::now();
        let mut state = self.lock();
        state.being_sent = 0;
        for span in spans.into_iter().rev() {
            state.waiting.push_front(Waiting { since, span });
        }
    }

    /// Spans that wait or are being sent.
    pub(super) fn depth(&self) -> usize {
        let state = self.lock();
        state.waiting.len() + state.being_sent
    }

    /// Nothing more will be pushed.
    pub(super) fn close(&self) {
        self.lock().is_closing = true;
        self.changed.notify_one();
    }

    pub(super) fn is_closing(&self) -> bool {
        self.lock().is_closing
    }

    /// Returns when the queue is closing.
    pub(super) async fn closing(&self) {
        loop {
            let changed = self.changed.notified();
            if self.is_closing() {
                return;
            }
            changed.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
