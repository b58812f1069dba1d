//! HTTP/2 without TLS: many streams on one connection, bodies of any size, calls that go both ways.
mod busy;
mod calls;
mod curl;
mod joined;
mod late;
mod long;
mod stacks;

use super::scenes;
use crate::{
    expect::server,
    process::{command, output},
    span::Span,
    wait::{PATIENCE, eventually},
    world::{App, World, free_port, repository},
};
use anyhow::{Context, Result, ensure};
use busy::{
    every_stream_of_hyper_has_its_own_path_and_status, every_stream_of_nginx_has_its_own_path_and_status,
    load,
};
use calls::every_stack_has_methods_statuses_and_durations_at_both_ends;
use joined::every_stack_is_joined_on_its_way_without_a_wrong_name;
use long::a_long_stream_is_told_as_it_goes;
use std::{collections::BTreeMap, fs, path::Path};

scenes! { "http2":
    every_stream_of_nginx_has_its_own_path_and_status,
    every_stream_of_hyper_has_its_own_path_and_status,
    a_connection_that_is_older_than_the_agent_gets_no_wrong_name,
    an_upload_costs_as_many_records_whatever_its_size,
    every_stack_has_methods_statuses_and_durations_at_both_ends,
    a_long_stream_is_told_as_it_goes,
    every_stack_is_joined_on_its_way_without_a_wrong_name,
}

/// Requests of connections that are older than the agent: more than it needs to start.
const OLD: usize = 160_000;

/// How often what was asked for, and the status.
type Ledger = BTreeMap<(String, String), usize>;

/// nginx with HTTP/2 on a port of its own; it writes down what it was asked for.
fn nginx(world: &mut World) -> Result<App> {
    let port = free_port()?;
    let nginx = world.nginx(&format!(
        "listen 127.0.0.1:{port} http2; http2_max_concurrent_streams 256; access_log $root/ledger combined;
         location /ok {{ return 200 ok; }} location /no {{ return 404 no; }} location /none {{ return 204; }}"
    ))?;
    Ok(App { port, ..nginx })
}

/// What nginx was asked for over HTTP/2.
fn ledger(folder: &Path) -> Result<Ledger> {
    let mut ledger = Ledger::new();
    for line in
        fs::read_to_string(folder.join("ledger"))?.lines().filter(|line| line.contains(" HTTP/2.0\" "))
    {
        let mut words = line.split(' ').skip_while(|word| !word.starts_with('"')).skip(1);
        let path = words.next().context("a line without a path")?;
        let status = words.nth(1).context("a line without a status")?;
        *ledger.entry((path.to_owned(), status.to_owned())).or_default() += 1;
    }
    Ok(ledger)
}

fn told<'a>(spans: impl Iterator<Item = &'a Span>) -> Ledger {
    let mut told = Ledger::new();
    for span in spans {
        let status = span.attribute("http.response.status_code").to_owned();
        *told.entry((span.path().to_owned(), status)).or_default() += 1;
    }
    told
}

/// How many of `these` are not among `those`.
fn beyond(these: &Ledger, those: &Ledger) -> usize {
    these.iter().map(|(key, count)| count.saturating_sub(those.get(key).copied().unwrap_or(0))).sum()
}

fn a_connection_that_is_older_than_the_agent_gets_no_wrong_name(world: &mut World) -> Result<()> {
    let app = nginx(world)?;
    let exported = world.scratch().join("spans.jsonl");
    let start = world.agent()?.port(app.port).into_file(exported);
    let finished = std::thread::scope(|scope| {
        let world = &*world;
        let client = scope.spawn(move || load(world, app, "old", OLD, 10));
        let ledger = world.scratch().join("ledger");
        eventually("a busy connection", PATIENCE, || {
            Ok(fs::metadata(&ledger).is_ok_and(|ledger| ledger.len() > 0).then_some(()))
        })?;
        let agent = start.start()?;
        client.join().map_err(|_| anyhow::anyhow!("the client panicked"))??;
        agent.stop()
    })?;
    let ledger = ledger(world.scratch())?;
    let (named, unnamed): (Vec<&Span>, Vec<&Span>) =
        finished.spans.iter().partition(|span| !span.path().is_empty());
    let wrong = beyond(&told(named.iter().copied()), &ledger);
    println!("        {} spans are named, {} are not, {wrong} are wrong", named.len(), unnamed.len());
    ensure!(wrong == 0, "{wrong} spans say what nobody asked for");
    ensure!(!named.is_empty(), "nothing of the connections was understood");
    Ok(())
}

fn an_upload_costs_as_many_records_whatever_its_size(world: &mut World) -> Result<()> {
    let program = repository()?.join("tests/apps/http2.js");
    let mut records = Vec::new();
    for mib in ["8", "256"] {
        let port = free_port()?;
        let app = world.serve("node http2", port, command("node").arg(&program).arg(port.to_string()))?;
        let agent = world.agent()?.port(port).start()?;
        let (said, _) = output(command("node").arg(&program).args([&port.to_string(), mib]), 0)?;
        ensure!(said.trim() == (mib.parse::<u64>()? << 20).to_string(), "{said} bytes of {mib} MiB came");
        agent.expect(&server("POST").path("/after").status(200))?;
        let finished = agent.stop()?;
        finished.only(&server("POST").path("/upload").status(200).lacks("error.type"))?;
        let held = finished.only(&server("POST").path("/held").status(200).lacks("error.type"))?;
        let lasted_ms = held.end_ns.saturating_sub(held.start_ns) / 1_000_000;
        ensure!((450..1_000).contains(&lasted_ms), "a call of 500 ms took {lasted_ms} ms");
        records.push(finished.counter("assemble.records"));
        println!("        {mib} MiB: {} records, pid {}", finished.counter("assemble.records"), app.pid);
    }
    ensure!(records.iter().all(|records| *records < 400), "an upload cost {records:?} records");
    Ok(())
}
