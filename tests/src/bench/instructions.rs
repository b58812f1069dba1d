//! What a request costs more because it is observed: processor time of the servers, of a process that nobody asked to observe, and of
//! the agent with its export.
//!
//! Shape: the same requests over one kept connection, without an agent and with one of each hook kind; differences per request. In a
//! guest whose clock counts instructions (`cargo xtask bench vm`) a nanosecond is one instruction, so the figures are exact and
//! comparable between machines; elsewhere they are microseconds.
use super::{figures::Figures, programs, sink::Sink};
use crate::{
    agent::Agent,
    http::Connection,
    process::command,
    wait,
    world::{App, World, free_port, goroutines},
};
use anyhow::{Context, Result, ensure};
use std::{fs, time::Duration};

/// Requests per measurement, and before it. The best of so many measurements counts: a runtime collects its garbage in some of them.
const REQUESTS: u32 = 300;
const WARM_UP: u32 = 50;
const ROUNDS: u32 = 3;
/// Until the agent has exported what it saw: batches leave after five seconds.
const REST: Duration = Duration::from_secs(7);
const KINDS: [&str; 4] = ["tracepoints", "fentry", "kprobe", "syscalls"];
/// Thousand instructions that the agent spends on a request at most.
const AGENT_MOST: f64 = 25.0;

/// What that one's own process spent on a request.
const OTHER_AGENT: &str = "OBI 140 to 460";

/// A program that is asked.
struct Asked {
    name: &'static str,
    app: App,
    path: &'static str,
    observed: bool,
    /// Thousand instructions added per request at most, with the best kind of hook.
    most: Option<f64>,
    /// What OpenTelemetry's eBPF instrumentation added on this kernel, measured the same way.
    other: &'static str,
}

pub(super) fn run(world: &mut World, figures: &mut Figures) -> Result<()> {
    let asked = programs(world)?;
    let sink = Sink::start()?;
    let unit = if is_counted() { "k instructions" } else { "µs" };
    let without = asked.iter().map(cost).collect::<Result<Vec<f64>>>()?;
    for (one, cost) in asked.iter().zip(&without) {
        figures.known(format!("{}: a request without the agent", one.name), cost / 1e3, unit);
    }
    let mut is_best = true;
    let wanted = std::env::var_os("WIRESPAN_HOOK");
    for kind in KINDS.into_iter().filter(|kind| wanted.as_deref().is_none_or(|wanted| wanted == *kind)) {
        let Some(agent) = start(world, &asked, kind, &sink)? else { continue };
        // What is done once (finding places in programs' code, the first export) is not the price of a request.
        asked.iter().try_for_each(|one| cost(one).map(drop))?;
        wait::pass(REST);
        let idle = idle_cost(&agent)?;
        figures.known(format!("{kind}: the agent's idle second"), idle / 1e3, unit);
        for (one, without) in asked.iter().zip(&without) {
            let before = agent_ns(&agent)?;
            let added = (cost(one)? - without) / 1e3;
            wait::pass(REST);
            let spent = agent_ns(&agent)? - before - idle * REST.as_secs_f64();
            let name = format!("{kind}: {}, added per request", one.name);
            show(figures, name, added, unit, one.most.filter(|_| is_best), one.other);
            if one.observed {
                let spent = spent / 1e3 / f64::from(WARM_UP + ROUNDS * REQUESTS);
                let name = format!("{kind}: {}, spent by the agent", one.name);
                let most = one.most.filter(|_| is_best).map(|_| AGENT_MOST);
                show(figures, name, spent, unit, most, OTHER_AGENT);
            }
        }
        if is_counted() && is_best {
            show_programs(&asked)?;
        }
        agent.stop()?;
        is_best = false;
    }
    ensure!(!is_best, "no kind of hook works here");
    Ok(())
}

/// Where it goes, in the kernel.
fn show_programs(asked: &[Asked]) -> Result<()> {
    for one in asked {
        let requests = f64::from(WARM_UP + ROUNDS * REQUESTS);
        let lines = programs::during(requests, || cost(one).map(drop))?;
        lines.iter().for_each(|line| println!("     {}, each request: {line}", one.name));
    }
    Ok(())
}

/// Targets, and what others need, are in instructions: elsewhere a figure has none.
fn show(
    figures: &mut Figures,
    name: String,
    value: f64,
    unit: &'static str,
    most: Option<f64>,
    other: &'static str,
) {
    if is_counted() {
        figures.beside(name, value, unit, most, other);
    } else {
        figures.known(name, value, unit);
    }
}

/// Does a nanosecond count one instruction here?
fn is_counted() -> bool {
    std::env::var_os("WIRESPAN_INSTRUCTIONS").is_some()
}

fn programs(world: &mut World) -> Result<Vec<Asked>> {
    const ANSWER: &str = "location / { return 200 ok; }";
    fs::write(world.scratch().join("a.txt"), "hello")?;
    let folder = world.scratch().to_path_buf();
    let python = world.python_http_server(&folder)?;
    let nginx = world.nginx(ANSWER)?;
    let binary = goroutines()?;
    let mut go = |arguments: &[String]| -> Result<App> {
        let port = free_port()?;
        world.serve("goroutines", port, command(&binary).arg(port.to_string()).args(arguments))
    };
    let back = go(&[])?;
    // Nothing here waits for a time, when the runtime looks around, now more and now less; nor does it do anything by itself, which would
    // be counted as the price of something else.
    let quiet = ["8", "0", "0"].map(str::to_owned);
    let front = go(&[&[back.port.to_string()], quiet.as_slice()].concat())?;
    let bystander = world.hyper()?;
    // What is observed, with the most that a request may cost; the caller of another server has three exchanges in one request.
    let asked = |name, app, path, most, other| Asked { name, app, path, observed: true, most, other };
    let bystander = Asked { observed: false, ..asked("bystander", bystander, "/a", Some(0.5), "OBI 35") };
    Ok(vec![
        asked("nginx", nginx, "/a", Some(6.0), "OBI 36"),
        asked("python", python, "/a.txt", Some(6.0), "OBI 38"),
        asked("go", back, "/back/now/a", Some(6.0), "OBI 83"),
        asked("go calls go", front, "/front/now/a", None, "OBI 372"),
        bystander,
    ])
}

/// None if this kernel does not have that kind.
fn start(world: &World, asked: &[Asked], kind: &str, sink: &Sink) -> Result<Option<Agent>> {
    let start = world.agent()?.env("WIRESPAN_HOOK", kind);
    let start = start.env("OTEL_EXPORTER_OTLP_ENDPOINT", &sink.endpoint());
    let start = start.env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf").exporter("otlp");
    let observed = asked.iter().filter(|one| one.observed);
    match observed.fold(start, |start, one| start.port(one.app.port)).start() {
        Ok(agent) => Ok(Some(agent)),
        Err(error) if error.to_string().contains("no way to see") => Ok(None),
        Err(error) => Err(error),
    }
}

/// Nanoseconds of the program per request.
fn cost(asked: &Asked) -> Result<f64> {
    let mut connection = Connection::open(asked.app.address())?;
    let mut ask = |times: u32| -> Result<()> {
        for _ in 0..times {
            let status = connection.get(asked.path, &[])?.status;
            ensure!(status == 200, "{} answered {status}", asked.name);
        }
        Ok(())
    };
    ask(WARM_UP)?;
    let mut best = f64::MAX;
    for _ in 0..ROUNDS {
        let before = tree_ns(asked.app.pid)?;
        ask(REQUESTS)?;
        best = best.min((tree_ns(asked.app.pid)? - before) / f64::from(REQUESTS));
    }
    Ok(best)
}

fn idle_cost(agent: &Agent) -> Result<f64> {
    wait::pass(REST);
    let before = agent_ns(agent)?;
    wait::pass(REST);
    Ok((agent_ns(agent)? - before) / REST.as_secs_f64())
}

fn agent_ns(agent: &Agent) -> Result<f64> {
    tree_ns(agent.process.pid())
}

/// Nanoseconds on a processor of a process and its children, all threads that live. Source: `proc_pid_schedstat`.
fn tree_ns(pid: u32) -> Result<f64> {
    let mut sum = 0.0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let folder = task?.path();
        let text = fs::read_to_string(folder.join("schedstat"))?;
        let first = text.split(' ').next().context("schedstat is empty")?;
        sum += first.parse::<f64>()?;
        for child in fs::read_to_string(folder.join("children")).unwrap_or_default().split_whitespace() {
            sum += tree_ns(child.parse()?)?;
        }
    }
    Ok(sum)
}
