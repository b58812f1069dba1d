//! Hostile conversations: any bytes, cut, overlapped, lost and swapped in any way, must neither panic nor break the order of facts.
//!
//! Shape: the input is a list of records, each four bytes (what, moved, gap, length) and its data. Invariant: an exchange opens
//! once, answers at most once after that, ends at most once, and never carries an answer that did not begin.
#![no_main]
use libfuzzer_sys::fuzz_target;
use std::collections::HashMap;
use wirespan_core::{
    assemble::{Assembler, Output, Settings},
    event::{
        Actor, ConnId, Direction, Ending, Endpoints, Event, Nanos, ProcessId, Reached, Segment, Source,
        Uncopied,
    },
    exchange::{ExchangeId, Fact},
};

const PROCESS: ProcessId = ProcessId { pid: 1, start_ticks: 1 };

/// One direction of the connection.
#[derive(Clone, Copy)]
struct Flow {
    seq: u32,
    at: u64,
}

fuzz_target!(|input: &[u8]| {
    let settings = Settings {
        keep_fields: vec!["traceparent".to_owned()],
        max_connections: 2,
        max_open: 8,
        max_head_bytes: 1024,
        max_buffered_bytes: 4096,
        ..Settings::default()
    };
    let mut assembler = Assembler::new(settings);
    let mut output = Output::default();
    let mut told = HashMap::new();
    let mut flows = [Flow { seq: u32::MAX - 64, at: 0 }, Flow { seq: 7, at: 0 }];
    let mut now = 1_000_000_000;
    let mut rest = input;
    while let [what, moved, gap, length, after @ ..] = rest {
        let (data, after) = after.split_at(usize::from(*length).min(after.len()));
        rest = after;
        now += u64::from(*gap) * 1_000_000;
        act(&mut assembler, &mut output, &mut flows, now, [*what, *moved, *gap], data);
        check(&mut told, &output.facts);
        output.facts.clear();
        output.commands.clear();
    }
});

fn act(
    assembler: &mut Assembler,
    output: &mut Output,
    flows: &mut [Flow; 2],
    now: u64,
    [what, moved, gap]: [u8; 3],
    data: &[u8],
) {
    let is_egress = what & 1 == 0;
    let [egress, ingress] = flows;
    let (direction, own, other) = if is_egress {
        (Direction::Egress, egress, *ingress)
    } else {
        (Direction::Ingress, ingress, *egress)
    };
    let conn = ConnId(u64::from(what >> 6));
    let reached = Reached { at: Nanos(own.at), seq: own.seq };
    let event = match (what >> 1) & 15 {
        0 => Event::Progress {
            conn,
            direction,
            reached: Reached { at: Nanos(now), seq: own.seq },
            by_tail: gap & 1 == 0,
        },
        1 => Event::Tick { at: Nanos(now) },
        2 => Event::Exit { process: PROCESS, at: Nanos(now) },
        3 => Event::Ending {
            conn,
            at: Nanos(now),
            ending: match gap & 3 {
                0 => Ending::LocalFin,
                1 => Ending::RemoteFin,
                2 => Ending::Closed,
                _ => Ending::Reset,
            },
            egress: is_egress.then_some(reached),
            ingress: (!is_egress).then_some(reached),
        },
        kind => {
            // Most segments follow one another; some leave a gap, some come again, some are long and not copied.
            let seq = match kind {
                4 => own.seq.wrapping_add(u32::from(moved)),
                5 => own.seq.wrapping_sub(u32::from(moved)),
                _ => own.seq,
            };
            let uncopied = match kind {
                6 => u32::from(moved) << 8,
                7 => u32::from(moved) << 24,
                _ => 0,
            };
            let length = u32::try_from(data.len()).unwrap_or_default().saturating_add(uncopied);
            own.seq = seq.wrapping_add(length);
            own.at = now;
            let begins_turn = gap & 1 == 0;
            Event::Bytes(Segment {
                conn,
                at: Nanos(now),
                actor: Actor::thread(PROCESS, 1),
                direction,
                source: Source::Socket,
                seq,
                moved: length,
                data,
                uncopied: if uncopied == 0 { Uncopied::Nothing } else { Uncopied::Policy },
                endpoints: Endpoints {
                    local: ([127, 0, 0, 1], 1).into(),
                    remote: ([127, 0, 0, 1], 2).into(),
                },
                begins_turn,
                opposite: (begins_turn && other.at != 0)
                    .then_some(Reached { at: Nanos(other.at), seq: other.seq }),
                walk: None,
            })
        }
    };
    assembler.push(&event, output);
}

/// How far an exchange has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    Opened,
    Answering,
    Ended,
}

fn check(told: &mut HashMap<ExchangeId, Told>, facts: &[Fact]) {
    for fact in facts {
        match fact {
            Fact::Opened(opened) => assert!(told.insert(opened.id, Told::Opened).is_none(), "opened twice"),
            Fact::Answering(answering) => {
                assert!(told.insert(answering.id, Told::Answering) == Some(Told::Opened), "answered twice");
            }
            Fact::Ended(ended) => {
                let before = told.insert(ended.id, Told::Ended);
                assert!(before.is_some_and(|before| before != Told::Ended), "ended twice");
                assert!(
                    ended.answer.is_none() || before == Some(Told::Answering),
                    "an answer that never began"
                );
            }
        }
    }
}
