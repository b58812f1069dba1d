//! Traces from a recording instead of a kernel: the same core, the same exporters, no root.
//!
//! Shape: frames in file order → events → spans. Clock: the records'; ticks are made where time passes between two of them.
use super::{Error, core::Core, core::TICK_NS, finish, runtime, seed, settings};
use crate::{
    config::Config,
    enrich::{Host, ProcessFacts, Resources},
    events::{Record, decode},
    export,
    recording::{Frame, Reader},
    telemetry::Snapshot,
};
use std::{path::Path, sync::Arc};
use wirespan_core::{
    counters,
    event::{Event, Nanos},
};

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
    let mut core = Core::new(config, Vec::new(), seed());
    let mut counts = Counts::default();
    let mut last = Nanos(0);
    while let Some(frame) = reader.read::<ProcessFacts>()? {
        let bytes = match frame {
            Frame::Process(facts) => {
                resources.learn(facts);
                continue;
            }
            Frame::Record(bytes) => bytes,
        };
        counts.records += 1;
        let Ok(Record::Event { event, .. }) = decode(bytes) else {
            counts.undecodable += 1;
            continue;
        };
        let at = when(&event).max(last);
        if last != Nanos(0) && at.since(last) >= TICK_NS || core.is_due(at) {
            core.tick(at, false, &mut drop);
        }
        last = at;
        core.event(&event, &mut drop);
        if core.decided() >= BATCH && !runtime.block_on(exporters.deliver(core.take_spans(), &mut resources))
        {
            break;
        }
    }
    core.finish(Nanos(last.0.saturating_add(TICK_NS)));
    runtime.block_on(exporters.deliver(core.take_spans(), &mut resources));
    let mut snapshot = Snapshot::default();
    snapshot.add(counts.rows());
    core.count(&mut snapshot);
    finish(runtime, exporters, config, &mut snapshot);
    Ok(snapshot)
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
        | Event::Tick { at } => *at,
    }
}
