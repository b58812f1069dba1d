//! Privileges of a running agent: what it was started with, less what the start alone needed, in every one of its threads.
//!
//! Shape: an agent that was started with everything → its threads as the kernel shows them, and programs that start when it has let go.
//! Source: proc_pid_status(5). What each missing privilege costs is the other file of this group.
use super::{
    broken::Doctor,
    links::{drive, no_wrong_parent},
    scenes,
};
use crate::{
    agent::{Agent, Finished},
    expect::{client, server},
    http::Connection,
    process::command,
    span::Span,
    wait::{PATIENCE, eventually},
    world::{App, World, free_port, goroutines, need, repository},
};
use anyhow::{Context, Result, ensure};
use std::{collections::BTreeSet, fs};
use wirespan::doctor::{CAPABILITIES, Later};

scenes! { "broken":
    a_running_agent_keeps_only_what_it_needs_for_programs_that_start_later,
    an_agent_that_was_started_with_little_lets_go_of_the_rest_too,
}

/// What `explain` says of programs that have probes.
const GO: &str = "goroutines that a request's goroutine starts: probe at";
const PYTHON: &str = "tasks that a request's task starts: probes at";

/// What `doctor` says that an agent keeps.
fn kept(world: &World, wrapper: &[&str]) -> Result<BTreeSet<u32>> {
    let doctor = Doctor::ask(world, wrapper, &[])?;
    let mut kept = BTreeSet::new();
    for row in CAPABILITIES {
        let (is_well, detail) = doctor.check(row.name)?;
        let is_kept = detail.contains("kept while running");
        ensure!(is_kept != detail.contains("let go after the start"), "{}: {is_well}, {detail}", row.name);
        ensure!(is_kept || row.later == Later::Tried, "{} is let go", row.name);
        kept.extend(is_kept.then_some(row.number));
    }
    Ok(kept)
}

/// Numbers of the capabilities in a line of proc_pid_status(5).
pub(super) fn set(status: &str, name: &str) -> Result<BTreeSet<u32>> {
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let bits = u64::from_str_radix(line.with_context(|| format!("no {name}"))?.trim(), 16)?;
    Ok((0..u64::BITS).filter(|bit| bits >> bit & 1 == 1).collect())
}

/// Every thread has exactly these, and may never have more.
fn threads_have(agent: &Agent, kept: &BTreeSet<u32>, bound: &BTreeSet<u32>) -> Result<()> {
    let threads = fs::read_dir(format!("/proc/{}/task", agent.process.pid()))?;
    let statuses: Vec<String> = threads
        .map(|thread| Ok(fs::read_to_string(thread?.path().join("status"))?))
        .collect::<Result<_>>()?;
    ensure!(statuses.len() > 2, "the observer and the exporters have threads: {}", statuses.len());
    let none = BTreeSet::new();
    for status in &statuses {
        let name = status.lines().next().unwrap_or_default();
        for (which, wanted) in
            [("CapEff", kept), ("CapPrm", kept), ("CapInh", &none), ("CapAmb", &none), ("CapBnd", bound)]
        {
            let held = set(status, which)?;
            ensure!(held == *wanted, "{name}: {which} is {held:?}, not {wanted:?}");
        }
        ensure!(status.lines().any(|line| line == "NoNewPrivs:\t1"), "{name} may gain privileges");
    }
    Ok(())
}

/// Waits until `explain` says it of the program.
fn is_probed(world: &World, app: App, words: &str) -> Result<()> {
    eventually(words, PATIENCE, || Ok(world.explained(app.pid, &[])?.contains(words).then_some(())))
}

/// Of a program's calls, all but the first few have a parent.
fn are_linked(finished: &Finished, app: App) -> Result<()> {
    let pid = app.pid.to_string();
    let is_its = |span: &&Span| span.resource.get("process.pid") == Some(&pid) && span.kind == "client";
    let calls: Vec<&Span> = finished.spans.iter().filter(is_its).collect();
    let linked = calls.iter().filter(|span| !span.parent_id.is_empty()).count();
    let unparented = finished.of_class("unparented");
    ensure!(linked * 4 >= calls.len() * 3, "{linked} of {} calls have a parent: {unparented:?}", calls.len());
    ensure!(linked > 0, "there are no calls of {pid}");
    Ok(())
}

fn a_running_agent_keeps_only_what_it_needs_for_programs_that_start_later(world: &mut World) -> Result<()> {
    // Everything that there is, and two capabilities that programs it executes would have too.
    const ALL: [&str; 3] = ["setpriv", "--inh-caps=+net_admin,+bpf", "--ambient-caps=+net_admin,+bpf"];
    const NOBODY: [&str; 6] =
        ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "env", "OTEL_SERVICE_NAME=theirs"];
    need("go")?;
    let ports = [free_port()?, free_port()?, free_port()?];
    let agent = ports.iter().fold(world.agent_within(&ALL)?, |start, port| start.port(*port));
    let agent = agent.exe("**/calls").start()?;
    let kept = kept(world, &ALL)?;
    println!("        kept: {kept:?}");
    threads_have(&agent, &kept, &kept)?;

    // Its probes, its tables, and /proc of a program of somebody else: all of them after the start.
    let script = repository()?.join("tests/apps/contexts.py").display().to_string();
    let mut start = |program: &str, numbers: &[u16], rest: &[&str]| {
        let mut service = command(program);
        if program == "python3" {
            service.arg(&script);
        }
        service.args(numbers.iter().map(u16::to_string)).args(rest);
        world.serve(program, numbers.first().copied().unwrap_or_default(), &mut service)
    };
    let [back, go, python] = ports;
    start("python3", &[back, 0], &["task"])?;
    let python = start("python3", &[python, back], &["task"])?;
    // It makes no calls by itself.
    let go = start(&goroutines()?.display().to_string(), &[go, back], &["64", "0", "0"])?;
    let theirs = world.calls_within(&NOBODY, "read-write")?;
    is_probed(world, go, GO)?;
    is_probed(world, python, PYTHON)?;
    // One after the other: how a process works is learned of requests that do not overlap.
    drive(go, 1, 40, |_, n| format!("/front/par2/go-{n}"))?;
    drive(python, 1, 40, |_, n| format!("/front/par/python-{n}"))?;
    agent.expect_count(&client("GET"), 2 * 2 * 40)?;
    Connection::open(theirs.address())?.get("/theirs", &[])?;
    agent.expect(&server("GET").path("/theirs").status(200).service("theirs"))?;
    // Nor do threads that were made meanwhile have more.
    threads_have(&agent, &kept, &kept)?;
    let finished = agent.stop()?;
    no_wrong_parent(&finished.spans)?;
    are_linked(&finished, go)?;
    are_linked(&finished, python)?;
    ensure!(!world.scratch().join("agent.sock").exists(), "the agent's socket is left behind");
    Ok(())
}

fn an_agent_that_was_started_with_little_lets_go_of_the_rest_too(world: &mut World) -> Result<()> {
    let names = CAPABILITIES.map(|row| row.name.trim_start_matches("CAP_").to_lowercase());
    let only = format!("--bounding-set=-all,+{}", names.join(",+"));
    let wrapper = ["setpriv", only.as_str()];
    let app = world.calls("read-write")?;
    let agent = world.agent_within(&wrapper)?.port(app.port).start()?;
    // Without CAP_SETPCAP the bound stays as it was found.
    let bound = CAPABILITIES.iter().map(|row| row.number).collect();
    threads_have(&agent, &kept(world, &wrapper)?, &bound)?;
    Connection::open(app.address())?.get("/little", &[])?;
    agent.expect(&server("GET").path("/little").status(200)).map(drop)
}
