//! The whole agent on one screen: who runs where, what connects them, and how it ends.
//!
//! Shape: [`run`] loads the kernel side and lets go of the privileges that only that needs, then starts the exporters on a small
//! runtime and the [`observer`] on a thread of its own; spans go from the one to the others through each exporter's bounded queue
//! (drop oldest, counted), questions come back through a channel of 16 (refused), and what the API server tells through one of 256
//! (its watch waits).
//! Not here: what any room does.
mod core;
mod observer;
mod passed;
mod replay;
mod settings;
mod start;
mod told;
mod waiting;

pub use replay::replay;
pub use settings::{attach as kernel_settings, kubernetes as kubernetes_settings, select};

use crate::{
    attach,
    config::{Config, Source, System},
    explain::server,
    export, kubernetes,
    recording::{self, Meta},
    telemetry::Snapshot,
};
use observer::Observer;
use rustix::time::{ClockId, clock_gettime};
use start::Begun;
use std::{
    io,
    os::{
        linux::net::SocketAddrExt,
        unix::{
            ffi::OsStrExt,
            net::{SocketAddr, UnixDatagram},
        },
    },
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};
use thiserror::Error;
use tokio::{
    runtime::{Builder, Runtime},
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
};
use tracing::{debug, info};

/// Questions that wait for the observer; more are refused.
const QUESTIONS: usize = 16;

/// Niceness added: on a saturated machine ring and queues hold a tenth of a second, and what overflows is lost. What the agent
/// takes is bounded by what the observed programs do; it needs it soon, not more of it.
const NICE: i32 = -5;

/// Why the agent cannot start, or had to stop.
#[derive(Debug, Error)]
pub enum Error {
    /// No runtime or no thread.
    #[error("cannot start: {0}")]
    System(#[from] io::Error),
    /// The kernel side.
    #[error(transparent)]
    Kernel(#[from] attach::Error),
    /// An exporter.
    #[error("cannot export: {0}")]
    Export(#[from] export::StartError),
    /// The recording.
    #[error(transparent)]
    Recording(#[from] recording::Error),
    /// The observer's thread panicked: a defect.
    #[error("the observing thread failed")]
    Observer,
}

/// Traces until SIGTERM, SIGINT, the configured time, or the end of stdout's reader. With `recording`, writes the ring's records too.
pub fn run(config: &Config, recording: Option<&Path>) -> Result<Snapshot, Error> {
    // Before any thread is made: threads inherit it.
    if let Err(error) = rustix::process::nice(NICE) {
        debug!(%error, "cannot take precedence over a saturated machine");
    }
    let Begun { kernel, ring, recorder, socket, keeps } = start::begin(config, recording)?;
    let runtime = runtime()?;
    let _inside = runtime.enter();
    let exporters = Arc::new(export::start(&settings::export(config))?);
    let cluster = settings::kubernetes(config).map(kubernetes::start).transpose()?;
    let mut observer = Observer::new(config, kernel, recorder, Arc::clone(&exporters), cluster);
    let (questions, asked) = mpsc::channel(QUESTIONS);
    if let Some(listener) = socket {
        drop(runtime.spawn(server::serve(listener, questions)));
    }
    // Before anybody reads `ready`: a signal from then on means to stop in order.
    let signals = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    observer.begin(&keeps);
    notify_ready();
    let thread =
        thread::Builder::new().name("observer".into()).spawn(move || observer.run(ring, asked, &stopped))?;
    runtime.block_on(until_stopped(config, &exporters, signals));
    stop.store(true, Ordering::Relaxed);
    let mut snapshot = thread.join().map_err(|_| Error::Observer)?;
    drop(std::fs::remove_file(&config.agent.socket));
    finish(runtime, exporters, config, &mut snapshot);
    Ok(snapshot)
}

/// Flushes the exporters, and replaces their counters in `snapshot` by the last ones.
fn finish(runtime: Runtime, exporters: Arc<export::Handle>, config: &Config, snapshot: &mut Snapshot) {
    let within = config.export.batch.timeout.min(settings::FLUSH_WITHIN);
    if let Some(exporters) = Arc::into_inner(exporters) {
        let rows = runtime.block_on(exporters.shutdown(within));
        snapshot.rows.retain(|row| !row.room.starts_with("export"));
        snapshot.add(rows);
    }
    runtime.shutdown_background();
}

async fn until_stopped(
    config: &Config,
    exporters: &export::Handle,
    (mut terminate, mut interrupt): (Signal, Signal),
) {
    let time_is_up = async {
        match config.run_for {
            Some(time) => tokio::time::sleep(time).await,
            None => std::future::pending().await,
        }
    };
    let why = tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
        () = time_is_up => "--for is over",
        () = exporters.closed() => "nobody reads stdout",
    };
    info!(why, "stopping");
}

/// One thread carries all exporters: they wait more than they work.
fn runtime() -> io::Result<Runtime> {
    Builder::new_multi_thread().worker_threads(1).max_blocking_threads(4).enable_all().build()
}

fn meta() -> Meta {
    let read = |clock| {
        let time = clock_gettime(clock);
        time.tv_sec * 1_000_000_000 + time.tv_nsec
    };
    Meta {
        agent: env!("CARGO_PKG_VERSION").into(),
        unix_minus_monotonic_ns: read(ClockId::Realtime) - read(ClockId::Monotonic),
    }
}

/// Seeds the ids of traces and spans. Without the kernel's randomness the clocks must do: ids need not be secret.
fn seed() -> [u8; 32] {
    let mut seed = [0; 32];
    if getrandom::fill(&mut seed).is_err() {
        let now = observer::now().0 ^ u64::from(std::process::id()).rotate_left(32);
        seed.iter_mut().zip(now.to_le_bytes()).for_each(|(to, from)| *to = from);
    }
    seed
}

/// Tells systemd, if it asked to be told: sd_notify(3).
fn notify_ready() {
    let Some(path) = System.get("NOTIFY_SOCKET") else { return };
    let address = match path.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(std::ffi::OsStr::new(name).as_bytes()),
        None => SocketAddr::from_pathname(path),
    };
    let sent = address.and_then(|address| UnixDatagram::unbound()?.send_to_addr(b"READY=1", &address));
    if let Err(error) = sent {
        debug!(%error, "cannot notify systemd");
    }
}
