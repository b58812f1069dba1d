//! Nothing false from damaged histories: each runtime's is recorded once, then replayed with records lost, twice, and in another order.
use super::scenes;
use crate::{
    ledger::{compare::Verdict, figures::Figures},
    truth::{
        damage::{DAMAGES, History},
        stage,
        table::RUNTIMES,
    },
    world::{World, repository},
};
use anyhow::{Context, Result, bail, ensure};
use std::path::Path;

scenes! { "damage":
    threads_stay_true,
    event_loops_of_python_stay_true,
    event_loops_of_node_stay_true,
    goroutines_stay_true,
    nginx_stays_true,
}

/// Requests of the load, how many at once, and how often each damage is done.
const REQUESTS: u64 = 200;
const CONCURRENCY: usize = 16;
const TIMES: u64 = 3;
/// File of the recording.
const RECORDING: &str = "history.wirespan";

fn threads_stay_true(world: &mut World) -> Result<()> {
    replay(world, "flask")
}

fn event_loops_of_python_stay_true(world: &mut World) -> Result<()> {
    replay(world, "aiohttp")
}

fn event_loops_of_node_stay_true(world: &mut World) -> Result<()> {
    replay(world, "node-http")
}

fn goroutines_stay_true(world: &mut World) -> Result<()> {
    replay(world, "go")
}

fn nginx_stays_true(world: &mut World) -> Result<()> {
    replay(world, "nginx")
}

fn replay(world: &mut World, name: &str) -> Result<()> {
    let runtime = *RUNTIMES.iter().find(|runtime| runtime.name == name).context("a row of the table")?;
    let ledger = stage::record(world, runtime, CONCURRENCY, REQUESTS, RECORDING)?;
    let whole = History::read(&world.scratch().join(RECORDING))?;
    let undamaged = whole.judge(world, &ledger)?.figures;
    let (recall, promise) = (undamaged.client.recall(), runtime.promise.unwrap_or(0.0));
    ensure!(
        recall >= promise,
        "{recall} of the parents were found in what is whole, {promise} are promised; without: {:?}",
        undamaged.unparented
    );
    for damage in DAMAGES {
        let mut sum = Figures::default();
        for seed in 0..TIMES {
            let damaged = whole.damaged(damage, seed);
            let verdict = damaged.judge(world, &ledger)?;
            let figures = &verdict.figures;
            if (figures.false_links(), figures.orphans, figures.duplicates) != (0, 0, 0) {
                let kept = repository()?.join("target/truth/damaged.wirespan");
                damaged.write(&kept)?;
                bail!("{}, seed {seed}: {}", damage.name, told(&verdict, &kept));
            }
            sum.absorb(figures);
        }
        let (found, all) = (sum.links(), undamaged.links().right * TIMES);
        ensure!(
            !damage.is_harmless() || found.right == all,
            "{}: {} of {all} links",
            damage.name,
            found.right
        );
        ensure!(found.right * 4 > all, "{}: {} of {all} links are left", damage.name, found.right);
        println!("        {name}, {}: {} of {all} links, all true", damage.name, found.right);
    }
    Ok(())
}

fn told(verdict: &Verdict, kept: &Path) -> String {
    let Figures { orphans, duplicates, .. } = verdict.figures;
    let first = verdict.findings.iter().find(|finding| finding.what.contains("parent"));
    format!(
        "{} false links, {orphans} parents that are not there, {duplicates} spans twice (replay {})\n  {}",
        verdict.figures.false_links(),
        kept.display(),
        first.map(|finding| format!("{:#}", finding.to_json())).unwrap_or_default()
    )
}
