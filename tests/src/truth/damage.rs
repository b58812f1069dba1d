//! Histories that arrive damaged: a cell is recorded once, and replayed with records lost, twice and in another order.
//!
//! Shape: a recording → frames; [`Damage`] and a seed → other frames → `wirespan replay` → spans, compared with the ledger.
//! What is lost is told as the agent notices it: up to a tenth of a second later. Nothing else is told.
use super::plan::Dice;
use crate::{
    ledger::{
        HEADER, Ledger,
        compare::{Verdict, compare},
    },
    process::output,
    span::parse_line,
    world::World,
};
use anyhow::{Context, Result};
use serde_json::Value;
use std::{path::Path, process::Command};
use wirespan::{
    events::order::SETTLED_NS,
    recording::{Frame, Meta, Reader, Writer},
};
use wirespan_core::event::Nanos;

/// Longest time from a loss to its being noticed, in nanoseconds.
const NOTICED_NS: u64 = 100_000_000;

/// What is done to a history; shares are of a thousand records.
#[derive(Clone, Copy, Debug)]
pub struct Damage {
    /// In words.
    pub name: &'static str,
    /// Of these a stretch begins that is lost, of up to `stretch` records.
    pub lost: u64,
    /// See `lost`.
    pub stretch: u64,
    /// Come a second time, up to `delay_ns` later.
    pub twice: u64,
    /// Come up to `delay_ns` later than they were written.
    pub late: u64,
    /// See `twice` and `late`.
    pub delay_ns: u64,
}

impl Damage {
    /// Nothing is missing, and nothing is late for longer than the agent waits: it must not make a difference.
    pub fn is_harmless(&self) -> bool {
        self.lost == 0 && self.delay_ns <= SETTLED_NS
    }
}

const NONE: Damage = Damage { name: "nothing", lost: 0, stretch: 1, twice: 0, late: 0, delay_ns: 0 };

/// Every kind on its own, in a mild and a hard form, and all at once.
pub const DAMAGES: [Damage; 8] = [
    Damage { name: "single records lost", lost: 10, ..NONE },
    Damage { name: "stretches lost", lost: 2, stretch: 60, ..NONE },
    Damage { name: "one in five lost", lost: 200, ..NONE },
    Damage { name: "some twice", twice: 50, delay_ns: SETTLED_NS, ..NONE },
    Damage { name: "all a little late", late: 1_000, delay_ns: SETTLED_NS, ..NONE },
    Damage { name: "some much too late", late: 5, delay_ns: 50_000_000, ..NONE },
    Damage { name: "some twice, much too late", twice: 5, delay_ns: 50_000_000, ..NONE },
    Damage { name: "all of it", lost: 2, stretch: 10, twice: 2, late: 2, delay_ns: 20_000_000 },
];

/// A frame of a recording, kept.
#[derive(Clone, Debug)]
enum Kept {
    Record(Vec<u8>),
    Process(Value),
    Loss(Nanos),
    End(Nanos),
}

impl Kept {
    /// When it was; a process's facts have no time.
    fn at(&self) -> Option<Nanos> {
        match self {
            // The time is the first field of every record's header.
            Kept::Record(bytes) => bytes.first_chunk().map(|at| Nanos(u64::from_le_bytes(*at))),
            Kept::Process(_) => None,
            Kept::Loss(at) | Kept::End(at) => Some(*at),
        }
    }
}

/// A recording in memory.
#[derive(Debug)]
pub struct History {
    meta: Meta,
    frames: Vec<Kept>,
}

impl History {
    /// Reads all of it.
    pub fn read(file: &Path) -> Result<History> {
        let mut reader = Reader::open(file)?;
        let meta = reader.meta().clone();
        let mut frames = Vec::new();
        while let Some(frame) = reader.read::<Value>()? {
            frames.push(match frame {
                Frame::Record(bytes) => Kept::Record(bytes.to_vec()),
                Frame::Process(facts) => Kept::Process(facts),
                Frame::Loss(at) => Kept::Loss(at),
                Frame::End(at) => Kept::End(at),
            });
        }
        Ok(History { meta, frames })
    }

    /// The same with damage: always the same one for a seed.
    pub fn damaged(&self, damage: Damage, seed: u64) -> History {
        let mut dice = Dice::new(seed);
        let mut placed: Vec<(Nanos, Kept)> = Vec::new();
        let mut losing = 0;
        let mut noticed = None;
        let mut now = Nanos(0);
        for frame in &self.frames {
            now = now.max(frame.at().unwrap_or_default());
            if let Some(at) = noticed.filter(|noticed| now >= *noticed) {
                placed.push((at, Kept::Loss(at)));
                noticed = None;
            }
            if !matches!(frame, Kept::Record(_)) {
                placed.push((now, frame.clone()));
                continue;
            }
            if losing == 0 && dice.below(1_000) < damage.lost {
                losing = 1 + dice.below(damage.stretch);
            }
            if losing > 0 {
                losing -= 1;
                noticed = noticed.or(Some(Nanos(now.0 + dice.below(NOTICED_NS))));
                continue;
            }
            let mut later = || Nanos(now.0 + dice.below(damage.delay_ns));
            let (again, late) = (later(), later());
            if dice.below(1_000) < damage.twice {
                placed.push((again, frame.clone()));
            }
            let is_late = dice.below(1_000) < damage.late;
            placed.push((if is_late { late } else { now }, frame.clone()));
        }
        placed.extend(noticed.map(|at| (at, Kept::Loss(at))));
        placed.sort_by_key(|(place, _)| *place);
        let frames = placed.into_iter().map(|(_, frame)| frame).collect();
        History { meta: self.meta.clone(), frames }
    }

    /// What the agent makes of it, against the ledger.
    pub fn judge(&self, world: &World, ledger: &Ledger) -> Result<Verdict> {
        let file = world.scratch().join("damaged.wirespan");
        self.write(&file)?;
        let mut replay = Command::new(world.wirespan()?);
        replay.arg("replay").arg(&file).args(["--exporter", "json"]).env("WIRESPAN_REQUEST_HEADERS", HEADER);
        let (text, _) = output(&mut replay, 0)?;
        let mut spans = Vec::new();
        for line in text.lines() {
            spans.extend(parse_line(line)?);
        }
        Ok(compare(ledger, &spans))
    }

    /// Writes it as the recording that it is.
    pub fn write(&self, file: &Path) -> Result<()> {
        let mut writer = Writer::create(file, &self.meta)?;
        let mut end = Nanos(0);
        for frame in &self.frames {
            match frame {
                Kept::Record(bytes) => writer.record(bytes)?,
                Kept::Process(facts) => writer.process(facts)?,
                Kept::Loss(at) => writer.loss(*at)?,
                Kept::End(at) => end = *at,
            }
        }
        writer.finish(end).context("write a recording")?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One record each millisecond.
    fn history(records: u64) -> History {
        let record = |at: u64| Kept::Record((at * 1_000_000).to_le_bytes().to_vec());
        let meta = Meta { agent: String::new(), unix_minus_monotonic_ns: 0 };
        History { meta, frames: (0..records).map(record).collect() }
    }

    fn times(history: &History) -> Vec<u64> {
        let records = history.frames.iter().filter(|frame| matches!(frame, Kept::Record(_)));
        records.filter_map(Kept::at).map(|at| at.0 / 1_000_000).collect()
    }

    #[test]
    fn what_is_not_damaged_is_the_same() {
        assert_eq!(times(&history(1_000).damaged(NONE, 1)), (0..1_000).collect::<Vec<u64>>());
    }

    #[test]
    fn losses_are_told_soon_after_they_happened() {
        let damaged = history(1_000).damaged(Damage { lost: 5, stretch: 3, ..NONE }, 2);
        let mut before = 0;
        let mut untold = None;
        let mut lost = 0;
        for frame in &damaged.frames {
            let at = frame.at().unwrap().0 / 1_000_000;
            if matches!(frame, Kept::Loss(_)) {
                untold = None;
                continue;
            }
            if at > before + 1 {
                lost += at - before - 1;
                untold = untold.or(Some(before));
            }
            assert!(untold.is_none_or(|since| at - since <= 105), "{at} {untold:?}");
            before = at;
        }
        assert!(lost > 3, "{lost} lost");
    }

    #[test]
    fn what_comes_twice_or_late_is_all_there_and_not_later_than_it_may() {
        let all = history(1_000);
        let damaged = times(&all.damaged(Damage { twice: 100, late: 100, delay_ns: 9_000_000, ..NONE }, 3));
        assert!(damaged.len() > 1_050 && !damaged.is_sorted());
        let mut newest = 0;
        for at in &damaged {
            assert!(at + 9 >= newest, "{at} after {newest}");
            newest = newest.max(*at);
        }
        let mut distinct = damaged;
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct, times(&all));
    }
}
