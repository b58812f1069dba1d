//! Two nodes, two gateways: the files of deploy/backends/collector keep whole traces and nothing but whole traces.
//!
//! Shape: requests with context → nginx (one agent) → hyper (another agent) → the Collector of each node → by trace id → one of two
//! gateways with tail sampling → a back end per gateway. The ledger is what the two agents say on stdout.
//! What routes here stands in for the load-balancing exporter (tests/apps/otelcol-backends/balance.go).
use crate::{
    agent::Agent,
    backends::{collector, free_address, has, sending},
    collector::{Binary, Collector},
    http::Connection,
    process::Process,
    span::Span,
    wait::PATIENCE,
    world::{App, World, free_port, repository},
};
use anyhow::{Result, ensure};
use rustix::process::Signal;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::SocketAddr,
};

/// Requests, each a trace of three spans.
const TRACES: u32 = 1200;
/// One in so many fails.
const FAILURES: u32 = 12;
/// Spans of a trace: nginx answers and asks, hyper answers.
const SPANS: usize = 3;
/// Per mille that are to be kept of what did not fail.
const KEPT: f64 = 0.1;

/// Trace id → what a span of it is called.
type Traces = BTreeMap<String, BTreeSet<String>>;

pub(super) fn gateways_keep_every_error_and_a_tenth_of_the_rest_whole(world: &mut World) -> Result<()> {
    let back = world.hyper()?;
    let front = world.nginx(&format!("location / {{ proxy_pass http://127.0.0.1:{}; }}", back.port))?;
    let tier = Tier::start(world)?;
    let agents = [agent(world, front, tier.nodes[0].1)?, agent(world, back, tier.nodes[1].1)?];
    requests(front)?;
    let mut said = Vec::new();
    for agent in agents {
        said.extend(agent.stop()?.spans);
    }
    let ledger = traces(&said);
    let whole = ledger.values().filter(|spans| spans.len() == SPANS).count();
    ensure!(whole == TRACES as usize, "the agents saw {whole} of {TRACES} traces whole");
    let failed: BTreeSet<String> =
        said.iter().filter(|span| span.status == "error").map(|span| span.trace_id.clone()).collect();
    ensure!(failed.len() == (TRACES / FAILURES) as usize, "{} traces have an error", failed.len());
    has("every failed trace at a back end", || {
        let kept = tier.kept()?;
        let there = |id: &&String| kept.iter().any(|kept| kept.get(*id) == ledger.get(*id));
        Ok((failed.iter().filter(there).count() == failed.len()).then_some(()))
    })?;
    judge(&ledger, &failed, &tier.finish()?)
}

/// Nothing torn, nothing twice, every error, a tenth of the rest, and both gateways at work.
fn judge(ledger: &Traces, failed: &BTreeSet<String>, kept: &[Traces; 2]) -> Result<()> {
    let [one, two] = kept;
    ensure!(one.keys().all(|id| !two.contains_key(id)), "a trace went to both gateways");
    for (id, spans) in one.iter().chain(two) {
        ensure!(ledger.get(id) == Some(spans), "trace {id} is torn: {spans:?} of {:?}", ledger.get(id));
    }
    let errors = failed.iter().filter(|id| one.contains_key(*id) || two.contains_key(*id)).count();
    ensure!(errors == failed.len(), "{errors} of {} errors were kept", failed.len());
    let rest = (ledger.len() - failed.len()) as f64;
    let kept = (one.len() + two.len() - errors) as f64;
    let wanted = rest * KEPT;
    let bound = 5.0 * (rest * KEPT * (1.0 - KEPT)).sqrt();
    println!(
        "        {errors} of {errors} errors and {kept} of {rest} others kept, all whole, {} and {} per gateway",
        one.len(),
        two.len()
    );
    ensure!((kept - wanted).abs() <= bound, "{kept} of {rest} kept, not {wanted} ± {bound}");
    ensure!(one.len().min(two.len()) * 4 >= one.len().max(two.len()), "{} and {}", one.len(), two.len());
    Ok(())
}

/// The Collectors between two agents and two back ends.
struct Tier {
    /// The node's Collector and where it listens.
    nodes: [(Process, SocketAddr); 2],
    gateways: [Process; 2],
    backends: [Collector; 2],
}

impl Tier {
    fn start(world: &World) -> Result<Tier> {
        let backends = [backend(world, "one")?, backend(world, "two")?];
        // One name, two addresses, the same port: what a headless service gives.
        let port = free_port()?;
        let gateways = [gateway("127.0.0.1", port, &backends[0])?, gateway("127.0.0.2", port, &backends[1])?];
        let hosts = world.scratch().join("hosts");
        fs::write(&hosts, "127.0.0.1 localhost gateways.test\n127.0.0.2 gateways.test\n")?;
        let seen = format!("mount --bind {} /etc/hosts && exec \"$@\"", hosts.display());
        let wrapper = ["unshare", "--mount", "sh", "-c", &seen, "sh"];
        let nodes = [node(&wrapper, port)?, node(&wrapper, port)?];
        Ok(Tier { nodes, gateways, backends })
    }

    fn kept(&self) -> Result<[Traces; 2]> {
        let [one, two] = &self.backends;
        Ok([traces(&one.spans()?), traces(&two.spans()?)])
    }

    /// Ends everything from the agents' side on, so that each hands on what it has.
    fn finish(mut self) -> Result<[Traces; 2]> {
        let nodes = self.nodes.iter_mut().map(|(process, _)| process);
        for process in nodes.chain(&mut self.gateways) {
            process.signal(Signal::TERM)?;
            process.wait(PATIENCE)?;
        }
        self.kept()
    }
}

fn backend(world: &World, name: &str) -> Result<Collector> {
    let folder = world.scratch().join(name);
    fs::create_dir(&folder)?;
    Collector::start(&Binary::build(&repository()?.join(".cache"))?, &folder, None)
}

/// There is no API server here, so nothing is added to what the agents say.
fn gateway(address: &str, port: u16, backend: &Collector) -> Result<Process> {
    let environment = [
        ("OTLP_ENDPOINT", format!("{address}:{port}")),
        ("BACKEND", format!("127.0.0.1:{}", backend.grpc_port)),
        ("DECISION_WAIT", "3s".to_owned()),
        ("K8S_AUTH", "none".to_owned()),
        ("KUBERNETES_SERVICE_HOST", "127.0.0.1".to_owned()),
        ("KUBERNETES_SERVICE_PORT", free_port()?.to_string()),
    ];
    collector(&[], "collector/gateway.yaml", &environment)
}

fn node(wrapper: &[&str], gateways: u16) -> Result<(Process, SocketAddr)> {
    let otlp = free_address()?;
    let environment = [
        ("OTLP_ENDPOINT", otlp.to_string()),
        ("GATEWAYS", "gateways.test".to_owned()),
        ("GATEWAYS_PORT", gateways.to_string()),
    ];
    Ok((collector(wrapper, "collector/agent.yaml", &environment)?, otlp))
}

fn agent(world: &World, app: App, to: SocketAddr) -> Result<Agent> {
    let socket = world.scratch().join(format!("agent-{}.sock", app.port)).display().to_string();
    sending(world.agent()?.port(app.port), "collector", to)?.env("WIRESPAN_SOCKET", &socket).start()
}

fn requests(front: App) -> Result<()> {
    let mut connection = Connection::open(front.address())?;
    for n in 0..TRACES {
        let status = if n % FAILURES == 0 { 500 } else { 200 };
        // Ids as libraries make them: sampling looks at them.
        let id = u128::from(n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        let context = format!("00-{id:032x}-{:016x}-01", n + 1);
        let answer = connection.get(&format!("/status/{status}/{n}"), &[("traceparent", &context)])?;
        ensure!(answer.status == status, "request {n}: {}", answer.status);
    }
    Ok(())
}

fn traces(spans: &[Span]) -> Traces {
    let mut traces = Traces::new();
    for span in spans {
        traces.entry(span.trace_id.clone()).or_default().insert(format!("{} {}", span.kind, span.span_id));
    }
    traces
}
