//! CPython's event loops: who caused a call when one thread serves all requests.
//!
//! Shape: the last part of each path says for which request a call is made. A link to any other request is false, whatever the way.
//! Every interpreter of the machine that is known plays; the agent is there before it.
use super::{links, scenes};
use crate::{
    agent::{Agent, Finished},
    process::command,
    runner::Skip,
    span::Span,
    wait::{PATIENCE, eventually},
    world::{App, World, free_port, repository},
};
use anyhow::{Context, Result, ensure};
use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    process::Command,
};

scenes! { "python":
    calls_of_tasks_have_the_right_parent_in_every_version,
    connections_that_answer_for_themselves_have_it_too,
    workers_pollers_and_work_left_behind_are_never_given_to_a_request,
    explain_says_what_is_known_of_an_interpreter,
}

/// Ways whose every call is made for its request, and can be known to be.
const KNOWABLE: [&str; 6] = ["seq", "par", "nested", "thread", "middle", "executor"];
/// Others.
const HAZARDS: [&str; 8] = ["handed", "armed", "seq", "left", "par", "executor", "handed", "left"];

/// Interpreters of 3.9 and later.
fn interpreters() -> Result<Vec<PathBuf>> {
    let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let own = std::fs::read_dir(home.join(".pyenv/versions")).into_iter().flatten();
    let own = own.filter_map(|entry| Some(entry.ok()?.path().join("bin/python3")));
    let all = own.chain([PathBuf::from("/usr/bin/python3")]);
    let known = "import sys; sys.exit(not (3, 9) <= sys.version_info < (3, 15))";
    let is_known = |path: &PathBuf| {
        Command::new(path).args(["-c", known]).output().is_ok_and(|output| output.status.success())
    };
    let mut found: Vec<PathBuf> = all.filter(is_known).collect();
    found.sort();
    if found.is_empty() { Err(Skip("no CPython of 3.9 or later".to_owned()).into()) } else { Ok(found) }
}

/// An agent, and then a back and a front that it observes.
fn shop(world: &mut World, python: &Path, answers: &str) -> Result<(App, Agent)> {
    let ports = [free_port()?, free_port()?];
    let agent = world.agent()?.port(ports[0]).port(ports[1]).start()?;
    let script = repository()?.join("tests/apps/contexts.py");
    let mut start = |port: u16, back: u16| {
        let mut service = command(python);
        service.arg(&script).args([port.to_string(), back.to_string(), answers.to_owned()]);
        world.serve("contexts.py", port, &mut service)
    };
    let back = start(ports[1], 0)?;
    let front = start(ports[0], back.port)?;
    // What was born before the probes were there has no parent.
    eventually("the interpreter's births", PATIENCE, || {
        Ok(world.explained(front.pid, &[])?.contains(BIRTHS).then_some(()))
    })?;
    Ok((front, agent))
}

/// What `explain` says of a process whose births are seen.
const BIRTHS: &str = "tasks that a request's task starts: probes at";
/// What it says of one whose pools of threads are seen.
const POOLS: &str = "work that a request's task hands to a pool of threads: probes at";

/// Each of so many clients asks for one way after the other.
fn drive(front: App, in_flight: usize, each: usize, ways: &[&str]) -> Result<usize> {
    links::drive(front, in_flight, each, |client, n| {
        let way = ways.get((client + n) % ways.len()).unwrap_or(&"");
        format!("/front/{way}/c{in_flight}x{client}n{n}")
    })?;
    let asked = (0..in_flight).flat_map(|client| (0..each).map(move |n| client + n));
    Ok(asked.filter_map(|at| ways.get(at % ways.len())).map(|way| calls(way)).sum())
}

/// How many calls a way makes.
fn calls(way: &str) -> usize {
    match way {
        "armed" => 0,
        "seq" | "par" | "nested" | "middle" => 2,
        _ => 1,
    }
}

/// The way and the request that a path names, as `/back/WAY/REQUEST`.
fn told(span: &Span) -> (&str, &str) {
    let full = span.attribute("url.full");
    let path = if full.is_empty() { span.path() } else { full };
    let mut parts = path.rsplit('/');
    let request = parts.next().unwrap_or_default();
    (parts.next().unwrap_or_default(), request)
}

/// Calls and right parents, by way.
type Tally = BTreeMap<String, (usize, usize)>;

/// Nothing false: a call's parent is the request that its path names. What no request caused has none.
fn judge(spans: &[Span]) -> Result<Tally> {
    let by_id: HashMap<&str, &Span> = spans.iter().map(|span| (span.span_id.as_str(), span)).collect();
    let mut tally = Tally::new();
    for span in spans.iter().filter(|span| span.kind == "client") {
        let (way, request) = told(span);
        let count = tally.entry(way.to_owned()).or_default();
        count.0 += 1;
        if span.parent_id.is_empty() {
            continue;
        }
        let parent = by_id.get(span.parent_id.as_str());
        let parent = parent.with_context(|| format!("parent is missing: {span}"))?;
        ensure!(request == told(parent).1, "a false link: {span} to {parent}");
        count.1 += 1;
    }
    Ok(tally)
}

/// Waits for the calls, which may be held for a while, and judges them.
fn gather(agent: Agent, calls: usize) -> Result<(Tally, Finished)> {
    let is_caused = |span: &Span| span.kind == "client" && told(span).0 != "poll";
    let all = eventually(&format!("{calls} calls"), PATIENCE * 2, || {
        let spans = agent.spans()?;
        Ok((spans.iter().filter(|span| is_caused(span)).count() >= calls).then_some(()))
    });
    let finished = agent.stop()?;
    let tally = judge(&finished.spans)?;
    println!("        {tally:?}, unparented {:?}", finished.of_class("unparented"));
    all?;
    Ok((tally, finished))
}

/// Of what can be known, 99 of 100 are known.
fn demand(tally: &Tally, unlearned: usize) -> Result<()> {
    for way in KNOWABLE {
        let Some((calls, right)) = tally.get(way) else { continue };
        ensure!(
            right * 100 >= calls.saturating_sub(unlearned) * 99,
            "{way}: {right} of {calls} calls have a parent: {tally:?}"
        );
    }
    let polls = tally.get("poll").map_or(0, |(_, right)| *right);
    ensure!(polls == 0, "what no request caused has a parent: {tally:?}");
    Ok(())
}

fn calls_of_tasks_have_the_right_parent_in_every_version(world: &mut World) -> Result<()> {
    for python in interpreters()? {
        println!("        {}", python.display());
        let (front, agent) = shop(world, &python, "task")?;
        let calls = drive(front, 1, 30, &KNOWABLE)? + drive(front, 16, 30, &KNOWABLE)?;
        demand(&gather(agent, calls)?.0, 0).with_context(|| python.display().to_string())?;
    }
    Ok(())
}

/// Until overlapping requests have shown that each connection has a context of its own.
const SEPARATING: usize = 16;

fn connections_that_answer_for_themselves_have_it_too(world: &mut World) -> Result<()> {
    let python = interpreters()?.pop().context("an interpreter")?;
    let (front, agent) = shop(world, &python, "connection")?;
    let calls = drive(front, 16, 60, &KNOWABLE)?;
    demand(&gather(agent, calls)?.0, SEPARATING)
}

fn workers_pollers_and_work_left_behind_are_never_given_to_a_request(world: &mut World) -> Result<()> {
    let python = interpreters()?.pop().context("an interpreter")?;
    for answers in ["task", "connection"] {
        let (front, agent) = shop(world, &python, answers)?;
        // The workers and the poller are started by the first of many at once.
        let calls = drive(front, 32, 40, &HAZARDS)?;
        demand(&gather(agent, calls)?.0, if answers == "task" { 0 } else { 2 * SEPARATING })?;
    }
    Ok(())
}

fn explain_says_what_is_known_of_an_interpreter(world: &mut World) -> Result<()> {
    let python = interpreters()?.pop().context("an interpreter")?;
    let (front, agent) = shop(world, &python, "task")?;
    drive(front, 1, 3, &["par"])?;
    let text = world.explained(front.pid, &[])?;
    for wanted in ["contexts are known", BIRTHS, POOLS, "contexts: "] {
        ensure!(text.contains(wanted), "no `{wanted}` in:\n{text}");
    }
    drop(agent);
    Ok(())
}
