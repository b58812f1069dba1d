//! What is promised of each kind of runtime, and whether it is kept.
//!
//! Shape: cells → [`Standing`]s: one per class of which a row was played, and one of the links between processes. A class keeps its
//! promise if each of its cells does: a mean could hide a concurrency at which nothing is found.
use super::stage::Cell;
use crate::ledger::figures::Links;

/// Share of the requests received from observed processes whose sender is found, in every cell.
const PEERS: f64 = 0.999;

/// Rows of the table that work alike, and the share of their calls whose parent is found.
struct Class {
    name: &'static str,
    promise: f64,
    rows: &'static [&'static str],
}

const CLASSES: [Class; 6] = [
    Class {
        name: "thread per request",
        promise: 0.999,
        rows: &["flask", "gunicorn-sync", "gunicorn-gthread", "spring"],
    },
    Class {
        name: "asyncio and uvloop",
        promise: 0.99,
        rows: &["fastapi-httpx", "fastapi-uvloop", "aiohttp", "aiohttp-uvloop", "aiohttp-executor"],
    },
    Class {
        name: "Node",
        promise: 0.99,
        rows: &["node-http", "node-fetch", "node-axios", "node-undici", "node-cluster", "node-waits"],
    },
    Class { name: "Node, user queues", promise: 0.85, rows: &["node-mix"] },
    Class { name: "Go", promise: 0.99, rows: &["go", "go-streams", "go-all-streams"] },
    Class { name: "nginx", promise: 0.99, rows: &["nginx", "nginx-brief"] },
];

/// How a class stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// Its name.
    pub name: &'static str,
    /// Parents that exist.
    pub exist: u64,
    /// … that were found.
    pub right: u64,
    /// The lowest share of a cell, and the cell.
    pub worst: (f64, String),
    /// What is promised; none for hazards, of which only nothing false is.
    pub promise: Option<f64>,
}

impl Standing {
    /// Every cell keeps the promise.
    pub fn is_met(&self) -> bool {
        self.promise.is_none_or(|promise| self.worst.0 >= promise)
    }

    fn of<'a>(
        name: &'static str,
        promise: Option<f64>,
        cells: impl Iterator<Item = &'a Cell>,
        links: fn(&Cell) -> Links,
    ) -> Option<Standing> {
        let mut standing: Option<Standing> = None;
        for cell in cells {
            let (links, title) = (links(cell), cell.title());
            let now = standing.get_or_insert(Standing {
                name,
                exist: 0,
                right: 0,
                worst: (f64::INFINITY, String::new()),
                promise,
            });
            now.exist += links.exist;
            now.right += links.right;
            if links.recall() < now.worst.0 {
                now.worst = (links.recall(), title);
            }
        }
        standing
    }
}

/// Of all classes that were played, in the order of the table; then hazards; then the links between processes.
pub fn standings(cells: &[Cell]) -> Vec<Standing> {
    let calls = |cell: &Cell| cell.verdict.figures.client;
    let is_of = |class: &Class, cell: &&Cell| class.rows.contains(&cell.runtime.name);
    let named = CLASSES.iter().map(|class| {
        Standing::of(class.name, Some(class.promise), cells.iter().filter(|cell| is_of(class, cell)), calls)
    });
    let hazards = cells.iter().filter(|cell| !CLASSES.iter().any(|class| is_of(class, cell)));
    let hazards = Standing::of("others, hazards", None, hazards, calls);
    let peers =
        Standing::of("between processes", Some(PEERS), cells.iter(), |cell| cell.verdict.figures.server);
    named.chain([hazards, peers]).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::truth::table::RUNTIMES;
    use std::time::Duration;

    fn cell(name: &str, concurrency: usize, exist: u64, right: u64) -> Cell {
        let runtime = *RUNTIMES.iter().find(|row| row.name == name).unwrap();
        let mut cell = Cell::new(runtime, concurrency, 1, Duration::ZERO);
        cell.verdict.figures.client = Links { exist, claimed: right, right, wrong: 0 };
        cell
    }

    #[test]
    fn every_row_of_a_class_is_in_the_table_and_in_no_other_class() {
        let rows: Vec<&str> = CLASSES.iter().flat_map(|class| class.rows).copied().collect();
        for row in &rows {
            assert!(RUNTIMES.iter().any(|runtime| runtime.name == *row), "{row}");
            assert_eq!(rows.iter().filter(|other| *other == row).count(), 1, "{row}");
        }
    }

    #[test]
    fn one_cell_below_the_promise_breaks_it_for_its_class() {
        let cells =
            [cell("flask", 8, 1_000, 1_000), cell("flask", 64, 1_000, 998), cell("go-queue", 8, 9, 0)];
        let standings = standings(&cells);
        let shown: Vec<(&str, bool)> =
            standings.iter().map(|standing| (standing.name, standing.is_met())).collect();
        let expected =
            [("thread per request", false), ("others, hazards", true), ("between processes", true)];
        assert_eq!(shown, expected);
        assert_eq!((standings[0].exist, standings[0].right), (2_000, 1_998));
        assert_eq!(standings[0].worst, (0.998, "flask-c64".to_owned()));
    }
}
