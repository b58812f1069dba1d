//! The short part of the ledger's table: nothing false, nothing missing, and what is promised (see `truth`).
use super::scenes;
use crate::{
    ledger::compare::compare,
    span::Span,
    truth::{
        report,
        stage::{self, Cell, Played},
        table::RUNTIMES,
    },
    world::World,
};
use anyhow::{Context, Result, ensure};

scenes! { "truth":
    flask_threads_keep_their_promise_and_nothing_is_false,
    gunicorn_threads_keep_their_promise_and_nothing_is_false,
    asyncio_contexts_keep_their_promise_and_nothing_is_false,
    go_is_never_told_a_wrong_parent,
    node_is_never_told_a_wrong_parent,
    nginx_keeps_its_promise_and_nothing_is_false,
    two_services_are_joined_across_networks_with_both_addresses_translated,
    the_comparison_sees_what_is_planted_among_real_spans,
}

/// Requests of the load: each makes seven others on average.
const REQUESTS: u64 = 400;

fn flask_threads_keep_their_promise_and_nothing_is_false(world: &mut World) -> Result<()> {
    judge(world, "flask")
}

fn gunicorn_threads_keep_their_promise_and_nothing_is_false(world: &mut World) -> Result<()> {
    judge(world, "gunicorn-gthread")
}

fn asyncio_contexts_keep_their_promise_and_nothing_is_false(world: &mut World) -> Result<()> {
    judge(world, "aiohttp")
}

fn go_is_never_told_a_wrong_parent(world: &mut World) -> Result<()> {
    judge(world, "go")
}

fn node_is_never_told_a_wrong_parent(world: &mut World) -> Result<()> {
    judge(world, "node-http")
}

fn nginx_keeps_its_promise_and_nothing_is_false(world: &mut World) -> Result<()> {
    judge(world, "nginx")
}

fn two_services_are_joined_across_networks_with_both_addresses_translated(world: &mut World) -> Result<()> {
    judge(world, "network")
}

fn the_comparison_sees_what_is_planted_among_real_spans(world: &mut World) -> Result<()> {
    let Played { cell, ledger, mut spans } = play(world, "flask", 50)?;
    let calls: Vec<usize> = (0..spans.len())
        .filter(|at| spans.get(*at).is_some_and(|span| span.kind == "client" && !span.parent_id.is_empty()))
        .collect();
    let parent = |spans: &[Span], at: usize| spans.get(at).map(|span| span.parent_id.clone());
    let first = *calls.first().context("a call with a parent")?;
    let other = calls.into_iter().find(|at| parent(&spans, *at) != parent(&spans, first));
    let other = other.context("a call of another request")?;
    let (one, two) = (parent(&spans, first), parent(&spans, other));
    for (at, wrong) in [(first, two), (other, one)] {
        let (span, wrong) = spans.get_mut(at).zip(wrong).context("two calls")?;
        span.parent_id = wrong;
    }
    let wrong = compare(&ledger, &spans).figures.client.wrong;
    ensure!((cell.verdict.figures.false_links(), wrong) == (0, 2), "{wrong} of two false links were seen");
    Ok(())
}

fn play(world: &mut World, name: &str, requests: u64) -> Result<Played> {
    let runtime = *RUNTIMES.iter().find(|runtime| runtime.name == name).context("a row of the table")?;
    let concurrency = runtime.short.context("a row of the short table")?;
    stage::play(world, runtime, concurrency, requests, None)
}

fn judge(world: &mut World, name: &str) -> Result<()> {
    let cell = play(world, name, REQUESTS)?.cell;
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
