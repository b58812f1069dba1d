//! The cell across networks: two observed services whose addresses are both translated on the way.
//!
//! Shape: as `stage::play`. What is judged here is `peers`: each request that the leaf received was sent by the caller.
use super::{
    network::{FRONT, Network, PORT},
    stage::{self, Cell, Played},
    table::Runtime,
};
use crate::{
    ledger::HEADER,
    process::Process,
    wait::eventually,
    world::{World, own_binary},
};
use anyhow::{Context, Result, ensure};
use std::{
    fs,
    io::Write,
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

/// The caller may take that long for all.
const LONGEST: Duration = Duration::from_secs(600);

pub(super) fn play(
    world: &mut World,
    runtime: Runtime,
    concurrency: usize,
    requests: u64,
    results: Option<&Path>,
) -> Result<Played> {
    let ledger = world.scratch().join("ledger");
    fs::create_dir_all(&ledger)?;
    let network = Network::open()?;
    let mut program = network.server.command(own_binary("truth-leaf")?);
    program.env("HOST", "0.0.0.0").env("PORT", PORT.to_string()).env("SERVICE", "leaf");
    let leaf = Process::start("leaf", program.env("LEDGER", &ledger))?;
    let mut program = network.client.command(own_binary("truth-caller")?);
    program.env("TARGET", FRONT).env("SERVICE", "caller").env("LEDGER", &ledger).stdin(Stdio::piped());
    program.env("CLIENTS", concurrency.to_string()).env("REQUESTS", requests.to_string());
    let mut caller = Process::start("caller", &mut program)?;

    let exported = world.scratch().join("spans.jsonl");
    let start = world.agent()?.env("WIRESPAN_REQUEST_HEADERS", HEADER).into_file(exported.clone());
    let agent = start.pid(runs(&leaf, "truth-leaf")?).pid(runs(&caller, "truth-caller")?).start()?;

    let begun = Instant::now();
    caller.stdin().context("a pipe")?.write_all(b"\n")?;
    let status = caller.wait(LONGEST)?;
    ensure!(status.success(), "the caller ended with {status}{}", caller.last_words());
    let cell = Cell::new(runtime, concurrency, requests, begun.elapsed());
    let whole = stage::complete(&[], &ledger)?;
    stage::finish(cell, whole, agent, &exported, results)
}

/// The process when it runs the program, and no more what has started it.
fn runs(process: &Process, program: &str) -> Result<u32> {
    let exe = format!("/proc/{}/exe", process.pid());
    eventually(program, crate::wait::PATIENCE, || {
        Ok(fs::read_link(&exe)?.ends_with(program).then_some(process.pid()))
    })
}
