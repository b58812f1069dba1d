//! What every connection needs while it takes in an event: rules, counters, ids, and where facts and commands go.
use super::{Command, Mark, Output, counts::Counts, settings::Rules, table::IdMap};
use crate::{
    event::{ConnId, Direction, ProcessId},
    exchange::{ExchangeId, Fact},
};

/// Processes whose count of open exchanges is kept although it is zero.
const FEW_PROCESSES: usize = 1024;

/// Passed down by reference for the time of one event.
pub(super) struct Context<'a> {
    pub(super) rules: &'a Rules,
    pub(super) shared: &'a mut Shared,
    pub(super) out: &'a mut Output,
}

/// What all connections share.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) counts: Counts,
    /// Bytes held by all connections together.
    pub(super) buffered: usize,
    /// Exchanges open per process, so that an exit costs nothing where there are none.
    open: IdMap<ProcessId, u32>,
    last_id: u64,
}

impl Shared {
    pub(super) fn has_open(&self, process: ProcessId) -> bool {
        self.open.get(&process).is_some_and(|open| *open > 0)
    }
}

impl Context<'_> {
    pub(super) fn open(&mut self, process: ProcessId) -> ExchangeId {
        self.shared.last_id += 1;
        self.shared.counts.opened += 1;
        *self.shared.open.entry(process).or_default() += 1;
        ExchangeId(self.shared.last_id)
    }

    pub(super) fn close(&mut self, process: ProcessId) {
        self.shared.counts.ended += 1;
        let Some(open) = self.shared.open.get_mut(&process) else { return };
        *open = open.saturating_sub(1);
        // A row that is needed again at once is left, as long as there are few.
        if *open == 0 && self.shared.open.len() > FEW_PROCESSES {
            self.shared.open.remove(&process);
        }
    }

    pub(super) fn tell(&mut self, fact: Fact) {
        self.out.facts.push(fact);
    }

    pub(super) fn stop(&mut self, conn: ConnId) {
        self.out.commands.push(Command::Stop { conn });
    }

    pub(super) fn mark(&mut self, conn: ConnId, direction: Direction, mark: Mark) {
        self.shared.counts.marks += 1;
        self.out.commands.push(Command::Mark { conn, direction, mark });
    }

    pub(super) fn head(&mut self, conn: ConnId, direction: Direction, bytes: u32) {
        self.out.commands.push(Command::Head { conn, direction, bytes });
    }

    pub(super) fn frames(&mut self, conn: ConnId, walks: bool) {
        self.out.commands.push(Command::Frames { conn, walks });
    }

    pub(super) fn walk(&mut self, conn: ConnId, direction: Direction, from: u32, is_right: bool) {
        self.out.commands.push(Command::Walk { conn, direction, from, is_right });
    }

    pub(super) fn unmark(&mut self, conn: ConnId, direction: Direction) {
        self.out.commands.push(Command::Unmark { conn, direction });
    }

    /// Adds bytes to a buffer, unless all buffers together are full.
    pub(super) fn keep(&mut self, buffer: &mut Vec<u8>, bytes: &[u8]) -> bool {
        let after = self.shared.buffered.saturating_add(bytes.len());
        if after > self.rules.settings.max_buffered_bytes {
            self.shared.counts.out_of_buffer += 1;
            return false;
        }
        self.shared.buffered = after;
        buffer.extend_from_slice(bytes);
        true
    }

    /// Empties a buffer. A large one gives its memory back.
    pub(super) fn release(&mut self, buffer: &mut Vec<u8>) {
        const WORTH_KEEPING: usize = 4096;
        self.shared.buffered = self.shared.buffered.saturating_sub(buffer.len());
        if buffer.capacity() > WORTH_KEEPING {
            *buffer = Vec::new();
        }
        buffer.clear();
    }
}
