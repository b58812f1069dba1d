//! The ledger: what truly happened, as the programs that did it wrote it down, and how far spans agree.
//!
//! Shape: JSON lines of the test's applications → [`Ledger`]; a ledger and spans → [`compare::Verdict`]. Clock: Unix
//! nanoseconds, as both sides have them. An id travels in the header [`HEADER`], which the agent captures as an attribute:
//! both ends of a call carry the id of the call, so a row and a span belong together by kind and that id. The ids are made
//! by the test and say nothing that an agent could use. Not here: who writes rows (see `tests/apps/truth`, `truth::load`).
//!
//! Rules of the rows: a client row's id is the call's; a server row's id is its own, and its parent is the call that it
//! answers; a client row's parent is the server row on whose behalf it calls, none for background work. A proxy that can
//! write no ids of its own gives its call the id it received with a suffix (nginx does that in its configuration).
pub mod compare;
pub mod figures;
#[cfg(test)]
mod tests;
mod traces;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use std::{
    collections::HashMap,
    fmt, fs,
    io::{BufRead, BufReader},
    path::Path,
};

/// The header that carries the id of a call, in lower case.
pub const HEADER: &str = "x-ledger-id";

/// Which end of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The request was handled.
    Server,
    /// The request was made.
    Client,
}

impl Kind {
    /// As spans name it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Server => "server",
            Kind::Client => "client",
        }
    }
}

/// One request, as one of its two ends saw it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// Its own id.
    pub id: String,
    /// The id of the request on whose behalf it was.
    pub parent: Option<String>,
    /// Which end.
    pub kind: Kind,
    /// What the header said.
    pub call: String,
    /// Which program of the world.
    pub service: String,
    /// The process.
    pub pid: u32,
    /// Method.
    pub method: String,
    /// Path, without a query.
    pub path: String,
    /// Status; 0 if there was no answer.
    pub status: u16,
    /// Start, in Unix nanoseconds; 0 if the program cannot tell it well enough to judge by.
    pub start_ns: u64,
    /// End, likewise.
    pub end_ns: u64,
}

impl fmt::Display for Row {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Row { id, kind, service, pid, method, path, status, .. } = self;
        let parent = self.parent.as_deref().unwrap_or("none");
        write!(out, "{} {id} of {service}[{pid}] for {parent}: {method} {path} {status}", kind.name())
    }
}

/// Rows that fit together.
#[derive(Debug)]
pub struct Ledger {
    rows: Vec<Row>,
    observed: Vec<bool>,
    parents: Vec<Option<usize>>,
    trees: Vec<usize>,
    by_call: HashMap<(Kind, String), usize>,
}

impl Ledger {
    /// Rows of all programs; those of `unobserved` services give no spans. A ledger with holes is an error: it could hide a false link.
    pub fn new(rows: Vec<Row>, unobserved: &[&str]) -> Result<Ledger> {
        let mut by_id = HashMap::new();
        let mut by_call = HashMap::new();
        for (at, row) in rows.iter().enumerate() {
            ensure!(by_id.insert(row.id.as_str(), at).is_none(), "two rows with one id: {row}");
            let twice = by_call.insert((row.kind, row.call.clone()), at);
            ensure!(twice.is_none(), "two {} rows of one call: {row}", row.kind.name());
        }
        let written = |row: &Row| -> Result<Option<usize>> {
            let Some(parent) = &row.parent else { return Ok(None) };
            let at = by_id.get(parent.as_str());
            Ok(Some(*at.with_context(|| format!("the ledger has a hole: no parent of {row}"))?))
        };
        let causes = rows.iter().map(written).collect::<Result<Vec<_>>>()?;
        let observed: Vec<bool> =
            rows.iter().map(|row| !unobserved.contains(&row.service.as_str())).collect();
        let is_observed = |at: usize| observed.get(at).copied().unwrap_or(false);
        let linked = |(at, row): (usize, &Row)| {
            let parent = causes.get(at).copied().flatten().filter(|parent| is_observed(*parent))?;
            let same_process = rows.get(parent).is_some_and(|parent| parent.pid == row.pid);
            (is_observed(at) && (row.kind == Kind::Server || same_process)).then_some(parent)
        };
        let parents: Vec<Option<usize>> = rows.iter().enumerate().map(linked).collect();
        let trees = (0..rows.len()).map(|at| root(&parents, at)).collect::<Result<Vec<_>>>()?;
        Ok(Ledger { rows, observed, parents, trees, by_call })
    }

    /// Every row, in the order given.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// One of them.
    pub fn row(&self, at: usize) -> Option<&Row> {
        self.rows.get(at)
    }

    /// Its process is observed, so it should be a span.
    pub fn is_observed(&self, at: usize) -> bool {
        self.observed.get(at).copied().unwrap_or(false)
    }

    /// An answer came, so a span must be there. Without one it may be that nothing was ever sent.
    pub fn is_certain(&self, at: usize) -> bool {
        self.is_observed(at) && self.row(at).is_some_and(|row| row.status != 0)
    }

    /// The row whose span is the parent of this row's span, if an observer could know it: both processes are observed,
    /// and a call's parent is in the same process.
    pub fn parent(&self, at: usize) -> Option<usize> {
        self.parents.get(at).copied().flatten()
    }

    /// The row at the top of its tree, the tree's name.
    pub fn tree(&self, at: usize) -> usize {
        self.trees.get(at).copied().unwrap_or(at)
    }

    /// The first call that was answered by a row that is not there: its writer is not finished yet, or never will be.
    pub fn unfinished(&self) -> Option<&Row> {
        let is_open = |row: &&Row| {
            row.kind == Kind::Client && row.status != 0 && self.find(Kind::Server, &row.call).is_none()
        };
        self.rows.iter().find(is_open)
    }

    /// The row of a span, by kind and what the header said.
    pub fn find(&self, kind: Kind, call: &str) -> Option<usize> {
        self.by_call.get(&(kind, call.to_owned())).copied()
    }
}

fn root(parents: &[Option<usize>], mut at: usize) -> Result<usize> {
    for _ in 0..=parents.len() {
        match parents.get(at).copied().flatten() {
            Some(parent) => at = parent,
            None => return Ok(at),
        }
    }
    anyhow::bail!("rows that are their own cause")
}

/// All rows that programs wrote into `*.jsonl` of a folder.
pub fn read(folder: &Path) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "jsonl") {
            continue;
        }
        for line in BufReader::new(fs::File::open(&path)?).lines() {
            let line = line?;
            let row = serde_json::from_str(&line);
            rows.push(row.with_context(|| format!("{}: {line}", path.display()))?);
        }
    }
    Ok(rows)
}
