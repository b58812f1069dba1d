//! Go programs: who caused a call when goroutines move between threads and a pooled client's bytes are written by nobody's goroutine.
//!
//! Shape: the last part of each path says for which request a call is made. A link to any other request is false, whatever the way.
use super::{links, scenes};
use crate::{
    agent::Agent,
    process,
    span::Span,
    wait::{PATIENCE, eventually},
    world::{App, World, free_port, need, repository},
};
use anyhow::{Context, Result, ensure};
use std::{
    collections::{BTreeMap, HashMap},
    process::Command,
};

scenes! { "go":
    calls_of_handlers_and_their_goroutines_have_the_right_parent,
    a_stripped_program_with_few_connections_has_them_too,
    a_position_independent_program_with_c_has_them_too,
    a_goroutine_left_behind_is_never_given_to_the_next_request,
    workers_and_pollers_that_a_request_started_are_never_given_to_it,
    explain_says_what_is_known_of_a_go_program,
}

/// Ways whose every call is made for its request, and can be known to be.
const KNOWABLE: [&str; 3] = ["seq", "par", "nested"];

/// Builds the service; `None` if this machine has no C compiler for it.
fn build(world: &World, cgo: bool, arguments: &[&str]) -> Result<std::path::PathBuf> {
    need("go")?;
    let binary = world.scratch().join("goroutines");
    let mut go = Command::new("go");
    go.args(["build", "-trimpath", "-buildvcs=false"]).args(arguments).arg("-o").arg(&binary).arg(".");
    go.env("GOTOOLCHAIN", "local").env("CGO_ENABLED", if cgo { "1" } else { "0" });
    process::output(go.current_dir(repository()?.join("tests/apps/goroutines")), 0)?;
    Ok(binary)
}

/// A front and a back, and an agent that observes both.
fn shop(world: &mut World, binary: &std::path::Path, limits: [u32; 2]) -> Result<(App, Agent)> {
    let mut start = |arguments: &[String]| -> Result<App> {
        let port = free_port()?;
        let mut command = process::command(binary);
        world.serve("goroutines", port, command.arg(port.to_string()).args(arguments))
    };
    let back = start(&[])?;
    let [idle, most] = limits;
    let front = start(&[back.port.to_string(), idle.to_string(), most.to_string()])?;
    let agent = world.agent()?.port(front.port).port(back.port).start()?;
    Ok((front, agent))
}

/// Each of so many clients asks for one way after the other.
fn drive(front: App, in_flight: usize, each: usize, ways: &[&str]) -> Result<()> {
    links::drive(front, in_flight, each, |client, n| {
        let way = ways.get((client + n) % ways.len()).unwrap_or(&"");
        format!("/front/{way}/c{in_flight}x{client}n{n}")
    })
}

/// How many calls a way makes.
fn calls(way: &str) -> usize {
    way.trim_start_matches(|letter: char| letter.is_ascii_lowercase()).parse().unwrap_or(1)
}

fn expected(in_flight: usize, each: usize, ways: &[&str]) -> usize {
    (0..in_flight)
        .flat_map(|client| (0..each).map(move |n| client + n))
        .map(|at| ways.get(at % ways.len()).map_or(0, |way| calls(way)))
        .sum()
}

/// The way and the request that a path names, as `/back/WAY/REQUEST`.
fn told(span: &Span) -> (&str, &str) {
    let full = span.attribute("url.full");
    let path = if full.is_empty() { span.path() } else { full };
    let mut parts = path.rsplit('/');
    let request = parts.next().unwrap_or_default();
    (parts.next().unwrap_or_default().trim_end_matches(|digit: char| digit.is_ascii_digit()), request)
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
        let parent =
            by_id.get(span.parent_id.as_str()).with_context(|| format!("parent is missing: {span}"))?;
        let (_, parents) = told(parent);
        ensure!(request == parents, "a false link: {span} to {parent}");
        count.1 += 1;
    }
    Ok(tally)
}

/// Waits for the calls, which may be held for a while, and judges them.
fn gather(agent: Agent, calls: usize) -> Result<Tally> {
    let is_caused = |span: &Span| span.kind == "client" && !matches!(told(span).0, "tick" | "poll");
    let all = eventually(&format!("{calls} calls"), PATIENCE * 2, || {
        let spans = agent.spans()?;
        Ok((spans.iter().filter(|span| is_caused(span)).count() >= calls).then_some(()))
    });
    let finished = agent.stop()?;
    let tally = judge(&finished.spans)?;
    println!("        {tally:?}, unparented {:?}", finished.of_class("unparented"));
    all.with_context(|| format!("lost: {:?}", finished.of_class("loss")))?;
    Ok(tally)
}

/// Calls by which a `go` statement is learned: their links are held, and then there is not enough to show for them.
const LEARNING: usize = 5;

/// Of what can be known, 99 of 100 are known.
fn demand(tally: &Tally) -> Result<()> {
    for way in KNOWABLE {
        let Some((calls, right)) = tally.get(way) else { continue };
        ensure!(
            right * 100 >= calls.saturating_sub(LEARNING) * 99,
            "{way}: {right} of {calls} calls have a parent: {tally:?}"
        );
    }
    let by_itself = ["tick", "poll"].iter().filter_map(|way| tally.get(*way)).map(|(_, right)| right);
    ensure!(by_itself.sum::<usize>() == 0, "what no request caused has a parent: {tally:?}");
    Ok(())
}

const WAYS: [&str; 9] = ["seq1", "par2", "seq0", "par5", "seq3", "nested", "par1", "seq5", "par3"];

fn all_ways(world: &mut World, cgo: bool, arguments: &[&str], limits: [u32; 2]) -> Result<()> {
    let binary = build(world, cgo, arguments)?;
    let (front, agent) = shop(world, &binary, limits)?;
    let mut calls = 0;
    for (in_flight, each) in [(1, 90), (8, 90), (64, 45)] {
        drive(front, in_flight, each, &WAYS)?;
        calls += expected(in_flight, each, &WAYS);
    }
    demand(&gather(agent, calls)?)
}

fn calls_of_handlers_and_their_goroutines_have_the_right_parent(world: &mut World) -> Result<()> {
    all_ways(world, false, &[], [256, 0])
}

fn a_stripped_program_with_few_connections_has_them_too(world: &mut World) -> Result<()> {
    all_ways(world, false, &["-ldflags=-s -w"], [2, 16])
}

fn a_position_independent_program_with_c_has_them_too(world: &mut World) -> Result<()> {
    need("cc")?;
    all_ways(world, true, &["-buildmode=pie", "-ldflags=-s -w"], [64, 0])
}

fn a_goroutine_left_behind_is_never_given_to_the_next_request(world: &mut World) -> Result<()> {
    let binary = build(world, false, &[])?;
    let (front, agent) = shop(world, &binary, [256, 0])?;
    let ways = ["left", "seq4", "left", "par2", "seq5"];
    let mut calls = 0;
    for (in_flight, each) in [(1, 100), (16, 100)] {
        drive(front, in_flight, each, &ways)?;
        calls += expected(in_flight, each, &ways);
    }
    let tally = gather(agent, calls)?;
    demand(&tally)
}

fn workers_and_pollers_that_a_request_started_are_never_given_to_it(world: &mut World) -> Result<()> {
    let binary = build(world, false, &[])?;
    let (front, agent) = shop(world, &binary, [256, 0])?;
    let ways = ["handed", "armed", "seq2", "par2", "handed"];
    // The workers and the poller are started by the first of many at once.
    drive(front, 32, 40, &ways)?;
    demand(&gather(agent, expected(32, 40, &ways))?)
}

fn explain_says_what_is_known_of_a_go_program(world: &mut World) -> Result<()> {
    let binary = build(world, false, &["-ldflags=-s -w"])?;
    let (front, agent) = shop(world, &binary, [64, 0])?;
    drive(front, 1, 3, &["seq1"])?;
    let text = world.explained(front.pid, &[])?;
    for wanted in [
        "goroutines are known",
        "who asks for the requests of Go's pooled clients: probe at",
        "goroutines that a request's goroutine starts: probe at",
    ] {
        ensure!(text.contains(wanted), "no `{wanted}` in:\n{text}");
    }
    drop(agent);
    Ok(())
}
