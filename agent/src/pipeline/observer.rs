//! The one thread that owns the kernel side and the core: records in, spans handed to the exporters.
//!
//! Shape: drains the ring on a timer, decides about processes, answers `explain`. Clock: records', and the monotonic clock for ticks.
//! Invariant: it never waits for anything but the ring; handing spans over and answering do not block.
mod cluster;
mod names;
mod place;

use self::cluster::{Feed, Started};
use super::{
    core::Core,
    passed::Passed,
    settings,
    told::{self, evidence_in_use, kernel_rows},
    waiting::Waiting,
};
use crate::{
    attach::{Kernel, Misses},
    config::Config,
    discover::{Discovery, Known, Program, Verdict, local_addresses},
    enrich::{Host, Names, PATIENCE, ProcessFacts, Resources, read},
    events::{Exec, Order, Record, Ring, decode, is_of_process, order::SETTLED_NS, progress_record},
    explain::{Count, Explanation, Work, server::Question},
    export,
    recording::{self, Writer},
    telemetry::Snapshot,
};
use foldhash::fast::RandomState;
use rustix::time::{ClockId, clock_gettime};
use std::{
    collections::HashMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{runtime::Handle, sync::mpsc};
use tracing::{debug, error, info, warn};
use wirespan_core::{
    assemble::Command,
    counters,
    event::{Event, Nanos, ProcessId},
    spans::Span,
};

/// The shortest and the longest time between two drains: short while there is work, long while there is none.
const DRAIN_EVERY: [Duration; 2] = [Duration::from_millis(2), Duration::from_millis(20)];
/// Without a record for so long, and with nothing left to decide, it is quiet.
const QUIET_NS: u64 = 250_000_000;
/// Records taken from the ring before anything else is looked at.
const DRAIN_RECORDS: usize = 16_384;
/// How often it is looked for events that a program was not run for: a look reads a file for every program.
const MISSES_NS: u64 = 100_000_000;
/// The same when it is quiet. The first record after that makes it due.
const QUIET_MISSES_NS: u64 = 1_000_000_000;
/// How often lost exits are looked for.
const SWEEP_NS: u64 = 30_000_000_000;
/// So long it is waited at the end for room in the exporters' queues.
const LAST_WITHIN: Duration = Duration::from_secs(2);
/// Processes whose work is remembered, ended ones included.
const WORKERS: usize = 4_096;

counters! {
    /// What came out of the ring.
    Counts in "events" {
        records: "work", "records", "Records taken from the ring.";
        bytes: "work", "bytes", "Size of these records.";
        unobserved: "skip", "records", "Records of processes that are not observed: followed from their exec until it was decided.";
        undecodable: "loss", "records", "Records that could not be read.";
        refused_commands: "loss", "commands", "Marks and stops that the kernel side did not take.";
        unrecorded: "loss", "records", "Records that could not be written to the recording.";
    }
}

/// State of the thread.
pub(super) struct Observer {
    kernel: Kernel,
    discovery: Discovery,
    resources: Resources,
    names: Names,
    core: Core,
    exporters: Arc<export::Handle>,
    runtime: Handle,
    recorder: Option<Writer>,
    order: Order,
    passed: Passed<Event<'static>>,
    work: HashMap<ProcessId, Work, RandomState>,
    /// What the API server tells, in Kubernetes.
    cluster: Option<Feed>,
    waiting: Waiting,
    counts: Counts,
    losses: Losses,
    swept: Nanos,
    /// When a record was last taken from the ring.
    heard: Nanos,
}

/// What the kernel side has lost, as of the last look.
#[derive(Clone, Copy)]
struct Losses {
    refused: u64,
    misses: Misses,
    misses_read: Nanos,
}

impl Observer {
    pub(super) fn new(
        config: &Config,
        kernel: Kernel,
        recorder: Option<Writer>,
        exporters: Arc<export::Handle>,
        cluster: Option<Started>,
    ) -> Observer {
        let proc = Path::new("/proc");
        let addresses = local_addresses(proc);
        Observer {
            kernel,
            discovery: cluster::discovery(config, settings::select(config, &addresses), proc),
            resources: Resources::new(settings::enrich(config), Host::read(Path::new("/"))),
            names: Names::new(config.containers.sockets.clone(), Handle::current()),
            core: Core::new(config, addresses, super::seed()),
            exporters,
            runtime: Handle::current(),
            recorder,
            order: Order::default(),
            passed: Passed::new(),
            work: HashMap::default(),
            cluster: cluster.map(Feed::new),
            waiting: Waiting::new(config.kubernetes.as_ref().map_or(PATIENCE, |room| room.identity_wait)),
            counts: Counts::default(),
            losses: Losses { refused: 0, misses: Misses::default(), misses_read: now() },
            swept: now(),
            heard: now(),
        }
    }

    /// Looks at what already runs; afterwards the agent is ready. `keeps`: its privileges.
    pub(super) fn begin(&mut self, keeps: &str) {
        let found = self.discovery.scan(now());
        for known in &found {
            // What is not wanted has no row in the kernel, and needs none.
            if known.verdict.is_observe() {
                self.decide(known, None);
            }
        }
        let kind = self.kernel.kind().map(|kind| kind.to_string()).unwrap_or_default();
        let observed = self.discovery.observed().count();
        info!(pid = std::process::id(), hooks = kind, observed, keeps, "ready");
    }

    /// Works until `stop`; returns what was counted.
    pub(super) fn run(
        mut self,
        mut ring: Ring,
        mut questions: mpsc::Receiver<Question>,
        stop: &AtomicBool,
    ) -> Snapshot {
        let [shortest, longest] = DRAIN_EVERY;
        let mut pause = shortest;
        while !stop.load(Ordering::Relaxed) {
            let (records, _) = self.drain(&mut ring);
            if self.core.is_due(self.order.settled()) {
                self.tick();
            }
            self.learn_names();
            self.hear_cluster();
            self.hand_over();
            while let Ok(question) = questions.try_recv() {
                // Whoever asked may have gone away.
                drop(question.answer.send(self.explain(question.pid)));
            }
            pause = if records > 0 || !self.passed.is_empty() { shortest } else { (pause * 2).min(longest) };
            if records < DRAIN_RECORDS {
                ring.wait(pause);
            }
        }
        // What was there when it was to stop: who is observed goes on, and may write faster than this reads.
        let stopped = now();
        while self.drain(&mut ring).1 < stopped {}
        self.act(now());
        self.tick();
        self.core.finish(now());
        self.hand_over_last();
        let snapshot = self.snapshot();
        if let Some(recorder) = self.recorder.take() {
            match recorder.finish(now()) {
                Ok(records) => info!(records, "recording is complete"),
                Err(error) => error!(%error, "recording is incomplete"),
            }
        }
        snapshot
    }

    /// Takes records from the ring and acts on those that are in order: how many were taken, and until when that is all.
    fn drain(&mut self, ring: &mut Ring) -> (usize, Nanos) {
        let begun = now();
        let records = ring.drain(DRAIN_RECORDS, |record| self.take(record));
        if records > 0 {
            self.heard = begun;
        }
        let seen = if records < DRAIN_RECORDS { begun } else { self.order.newest() };
        self.act(Nanos(seen.0.saturating_sub(SETTLED_NS)));
        (records, seen)
    }

    /// A record as it comes. What processes do is acted on at once, while they live: a short one is over before its records are
    /// in order.
    fn take(&mut self, bytes: &[u8]) {
        if is_of_process(bytes) {
            self.order.pass(bytes);
            self.record(bytes);
        } else {
            self.order.push(bytes);
        }
    }

    /// Acts on all records before `until`, and on what the kernel's tables said in that time.
    fn act(&mut self, until: Nanos) {
        if self.order.was_late() {
            self.tell_loss(now());
        }
        let mut order = std::mem::take(&mut self.order);
        order.release(until, |record| self.record(record));
        self.order = order;
        for passed in self.passed.due(until) {
            if let Some(bytes) = progress_record(&passed, until) {
                self.keep(|recorder| recorder.record(&bytes));
            }
            self.core_event(&passed);
        }
    }

    fn tell_loss(&mut self, at: Nanos) {
        self.keep(|recorder| recorder.loss(at));
        self.core.lost(at);
    }

    fn record(&mut self, bytes: &[u8]) {
        self.counts.records += 1;
        self.counts.bytes += bytes.len() as u64;
        let record = match decode(bytes) {
            Ok(record) => record,
            Err(error) => {
                self.counts.undecodable += 1;
                debug!(%error, "cannot read record");
                return;
            }
        };
        match record {
            Record::Event { event, .. } => self.event(&event, bytes),
            Record::Exec(exec) => self.exec(&exec),
            Record::Fork { child, parent, at } => self.fork(parent, child, at),
            Record::Listen { process, local, at } => {
                let changed = self.discovery.listen(process, local.port(), at);
                changed.iter().for_each(|known| self.decide(known, None));
                if changed.is_empty() && self.discovery.is_observed(process) {
                    self.kernel.look_again_at(process, at);
                }
            }
            Record::Nothing => {}
        }
    }

    fn event(&mut self, event: &Event<'_>, bytes: &[u8]) {
        match event {
            Event::Bytes(segment) => {
                let process = segment.actor.process;
                if !self.discovery.is_observed(process) {
                    self.counts.unobserved += 1;
                    return;
                }
                let work = self.work.entry(process).or_default();
                work.records += 1;
                work.moved_bytes += u64::from(segment.moved);
                work.copied_bytes += segment.data.len() as u64;
            }
            Event::Claim { process, .. }
            | Event::Spawn { process, .. }
            | Event::Birth { process, .. }
            | Event::Handover { process, .. }
            | Event::Slice { process, .. }
                if !self.discovery.is_observed(*process) =>
            {
                return;
            }
            Event::Exit { process, .. } => {
                self.discovery.exit(*process);
                self.resources.exit(*process);
            }
            _ => {}
        }
        self.keep(|recorder| recorder.record(bytes));
        self.core_event(event);
    }

    /// An event for the core, and what it asks of the kernel side, and what that answers.
    fn core_event(&mut self, event: &Event<'_>) {
        let mut commands: Vec<Command> = Vec::new();
        self.core.event(event, &mut |command| commands.push(command));
        self.obey(commands);
    }

    fn obey(&mut self, commands: Vec<Command>) {
        for command in commands {
            match self.kernel.apply(command) {
                Ok(None) => {}
                Ok(Some(passed)) => self.passed.push(now(), passed),
                Err(error) => {
                    self.counts.refused_commands += 1;
                    debug!(%error, "cannot obey the core");
                }
            }
        }
    }

    fn exec(&mut self, exec: &Exec<'_>) {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let args = exec.args.split(|byte| *byte == 0).filter(|arg| !arg.is_empty()).map(text).collect();
        let fallback = Program { exe: text(exec.filename), args, ..Program::default() };
        let known = self.discovery.exec(exec.process, fallback.clone(), exec.at);
        self.decide(&known, Some(fallback));
    }

    fn fork(&mut self, parent: ProcessId, child: ProcessId, at: Nanos) {
        let Some(known) = self.discovery.fork(parent, child, at) else {
            // The parent was never looked at: the child is judged by itself.
            let known = self.discovery.exec(child, Program::default(), at);
            return self.decide(&known, None);
        };
        self.kernel.share_image(parent, child);
        // The kernel side gave the child its parent's row, and what is decided of the parent may be newer.
        if !known.verdict.is_observe() || self.resources.fork(parent, child).is_none() {
            self.decide(&known, None);
        }
    }

    /// Carries a verdict to the kernel's filter, and reads what spans will say of the process while it lives.
    fn decide(&mut self, known: &Known, fallback: Option<Program>) {
        let is_executed = fallback.is_some();
        let done = match known.verdict {
            Verdict::Observe(why) => {
                debug!(pid = known.id.pid, exe = known.program.exe, %why, "observed");
                let facts = read(Path::new("/proc"), known.id.pid).filter(|facts| facts.id == known.id);
                let program = fallback.unwrap_or_else(|| known.program.clone());
                let parent = (known.program.parent > 0).then_some(known.program.parent);
                let mut facts = facts
                    .unwrap_or_else(|| ProcessFacts::from_exec(known.id, program.exe, program.args, parent));
                facts.kubernetes = self.discovery.identity(known);
                if let Some(container) = &mut facts.container {
                    self.names.ask(container);
                }
                self.keep_facts(&facts);
                self.resources.learn(facts);
                let runtime = self.kernel.look_into(known.id);
                self.kernel.observe(known.id, runtime)
            }
            Verdict::Ignore(_) if is_executed => self.kernel.ignore_executed(known.id),
            Verdict::Ignore(_) => self.kernel.ignore(known.id),
        };
        match done {
            Ok(_) => {}
            Err(error) => warn!(pid = known.id.pid, %error, "cannot tell the kernel about a process"),
        }
    }

    fn tick(&mut self) {
        let at = now();
        if self.has_lost(at) {
            self.tell_loss(at);
        }
        let mut commands: Vec<Command> = Vec::new();
        self.core.tick(self.order.settled(), &mut |command| commands.push(command));
        self.obey(commands);
        self.kernel.look_again(at);
        if at.since(self.swept) < SWEEP_NS {
            return;
        }
        self.swept = at;
        for known in self.discovery.sweep() {
            self.core_event(&Event::Exit { process: known.id, at });
            self.resources.exit(known.id);
            if let Err(error) = self.kernel.forget(known.id) {
                debug!(pid = known.id.pid, %error, "cannot forget a process");
            }
        }
        if let Err(error) = self.kernel.forget_dead_connections(self.losses.misses.ends, at) {
            debug!(%error, "cannot delete the rows of connections whose end was missed");
        }
        let discovery = &self.discovery;
        self.kernel.release_images(|process| discovery.is_observed(process));
    }

    /// Has nothing happened for long, and does nothing wait for what was lost meanwhile?
    fn is_quiet(&self, at: Nanos) -> bool {
        at.since(self.heard) > QUIET_NS && self.core.is_idle()
    }

    /// Were records lost since the last look?
    fn has_lost(&mut self, at: Nanos) -> bool {
        let before = self.losses;
        self.losses.refused = self.kernel.refused_records().unwrap_or(before.refused);
        let every = if self.is_quiet(at) { QUIET_MISSES_NS } else { MISSES_NS };
        if at.since(before.misses_read) >= every {
            self.losses.misses = self.kernel.missed();
            self.losses.misses_read = at;
        }
        self.losses.refused > before.refused || self.losses.misses.evidence > before.misses.evidence
    }

    fn hand_over(&mut self) {
        let spans = self.take_spans();
        let spans = self.hold_unnamed(spans);
        self.exporters.send(spans, &mut self.resources);
    }

    /// What was still held comes all at once, and may be more than fits the queues: it is waited for room.
    fn hand_over_last(&mut self) {
        self.learn_names();
        let mut spans: Vec<Span> = self.waiting.all().collect();
        spans.extend(self.take_spans());
        let delivered = self.exporters.deliver_within(spans, &mut self.resources, LAST_WITHIN);
        self.runtime.block_on(delivered);
    }

    fn take_spans(&mut self) -> Vec<Span> {
        let mut spans = self.core.take_spans();
        self.name_peers(&mut spans);
        for span in &spans {
            self.work.entry(span.process).or_default().spans += 1;
        }
        if self.work.len() > WORKERS {
            let discovery = &self.discovery;
            self.work.retain(|process, _| discovery.is_observed(*process));
        }
        spans
    }

    fn keep(&mut self, write: impl FnOnce(&mut Writer) -> Result<(), recording::Error>) {
        let Some(recorder) = &mut self.recorder else { return };
        if let Err(error) = write(recorder) {
            if self.counts.unrecorded == 0 {
                error!(%error, "cannot write the recording");
            }
            self.counts.unrecorded += 1;
        }
    }

    fn explain(&mut self, pid: u32) -> Option<Explanation> {
        let (known, running) = self.discovery.look_up(pid)?;
        let mut it = Explanation::of(&known, running);
        it.agent = Some(format!("wirespan {}, pid {}", env!("CARGO_PKG_VERSION"), std::process::id()));
        it.counters = self.snapshot();
        it.kubernetes = self.kubernetes_notes(&known);
        it.program = self.kernel.program_notes(known.id);
        it.work = self.work.get(&known.id).cloned().unwrap_or_default();
        if let Some(facts) = self.resources.facts(known.id) {
            it.place = told::place(facts);
            it.service = Some(self.resources.of(known.id).service_name.clone());
        }
        it.open = self.core.longest_open(known.id).into_iter().map(told::open).collect();
        if let Some(links) = self.core.explain(known.id) {
            let counts = |rows: &[(&'static str, u64)]| {
                rows.iter().map(|(name, value)| Count { name: (*name).into(), value: *value }).collect()
            };
            it.links = counts(&links.links);
            it.unparented = counts(&links.unparented);
            it.calibration = evidence_in_use(&links);
        }
        Some(it)
    }

    fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot::default();
        snapshot.add(self.discovery.counts().rows());
        snapshot.add(self.waiting.counts().rows());
        snapshot.add(self.discovery.cluster().into_iter().flat_map(|cluster| cluster.counts().rows()));
        snapshot.add(kernel_rows(&self.kernel));
        snapshot.add(self.counts.rows());
        snapshot.add(self.order.counts().rows());
        self.core.count(&mut snapshot);
        snapshot.add(self.resources.counts().rows());
        snapshot.add(self.names.counts().rows());
        snapshot.add(self.exporters.rows());
        snapshot
    }
}

/// `CLOCK_MONOTONIC`, as the kernel side's `bpf_ktime_get_ns`.
pub(super) fn now() -> Nanos {
    let time = clock_gettime(ClockId::Monotonic);
    Nanos(time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
}
