//! Each stack calls its own server and another stack's: method, status and duration of each type of call, at both ends.
//!
//! Shape: rows of callers and the agent's spans → a table stack × type of call; every cell must be whole.
use super::{
    World, curl, late,
    stacks::{HEADER, Row, STACKS, Stack, method, status},
};
use crate::{
    agent::{Agent, Start},
    span::Span,
    world::App,
};
use anyhow::{Context, Result, ensure};
use std::{collections::BTreeMap, fmt::Write, path::Path, time::Duration};

/// Types of calls, as ids end, and what must come of them over gRPC and over plain HTTP. The last two are the client's doing: a
/// deadline of 0.3 s that passes, and a cancellation after 0.1 s.
const TYPES: [(&str, &str, &str); 8] = [
    ("unary", "0", "200"),
    ("fail", "5", "404"),
    ("none", "12", ""),
    ("down", "0", "200"),
    ("up", "0", "200"),
    ("both", "0", "200"),
    ("late", "4", ""),
    ("cancelled", "1", ""),
];
/// Between what a caller measured and what was seen on the wire, at most, where nobody waits for a processor.
const SLACK: Duration = Duration::from_millis(50);
/// A call of `both`: 100 messages.
const HELD_NS: u64 = 5_000_000_000;

/// The deadline of a call of `late`.
const LATE_NS: u64 = 300_000_000;

/// What was found right of (a stack's name, a role, a type of calls): method, status, duration, and at servers the parent.
type Cells = BTreeMap<(&'static str, &'static str, &'static str), [bool; 4]>;

/// What was found.
#[derive(Default)]
struct Table {
    cells: Cells,
    /// A line for each end of a call at which something is wrong.
    wrong: String,
}

/// A call, and between whom it was.
pub(super) struct Called {
    /// Name of the caller's stack.
    pub(super) client: &'static str,
    /// Who was called.
    pub(super) server: Stack,
    /// What the caller wrote down.
    pub(super) row: Row,
}

pub(super) fn every_stack_has_methods_statuses_and_durations_at_both_ends(world: &mut World) -> Result<()> {
    let servers = STACKS.iter().map(|stack| Ok((*stack, stack.serve(world)?))).collect::<Result<Vec<_>>>()?;
    let table = play(world, &servers)?;
    print(&table.cells);
    ensure!(table.wrong.is_empty(), "not everything is right:\n{}", table.wrong);
    Ok(())
}

/// One call of each type of each stack to its own server and to another one.
fn play(world: &World, servers: &[(Stack, App)]) -> Result<Table> {
    let agent = observe(world, servers)?;
    let (calls, late) = late::while_doing(|| {
        let mut calls = Vec::new();
        // One stack at a time: starting them all together would take longer than calls may differ.
        for (stack, _) in servers {
            calls.extend(call(&pairs(*stack, servers))?);
        }
        for (server, app) in servers.iter().filter(|(server, _)| !server.is_grpc) {
            calls.extend(curl::call(*server, app.port)?);
        }
        Ok(calls)
    })?;
    let slack = SLACK + late;
    println!("        durations may differ by {} ms, as late as programs wake here", slack.as_millis());
    let finished = agent.stop()?;
    let mut table = Table::default();
    calls.iter().try_for_each(|called| judge(called, &finished.spans, slack, &mut table))?;
    Ok(table)
}

fn judge(called: &Called, spans: &[Span], slack: Duration, table: &mut Table) -> Result<()> {
    let Called { client, server, row } = called;
    let kind = row.id.rsplit('-').next().unwrap_or_default();
    // The first calls open the connection and warm programs up.
    let Some((kind, grpc, http)) = TYPES.iter().find(|(name, ..)| *name == kind) else { return Ok(()) };
    let came = if server.is_grpc { grpc } else { http };
    // tonic tells that a deadline has passed as a cancellation, to its own callers and to others.
    let is_tonic = *client == "tonic" || server.name == "tonic";
    let also = if is_tonic && *kind == "late" { "1" } else { came };
    let is_told = [came, also].contains(&row.status.as_str());
    ensure!(is_told, "{client} called {} and it came to this: {row:?}", server.name);
    let sent = find(spans, row, "client");
    for (stack, role) in [(*client, "client"), (server.name, "server")] {
        let span = find(spans, row, role);
        let right = span.map_or([false; 4], |span| compare(row, [came, also], span, sent, slack));
        let cell = table.cells.entry((stack, role, *kind)).or_insert([true; 4]);
        cell.iter_mut().zip(right).for_each(|(cell, right)| *cell &= right);
        if right.contains(&false) {
            let _ = writeln!(table.wrong, "{client} to {}: {row:?}: {}", server.name, told(span));
        }
    }
    Ok(())
}

/// The agent, for all servers and whoever may call them.
pub(super) fn observe(world: &World, servers: &[(Stack, App)]) -> Result<Agent> {
    observing(world, servers)?.start()
}

/// The same, not started yet.
pub(super) fn observing(world: &World, servers: &[(Stack, App)]) -> Result<Start> {
    let mut start = world.agent()?.env("WIRESPAN_REQUEST_HEADERS", HEADER);
    for (stack, app) in servers {
        start = start.port(app.port).exe(&executable(&stack.program()?)?);
    }
    start = start.exe(&executable(curl::NAME.as_ref())?);
    Ok(start.into_file(world.scratch().join("spans.jsonl")))
}

/// The file that is executed: what the agent finds callers by.
fn executable(program: &Path) -> Result<String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let file = std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file());
    let file = file.with_context(|| format!("{} is not there", program.display()))?;
    Ok(file.canonicalize()?.display().to_string())
}

/// A stack calls its own server, and the next one that speaks the same.
fn pairs(stack: Stack, servers: &[(Stack, App)]) -> Vec<(Stack, Stack, App)> {
    let same: Vec<_> = servers.iter().filter(|(other, _)| other.is_grpc == stack.is_grpc).collect();
    let own = same.iter().position(|(other, _)| other.name == stack.name).unwrap_or(0);
    let both = same.iter().cycle().skip(own).take(2);
    both.map(|(server, app)| (stack, *server, *app)).collect()
}

fn call(pairs: &[(Stack, Stack, App)]) -> Result<Vec<Called>> {
    std::thread::scope(|scope| {
        let running: Vec<_> = pairs
            .iter()
            .map(|(client, server, app)| {
                let name = format!("{}-{}", client.name, app.port).replace([' ', '/'], "-");
                (client.name, *server, scope.spawn(move || client.call(app.port, &name)))
            })
            .collect();
        let mut calls = Vec::new();
        for (client, server, rows) in running {
            let rows = rows.join().ok().context("a caller panicked")??;
            calls.extend(rows.into_iter().map(|row| Called { client, server, row }));
        }
        Ok(calls)
    })
}

/// The one span of a call at this end.
pub(super) fn find<'a>(spans: &'a [Span], row: &Row, kind: &str) -> Option<&'a Span> {
    let key = format!("http.request.header.{HEADER}");
    let id = format!("[{}]", row.id);
    let mut found = spans.iter().filter(|span| span.kind == kind && span.attribute(&key) == id);
    // Two spans of one call are as wrong as none.
    found.next().filter(|_| found.next().is_none())
}

fn compare(row: &Row, came: [&str; 2], span: &Span, sent: Option<&Span>, slack: Duration) -> [bool; 4] {
    let lasted = span.end_ns.saturating_sub(span.start_ns);
    let near = |wanted: u64| u128::from(lasted.abs_diff(wanted)) <= slack.as_nanos();
    let took = row.end.saturating_sub(row.start);
    let slow = if row.id.starts_with(curl::NAME) { curl::NOTICED_LATE_NS } else { 0 };
    let is_held = row.id.ends_with("-both");
    let is_child = sent.is_some_and(|sent| sent.span_id == span.parent_id && sent.trace_id == span.trace_id);
    [
        method(span) == row.method,
        came.contains(&status(span)) || status(span) == row.status || is_doubtful(row, span),
        (near(took) || near(took.saturating_sub(slow))) && (!is_held || near(HELD_NS)),
        span.kind == "client" || is_child,
    ]
}

/// A busy program sends a request late, or reads it late: that its deadline has passed is not certain then, and nothing is said.
fn is_doubtful(row: &Row, span: &Span) -> bool {
    let is_short = span.end_ns.saturating_sub(span.start_ns) < LATE_NS;
    row.id.ends_with("-late") && status(span).is_empty() && is_short
}

fn told(span: Option<&Span>) -> String {
    span.map_or("no span, or more than one".to_owned(), |span| {
        let lasted_ms = span.end_ns.saturating_sub(span.start_ns) / 1_000_000;
        format!("{span}: {} ended with {:?} after {lasted_ms} ms", method(span), status(span))
    })
}

/// m, s and d: method, status and duration of all such calls are right; p: so is the parent of what a server did.
fn print(table: &Cells) {
    let names: String = TYPES.iter().map(|(name, ..)| format!("{name:<10}")).collect();
    println!("        {:<20}{names}", "");
    let stacks = STACKS.iter().map(|stack| stack.name).chain([curl::NAME]);
    for (stack, role) in stacks.flat_map(|stack| [(stack, "client"), (stack, "server")]) {
        let cells = TYPES.map(|(kind, ..)| cell(role, table.get(&(stack, role, kind)))).concat();
        if !cells.trim().is_empty() {
            println!("        {:<20}{cells}", format!("{stack} {role}"));
        }
    }
}

fn cell(role: &str, right: Option<&[bool; 4]>) -> String {
    let letters = if role == "client" { "msd" } else { "msdp" };
    let letters = letters.chars().zip(right.into_iter().flatten());
    let shown: String = letters.map(|(letter, right)| if *right { letter } else { '-' }).collect();
    format!("{shown:<10}")
}
