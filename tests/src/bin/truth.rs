//! `truth [NAME…] [--requests N] [--concurrency N]…`: the ledger's whole table, or the runtimes named.
//!
//! Shape: prints a line per cell as it ends and the sum; `target/truth` has a file per cell, and of every cell in which
//! something is false its rows and spans. Exit code 1 if a link is false, a cell could not be played, or a promise is broken.
#![forbid(unsafe_code)]

use anyhow::{Context, Result, bail, ensure};
use std::{path::Path, process::ExitCode, time::Instant};
use wirespan_tests::{
    truth::{
        classes::standings,
        report,
        stage::{self, Cell},
        table::{RUNTIMES, Runtime},
    },
    world::{World, repository},
};

struct Wanted {
    runtimes: Vec<Runtime>,
    requests: u64,
    concurrencies: Vec<usize>,
}

fn main() -> Result<ExitCode> {
    let wanted = wanted(std::env::args().skip(1))?;
    let results = repository()?.join("target/truth");
    let begun = Instant::now();
    println!("{}", report::head());
    let mut cells: Vec<Cell> = Vec::new();
    let mut failed = 0;
    for runtime in &wanted.runtimes {
        for concurrency in wanted.concurrencies.iter().filter(|concurrency| **concurrency <= runtime.most) {
            // One after the other takes long and teaches little: plans wait on purpose.
            let requests = wanted.requests.min(*concurrency as u64 * 250);
            match cell(*runtime, *concurrency, requests, &results) {
                Ok(cell) => cells.push(cell),
                Err(error) => {
                    failed += 1;
                    println!("{} at {concurrency}: {error:#}", runtime.name);
                }
            }
        }
    }
    println!("{}\n\n{}", report::sum(&cells), report::promises(&cells));
    report::write(&results, &cells)?;
    let false_links: u64 = cells.iter().map(|cell| cell.verdict.figures.false_links()).sum();
    let mut broken: Vec<String> = cells.iter().filter(|cell| !is_kept(cell)).map(Cell::title).collect();
    let short = standings(&cells).into_iter().filter(|standing| !standing.is_met());
    broken.extend(short.map(|standing| standing.name.to_owned()));
    println!(
        "truth: {} cells, {failed} not played, {false_links} false links, {} promises broken {broken:?} in {} s",
        cells.len(),
        broken.len(),
        begun.elapsed().as_secs()
    );
    let good = failed == 0 && false_links == 0 && broken.is_empty();
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn cell(runtime: Runtime, concurrency: usize, requests: u64, results: &Path) -> Result<Cell> {
    let mut world = World::new()?;
    let played = stage::play(&mut world, runtime, concurrency, requests, Some(results));
    let cell = played.with_context(|| world.last_words())?.cell;
    println!("{}", report::line(&cell));
    if let Some(why) = report::why(&cell) {
        println!("{why}");
    }
    Ok(cell)
}

fn is_kept(cell: &Cell) -> bool {
    cell.runtime.promise.is_none_or(|promise| cell.verdict.figures.client.recall() >= promise)
}

fn wanted(mut arguments: impl Iterator<Item = String>) -> Result<Wanted> {
    let mut wanted = Wanted { runtimes: Vec::new(), requests: 2_000, concurrencies: Vec::new() };
    while let Some(argument) = arguments.next() {
        let mut number =
            || arguments.next().and_then(|text| text.parse::<u64>().ok()).context("a number is missing");
        match argument.as_str() {
            "--requests" => wanted.requests = number()?,
            "--concurrency" => wanted.concurrencies.push(usize::try_from(number()?)?),
            name => {
                // A name that is a row's own means that row, not the ones that begin like it.
                let is_own = RUNTIMES.iter().any(|row| row.name == name);
                let is_meant =
                    |row: &&Runtime| if is_own { row.name == name } else { row.name.starts_with(name) };
                let found: Vec<Runtime> = RUNTIMES.iter().filter(is_meant).copied().collect();
                ensure!(!found.is_empty(), "no runtime {name}; there are {}", names());
                wanted.runtimes.extend(found);
            }
        }
    }
    if wanted.runtimes.is_empty() {
        wanted.runtimes = RUNTIMES.to_vec();
    }
    if wanted.concurrencies.is_empty() {
        wanted.concurrencies = vec![1, 8, 64, 512];
    }
    if wanted.concurrencies.contains(&0) {
        bail!("nobody would ask");
    }
    Ok(wanted)
}

fn names() -> String {
    RUNTIMES.iter().map(|row| row.name).collect::<Vec<_>>().join(", ")
}
