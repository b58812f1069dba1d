//! The kernel side of one connection, as far as the core can tell: turns, budgets, marks, and what each record says.
//!
//! Shape: steps of a conversation in, events out; commands are obeyed as `agent-ebpf/src/handlers/bytes.rs` obeys them.
use super::{
    walker::Walker,
    wire::{CONN, Conversation, Owned, PROCESS, Side, Step, settings},
};
use crate::{
    assemble::{Assembler, Command, Mark, Output},
    event::{Ending, Event, Nanos, Reached, Uncopied},
};
use wirespan_common::limits;

/// One direction.
#[derive(Clone, Debug, Default)]
struct Flow {
    /// Bytes to copy of each turn, if it was told.
    head: Option<u32>,
    /// Sequence number after the last byte.
    seq: u32,
    last_at: u64,
    /// Bytes copied in this turn.
    copied: u32,
    mark: Option<Mark>,
    /// The last eight bytes.
    tail: Vec<u8>,
    walker: Walker,
}

/// The kernel side of one connection.
pub(super) struct Kernel {
    observer: Side,
    pub(super) now: u64,
    turn: Option<Side>,
    opener: Option<Side>,
    flows: [Flow; 2],
    walks: bool,
    pub(super) events: Vec<Owned>,
}

/// A call, as far as the kernel side cares.
enum Data<'a> {
    Bytes(&'a [u8]),
    /// Body that is nothing but `x`.
    Filler,
    /// Not copied, whatever the budget; a record says so.
    Uncopied,
    /// No record at all.
    Lost,
}

impl Kernel {
    pub(super) fn new(observer: Side) -> Kernel {
        // The client's numbers wrap early in every conversation.
        let flows = [u32::MAX - 20, 5_000].map(|seq| Flow { seq, ..Flow::default() });
        Kernel {
            observer,
            now: 10_000_000_000,
            turn: None,
            opener: None,
            flows,
            walks: false,

            events: Vec::new(),
        }
    }

    /// One step; a long one in several calls, each followed by `after`.
    fn step(&mut self, step: &Step, mut after: impl FnMut(&mut Kernel)) {
        match step {
            Step::Bytes { from, data } => self.moved(*from, len(data), &Data::Bytes(data)),
            Step::Uncopied { from, bytes } => self.moved(*from, *bytes, &Data::Uncopied),
            Step::Lost { from, bytes } => self.moved(*from, *bytes, &Data::Lost),
            Step::Bulk { from, bytes, call, ns } => {
                let calls = bytes.div_ceil(u64::from(*call));
                for index in 0..calls {
                    let left = bytes - index * u64::from(*call);
                    self.now += ns / calls;
                    let moved = u32::try_from(left.min(u64::from(*call))).unwrap();
                    self.moved(*from, moved, &Data::Filler);
                    after(self);
                }
            }
            Step::Pause { ns } => self.now += ns,
            Step::Fin { from } if *from == self.observer => self.ending(Ending::LocalFin),
            Step::Fin { .. } => self.ending(Ending::RemoteFin),
            Step::Over { ending } => self.ending(*ending),
            Step::Exit => self.other(Event::Exit { process: PROCESS, at: Nanos(self.now) }),
            Step::Tick => self.other(Event::Tick { at: Nanos(self.now) }),
        }
        after(self);
    }

    fn other(&mut self, event: Event<'static>) {
        self.events.push(Owned::Other(event));
    }

    fn reached(&self, side: Side) -> Option<Reached> {
        let flow = &self.flows[side as usize];
        let seq = flow.seq.wrapping_sub(flow.walker.skipped);
        (flow.last_at != 0).then_some(Reached { at: Nanos(flow.last_at), seq })
    }

    fn ending(&mut self, ending: Ending) {
        let event = Event::Ending {
            conn: CONN,
            at: Nanos(self.now),
            ending,
            egress: self.reached(self.observer),
            ingress: self.reached(self.observer.other()),
        };
        self.other(event);
    }

    /// One call.
    fn moved(&mut self, from: Side, moved: u32, data: &Data<'_>) {
        if moved == 0 {
            return;
        }
        let mut walk = None;
        if self.walks {
            let flow = &mut self.flows[from as usize];
            let known = if let Data::Bytes(data) = data { Some(*data) } else { None };
            walk = flow.walker.call(flow.seq, moved, known);
            if walk.is_none() {
                flow.seq = flow.seq.wrapping_add(moved);
                flow.last_at = self.now;
                return;
            }
        }
        let opener = *self.opener.get_or_insert(from);
        let flipped = self.turn != Some(from);
        self.turn = Some(from);
        let now = self.now;
        let observer = self.observer;
        let opposite = self.reached(from.other());
        let before = self.reached(from);
        let opening = self.flows[from.other() as usize].copied;
        let flow = &mut self.flows[from as usize];
        let seq = flow.seq;
        flow.seq = seq.wrapping_add(moved);
        flow.last_at = now;
        let bytes = match data {
            Data::Bytes(data) => data.to_vec(),
            Data::Filler => vec![b'x'; moved as usize],
            Data::Uncopied | Data::Lost => vec![0; moved.min(8) as usize],
        };
        flow.tail.extend(&bytes[bytes.len().saturating_sub(8)..]);
        flow.tail.drain(..flow.tail.len().saturating_sub(8));
        let (mut begins, mut skip, mut waits) = (flipped, 0, false);
        let mut progress = None;
        match flow.mark {
            Some(Mark::Seq(mark)) => {
                let ahead = mark.wrapping_sub(seq).cast_signed();
                if ahead > moved.cast_signed() {
                    waits = true;
                } else {
                    flow.mark = None;
                    begins = true;
                    skip = ahead.max(0).cast_unsigned();
                    let reached =
                        if ahead > 0 { Some(Reached { at: Nanos(now), seq: flow.seq }) } else { before };
                    progress = reached.map(|reached| (reached, false));
                }
            }
            Some(Mark::Tail { .. }) if flipped => flow.mark = None,
            Some(Mark::Tail { bytes, len }) => {
                waits = true;
                if flow.tail.ends_with(&bytes[..usize::from(len)]) {
                    flow.mark = None;
                    flow.copied = 0;
                    progress = Some((Reached { at: Nanos(now), seq: flow.seq }, true));
                }
            }
            None => {}
        }
        if begins {
            flow.copied = 0;
        }
        let default =
            if opener == from { limits::HEAD_OPENING_BYTES } else { limits::answering_bytes(opening) };
        let budget = if walk.is_some() { u32::MAX } else { flow.head.unwrap_or(default) };
        let left = moved - skip;
        let copied = if waits || matches!(data, Data::Uncopied) {
            0
        } else {
            left.min(budget.saturating_sub(flow.copied))
        };
        flow.copied += copied;
        if matches!(data, Data::Lost) {
            return;
        }
        let direction = from.direction(observer);
        if let Some((reached, by_tail)) = progress {
            self.other(Event::Progress { conn: CONN, direction, reached, by_tail });
        }
        if copied == 0 && !matches!(data, Data::Uncopied) {
            return;
        }
        self.events.push(Owned::Bytes {
            at: now,
            tid: 70 + from as u32,
            direction,
            seq: seq.wrapping_add(skip),
            moved: left,
            data: bytes[skip as usize..][..copied as usize].to_vec(),
            uncopied: if copied == left { Uncopied::Nothing } else { Uncopied::Policy },
            begins_turn: begins,
            opposite: if begins { opposite } else { None },
            walk,
        });
    }

    /// Does what the core asks; a mark that is already passed is reported at once.
    fn obey(&mut self, command: Command) {
        let observer = self.observer;
        let side = |direction| {
            if Side::Client.direction(observer) == direction { Side::Client } else { Side::Server }
        };
        match command {
            Command::Stop { .. } => {}
            Command::Frames { walks, .. } => self.walks = walks,
            Command::Walk { direction, from, is_right, .. } => {
                let walker = &mut self.flows[side(direction) as usize].walker;
                *(if is_right { &mut walker.trusted } else { &mut walker.refused }) = from;
            }
            Command::Head { direction, bytes, .. } => {
                self.flows[side(direction) as usize].head = Some(bytes);
            }
            Command::Unmark { direction, .. } => self.flows[side(direction) as usize].mark = None,
            Command::Mark { direction, mark, .. } => {
                let Some(reached) = self.reached(side(direction)) else { return };
                let flow = &mut self.flows[side(direction) as usize];
                flow.mark = Some(mark);
                let (is_behind, by_tail) = match mark {
                    Mark::Seq(seq) => (reached.seq.wrapping_sub(seq) < 1 << 31, false),
                    Mark::Tail { bytes, len } => (flow.tail.ends_with(&bytes[..usize::from(len)]), true),
                };
                if is_behind {
                    self.other(Event::Progress { conn: CONN, direction, reached, by_tail });
                }
            }
        }
    }
}

fn len(data: &[u8]) -> u32 {
    u32::try_from(data.len()).unwrap()
}

/// The events of a conversation as the kernel side of `observer` writes them when nobody sets a mark.
pub(super) fn events(conversation: &Conversation, observer: Side) -> Vec<Owned> {
    let mut kernel = Kernel::new(observer);
    for step in &conversation.steps {
        kernel.step(step, |_| {});
    }
    kernel.events
}

/// What comes of a conversation with both sides of the kernel boundary at work.
pub(super) fn play(conversation: &Conversation, observer: Side) -> (Output, Assembler) {
    play_through(conversation, observer, |_| true)
}

/// The same through a ring that delivers only some of the records.
pub(super) fn play_through(
    conversation: &Conversation,
    observer: Side,
    mut delivers: impl FnMut(&Owned) -> bool,
) -> (Output, Assembler) {
    let mut assembler = Assembler::new(settings());
    let mut out = Output::default();
    let mut kernel = Kernel::new(observer);
    for step in &conversation.steps {
        kernel.step(step, |kernel| {
            while !kernel.events.is_empty() {
                for event in std::mem::take(&mut kernel.events) {
                    if !delivers(&event) {
                        continue;
                    }
                    let obeyed = out.commands.len();
                    event.with(|event| assembler.push(event, &mut out));
                    for index in obeyed..out.commands.len() {
                        kernel.obey(out.commands[index]);
                    }
                }
            }
        });
    }
    (out, assembler)
}

/// What comes of events.
pub(super) fn replay(events: &[Owned]) -> (Output, Assembler) {
    let mut assembler = Assembler::new(settings());
    let mut out = Output::default();
    for event in events {
        event.with(|event| assembler.push(event, &mut out));
    }
    (out, assembler)
}
