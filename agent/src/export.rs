//! Spans to where the user wants them: a collector, a person, a program.
//!
//! Shape: `Span`s with monotonic times + [`Resources`] → [`Handle::send`] → one bounded queue per exporter → OTLP over gRPC or HTTP,
//! a waterfall, JSON lines. Clock: monotonic in, Unix out; converted once, at the hand-over (see `clock`).
//! Source: OpenTelemetry specification (exporter, batch span processor), OTLP 1.x. Not here: sampling, metrics.
//! Invariant: only this room names OTLP; handing over never waits; every span that is not exported moves a counter.
mod clock;
mod console;
mod encode;
mod grpc;
mod http;
mod json;
mod outcome;
mod queue;
mod settings;
mod stamped;
#[cfg(test)]
mod tests;
mod tls;
mod worker;

pub use settings::{Batch, Compression, Console, Kind, Otlp, Protocol, Settings};
pub use tls::TlsError;

use crate::enrich::Resources;
use clock::Clock;
use grpc::Grpc;
use http::Http;
use json::{Json, Output};
use outcome::Backoff;
use queue::Queue;
use stamped::Stamped;
use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};
use tokio::{sync::watch, task::JoinHandle};
use wirespan_core::{counter::Counter, counters, spans::Span};
use worker::{Exporter, Shared};

counters! {
    /// Work and losses of one exporter.
    Counts in "export" {
        exported: "work", "spans", "Spans that arrived.";
        requests: "work", "requests", "Batches that arrived.";
        bytes: "work", "bytes", "Encoded size of these batches before compression.";
        retries: "work", "requests", "Attempts that failed and were made again.";
        queue_full: "loss", "spans", "Oldest spans that gave way because the queue was full: the receiver is slow or away.";
        rejected: "loss", "spans", "Spans that the receiver threw away (partial success).";
        refused: "loss", "spans", "Spans in requests that the receiver will never take.";
        unread: "loss", "spans", "Spans after the reader of stdout went away.";
        at_shutdown: "loss", "spans", "Spans that could not be sent before the agent had to end.";
    }
}

/// Why export cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The certificates.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A header that HTTP does not allow; its value may be a secret and is not shown.
    #[error("the header `{name}` is not valid")]
    Header {
        /// Its name.
        name: String,
    },
    /// The endpoint, as gRPC understands it.
    #[error("the gRPC endpoint cannot be used")]
    Grpc(#[source] tonic::transport::Error),
    /// The endpoint, as HTTP understands it.
    #[error("`{url}` cannot be used")]
    Uri {
        /// The URL.
        url: String,
        /// Why.
        #[source]
        source: hyper::http::uri::InvalidUri,
    },
}

/// All running exporters.
pub struct Handle {
    clock: Clock,
    batch: Batch,
    exporters: Vec<Running>,
    closed: watch::Receiver<bool>,
}

struct Running {
    shared: Shared,
    task: JoinHandle<()>,
}

/// Starts the exporters; inside a tokio runtime. A receiver that is not there is no error: spans wait for it.
pub fn start(settings: &Settings) -> Result<Handle, StartError> {
    start_with(settings, Clock::new(), &|| Box::new(tokio::io::stdout()))
}

/// As [`start`], for spans of another time or machine: `unix_minus_monotonic_ns` was that machine's offset.
pub fn start_replay(settings: &Settings, unix_minus_monotonic_ns: i64) -> Result<Handle, StartError> {
    start_with(settings, Clock::of_recording(unix_minus_monotonic_ns), &|| Box::new(tokio::io::stdout()))
}

fn start_with(settings: &Settings, clock: Clock, stdout: &dyn Fn() -> Output) -> Result<Handle, StartError> {
    let (closed_tx, closed) = watch::channel(false);
    let mut exporters = Vec::new();
    for kind in &settings.exporters {
        let (name, exporter) = exporter(*kind, settings, stdout)?;
        let shared = Shared {
            name,
            queue: Arc::new(Queue::new(settings.batch)),
            held: Arc::default(),
            counts: Arc::default(),
            closed: closed_tx.clone(),
        };
        exporters.push((exporter, shared));
    }
    let exporters = exporters.into_iter().map(|(exporter, shared)| Running {
        task: tokio::spawn(worker::run(
            exporter,
            Backoff::new(settings.otlp.initial_backoff, settings.otlp.max_backoff),
            shared.clone(),
        )),
        shared,
    });
    Ok(Handle { clock, batch: settings.batch, exporters: exporters.collect(), closed })
}

fn exporter(
    kind: Kind,
    settings: &Settings,
    stdout: &dyn Fn() -> Output,
) -> Result<(&'static str, Exporter), StartError> {
    Ok(match (kind, settings.otlp.protocol) {
        (Kind::Otlp, Protocol::Grpc) => ("export.otlp", Exporter::Grpc(Box::new(Grpc::new(&settings.otlp)?))),
        (Kind::Otlp, Protocol::HttpProtobuf) => {
            ("export.otlp", Exporter::Http(Box::new(Http::new(&settings.otlp)?)))
        }
        (Kind::Json, _) => ("export.json", Exporter::Json(Json::new(stdout()))),
        (Kind::Console, _) => {
            ("export.console", Exporter::Console(console::Console::new(stdout(), settings.console)))
        }
    })
}

impl Handle {
    /// Hands spans to every exporter. Never waits.
    pub fn send(&self, spans: Vec<Span>, resources: &mut Resources) {
        if self.exporters.is_empty() || spans.is_empty() {
            return;
        }
        let offset = self.clock.offset();
        let stamp = |span: Span| {
            let resource = resources.of(span.process);
            Arc::new(Stamped::new(span, resource, offset))
        };
        let spans: Vec<Arc<Stamped>> = spans.into_iter().map(stamp).collect();
        for Running { shared, task } in &self.exporters {
            if task.is_finished() {
                shared.count(|counts| counts.unread += spans.len() as u64);
                continue;
            }
            let excess = shared.queue.push(spans.iter().cloned());
            if excess > 0 {
                shared.count(|counts| counts.queue_full += excess);
            }
        }
    }

    /// As [`Handle::send`], for a source that can wait: in batches, each when every queue has room. Stops when the reader of
    /// stdout has gone away, and says so by `false`.
    pub async fn deliver(&self, spans: Vec<Span>, resources: &mut Resources) -> bool {
        for batch in self.batches(spans) {
            for exporter in &self.exporters {
                tokio::select! {
                    () = exporter.shared.queue.room(batch.len()) => {}
                    () = self.closed() => return false,
                }
            }
            self.send(batch, resources);
        }
        true
    }

    /// As [`Handle::deliver`], but waits no longer than `within` in all: beyond, old spans give way as ever.
    pub async fn deliver_within(&self, spans: Vec<Span>, resources: &mut Resources, within: Duration) {
        let deadline = tokio::time::Instant::now() + within;
        for batch in self.batches(spans) {
            for Running { shared, .. } in self.exporters.iter().filter(|running| !running.task.is_finished())
            {
                // In time or not: what does not fit is counted.
                drop(tokio::time::timeout_at(deadline, shared.queue.room(batch.len())).await);
            }
            self.send(batch, resources);
        }
    }

    fn batches(&self, spans: Vec<Span>) -> impl Iterator<Item = Vec<Span>> {
        let most = self.batch.max_export_batch_size.max(1);
        let mut spans = spans.into_iter();
        std::iter::from_fn(move || {
            let batch: Vec<Span> = spans.by_ref().take(most).collect();
            (!batch.is_empty()).then_some(batch)
        })
    }

    /// Returns when the reader of stdout has gone away: there is nobody to work for.
    pub async fn closed(&self) {
        let mut closed = self.closed.clone();
        if closed.wait_for(|is_closed| *is_closed).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Spans that wait or are being sent, over all exporters.
    #[cfg(test)]
    fn depth(&self) -> usize {
        self.exporters.iter().map(|exporter| exporter.shared.depth()).sum()
    }

    /// Each exporter's counters, the room named after it: `export.otlp`, `export.console`, `export.json`.
    pub fn rows(&self) -> Vec<(Counter, u64)> {
        self.exporters.iter().flat_map(|exporter| rows(&exporter.shared)).collect()
    }

    /// Sends what waits, for no longer than `within`, and returns the last counters. What could not be sent is counted.
    ///
    /// A reader that has stopped reading but keeps the pipe open blocks a thread of the runtime: end the process, or the runtime by
    /// `shutdown_background`, afterwards.
    pub async fn shutdown(self, within: Duration) -> Vec<(Counter, u64)> {
        for exporter in &self.exporters {
            exporter.shared.queue.close();
        }
        let deadline = tokio::time::Instant::now() + within;
        let mut all = Vec::new();
        for Running { shared, mut task } in self.exporters {
            if tokio::time::timeout_at(deadline, &mut task).await.is_err() {
                task.abort();
            }
            let left = shared.depth() as u64;
            shared.count(|counts| counts.at_shutdown += left);
            all.extend(rows(&shared));
        }
        all
    }
}

fn rows(shared: &Shared) -> Vec<(Counter, u64)> {
    let counts = shared.counts.lock().unwrap_or_else(PoisonError::into_inner).rows();
    counts.into_iter().map(|(counter, value)| (Counter { room: shared.name, ..counter }, value)).collect()
}
