//! One cell of the table: the programs, the agent, the load, and the comparison.
//!
//! Shape: a runtime, a concurrency and a number of requests → [`Cell`]. Each cell has programs and an agent of its own,
//! so no cell profits from what another one taught the agent.
use super::{
    load::{self, Order, SERVICE},
    table::{Paths, Runtime},
    translated,
};
use crate::{
    agent::{Agent, Start},
    ledger::{self, HEADER, Ledger, Row, compare},
    process::command,
    span::Span,
    wait::{PATIENCE, eventually},
    world::{App, World, free_port, own_binary, repository},
};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::{
    fs::{self, File},
    io::Read,
    path::Path,
    time::{Duration, Instant},
};

/// Connections to the leaf, at most: more than some concurrencies need, less than others.
const POOL: &str = "16";
/// Longer than the programs work on when no request comes.
const REST_NS: u64 = 700_000_000;
/// Longer than the agent holds back a link for something that speaks against it.
const DOUBT_NS: u64 = 3_000_000_000;
/// How long spans may take to come after the load has ended.
const SETTLE: Duration = Duration::from_secs(8);

/// One runtime at one concurrency.
#[derive(Debug)]
pub struct Cell {
    /// Its name.
    pub runtime: Runtime,
    /// Requests at once.
    pub concurrency: usize,
    /// Requests of the load.
    pub requests: u64,
    /// How long the load took.
    pub time: Duration,
    /// Figures and findings.
    pub verdict: compare::Verdict,
    /// What the agent counted as lost.
    pub losses: Vec<(String, u64)>,
}

impl Cell {
    /// Before it is judged.
    pub(super) fn new(runtime: Runtime, concurrency: usize, requests: u64, time: Duration) -> Cell {
        let (verdict, losses) = (compare::Verdict::default(), Vec::new());
        Cell { runtime, concurrency, requests, time, verdict, losses }
    }

    /// `flask-c8`.
    pub fn title(&self) -> String {
        format!("{}-c{}", self.runtime.name, self.concurrency)
    }

    /// All of it.
    pub fn to_json(&self) -> Value {
        let findings: Vec<Value> = self.verdict.findings.iter().map(compare::Finding::to_json).collect();
        let losses: Value = self
            .losses
            .iter()
            .map(|(name, count)| (name.clone(), json!(count)))
            .collect::<serde_json::Map<_, _>>()
            .into();
        json!({
            "runtime": self.runtime.name, "concurrency": self.concurrency, "requests": self.requests,
            "seconds": self.time.as_secs_f64(), "figures": self.verdict.figures.to_json(),
            "losses": losses, "findings": findings,
        })
    }
}

/// A cell, and what it was judged from.
#[derive(Debug)]
pub struct Played {
    /// The judgement.
    pub cell: Cell,
    /// What happened.
    pub ledger: Ledger,
    /// What the agent said.
    pub spans: Vec<Span>,
}

/// Plays it. The figures are kept in `results`, if that is given, and with what is false everything it was judged from.
pub fn play(
    world: &mut World,
    runtime: Runtime,
    concurrency: usize,
    requests: u64,
    results: Option<&Path>,
) -> Result<Played> {
    if runtime.translated {
        return translated::play(world, runtime, concurrency, requests, results);
    }
    let exported = world.scratch().join("spans.jsonl");
    let start = world.agent()?.into_file(exported.clone());
    let Run { agent, ledger, time } = run(world, start, runtime, concurrency, requests)?;
    finish(Cell::new(runtime, concurrency, requests, time), ledger, agent, &exported, results)
}

/// Plays it while the agent writes what it sees into a file of that name in the world's folder; what truly happened.
pub fn record(
    world: &mut World,
    runtime: Runtime,
    concurrency: usize,
    requests: u64,
    file: &str,
) -> Result<Ledger> {
    let start = world.recorder(file)?;
    let Run { agent, ledger, .. } = run(world, start, runtime, concurrency, requests)?;
    eventually("the end of all doubt", PATIENCE, || Ok(is_quiet(&ledger, DOUBT_NS)?.then_some(())))?;
    agent.stop()?;
    Ok(ledger)
}

/// A load that has ended, and the agent that watched it.
struct Run {
    agent: Agent,
    ledger: Ledger,
    time: Duration,
}

fn run(world: &mut World, start: Start, runtime: Runtime, concurrency: usize, requests: u64) -> Result<Run> {
    let folder = world.scratch().join("ledger");
    fs::create_dir_all(&folder)?;
    let apps = programs(world, runtime, &folder)?;
    let front = *apps.first().context("a runtime has a program")?;
    let start = start.env("WIRESPAN_REQUEST_HEADERS", HEADER);
    let agent = apps.iter().fold(start, |start, app| start.port(app.port)).start()?;

    let begun = Instant::now();
    let order = Order {
        address: front.address(),
        concurrency,
        requests,
        rules: runtime.rules,
        seed: concurrency as u64,
        brief: runtime.brief,
        leaves: runtime.leaves,
    };
    let rows = load::run(order)?;
    let time = begun.elapsed();
    Ok(Run { agent, ledger: complete(&rows, &folder)?, time })
}

/// Waits for the spans, stops the agent and compares.
pub(super) fn finish(
    cell: Cell,
    ledger: Ledger,
    agent: Agent,
    exported: &Path,
    results: Option<&Path>,
) -> Result<Played> {
    let certain = (0..ledger.rows().len()).filter(|at| ledger.is_certain(*at)).count();
    ensure!(certain as u64 >= cell.requests, "{certain} rows of {} requests", cell.requests);
    // Spans that never come are what is measured: the deadline is no failure.
    let mut tail = Tail { file: File::open(exported)?, spans: 0, rest: String::new() };
    let _ = eventually("the spans", SETTLE, || Ok((tail.read()? >= certain).then_some(())));
    let mut spans: Vec<Span> = Vec::new();
    let finished = agent.stop_and_visit(&mut |span| spans.push(span))?;
    let verdict = compare::compare(&ledger, &spans);
    let losses = finished.of_class("loss").iter().map(|row| (row.name.to_owned(), row.value)).collect();
    let cell = Cell { verdict, losses, ..cell };
    if let Some(results) = results {
        keep(results, &cell, &ledger, exported)?;
    }
    Ok(Played { cell, ledger, spans })
}

/// The ledger when all rows are in it: some programs write theirs after they have answered, and some go on working.
pub(super) fn complete(load: &[Row], folder: &Path) -> Result<Ledger> {
    let mut missing = None;
    let ledger = eventually("all rows of the ledger", PATIENCE, || {
        let rows = [load, &ledger::read(folder)?].concat();
        missing = match Ledger::new(rows, &[SERVICE]) {
            Ok(ledger) => match ledger.unfinished() {
                None if is_quiet(&ledger, REST_NS)? => return Ok(Some(ledger)),
                None => Some("the programs never came to rest".to_owned()),
                Some(row) => Some(format!("nobody handled {row}")),
            },
            Err(error) => Some(error.to_string()),
        };
        Ok(None)
    });
    ledger.with_context(|| missing.unwrap_or_default())
}

/// Nothing has ended for so long, so nothing will: what works in the background rests when no request comes.
fn is_quiet(ledger: &Ledger, for_ns: u64) -> Result<bool> {
    let last = ledger.rows().iter().map(|row| row.end_ns).max().unwrap_or(0);
    Ok(load::unix_ns()?.saturating_sub(last) > for_ns)
}

/// Starts the callers and the leaf.
fn programs(world: &mut World, runtime: Runtime, ledger: &Path) -> Result<Vec<App>> {
    let root = repository()?;
    let (sources, built) = (root.join("tests/apps/truth"), root.join(".cache/truth"));
    let ports = (0..=runtime.rules.callers).map(|_| free_port()).collect::<Result<Vec<_>>>()?;
    let leaf_port = *ports.last().context("a leaf")?;
    let peers: Vec<String> = ports.iter().map(|port| format!("http://127.0.0.1:{port}")).collect();
    let scratch = world.scratch().to_path_buf();
    let mut apps = Vec::new();
    // The leaf first: a proxy may look for it when it starts.
    for (at, port) in ports.iter().copied().enumerate().rev() {
        let is_leaf = at == runtime.rules.callers;
        let service = if is_leaf { "leaf".to_owned() } else { format!("{}{at}", runtime.name) };
        let mut program = if is_leaf {
            command(own_binary("truth-leaf")?)
        } else {
            (runtime.start)(&Paths {
                sources: &sources,
                built: &built,
                scratch: &scratch,
                port,
                leaf: leaf_port,
                service: &service,
                ledger,
            })
        };
        program.env("PORT", port.to_string()).env("SERVICE", &service).env("PEERS", peers.join(","));
        program.env("LEDGER", ledger).env("POOL", POOL).env("HABIT", runtime.habit);
        let app = world.serve(&service, port, &mut program);
        apps.push(app.context("`cargo xtask setup` builds the programs of the ledger")?);
    }
    apps.reverse();
    Ok(apps)
}

/// Counts the spans in a file that grows.
struct Tail {
    file: File,
    spans: usize,
    rest: String,
}

impl Tail {
    fn read(&mut self) -> Result<usize> {
        let mut more = Vec::new();
        self.file.read_to_end(&mut more)?;
        self.rest.push_str(&String::from_utf8_lossy(&more));
        let whole = self.rest.rfind('\n').map_or(0, |end| end + 1);
        let rest = self.rest.split_off(whole);
        self.spans += std::mem::replace(&mut self.rest, rest).matches("\"spanId\"").count();
        Ok(self.spans)
    }
}

/// The cell's result; and, if something in it is false, all rows and spans, so that it can be looked into.
fn keep(results: &Path, cell: &Cell, ledger: &Ledger, exported: &Path) -> Result<()> {
    fs::create_dir_all(results)?;
    let title = cell.title();
    fs::write(results.join(format!("{title}.json")), format!("{:#}\n", cell.to_json()))?;
    if !cell.verdict.findings.is_empty() {
        let rows = ledger.rows().iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>()?;
        fs::write(results.join(format!("{title}.rows.jsonl")), rows.join("\n") + "\n")?;
        fs::copy(exported, results.join(format!("{title}.spans.jsonl")))?;
    }
    Ok(())
}
