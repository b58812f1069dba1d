//! Events in, spans out: the pure rooms chained, the same for a live kernel and for a recording.
//!
//! Shape: [`Event`] → assemble → correlate → [`Span`]s, and [`Command`]s for whoever owns the kernel side.
//! Clock: event time. Not here: where events come from, where spans go.
use wirespan_core::{
    assemble::{Assembler, Command, Output},
    correlate::Correlator,
    event::{Event, Nanos},
    spans::Span,
};

/// The pure half of the agent.
pub(super) struct Core {
    pub(super) assembler: Assembler,
    pub(super) correlator: Correlator,
    output: Output,
    spans: Vec<Span>,
}

impl Core {
    pub(super) fn new(assembler: Assembler, correlator: Correlator) -> Core {
        Core { assembler, correlator, output: Output::default(), spans: Vec::new() }
    }

    /// One event; the commands that it caused go to `obey`, oldest first.
    pub(super) fn event(&mut self, event: &Event<'_>, mut obey: impl FnMut(Command)) {
        self.assembler.push(event, &mut self.output);
        for fact in self.output.facts.drain(..) {
            self.correlator.push(fact, &mut self.spans);
        }
        match *event {
            Event::Exit { process, at } => self.correlator.exit(process, at, &mut self.spans),
            Event::Tick { at } => self.correlator.tick(at, &mut self.spans),
            _ => {}
        }
        self.output.commands.drain(..).for_each(&mut obey);
    }

    /// Nothing more will come: what is finished is decided now.
    pub(super) fn finish(&mut self, at: Nanos) {
        self.event(&Event::Tick { at }, drop);
        self.correlator.flush(&mut self.spans);
    }

    /// Spans decided since the last call.
    pub(super) fn take_spans(&mut self) -> Vec<Span> {
        std::mem::take(&mut self.spans)
    }
}
