//! Protocols beside HTTP/2 that share a connection or look like it: what they are taken for, and what is told of their calls.
use super::scenes;
use crate::{
    expect::{client, server},
    process::{command, output},
    wait::{PATIENCE, eventually},
    world::{World, free_port, repository},
};
use anyhow::{Context, Result, ensure};
use std::{io::Write, net::TcpStream, path::PathBuf};

scenes! { "streams":
    yamux_is_never_taken_for_http2,
    calls_of_connect_and_grpc_web_have_their_method_and_no_status_that_was_not_seen,
    health_checks_become_no_span_and_their_neighbours_do,
    a_call_that_lasts_is_named_by_explain_while_it_is_open,
}

/// A program of `tests/apps` that setup has built.
fn program(name: &str) -> Result<PathBuf> {
    let program = repository()?.join(".cache/streams").join(name);
    ensure!(program.exists(), "{} is missing: setup said why", program.display());
    Ok(program)
}

fn yamux_is_never_taken_for_http2(world: &mut World) -> Result<()> {
    /// Each a connection of a hundred streams.
    const SESSIONS: u64 = 40;
    let yamux = program("yamux")?;
    let port = free_port()?;
    world.serve("yamux", port, command(&yamux).arg("serve").arg(port.to_string()))?;
    let agent = world.agent()?.exe("*/yamux").start()?;
    let (said, _) = output(command(&yamux).arg("call").args([port.to_string(), SESSIONS.to_string()]), 0)?;
    ensure!(said.trim() == (SESSIONS * 100).to_string(), "{said} streams came back");
    let finished = agent.stop()?;
    ensure!(finished.spans.is_empty(), "spans of a protocol that is not HTTP: {:?}", finished.spans);
    let given_up = finished.counter("assemble.stopped_unknown");
    println!("        {} streams, no span; {given_up} connections given up as unknown", SESSIONS * 100);
    ensure!(finished.counter("assemble.opened") == 0, "something of it was taken for a request");
    ensure!(given_up >= SESSIONS, "only {given_up} of {SESSIONS} connections were given up");
    Ok(())
}

/// What a span of a call says: its system, its status, the HTTP status, `error.type` at its client.
type Told = [&'static str; 4];

/// Of a call that ended as `code`.
fn told(protocol: &str, method: &str, code: &str) -> Result<Told> {
    Ok(match (protocol, method, code) {
        ("grpc", _, "ok") => ["grpc", "0", "", ""],
        ("grpc", _, "not_found") => ["grpc", "5", "", "NOT_FOUND"],
        // A response without messages is a head, and the head has the status.
        ("grpc-web", "Fail", "not_found") => ["grpc", "5", "200", "NOT_FOUND"],
        ("grpc-web", _, "ok") => ["grpc", "", "200", ""],
        // What is not meant for it is no GET.
        ("connect-get", "Fail", "unknown") => ["connect_rpc", "", "405", "405"],
        (_, "Fail", "not_found") => ["connect_rpc", "", "404", "404"],
        (_, _, "ok") => ["connect_rpc", "", "200", ""],
        _ => anyhow::bail!("a call that was not meant: {protocol} {method} {code}"),
    })
}

fn calls_of_connect_and_grpc_web_have_their_method_and_no_status_that_was_not_seen(
    world: &mut World,
) -> Result<()> {
    let connect = program("connect")?;
    let port = free_port()?;
    world.serve("connect", port, command(&connect).arg("serve").arg(port.to_string()))?;
    let agent = world.agent()?.exe("*/connect").start()?;
    let (said, _) = output(command(&connect).arg("call").arg(port.to_string()), 0)?;
    agent.expect(&client("t.v1.Calls/Talk").fact("rpc.grpc.status_code", "0"))?;
    let finished = agent.stop()?;
    for kind in ["client", "server"] {
        let mut spans: Vec<_> = finished.spans.iter().filter(|span| span.kind == kind).collect();
        spans.sort_by_key(|span| span.start_ns);
        let lines: Vec<&str> = said.lines().collect();
        ensure!(spans.len() == lines.len(), "{} {kind} spans of {} calls", spans.len(), lines.len());
        // One call after the other.
        for (line, span) in lines.into_iter().zip(spans) {
            let words: Vec<&str> = line.split(' ').collect();
            let [protocol, version, method, code] = words.as_slice() else {
                anyhow::bail!("no call: {line}")
            };
            let [system, status, http, error] = told(protocol, method, code)?;
            for (key, value) in [
                ("rpc.system", system),
                ("rpc.service", "t.v1.Calls"),
                ("rpc.method", method),
                ("rpc.grpc.status_code", status),
                ("http.response.status_code", http),
                ("network.protocol.version", version),
            ] {
                ensure!(span.attribute(key) == value, "{line}: {key} is not {value}: {span}");
            }
            // What the caller did wrong is the client's error only.
            let error = if kind == "client" { error } else { "" };
            ensure!(span.attribute("error.type") == error, "{line}: error.type is not `{error}`: {span}");
            ensure!(kind == "client" || !span.parent_id.is_empty(), "{line}: the sender's end was not found");
        }
    }
    println!("        {} calls, each at both ends", said.lines().count());
    Ok(())
}

fn health_checks_become_no_span_and_their_neighbours_do(world: &mut World) -> Result<()> {
    let connect = program("connect")?;
    let port = free_port()?;
    world.serve("connect", port, command(&connect).arg("serve").arg(port.to_string()))?;
    let agent = world.agent()?.port(port).start()?;
    let url = |path: &str| format!("http://127.0.0.1:{port}{path}");
    let curl = |path: &str| -> Result<()> {
        let call =
            ["-s", "-o", "/dev/null", "--http2-prior-knowledge", "-H", "content-type: application/grpc"];
        output(command("curl").args(call).arg(url(path)), 0).map(drop)
    };
    for path in
        ["/grpc.health.v1.Health/Check", "/healthz", "/grpc.reflection.v1.ServerReflection/Info", "/x.Y/Z"]
    {
        curl(path)?;
    }
    agent.expect(&server("x.Y/Z"))?;
    let finished = agent.stop()?;
    let excluded = finished.counter("correlate.excluded");
    ensure!(finished.spans.len() == 1, "health checks became spans: {:?}", finished.spans);
    ensure!(excluded == 3, "{excluded} requests were left out");
    finished.spans.first().context("no span").map(drop)
}

fn a_call_that_lasts_is_named_by_explain_while_it_is_open(world: &mut World) -> Result<()> {
    let connect = program("connect")?;
    let port = free_port()?;
    let app = world.serve("connect", port, command(&connect).arg("serve").arg(port.to_string()))?;
    let agent = world.agent()?.port(port).start()?;
    // A request whose body does not come.
    let mut caller = TcpStream::connect(app.address())?;
    caller.write_all(
        b"POST /t.v1.Calls/Count HTTP/1.1\r\nHost: a\r\nContent-Type: application/connect+proto\r\nContent-Length: 1000\r\n\r\n",
    )?;
    let said = eventually("the open call", PATIENCE, || {
        let said = world.explained(app.pid, &[])?;
        Ok(said.contains("open: server t.v1.Calls/Count for ").then_some(said))
    })?;
    drop(caller);
    let line = said.lines().find(|line| line.contains("open: "));
    println!("        {}", line.unwrap_or_default().trim());
    agent.expect(&server("t.v1.Calls/Count"))?;
    agent.stop().map(drop)
}
