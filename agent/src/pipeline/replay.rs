//! Traces from a recording instead of a kernel: the same core, the same exporters, no root.
//!
//! Shape: frames in file order → events → spans. Clock: the records'; ticks are made where time passes between two of them.
use super::{Error, core::Core, core::TICK_NS, finish, runtime, seed, settings};
use crate::{
    config::Config,
    enrich::{Host, ProcessFacts, Resources},
    events::{Order, Record, decode, order::SETTLED_NS},
    export,
    recording::{Frame, Reader},
    telemetry::Snapshot,
};
use std::{path::Path, sync::Arc};
use wirespan_core::{
    counters,
    event::{Event, Nanos},
};

/// Nothing is held back for longer: of a longer silence one tick is enough.
const LONGEST_IDLE_NS: u64 = 3_600_000_000_000;
/// Spans that are handed over at once.
const BATCH: usize = 512;

counters! {
    /// What came out of the file.
    Counts in "events" {
        records: "work", "records", "Records read from the recording.";
        undecodable: "loss", "records", "Records that could not be read.";
    }
}

/// Reads `file` to its end.
pub fn replay(config: &Config, file: &Path) -> Result<Snapshot, Error> {
    let runtime = runtime()?;
    let _inside = runtime.enter();
    let mut reader = Reader::open(file)?;
    let offset = reader.meta().unix_minus_monotonic_ns;
    let exporters = Arc::new(export::start_replay(&settings::export(config), offset)?);
    let mut resources = Resources::new(settings::enrich(config), Host::read(Path::new("/")));
    let mut player = Player {
        core: Core::new(config, Vec::new(), seed()),
        order: Order::default(),
        counts: Counts::default(),
        last: Nanos(0),
    };
    while let Some(frame) = reader.read::<ProcessFacts>()? {
        match frame {
            Frame::Process(facts) => drop(resources.learn(facts)),
            Frame::Record(bytes) => player.record(bytes),
            Frame::Loss(at) => player.lost(at),
            Frame::End(at) => player.act(at),
        }
        if player.core.decided() >= BATCH
            && !runtime.block_on(exporters.deliver(player.core.take_spans(), &mut resources))
        {
            break;
        }
    }
    let Player { mut core, order, counts, .. } = player.finished();
    runtime.block_on(exporters.deliver(core.take_spans(), &mut resources));
    let mut snapshot = Snapshot::default();
    snapshot.add(counts.rows());
    snapshot.add(order.counts().rows());
    core.count(&mut snapshot);
    finish(runtime, exporters, config, &mut snapshot);
    Ok(snapshot)
}

/// The core, and how far it has come.
struct Player {
    core: Core,
    order: Order,
    counts: Counts,
    last: Nanos,
}

impl Player {
    fn record(&mut self, bytes: &[u8]) {
        self.counts.records += 1;
        self.order.push(bytes);
        // As the observer does it: not one by one.
        if self.order.newest().since(self.order.settled()) >= 2 * SETTLED_NS {
            self.act(Nanos(self.order.newest().0.saturating_sub(SETTLED_NS)));
        }
    }

    fn lost(&mut self, at: Nanos) {
        self.act(Nanos(at.0.saturating_sub(SETTLED_NS)));
        self.core.lost(at);
        self.core.tick(self.order.settled(), &mut drop);
    }

    /// Acts on all records before `until`.
    fn act(&mut self, until: Nanos) {
        if self.order.was_late() {
            self.core.lost(self.order.newest());
        }
        let Player { core, order, counts, last, .. } = self;
        order.release(until, |bytes| {
            let Ok(Record::Event { event, .. }) = decode(bytes) else {
                counts.undecodable += 1;
                return;
            };
            let at = when(&event).max(*last);
            pass(core, *last, at);
            *last = at;
            core.event(&event, &mut drop);
        });
        let until = self.last.max(until);
        pass(&mut self.core, self.last, until);
        self.last = until;
    }

    /// Nothing more will come.
    fn finished(mut self) -> Player {
        let end = Nanos(self.order.newest().max(self.last).0.saturating_add(TICK_NS));
        self.act(end);
        self.core.finish(end);
        self
    }
}

/// Lets the time between two records pass as it did: what is held back is decided in steps.
fn pass(core: &mut Core, from: Nanos, until: Nanos) {
    let idle = until.since(from);
    if from != Nanos(0) && idle <= LONGEST_IDLE_NS {
        for tick in 1..idle / TICK_NS {
            core.tick(Nanos(from.0 + tick * TICK_NS), &mut drop);
        }
    }
    if core.is_due(until) {
        core.tick(until, &mut drop);
    }
}

fn when(event: &Event<'_>) -> Nanos {
    match event {
        Event::Bytes(segment) => segment.at,
        Event::Progress { reached, .. } => reached.at,
        Event::Ending { at, .. }
        | Event::Claim { at, .. }
        | Event::Spawn { at, .. }
        | Event::Birth { at, .. }
        | Event::Handover { at, .. }
        | Event::Slice { at, .. }
        | Event::Exit { at, .. }
        | Event::Left { at, .. }
        | Event::Tick { at } => *at,
    }
}
