//! Events in, spans out: the pure rooms chained, the same for a live kernel and for a recording.
//!
//! Shape: [`Event`] → assemble → correlate → [`Span`]s, and [`Command`]s for whoever owns the kernel side.
//! Clock: event time; [`TICK_NS`] of it between two ticks. Not here: where events come from, where spans go.
use super::settings;
use crate::{config::Config, telemetry::Snapshot};
use std::net::IpAddr;
use wirespan_core::{
    assemble::{Assembler, Command, Output},
    correlate::{Correlator, OpenExchange, ProcessLinks},
    event::{Event, Nanos, ProcessId},
    sample,
    spans::Span,
};

/// How often waits and time-outs are looked at: spans that waited leave in small groups, which no queue has to be large for.
pub(super) const TICK_NS: u64 = 20_000_000;

/// The pure half of the agent.
pub(super) struct Core {
    assembler: Assembler,
    correlator: Correlator,
    output: Output,
    spans: Vec<Span>,
    ticked: Nanos,
}

impl Core {
    pub(super) fn new(config: &Config, local_addresses: Vec<IpAddr>, seed: [u8; 32]) -> Core {
        Core {
            assembler: Assembler::new(settings::assemble(config)),
            correlator: Correlator::new(settings::correlate(config, local_addresses), seed),
            output: Output::default(),
            spans: Vec::new(),
            ticked: Nanos(0),
        }
    }

    /// One event; the commands that it caused go to `obey`, oldest first.
    pub(super) fn event(&mut self, event: &Event<'_>, obey: &mut dyn FnMut(Command)) {
        self.assembler.push(event, &mut self.output);
        for fact in self.output.facts.drain(..) {
            self.correlator.push(fact, &mut self.spans);
        }
        match *event {
            Event::Exit { process, at } => self.correlator.exit(process, at, &mut self.spans),
            Event::Left { process, at } => self.correlator.left(process, at, &mut self.spans),
            Event::Claim { conn, at, process, goroutine } => {
                self.correlator.claim(process, conn, at, goroutine)
            }
            Event::Spawn { process, at, spawn } => self.correlator.spawn(process, at, spawn),
            Event::Birth { process, at, birth } => self.correlator.birth(process, at, birth),
            Event::Handover { process, at, handover } => self.correlator.handover(process, at, handover),
            Event::Slice { process, at, slice } => self.correlator.slice(process, at, slice, &mut self.spans),
            Event::Tick { at } => self.correlator.tick(at, &mut self.spans),
            _ => {}
        }
        self.output.commands.drain(..).for_each(obey);
    }

    /// Is nothing left to decide until there are more events?
    pub(super) fn is_idle(&self) -> bool {
        self.correlator.is_idle()
    }

    /// Is it time for a tick?
    pub(super) fn is_due(&self, now: Nanos) -> bool {
        now.since(self.ticked) >= TICK_NS
    }

    /// Time has passed: every event before `at` has been told.
    pub(super) fn tick(&mut self, at: Nanos, obey: &mut dyn FnMut(Command)) {
        self.ticked = at;
        self.event(&Event::Tick { at }, obey);
    }

    /// Records were lost, it was noticed at `at`.
    pub(super) fn lost(&mut self, at: Nanos) {
        self.correlator.lost(at);
    }

    /// Nothing more will come: what is finished is decided now.
    pub(super) fn finish(&mut self, at: Nanos) {
        self.tick(at, &mut drop);
        self.correlator.flush(&mut self.spans);
    }

    /// How many spans wait for [`Core::take_spans`].
    pub(super) fn decided(&self) -> usize {
        self.spans.len()
    }

    /// Spans decided since the last call that the sampler keeps.
    pub(super) fn take_spans(&mut self) -> Vec<Span> {
        // The next ones are about as many: their list need not grow step by step.
        let room = Vec::with_capacity(self.spans.len());
        let mut spans = std::mem::replace(&mut self.spans, room);
        spans.retain(sample::keep);
        spans
    }

    /// What a process has open.
    pub(super) fn longest_open(&self, process: ProcessId) -> Vec<OpenExchange> {
        self.correlator.longest_open(process)
    }

    /// What is known of one process's links.
    pub(super) fn explain(&self, process: ProcessId) -> Option<ProcessLinks> {
        self.correlator.explain(process)
    }

    /// Adds the counters of the pure rooms.
    pub(super) fn count(&self, snapshot: &mut Snapshot) {
        snapshot.add(self.assembler.counts().rows());
        snapshot.add(self.correlator.counts().rows());
    }
}
