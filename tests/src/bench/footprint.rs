//! What the agent itself takes: memory idle and under load, kernel maps, time to the first span and to its export.
//!
//! Source: `/proc/PID/smaps_rollup` and the `memlock` lines of `/proc/PID/fdinfo`. Targets: the project's own.
use super::figures::Figures;
use crate::{
    agent::Agent,
    expect::server,
    http::{Connection, request},
    load::{self, Plan},
    wait,
    world::{App, World},
};
use anyhow::{Context, Result};
use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, TcpListener},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

const MIB: f64 = (1 << 20) as f64;
/// Requests that wait at the same time.
const OPEN: usize = 800;

pub(super) fn run(world: &mut World, figures: &mut Figures) -> Result<()> {
    let app = world.nginx("location / { return 200 ok; }")?;
    memory(world, app, figures)?;
    open_requests(world, figures)?;
    first_request(world, app, figures)?;
    export_delay(world, app, figures)
}

fn memory(world: &World, app: App, figures: &mut Figures) -> Result<()> {
    let agent = world.agent()?.port(app.port).into_file(world.scratch().join("spans.jsonl")).start()?;
    wait::pass(Duration::from_secs(2));
    figures.at_most("resident memory, idle", agent.process.resident_bytes()? as f64 / MIB, "MiB", 20.0);
    figures.at_most("memory of its BPF maps", map_bytes(&agent)? as f64 / MIB, "MiB", 16.0);

    let over = AtomicBool::new(false);
    let most = std::thread::scope(|scope| -> Result<u64> {
        let sampler = scope.spawn(|| {
            let mut most = 0;
            while !over.load(Ordering::Relaxed) {
                most = agent.process.resident_bytes().unwrap_or(0).max(most);
                wait::pass(Duration::from_millis(50));
            }
            most
        });
        let plan = Plan { address: app.address(), connections: 64, rate: None, time: Duration::from_secs(8) };
        let report = load::run(plan);
        over.store(true, Ordering::Relaxed);
        let most = sampler.join().ok().context("the sampler panicked")?;
        report.map(|_| most)
    })?;
    figures.at_most("resident memory, most under load", most as f64 / MIB, "MiB", 64.0);
    agent.stop_and_visit(&mut |_| {})?;
    Ok(())
}

/// What is kept of a request that is not answered yet, and of the call that was made for it.
fn open_requests(world: &mut World, figures: &mut Figures) -> Result<()> {
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let upstream = silent.local_addr()?;
    let app = world.nginx(&format!("location / {{ proxy_pass http://{upstream}; }}"))?;
    let agent = world.observe(app)?;
    let mut taken = Vec::new();
    let mut open = |count: usize| -> Result<u64> {
        let mut clients = Vec::new();
        for n in 0..count {
            let mut client = Connection::open(app.address())?;
            client.send(request("GET", &format!("/open/{n}"), &[]))?;
            taken.push(silent.accept()?);
            clients.push(client);
        }
        // Long enough for what was written down last.
        wait::pass(Duration::from_secs(1));
        let bytes = agent.process.resident_bytes()?;
        taken.clear();
        Ok(bytes)
    };
    // The first ones pay for what is allocated once.
    let few = open(OPEN / 8)?;
    let many = open(OPEN)?;
    let each = many.saturating_sub(few) as f64 / (OPEN - OPEN / 8) as f64;
    figures.known("open request of nginx and its call", each, "bytes");
    agent.stop_and_visit(&mut |_| {})?;
    Ok(())
}

/// Each map once, however many descriptors it has.
fn map_bytes(agent: &Agent) -> Result<u64> {
    let mut maps: BTreeMap<u64, u64> = BTreeMap::new();
    for entry in std::fs::read_dir(format!("/proc/{}/fdinfo", agent.process.pid()))? {
        let text = std::fs::read_to_string(entry?.path()).unwrap_or_default();
        let number = |key: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
            line.and_then(|value| value.trim().parse::<u64>().ok())
        };
        if let (Some(id), Some(bytes)) = (number("map_id"), number("memlock")) {
            maps.insert(id, bytes);
        }
    }
    Ok(maps.values().sum())
}

/// Requests flow before the agent exists; the first one that became a span tells when it began to see.
fn first_request(world: &World, app: App, figures: &mut Figures) -> Result<()> {
    let mut best = f64::MAX;
    for _ in 0..5 {
        let over = AtomicBool::new(false);
        let seconds = std::thread::scope(|scope| -> Result<f64> {
            let client = scope.spawn(|| -> Result<()> {
                let mut connection = Connection::open(app.address())?;
                for n in 0_u64.. {
                    if over.load(Ordering::Relaxed) {
                        break;
                    }
                    connection.get(&format!("/{n}"), &[])?;
                    wait::pass(Duration::from_millis(2));
                }
                Ok(())
            });
            let begun = unix_now()?;
            let found = world.observe(app).and_then(|agent| agent.expect(&server("GET").status(200)));
            over.store(true, Ordering::Relaxed);
            client.join().ok().context("the client panicked")??;
            Ok((found?.start_ns.saturating_sub(begun)) as f64 / 1e9)
        })?;
        best = best.min(seconds);
    }
    figures.at_most("start to first covered request", best, "s", 0.5);
    Ok(())
}

/// One request at a time: from its answer to its span on the agent's stdout.
fn export_delay(world: &World, app: App, figures: &mut Figures) -> Result<()> {
    let agent = world.observe(app)?;
    let mut connection = Connection::open(app.address())?;
    let mut delays = Vec::new();
    for n in 0..10 {
        let path = format!("/delay/{n}");
        connection.get(&path, &[])?;
        let ended = unix_now()?;
        agent.expect(&server("GET").path(&path))?;
        delays.push((unix_now()? - ended) as f64 / 1e9);
    }
    delays.sort_by(f64::total_cmp);
    figures.at_most(
        "end of a request to its export, worst of 10",
        delays.last().copied().unwrap_or(0.0),
        "s",
        1.0,
    );
    figures.known(
        "end of a request to its export, median",
        delays.get(delays.len() / 2).copied().unwrap_or(0.0),
        "s",
    );
    Ok(())
}

fn unix_now() -> Result<u64> {
    Ok(u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos())?)
}
