//! Programs under every kind of probe, under load, while agents come and go: they live, and nobody is told a wrong parent.
//!
//! Shape: four services that answer by calling others, clients that ask all the time → rounds: one agent that leaves under load, one
//! whose spans are judged. What the kernel says meanwhile is read by `cargo xtask vm`, which plays this where the kernel may preempt
//! anything. `WIRESPAN_LOAD_SECONDS`: for how long.
use super::{
    links::{drive, no_wrong_parent},
    scenes,
};
use crate::{
    expect::server,
    process::{self, command},
    wait,
    world::{App, World, free_port, goroutines, need, repository},
};
use anyhow::{Context, Result, ensure};
use std::{
    process::Command,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::{Duration, Instant},
};

scenes! { "preempt":
    programs_under_probes_live_while_agents_come_and_go,
}

/// Of a round, after both agents have started.
const ROUND: Duration = Duration::from_secs(10);
/// Without `WIRESPAN_LOAD_SECONDS`.
const USUAL: Duration = Duration::from_secs(10);
/// Clients of each service.
const CLIENTS: usize = 3;
/// Requests of a client before it looks whether to go on.
const BURST: usize = 10;
/// What services are asked for; Node.js and nginx do not look at it.
const WAYS: [&str; 4] = ["seq", "par", "nested", "left"];

/// The services, and whom clients ask.
struct Services {
    fronts: Vec<App>,
    all: Vec<App>,
}

impl Services {
    fn start(world: &mut World) -> Result<Self> {
        need("node")?;
        let mut start = |name: &str, program: &mut Command, arguments: &[String]| {
            let port = free_port()?;
            world.serve(name, port, program.arg(port.to_string()).args(arguments))
        };
        let binary = goroutines()?;
        let apps = repository()?.join("tests/apps");
        let to = |app: App| app.port.to_string();
        let back = start("goroutines", &mut command(&binary), &[])?;
        let go = start("goroutines", &mut command(&binary), &[to(back)])?;
        let node = start("timers.js", command("node").arg(apps.join("timers.js")), &[to(back)])?;
        let script = apps.join("contexts.py");
        let mut tasks =
            |back: String| start("contexts.py", command("python3").arg(&script), &[back, "task".to_owned()]);
        // It reads only answers of its own kind.
        let python_back = tasks("0".to_owned())?;
        let python = tasks(to(python_back))?;
        let rules = format!("location /front/ {{ proxy_pass http://127.0.0.1:{}/back/; }}", back.port);
        let nginx = world.nginx(&rules)?;
        Ok(Self {
            fronts: vec![go, node, python, nginx],
            all: vec![back, go, node, python_back, python, nginx],
        })
    }

    /// Asks all of them until `over`, and starts programs that end at once.
    fn load(&self, over: &AtomicBool, asked: &AtomicUsize) -> Result<()> {
        let begun = || !over.load(Ordering::Relaxed);
        std::thread::scope(|scope| {
            let mut clients = Vec::new();
            for front in &self.fronts {
                clients.push(scope.spawn(move || -> Result<()> {
                    while begun() {
                        let burst = asked.fetch_add(CLIENTS * BURST, Ordering::Relaxed);
                        drive(*front, CLIENTS, BURST, |client, n| {
                            let way = WAYS.get((client + n) % WAYS.len()).unwrap_or(&"");
                            format!("/front/{way}/{burst}c{client}n{n}")
                        })
                        .with_context(|| format!("port {}", front.port))?;
                    }
                    Ok(())
                }));
            }
            while begun() {
                process::output(&mut Command::new("true"), 0)?;
            }
            clients
                .into_iter()
                .try_for_each(|client| client.join().map_err(|_| anyhow::anyhow!("a client panicked"))?)
        })
    }

    /// One agent that leaves under load, then one whose spans are judged.
    fn round(&self, world: &World, asked: &AtomicUsize) -> Result<()> {
        let over = AtomicBool::new(false);
        let (agent, loaded) = std::thread::scope(|scope| {
            let load = scope.spawn(|| self.load(&over, asked));
            let agents = self.agents(world);
            over.store(true, Ordering::Relaxed);
            (agents, load.join().map_err(|_| anyhow::anyhow!("a client panicked")))
        });
        loaded??;
        let finished = agent?.stop()?;
        let losses: Vec<_> =
            finished.of_class("loss").iter().map(|row| format!("{}={}", row.name, row.value)).collect();
        println!("        {} spans, losses {losses:?}", finished.spans.len());
        let linked = no_wrong_parent(&finished.spans)?;
        println!("        {linked} with a parent");
        ensure!(linked > 0, "no links at all: {:?}", finished.of_class("unparented"));
        Ok(())
    }

    fn agents(&self, world: &World) -> Result<crate::agent::Agent> {
        let begin = || self.all.iter().fold(world.agent()?, |start, app| start.port(app.port)).start();
        let first = begin()?;
        first.expect(&server("GET"))?;
        first.stop()?;
        let second = begin()?;
        second.expect(&server("GET"))?;
        wait::pass(ROUND);
        Ok(second)
    }
}

fn programs_under_probes_live_while_agents_come_and_go(world: &mut World) -> Result<()> {
    let services = Services::start(world)?;
    let seconds =
        std::env::var_os("WIRESPAN_LOAD_SECONDS").and_then(|seconds| seconds.to_str()?.parse().ok());
    let end = Instant::now() + seconds.map_or(USUAL, Duration::from_secs);
    let asked = AtomicUsize::new(0);
    loop {
        services.round(world, &asked)?;
        if Instant::now() >= end {
            println!("        {} requests", asked.load(Ordering::Relaxed));
            return Ok(());
        }
    }
}
