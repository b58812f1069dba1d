//! What user space costs per record and per exchange: a recording replayed through the whole core and an encoder.
//!
//! Shape: a load on nginx is recorded once, then replayed. Time is the best of several runs minus that of an empty
//! recording (start-up); instructions are callgrind's, minus the same. Not here: the kernel side (see `socket`).
use super::{figures::Figures, sink::Sink};
use crate::{
    load::{self, Plan},
    process::{Process, command, output},
    span::parse_line,
    wait::PATIENCE,
    world::{App, World, need},
};
use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use std::{
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

const RUNS: usize = 7;

/// Both recordings, and what is in the loaded one.
struct Recordings {
    loaded: PathBuf,
    empty: PathBuf,
    records: f64,
    exchanges: f64,
}

pub(super) fn run(world: &mut World, figures: &mut Figures) -> Result<()> {
    let app = world.nginx("location / { return 200 ok; }")?;
    let time = Duration::from_secs(4);
    let plan = Plan { address: app.address(), connections: 16, rate: Some(5_000.0), time };
    let loaded = record(world, app, "loaded", || load::run(plan).map(drop))?;
    let empty = record(world, app, "empty", || Ok(()))?;
    let records = records_of(&loaded)? - records_of(&empty)?;
    let exchanges = exchanges_of(world, &loaded)?;
    ensure!(exchanges > 1000.0, "{records} records and {exchanges} exchanges were recorded");
    let recordings = Recordings { loaded, empty, records, exchanges };
    figures.known("replay: records", records, "records");
    figures.known("replay: records per exchange", records / exchanges, "records");

    let sink = Sink::start()?;
    for exporter in ["none", "json", "otlp"] {
        let spent = |file: &Path| best_time(world, file, exporter, &sink);
        let ns = (spent(&recordings.loaded)? - spent(&recordings.empty)?) * 1e9;
        // The targets are those of the whole way: core, and OTLP as it leaves.
        show(figures, exporter, ns, "ns", (exporter == "otlp").then_some((1_000.0, 5_000.0)), &recordings);
    }
    if need("valgrind").is_err() {
        println!("   valgrind is not installed: no instruction counts");
        return Ok(());
    }
    for exporter in ["none", "otlp"] {
        let count = |file: &Path| instructions(world, file, exporter, &sink);
        let spent = count(&recordings.loaded)? - count(&recordings.empty)?;
        show(figures, exporter, spent, "instructions", None, &recordings);
    }
    Ok(())
}

fn show(
    figures: &mut Figures,
    exporter: &str,
    spent: f64,
    unit: &'static str,
    targets: Option<(f64, f64)>,
    of: &Recordings,
) {
    let (record, exchange) =
        (format!("replay to {exporter}: per record"), format!("replay to {exporter}: per exchange"));
    let (per_record, per_exchange) = (spent / of.records, spent / of.exchanges);
    match targets {
        Some((most_record, most_exchange)) => {
            figures.at_most(record, per_record, unit, most_record);
            figures.at_most(exchange, per_exchange, unit, most_exchange);
        }
        None => {
            figures.known(record, per_record, unit);
            figures.known(exchange, per_exchange, unit);
        }
    }
}

/// Records nginx under a load.
pub(super) fn record(
    world: &World,
    app: App,
    name: &str,
    load: impl FnOnce() -> Result<()>,
) -> Result<PathBuf> {
    let file = world.scratch().join(name);
    let mut record = command(world.wirespan()?);
    record.arg("record").arg(&file).args(["--port", &app.port.to_string()]);
    record.env("WIRESPAN_SOCKET", world.scratch().join("agent.sock"));
    let mut recorder = Process::start("wirespan record", &mut record)?;
    recorder.wait_for_line("`ready`", |line| line.contains("ready"))?;
    load()?;
    recorder.signal(Signal::TERM)?;
    let status = recorder.wait(PATIENCE)?;
    ensure!(status.success(), "record ended with {status}{}", recorder.last_words());
    Ok(file)
}

/// Frames of kind 1: `kind: u8, len: u32 little endian, len bytes`, after 12 bytes of magic.
pub(super) fn records_of(file: &Path) -> Result<f64> {
    const RECORD: u8 = 1;
    let bytes = std::fs::read(file)?;
    let mut rest = bytes.get(12..).context("a recording has a magic line")?;
    let mut records = 0_u32;
    while let [kind, a, b, c, d, frame @ ..] = rest {
        records += u32::from(*kind == RECORD);
        rest = frame.get(u32::from_le_bytes([*a, *b, *c, *d]) as usize..).context("a frame is whole")?;
    }
    Ok(f64::from(records))
}

pub(super) fn exchanges_of(world: &World, file: &Path) -> Result<f64> {
    let (lines, _) = output(replay(world, file, "json", &world.wirespan()?, None)?.arg("--verbose"), 0)?;
    let counts: Result<Vec<usize>> = lines.lines().map(|line| Ok(parse_line(line)?.len())).collect();
    Ok(counts?.iter().sum::<usize>() as f64)
}

/// `wirespan replay`, possibly under another program.
fn replay(
    world: &World,
    file: &Path,
    exporter: &str,
    program: &Path,
    sink: Option<&Sink>,
) -> Result<Command> {
    let mut command = Command::new(program);
    if program != world.wirespan()? {
        command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(world.wirespan()?);
    }
    command.arg("replay").arg(file).args(["--exporter", exporter]);
    command.env("WIRESPAN_SOCKET", world.scratch().join("agent.sock"));
    if let Some(sink) = sink {
        command
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", sink.endpoint())
            .env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf");
    }
    Ok(command)
}

fn best_time(world: &World, file: &Path, exporter: &str, sink: &Sink) -> Result<f64> {
    let mut best = f64::MAX;
    for _ in 0..RUNS {
        let mut command = replay(world, file, exporter, &world.wirespan()?, Some(sink))?;
        let begun = Instant::now();
        output(&mut command, 0)?;
        best = best.min(begun.elapsed().as_secs_f64());
    }
    Ok(best)
}

/// callgrind says `Collected : N` on stderr.
pub(super) fn instructions(world: &World, file: &Path, exporter: &str, sink: &Sink) -> Result<f64> {
    let (_, told) = output(&mut replay(world, file, exporter, Path::new("valgrind"), Some(sink))?, 0)?;
    let line = told.lines().find_map(|line| line.split("Collected :").nth(1));
    line.and_then(|count| count.trim().parse().ok())
        .with_context(|| format!("callgrind did not count: {told}"))
}
