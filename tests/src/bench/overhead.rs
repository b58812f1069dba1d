//! What an application loses: throughput at saturation and latency at a fixed rate, with and without the agent.
//!
//! Shape: nginx answering from memory, the hardest case, because there is no work to hide behind. Rounds with and without
//! the agent alternate in one run; the best of each is compared. Latency counts from when a request was due. Spans leave by
//! OTLP, and the load, its server, the agent and the receiver share the machine.
use super::{figures::Figures, sink::Sink};
use crate::{
    agent::Agent,
    load::{self, Plan, Report},
    world::{App, World},
};
use anyhow::{Result, ensure};
use std::time::Duration;

const ROUNDS: usize = 4;
/// Requests per second of the fixed rate: well below saturation on two cores.
const RATE: f64 = 2_000.0;

/// The best of several rounds.
struct Best {
    per_second: f64,
    p50: u64,
    p99: u64,
}

impl Best {
    const NONE: Best = Best { per_second: 0.0, p50: u64::MAX, p99: u64::MAX };

    fn take(&mut self, report: &Report) {
        self.per_second = self.per_second.max(report.per_second());
        self.p50 = self.p50.min(report.quantile(0.5));
        self.p99 = self.p99.min(report.quantile(0.99));
    }
}

pub(super) fn run(world: &mut World, figures: &mut Figures) -> Result<()> {
    let app = world.nginx("location / { return 200 ok; }")?;
    let sink = Sink::start()?;
    for (name, rate) in [("saturation", None), ("2000 requests/s", Some(RATE))] {
        let (mut without, mut with) = (Best::NONE, Best::NONE);
        load_once(app, rate)?;
        for _ in 0..ROUNDS {
            without.take(&load_once(app, rate)?);
            let agent = start(world, app, &sink)?;
            with.take(&load_once(app, rate)?);
            agent.stop()?;
        }
        show(figures, name, &without, &with);
    }
    Ok(())
}

fn start(world: &World, app: App, sink: &Sink) -> Result<Agent> {
    let start = world.agent()?.port(app.port).env("OTEL_EXPORTER_OTLP_ENDPOINT", &sink.endpoint());
    start.env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf").exporter("otlp").start()
}

fn load_once(app: App, rate: Option<f64>) -> Result<Report> {
    let plan = Plan { address: app.address(), connections: 32, rate, time: Duration::from_secs(4) };
    let report = load::run(plan)?;
    ensure!(report.bad == 0 && report.good > 0, "{} good and {} bad answers", report.good, report.bad);
    Ok(report)
}

fn show(figures: &mut Figures, name: &str, without: &Best, with: &Best) {
    for (which, best) in [("without", without), ("with", with)] {
        figures.known(format!("{name}: {which} the agent"), best.per_second, "answers/s");
        figures.known(format!("{name}: {which} the agent, p50"), best.p50 as f64 / 1e3, "µs");
        figures.known(format!("{name}: {which} the agent, p99"), best.p99 as f64 / 1e3, "µs");
    }
    let lost = (1.0 - with.per_second / without.per_second) * 100.0;
    figures.known(format!("{name}: throughput lost"), lost, "%");
    let added = with.p99 as f64 / without.p99 as f64 * 100.0 - 100.0;
    figures.known(format!("{name}: p99 added"), added, "%");
}
