//! The agent starts in the middle of connections that are busy: what it does not know has no name, and no wrong one.
//!
//! Shape: rows of callers and the agent's spans, matched by time → nothing that no row explains; the share with a name, second by
//! second.
use super::{
    World,
    calls::observe,
    stacks::{HEADER, Row, STACKS, Stack, path, rows, status},
};
use crate::{
    process::Process,
    span::Span,
    wait::{PATIENCE, eventually},
    world::App,
};
use anyhow::{Result, ensure};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    path::PathBuf,
    time::{SystemTime, UNIX_EPOCH},
};

/// How long callers are busy: longer than all of them and the agent take to start.
const SECONDS: u32 = 14;
/// Between the clock of a program and that of the kernel, at most.
const CLOCKS_NS: u64 = 2_000_000;
/// Wrong spans that a failure shows.
const SHOWN: usize = 20;
const SECOND_NS: u64 = 1_000_000_000;

/// A stack that calls itself.
struct Busy {
    stack: Stack,
    server: App,
    client: Process,
    file: PathBuf,
}

pub(super) fn every_stack_is_joined_on_its_way_without_a_wrong_name(world: &mut World) -> Result<()> {
    let servers = STACKS.iter().map(|stack| Ok((*stack, stack.serve(world)?))).collect::<Result<Vec<_>>>()?;
    let mut all =
        servers.iter().map(|(stack, app)| start(world, *stack, *app)).collect::<Result<Vec<_>>>()?;
    for busy in &all {
        eventually("a busy connection", PATIENCE, || {
            Ok(fs::metadata(&busy.file).is_ok_and(|file| file.len() > 0).then_some(()))
        })?;
    }
    let agent = observe(world, &servers)?;
    let ready = u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos())?;
    for busy in &mut all {
        let status = busy.client.wait(PATIENCE)?;
        ensure!(status.success(), "{}: {status}{}", busy.stack.name, busy.client.last_words());
    }
    let finished = agent.stop()?;
    let mut wrong = Vec::new();
    for busy in &all {
        let rows = rows(&fs::read_to_string(&busy.file)?)?;
        for (role, pid) in [("client", busy.client.pid()), ("server", busy.server.pid)] {
            let pid = pid.to_string();
            let is_own = |span: &&Span| span.kind == role && span.resource.get("process.pid") == Some(&pid);
            let spans: Vec<&Span> = finished.spans.iter().filter(is_own).collect();
            ensure!(!spans.is_empty(), "nothing was understood of {} as {role}", busy.stack.name);
            let name = format!("{} {role}", busy.stack.name);
            println!("        {name:<20}{}", shares(&spans, &rows, ready));
            let told = |span: &Span| format!("{name}: {span}: {} {:?}", path(span), status(span));
            wrong.extend(unexplained(&spans, &rows).into_iter().map(told));
        }
    }
    wrong.truncate(SHOWN);
    ensure!(wrong.is_empty(), "spans say what nobody asked for:\n{}", wrong.join("\n"));
    Ok(())
}

fn start(world: &World, stack: Stack, server: App) -> Result<Busy> {
    let file = world.scratch().join(format!("rows-{}", server.port));
    let mut command = stack.busy(server.port, SECONDS)?;
    let client = Process::start_into_file(stack.name, &mut command, File::create(&file)?)?;
    Ok(Busy { stack, server, client, file })
}

/// Spans with a name that no row has at that time, or with a status or an id that is not the row's. Each row explains one span.
fn unexplained<'a>(spans: &[&'a Span], rows: &[Row]) -> Vec<&'a Span> {
    let mut asked: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    rows.iter().enumerate().for_each(|(at, row)| asked.entry(row.path()).or_default().push(at));
    let named: Vec<(&Span, String)> = spans.iter().map(|span| (*span, path(span))).collect();
    let named: Vec<_> = named.into_iter().filter(|(_, path)| !path.is_empty()).collect();
    let possible = named.iter().map(|(span, path)| {
        let rows_of = asked.get(path.as_str()).into_iter().flatten();
        rows_of.filter(|at| rows.get(**at).is_some_and(|row| explains(row, span))).copied().collect()
    });
    let mut matching = Matching { possible: possible.collect(), taken: BTreeMap::new() };
    let mut wrong = Vec::new();
    for (at, (span, _)) in named.iter().enumerate() {
        if !matching.find(at, &mut BTreeSet::new()) {
            wrong.push(*span);
        }
    }
    wrong
}

/// Who has which row: when four calls of a method overlap, the first guess may take a row that only another span fits.
struct Matching {
    /// The rows that may explain each span.
    possible: Vec<Vec<usize>>,
    /// The span that has a row.
    taken: BTreeMap<usize, usize>,
}

impl Matching {
    /// Finds a row for a span, if need be by finding another one for whoever has it.
    fn find(&mut self, span: usize, asked: &mut BTreeSet<usize>) -> bool {
        for row in self.possible.get(span).cloned().unwrap_or_default() {
            let is_free = asked.insert(row)
                && self.taken.get(&row).copied().is_none_or(|other| self.find(other, asked));
            if is_free {
                self.taken.insert(row, span);
                return true;
            }
        }
        false
    }
}

fn explains(row: &Row, span: &Span) -> bool {
    let id = span.attribute(&format!("http.request.header.{HEADER}"));
    // A call whose content type was told before the agent came is known by its path and its HTTP status alone.
    let is_call = span.attribute("rpc.system") == "grpc" || !row.method.starts_with('/');
    let told = if is_call { row.status.as_str() } else { "200" };
    row.start <= span.start_ns + CLOCKS_NS
        && span.end_ns <= row.end + CLOCKS_NS
        && ["", told].contains(&status(span))
        && (id.is_empty() || id == format!("[{}]", row.id))
}

/// How many calls of the time after the agent's start have a span, and how many of the spans have a name, second by second.
fn shares(spans: &[&Span], rows: &[Row], ready: u64) -> String {
    let after = rows.iter().filter(|row| row.start > ready + SECOND_NS).count();
    let seen = spans.iter().filter(|span| span.start_ns > ready + SECOND_NS).count();
    let mut seconds: BTreeMap<u64, (usize, usize)> = BTreeMap::new();
    for span in spans {
        let second = seconds.entry(span.start_ns.saturating_sub(ready) / SECOND_NS).or_default();
        second.0 += usize::from(!path(span).is_empty());
        second.1 += 1;
    }
    let shares: Vec<String> =
        seconds.values().map(|(named, all)| format!("{} %", named * 100 / (*all).max(1))).collect();
    format!("{seen} spans of {after} calls, named: {}", shares.join(", "))
}
