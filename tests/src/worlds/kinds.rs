//! The ways to see socket calls, against each other: the same load must give the same spans, whatever the kernel offers.
//!
//! Shape: servers that stay, an agent per kind that comes and goes, the same requests for each → the spans of each kind, without
//! what differs by nature (ids, times, ports of clients), compared as sorted lists.
use super::scenes;
use crate::{
    agent::Agent,
    expect::server,
    http::{Connection, request},
    span::Span,
    world::{App, World},
};
use anyhow::{Context, Result, bail, ensure};
use std::collections::HashMap;

scenes! { "kinds":
    every_kind_of_hook_gives_the_same_spans,
}

/// Best first, as the configuration names them.
const KINDS: [&str; 4] = ["tracepoints", "fentry", "kprobe", "syscalls"];
/// Ways of the C server whose bytes every kind can read.
const WAYS: [&str; 4] = ["read-write", "readv-writev", "recvmsg-sendmsg", "read-sendfile"];
/// What differs from run to run.
const UNSTABLE: [&str; 2] = ["network.peer.port", "client.port"];
/// Counters of records that were never written, or of programs that were not run.
const LOSSES: [&str; 3] = ["kernel.program_misses", "kernel.ring_full", "kernel.connections_full"];
/// A kind that loses something in each of so many runs fails.
const RUNS: usize = 6;
const WIRE_TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const WIRE_SPAN: &str = "b7ad6b7169203331";

/// The servers of the scene.
struct Servers {
    proxy: App,
    hyper: App,
    calls: Vec<App>,
}

impl Servers {
    fn start(world: &mut World) -> Result<Self> {
        let hyper = world.hyper()?;
        let proxy = world.nginx(&format!(
            "location / {{ proxy_pass http://127.0.0.1:{}; proxy_http_version 1.1; }}",
            hyper.port
        ))?;
        let calls = WAYS.iter().map(|way| world.calls(way)).collect::<Result<_>>()?;
        Ok(Self { proxy, hyper, calls })
    }

    fn observe(&self, world: &World, kind: &str) -> Result<Agent> {
        let start = world.agent()?.env("WIRESPAN_HOOK", kind).port(self.proxy.port).port(self.hyper.port);
        self.calls.iter().fold(start, |start, app| start.port(app.port)).start()
    }

    /// Every request that is made, and how many spans they are.
    fn visit(&self) -> Result<usize> {
        let wire = format!("00-{WIRE_TRACE}-{WIRE_SPAN}-01");
        let mut connection = Connection::open(self.proxy.address())?;
        for route in ["status/200", "status/404", "status/503", "status/204", "length/60000", "chunks/20"] {
            connection.get(&format!("/{route}/proxied"), &[])?;
        }
        connection.get("/status/200/wire", &[("traceparent", &wire)])?;
        // nginx asks, hyper answers: a server span, a client span and the other end's server span.
        let mut spans = 3 * 7;

        let mut connection = Connection::open(self.hyper.address())?;
        connection.send(request("HEAD", "/length/500/head", &[]))?;
        connection.response("HEAD")?;
        connection.send(request("POST", "/sink/whole", &[("Content-Length", "100000")]))?;
        connection.send_in(4, &[b'x'; 100_000])?;
        connection.response("POST")?;
        connection.send(request("POST", "/echo/chunked", &[("Transfer-Encoding", "chunked")]))?;
        connection.send("5\r\nhello\r\n0\r\n\r\n")?;
        connection.response("POST")?;
        let pipelined = (0..5).map(|n| request("GET", &format!("/status/20{n}/pipelined"), &[]));
        connection.send(pipelined.collect::<String>())?;
        for _ in 0..5 {
            connection.response("GET")?;
        }
        spans += 8;

        for (app, way) in self.calls.iter().zip(WAYS) {
            let mut connection = Connection::open(app.address())?;
            connection.get(&format!("/{way}/plain"), &[])?;
            connection.get(&format!("/{way}/wire"), &[("traceparent", &wire)])?;
            connection.get(&format!("/{way}/long"), &[("X-Fill", &"f".repeat(3000))])?;
            spans += 3;
        }
        Ok(spans)
    }
}

fn every_kind_of_hook_gives_the_same_spans(world: &mut World) -> Result<()> {
    let servers = Servers::start(world)?;
    let mut first: Option<(&str, Vec<String>)> = None;
    for kind in KINDS {
        let Some(told) = without_loss(world, &servers, kind)? else {
            println!("        {kind}: not on this kernel");
            continue;
        };
        println!("        {kind}: {} spans", told.len());
        match &first {
            None => first = Some((kind, told)),
            Some((other, theirs)) => {
                let differences = differences(theirs, &told);
                ensure!(differences.is_empty(), "{kind} differs from {other}:\n{}", differences.join("\n"));
            }
        }
    }
    ensure!(first.is_some(), "no kind of hook works here");
    Ok(())
}

/// The spans of a run in which nothing was lost; none if the kernel does not have that kind. A kernel that may preempt a program
/// does not run it for another task meanwhile: that is a loss, it is counted, and links are given up for it.
fn without_loss(world: &World, servers: &Servers, kind: &str) -> Result<Option<Vec<String>>> {
    for _ in 0..RUNS {
        let agent = match servers.observe(world, kind) {
            Ok(agent) => agent,
            // Which kinds a kernel must have is not this scene's question.
            Err(error) if error.to_string().contains("no way to see") => return Ok(None),
            Err(error) => return Err(error.context(kind.to_owned())),
        };
        let made = servers.visit()?;
        let last = format!("/{}/long", WAYS.last().context("there are ways")?);
        let last = agent.expect(&server("GET").path(&last));
        let finished = agent.stop()?;
        let losses = LOSSES.map(|name| finished.counter(name));
        if losses.iter().any(|count| *count > 0) {
            println!("        {kind}: again, because of {LOSSES:?} {losses:?}");
            continue;
        }
        last?;
        let told = told(&finished.spans);
        ensure!(told.len() == made, "{kind}: {} spans instead of {made}: {told:#?}", told.len());
        return Ok(Some(told));
    }
    bail!("{kind}: something was lost in each of {RUNS} runs")
}

/// Each span in one line, with its place in its trace, in a stable order.
fn told(spans: &[Span]) -> Vec<String> {
    let by_id: HashMap<&str, &Span> = spans.iter().map(|span| (span.span_id.as_str(), span)).collect();
    let place = |span: &Span| match (span.parent_id.as_str(), by_id.get(span.parent_id.as_str())) {
        ("", _) => "root".to_owned(),
        (WIRE_SPAN, _) if span.trace_id == WIRE_TRACE => "child of the wire".to_owned(),
        (_, Some(parent)) if parent.trace_id == span.trace_id => {
            format!("child of {} {}", parent.kind, parent.path())
        }
        _ => "child of nobody".to_owned(),
    };
    let line = |span: &Span| {
        let attributes = span.attributes.iter().filter(|(key, _)| !UNSTABLE.contains(&key.as_str()));
        let attributes: Vec<String> = attributes.map(|(key, value)| format!("{key}={value}")).collect();
        format!("{} {} {} [{}] {}", span.kind, span.name, span.status, attributes.join(" "), place(span))
    };
    let mut told: Vec<String> = spans.iter().map(line).collect();
    told.sort();
    told
}

/// Lines that only one of two sorted lists has, as in a diff.
fn differences(ours: &[String], theirs: &[String]) -> Vec<String> {
    let less = ours.iter().filter(|line| !theirs.contains(line)).map(|line| format!("- {line}"));
    let more = theirs.iter().filter(|line| !ours.contains(line)).map(|line| format!("+ {line}"));
    less.chain(more).collect()
}
