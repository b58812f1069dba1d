//! Spans on their way to a real collector: what arrives, and what is said of what does not.
use super::scenes;
use crate::{
    agent::{Agent, Finished},
    collector::{Binary, Collector, compare},
    http::Connection,
    wait::{PATIENCE, eventually},
    world::{App, World, repository},
};
use anyhow::{Context, Result, ensure};
use std::{ops::Range, path::PathBuf, time::Duration};

scenes! { "export":
    a_collector_gets_over_grpc_what_json_says,
    a_collector_gets_over_grpc_with_gzip_what_json_says,
    a_collector_gets_over_http_what_json_says,
    a_collector_gets_over_http_with_gzip_what_json_says,
    a_collector_that_was_killed_gets_all_that_fits_the_queue,
    during_a_long_outage_what_does_not_fit_is_counted,
}

/// As long as a collector takes to be moved to another node.
const OUTAGE: Duration = Duration::from_secs(30);

fn a_collector_gets_over_grpc_what_json_says(world: &mut World) -> Result<()> {
    says_the_same(world, "grpc", "none")
}

fn a_collector_gets_over_grpc_with_gzip_what_json_says(world: &mut World) -> Result<()> {
    says_the_same(world, "grpc", "gzip")
}

fn a_collector_gets_over_http_what_json_says(world: &mut World) -> Result<()> {
    says_the_same(world, "http/protobuf", "none")
}

fn a_collector_gets_over_http_with_gzip_what_json_says(world: &mut World) -> Result<()> {
    says_the_same(world, "http/protobuf", "gzip")
}

fn says_the_same(world: &mut World, protocol: &str, compression: &str) -> Result<()> {
    let mut scene = Scene::start(world, protocol, &[("OTEL_EXPORTER_OTLP_COMPRESSION", compression)])?;
    scene.ask(0..700)?;
    scene.collector.expect_count(700)?;
    let (finished, said) = scene.stop()?;
    let same = compare(&said, &scene.collector.lines()?)?;
    ensure!(same == 700, "{same} spans are the same");
    let exported = finished.counter("export.otlp.exported");
    ensure!(exported == 700, "it counted {exported} as exported");
    Ok(())
}

fn a_collector_that_was_killed_gets_all_that_fits_the_queue(world: &mut World) -> Result<()> {
    let mut scene = Scene::start(world, "grpc", &[])?;
    scene.ask(0..100)?;
    scene.collector.expect_count(100)?;
    scene.outage(100..2_000)?;
    scene.collector.expect_count(2_000)?;
    let (finished, said) = scene.stop()?;
    let same = compare(&said, &scene.collector.lines()?)?;
    let lost = finished.counter("export.otlp.queue_full");
    ensure!((same, lost) == (2_000, 0), "{same} arrived, {lost} were lost");
    Ok(())
}

fn during_a_long_outage_what_does_not_fit_is_counted(world: &mut World) -> Result<()> {
    let small = [("OTEL_BSP_MAX_QUEUE_SIZE", "600"), ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "100")];
    let mut scene = Scene::start(world, "http/protobuf", &small)?;
    scene.ask(0..100)?;
    scene.collector.expect_count(100)?;
    scene.outage(100..2_000)?;
    scene.collector.expect_count(700)?;
    let (finished, said) = scene.stop()?;
    let received = scene.collector.spans()?.len() as u64;
    let lost = finished.counter("export.otlp.queue_full");
    ensure!(said.len() > 1 && received + lost == 2_000, "{received} arrived, {lost} were counted as lost");
    ensure!(lost >= 1_300, "only {lost} did not fit a queue of 600");
    Ok(())
}

/// A server, an agent that tells a collector and a file, and the collector.
struct Scene {
    app: App,
    agent: Option<Agent>,
    collector: Collector,
    said: PathBuf,
}

impl Scene {
    fn start(world: &mut World, protocol: &str, env: &[(&str, &str)]) -> Result<Scene> {
        let binary = Binary::build(&repository()?.join(".cache"))?;
        let collector = Collector::start(&binary, world.scratch(), None)?;
        let app = world.hyper()?;
        let said = world.scratch().join("said.jsonl");
        let port = if protocol == "grpc" { collector.grpc_port } else { collector.http_port };
        let mut start = world
            .agent()?
            .port(app.port)
            .flag("--exporter", "otlp")
            .env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("http://127.0.0.1:{port}"))
            .into_file(said.clone());
        for (name, value) in env {
            start = start.env(name, value);
        }
        Ok(Scene { app, agent: Some(start.start()?), collector, said })
    }

    fn ask(&self, paths: Range<usize>) -> Result<()> {
        let mut connection = Connection::open(self.app.address())?;
        for path in paths {
            let headers = [("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")];
            let headers = if path % 2 == 0 { &headers[..] } else { &[] };
            let response = connection.get(&format!("/{path}"), headers)?;
            ensure!(response.status == 200, "the server answered {response:?}");
        }
        Ok(())
    }

    /// Kills the collector, asks meanwhile, and starts it again after [`OUTAGE`].
    fn outage(&mut self, paths: Range<usize>) -> Result<()> {
        self.collector.kill()?;
        let over = std::time::Instant::now() + OUTAGE;
        self.ask(paths)?;
        eventually("the end of the outage", OUTAGE + PATIENCE, || {
            Ok((std::time::Instant::now() >= over).then_some(()))
        })?;
        self.collector.restart()
    }

    /// Stops the agent: what it counted, and the lines it wrote.
    fn stop(&mut self) -> Result<(Finished, Vec<String>)> {
        let finished = self.agent.take().context("the agent runs")?.stop()?;
        let said = std::fs::read_to_string(&self.said)?;
        Ok((finished, said.lines().map(str::to_owned).collect()))
    }
}
