//! HTTP/2 without TLS: many streams on one connection, bodies of any size, calls that go both ways.
use super::scenes;
use crate::{
    expect::server,
    process::{command, output},
    span::Span,
    wait::{PATIENCE, eventually},
    world::{App, World, free_port, repository},
};
use anyhow::{Context, Result, ensure};
use std::{collections::BTreeMap, fs, path::Path};

scenes! { "http2":
    every_stream_of_busy_connections_has_its_own_path_and_status,
    a_connection_that_is_older_than_the_agent_gets_no_wrong_name,
    an_upload_costs_as_many_records_whatever_its_size,
    calls_of_grpc_python_have_their_method_status_and_duration,
}

/// Codes of gRPC that the program's calls end with.
const CODES: [(&str, &str); 5] = [
    ("OK", "0"),
    ("CANCELLED", "1"),
    ("DEADLINE_EXCEEDED", "4"),
    ("NOT_FOUND", "5"),
    ("UNIMPLEMENTED", "12"),
];
/// Requests of one run; each has a path of its own.
const REQUESTS: usize = 4_000;
/// Streams of a connection at once.
const STREAMS: [usize; 3] = [1, 10, 100];

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

fn load(world: &World, app: App, run: &str, requests: usize, streams: usize) -> Result<()> {
    let kinds = ["ok", "no", "none"];
    let paths: String = (0..requests)
        .zip(kinds.iter().cycle())
        .map(|(n, kind)| format!("http://127.0.0.1:{}/{kind}/{run}/{n}\n", app.port))
        .collect();
    let file = world.scratch().join("paths");
    fs::write(&file, paths)?;
    let mut h2load = command("h2load");
    h2load
        .args(["-c", "8", "-t", "1", "-n", &requests.to_string(), "-m", &streams.to_string(), "-i"])
        .arg(file);
    let (report, _) = output(&mut h2load, 0)?;
    ensure!(report.contains(&format!("{requests} done")), "h2load did not finish: {report}");
    Ok(())
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

fn every_stream_of_busy_connections_has_its_own_path_and_status(world: &mut World) -> Result<()> {
    let app = nginx(world)?;
    let exported = world.scratch().join("spans.jsonl");
    let agent = world.agent()?.port(app.port).into_file(exported).start()?;
    for streams in STREAMS {
        load(world, app, &format!("m{streams}"), REQUESTS, streams)?;
    }
    let finished = agent.stop()?;
    let ledger = ledger(world.scratch())?;
    let spans = finished.spans.iter().filter(|span| span.attribute("network.protocol.version") == "2");
    let told = told(spans);
    let (missing, wrong) = (beyond(&ledger, &told), beyond(&told, &ledger));
    println!(
        "        of {} requests {missing} have no span, {wrong} spans are wrong",
        STREAMS.len() * REQUESTS
    );
    ensure!(wrong == 0, "{wrong} spans say what nobody asked for");
    ensure!(missing * 1_000 <= STREAMS.len() * REQUESTS, "{missing} requests have no span");
    Ok(())
}

fn a_connection_that_is_older_than_the_agent_gets_no_wrong_name(world: &mut World) -> Result<()> {
    let app = nginx(world)?;
    let exported = world.scratch().join("spans.jsonl");
    let start = world.agent()?.port(app.port).into_file(exported);
    let finished = std::thread::scope(|scope| {
        let world = &*world;
        // More than the agent needs to start.
        let client = scope.spawn(move || load(world, app, "old", 100 * REQUESTS, 10));
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

fn calls_of_grpc_python_have_their_method_status_and_duration(world: &mut World) -> Result<()> {
    let root = repository()?;
    let python = root.join(".cache/grpc/venv/bin/python");
    let program = root.join("tests/apps/grpc/calls.py");
    let port = free_port()?;
    world.serve("grpc-python", port, command(&python).arg(&program).arg("serve").arg(port.to_string()))?;
    // Both ends.
    let agent = world.agent()?.exe("*python*").start()?;
    let (said, _) = output(command(&python).arg(&program).arg("call").arg(port.to_string()), 0)?;
    agent.expect(&server("t.Calls/None").fact("rpc.grpc.status_code", "12"))?;
    let finished = agent.stop()?;
    for line in said.lines() {
        let mut words = line.split(' ');
        let (method, status, took) = (
            words.next().unwrap_or_default(),
            words.next().unwrap_or_default(),
            words.next().unwrap_or_default(),
        );
        let (_, code) =
            CODES.iter().find(|(name, _)| *name == status).context("a status that was not meant")?;
        let took_ms: u64 = took.parse()?;
        for kind in ["server", "client"] {
            let mut spans = finished.spans.iter().filter(|span| {
                span.kind == kind
                    && span.attribute("rpc.service") == "t.Calls"
                    && span.attribute("rpc.method") == method
                    && span.attribute("rpc.grpc.status_code") == *code
            });
            let span = spans.next().with_context(|| format!("no {kind} span of {line}"))?;
            ensure!(spans.next().is_none(), "more than one {kind} span of {line}");
            let lasted_ms = span.end_ns.saturating_sub(span.start_ns) / 1_000_000;
            // The first call opens the connection too.
            let slack_ms = if lasted_ms < 50 { 100 } else { 50 };
            ensure!(lasted_ms.abs_diff(took_ms) <= slack_ms, "{line}: {kind} lasted {lasted_ms} ms");
            ensure!(kind == "client" || !span.parent_id.is_empty(), "{line}: the sender's end was not found");
        }
    }
    println!("        {} calls, each at both ends", said.lines().count());
    Ok(())
}
