//! What wirespan costs: figures beside the targets they must stay under.
//!
//! Shape: names → [`Figures`], printed as a table and written to `target/bench/figures.json`. Machines are noisy: every
//! figure is the best of several rounds, and what is compared is interleaved in one run. A target that is missed is
//! said, not hidden, and does not fail the run: another machine has other figures.
mod figures;
mod footprint;
mod instructions;
mod overhead;
mod programs;
mod replay;
mod sink;
mod socket;
mod streams;

use crate::world::World;
use anyhow::{Context, Result, bail, ensure};
use figures::Figures;

type Bench = fn(&mut World, &mut Figures) -> Result<()>;

/// In the order in which they run.
const BENCHES: [(&str, Bench); 6] = [
    ("socket", socket::run),
    ("footprint", footprint::run),
    ("replay", replay::run),
    ("streams", streams::run),
    ("overhead", overhead::run),
    ("instructions", instructions::run),
];

/// Runs those named, or all; a bench that cannot measure fails the run after the others have run.
pub fn run(names: &[String]) -> Result<()> {
    for name in names {
        ensure!(
            BENCHES.iter().any(|(known, _)| known == name),
            "no bench `{name}`: socket, footprint, replay, streams, overhead, instructions"
        );
    }
    let mut figures = Figures::default();
    let mut failed = Vec::new();
    for (name, bench) in BENCHES {
        if !names.is_empty() && !names.iter().any(|wanted| wanted == name) {
            continue;
        }
        println!("== {name}");
        let mut world = World::new()?;
        if let Err(error) = bench(&mut world, &mut figures) {
            eprintln!("error: {name}: {error:#}{}", world.last_words());
            failed.push(name);
        }
    }
    print!("{figures}");
    let folder = crate::world::repository()?.join("target/bench");
    std::fs::create_dir_all(&folder).context("make target/bench")?;
    std::fs::write(folder.join("figures.json"), figures.to_json())?;
    println!("bench: {} (figures in target/bench/figures.json)", figures.sum());
    if !failed.is_empty() {
        bail!("not measured: {}", failed.join(", "));
    }
    Ok(())
}
