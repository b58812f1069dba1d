//! `cargo xtask demo`: a shop of four unchanged services, the agent beside it, visitors, and what the agent saw.
//!
//! Shape: sources → services and agent running → visits → waterfall and table from the agent's own OTLP/JSON; with
//! `--once` a judgement. Every visit has a cart number that travels in the paths as ordinary application data, so
//! the demo knows which request caused which and compares. Not here: installing (see `setup`).
mod agent;
mod client;
mod crowd;
mod judge;
mod ledger;
mod load;
mod otlp;
mod process;
mod report;
mod shop;
mod stop;
mod table;
mod visit;
mod waterfall;

use crate::{
    build, command,
    setup::{self, Need},
};
use agent::Agent;
use anyhow::{Result, ensure};
use ledger::Ledger;
use load::Load;
use otlp::Span;
use report::Report;
use shop::Shop;
use std::{
    sync::{Arc, Mutex, PoisonError, atomic::AtomicU64},
    thread,
    time::Duration,
};
use stop::Stop;
use table::Table;
use visit::Errand;

/// The path by which the demo asks a service whether it is there.
const HEALTH: &str = "/healthz";
/// Visits of the first round, one after the other: three times the mix.
const ALONE: u64 = 48;
/// Visits of the second round, and how many are in flight.
const CROWD: u64 = 480;
/// Visits in flight in the second round.
const IN_FLIGHT: usize = 8;
/// Visitors of the endless load: with their pauses some 15 visits and 50 requests a second.
const VISITORS: usize = 3;
/// Between two visits of one visitor.
const PAUSE: Duration = Duration::from_millis(200);
/// How often the summary is told again.
const REFRESH: Duration = Duration::from_secs(3);
/// How long after the last answer a span may come: the agent holds undecided spans, and the machine may be busy.
const LATE: Duration = Duration::from_secs(10);

/// The demo's arguments.
#[derive(clap::Args)]
pub(crate) struct DemoArgs {
    /// One round alone and one with 8 requests in flight; exit 0 only if the traces are connected and nothing is false
    #[arg(long)]
    once: bool,
    /// Only checkouts, so many of them: how many were seen whole, and whether anything is false
    #[arg(long, value_name = "N", conflicts_with_all = ["once", "no_agent"])]
    checkouts: Option<u64>,
    /// Checkouts in flight
    #[arg(long, default_value_t = 64, value_name = "N", requires = "checkouts")]
    in_flight: usize,
    /// The shop and its visitors without the agent, to see that the services work by themselves
    #[arg(long)]
    no_agent: bool,
    /// The first of the ports that the services listen on; taken ones are skipped
    #[arg(long, default_value_t = 8080, value_name = "PORT")]
    port: u16,
}

/// What the agent's output becomes.
#[derive(Default)]
struct Seen {
    ledger: Mutex<Ledger>,
    table: Mutex<Table>,
}

/// Runs the demo.
pub(crate) fn run(args: &DemoArgs) -> Result<()> {
    setup::ensure(&[Need::Program { program: "setpriv", package: "util-linux" }])?;
    let binary = if args.no_agent {
        None
    } else {
        command::require_root("demo")?;
        setup::ensure(&[Need::Kernel])?;
        Some(build::agent()?)
    };
    let built = setup::shop::services()?;
    // Until here Ctrl-C simply ends everything; from here on there are processes to end first.
    let stop = Stop::on_signals()?;
    let mut shop = Shop::open(&built, args.port, &stop)?;
    let seen = Arc::new(Seen::default());
    let mut agent = match &binary {
        Some(binary) => {
            let groups = shop.groups();
            let pids: Vec<u32> = groups.iter().map(|(pid, _)| *pid).collect();
            let log = shop.logs.join("wirespan.log");
            Some(Agent::start(binary, &pids, log, &stop, sink(&seen, groups))?)
        }
        None => None,
    };
    let ports = shop.services.iter().map(|service| (service.name, service.port)).collect();
    let errand = args.checkouts.map(|_| Errand::Checkout);
    let load = Load { ports, ledger: &seen.ledger, stop: &stop, errand, next: AtomicU64::new(0) };
    if let (Some(checkouts), Some(mut agent)) = (args.checkouts, agent.take_if(|_| args.checkouts.is_some()))
    {
        let judged = crowd::run(&load, &mut shop, &mut agent, checkouts, args.in_flight);
        return agent.finish().and(judged);
    }

    let alone = round(&load, &mut shop, agent.as_mut(), 1, ALONE)?;
    if !args.once && !stop.is_set() {
        if agent.is_some() {
            println!("\n{}", Report::of(&lock(&seen.ledger), alone, &shop.names()).waterfall());
        }
        endless(&load, &mut shop, agent.as_mut(), &seen)?;
        return agent.map_or(Ok(()), Agent::finish);
    }
    let crowd = round(&load, &mut shop, agent.as_mut(), IN_FLIGHT, CROWD)?;
    ensure!(!stop.is_set(), "stopped before the end");
    let Some(agent) = agent else {
        println!(
            "demo: {} visits were answered as they should be; no agent was asked to watch",
            ALONE + CROWD
        );
        return Ok(());
    };
    agent.finish()?;
    let ledger = lock(&seen.ledger);
    report::judge_once(&ledger, alone..crowd, &lock(&seen.table), &shop.names())
}

/// One round of visits, then the wait for its last span. The first cart of the round.
fn round(
    load: &Load,
    shop: &mut Shop,
    agent: Option<&mut Agent>,
    visitors: usize,
    visits: u64,
) -> Result<u64> {
    let first = load.first_cart();
    println!("demo: {visits} visits, {visitors} at once");
    load.round(visits, visitors)?;
    shop.check()?;
    if let Some(agent) = agent {
        agent.check()?;
        load.stop.wait(LATE, || lock(load.ledger).is_complete(first));
        agent.check()?;
    }
    Ok(first)
}

/// Visitors come until Ctrl-C; every few seconds the summary is told.
fn endless(load: &Load, shop: &mut Shop, mut agent: Option<&mut Agent>, seen: &Seen) -> Result<()> {
    println!("demo: visitors keep coming; Ctrl-C ends it");
    let names = shop.names();
    let first = load.first_cart();
    thread::scope(|scope| {
        scope.spawn(|| load.until_stopped(VISITORS, PAUSE));
        let watch = || -> Result<()> {
            while !load.stop.wait(REFRESH, || false) && !load.stop.is_set() {
                shop.check()?;
                let Some(agent) = &mut agent else { continue };
                agent.check()?;
                report::refresh(&lock(&seen.ledger), first, &lock(&seen.table), &names);
            }
            Ok(())
        };
        // The visitors must end too when the watch fails: the scope waits for them.
        let mut watch = watch;
        let watched = watch();
        load.stop.set();
        watched
    })
}

/// Takes spans from the agent.
fn sink(seen: &Arc<Seen>, groups: Vec<(u32, &'static str)>) -> impl FnMut(Span) + Send + 'static {
    let seen = Arc::clone(seen);
    move |span| {
        let service = span.pid.and_then(|pid| shop::service_of(&groups, pid));
        lock(&seen.table).add(&span);
        lock(&seen.ledger).add(span, service);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
