//! The short part of the ledger's table: nothing false, nothing missing, and what is promised (see `truth`).
use super::scenes;
use crate::{
    truth::{
        report,
        stage::{self, Cell},
        table::RUNTIMES,
    },
    world::World,
};
use anyhow::{Context, Result, ensure};

scenes! { "truth":
    flask_threads_keep_their_promise_and_nothing_is_false,
    gunicorn_threads_keep_their_promise_and_nothing_is_false,
    go_is_never_told_a_wrong_parent,
    node_is_never_told_a_wrong_parent,
    nginx_is_never_told_a_wrong_parent,
}

/// Requests of the load: each makes seven others on average.
const REQUESTS: u64 = 400;

fn flask_threads_keep_their_promise_and_nothing_is_false(world: &mut World) -> Result<()> {
    judge(world, "flask")
}

fn gunicorn_threads_keep_their_promise_and_nothing_is_false(world: &mut World) -> Result<()> {
    judge(world, "gunicorn-gthread")
}

fn go_is_never_told_a_wrong_parent(world: &mut World) -> Result<()> {
    judge(world, "go")
}

fn node_is_never_told_a_wrong_parent(world: &mut World) -> Result<()> {
    judge(world, "node-http")
}

fn nginx_is_never_told_a_wrong_parent(world: &mut World) -> Result<()> {
    judge(world, "nginx")
}

fn judge(world: &mut World, name: &str) -> Result<()> {
    let runtime = *RUNTIMES.iter().find(|runtime| runtime.name == name).context("a row of the table")?;
    let concurrency = runtime.short.context("a row of the short table")?;
    let cell = stage::play(world, runtime, concurrency, REQUESTS, None)?;
    println!("        {}", report::line(&cell).trim_start());
    hold(&cell).with_context(|| told(&cell))
}

fn hold(cell: &Cell) -> Result<()> {
    let figures = &cell.verdict.figures;
    ensure!(figures.false_links() == 0, "{} false links", figures.false_links());
    ensure!(figures.orphans == 0, "{} parents that are not there", figures.orphans);
    ensure!(figures.duplicates == 0, "{} duplicates", figures.duplicates);
    ensure!(figures.strangers == 0, "{} spans that nobody caused", figures.strangers);
    ensure!(figures.wrong_attributes == 0, "{} spans with wrong attributes", figures.wrong_attributes);
    ensure!(figures.found == figures.rows, "{} spans of {} requests", figures.found, figures.rows);
    let (found, promise) = (figures.client.recall(), cell.runtime.promise.unwrap_or(0.0));
    ensure!(found >= promise, "{found} of the parents were found, {promise} are promised");
    Ok(())
}

fn told(cell: &Cell) -> String {
    let findings = cell.verdict.findings.iter().take(3);
    let findings: String = findings.map(|finding| format!("\n  {:#}", finding.to_json())).collect();
    format!("{}{}{findings}", report::line(cell), report::why(cell).unwrap_or_default())
}
