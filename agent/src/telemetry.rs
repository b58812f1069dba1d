//! Every counter of the agent in one table: work, loss, skip, link and unparented, by room.
//!
//! Shape: each room's `rows()` → [`Snapshot`], printed by `explain` and, with `-v`, at exit; ready to be served later.
//! Units are in the counter. Not here: the counters themselves, which live where they move.
use serde::{Deserialize, Serialize};
use std::fmt;
use wirespan_core::counter::Counter;

/// One counter and its value, as it crosses the agent's socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Room that counts.
    pub room: String,
    /// Name, unique in the room.
    pub name: String,
    /// `work`, `loss`, `skip`, `link` or `unparented`.
    pub class: String,
    /// What is counted.
    pub unit: String,
    /// One sentence.
    pub doc: String,
    /// How many.
    pub value: u64,
}

/// All counters at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// In the order of a request through the agent.
    pub rows: Vec<Row>,
}

impl Snapshot {
    /// Adds a room's counters.
    pub fn add(&mut self, rows: impl IntoIterator<Item = (Counter, u64)>) {
        self.rows.extend(rows.into_iter().map(|(counter, value)| Row {
            room: counter.room.into(),
            name: counter.name.into(),
            class: counter.class.into(),
            unit: counter.unit.into(),
            doc: counter.doc.into(),
            value,
        }));
    }

    /// The rows of one class that are not zero.
    pub fn of_class<'a>(&'a self, class: &'a str) -> impl Iterator<Item = &'a Row> {
        self.rows.iter().filter(move |row| row.class == class && row.value > 0)
    }
}

/// One line per counter that moved: `room name value unit  doc`.
impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for class in ["work", "link", "unparented", "skip", "loss"] {
            for row in self.of_class(class) {
                let name = format!("{}.{}", row.room, row.name);
                writeln!(f, "{class:<10} {name:<36} {:>12} {:<10} {}", row.value, row.unit, row.doc)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    const GAP: Counter = Counter {
        room: "assemble",
        name: "gaps",
        class: "loss",
        unit: "bytes",
        doc: "Bytes that never came.",
    };

    #[test]
    fn losses_are_printed_last_and_zeros_not_at_all() {
        let mut snapshot = Snapshot::default();
        snapshot.add([(GAP, 7), (Counter { name: "late", ..GAP }, 0)]);
        snapshot.add([(
            Counter { room: "correlate", name: "spans", class: "work", unit: "spans", doc: "Spans." },
            2,
        )]);
        expect![[r#"
            work       correlate.spans                                 2 spans      Spans.
            loss       assemble.gaps                                   7 bytes      Bytes that never came.
        "#]]
        .assert_eq(&snapshot.to_string());
    }
}
