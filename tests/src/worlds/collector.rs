//! Real receivers: the OpenTelemetry Collector takes what the agent sends, over both protocols, and it is what the agent
//! says on stdout, field by field.
use super::scenes;
use crate::{
    agent::Agent,
    collector::{Binary, Collector, compare},
    expect::server,
    http::Connection,
    wait,
    world::{App, World, repository},
};
use anyhow::{Context, Result, ensure};
use std::time::Duration;

scenes! { "collector":
    a_real_collector_receives_over_grpc_what_json_says,
    a_real_collector_receives_over_http_what_json_says,
    a_collector_that_was_away_gets_all_that_fits_the_queue,
    what_does_not_fit_the_queue_is_counted,
}

fn collector(world: &World) -> Result<Collector> {
    Collector::start(&Binary::build(&repository()?.join(".cache"))?, world.scratch(), None)
}

/// An agent that says on stdout what it sends.
fn agent(world: &World, app: App, collector: &Collector, protocol: &str, queue: u32) -> Result<Agent> {
    let port = if protocol == "grpc" { collector.grpc_port } else { collector.http_port };
    let start = world.agent()?.port(app.port).flag("--exporter", "otlp");
    let start = start.env("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("http://127.0.0.1:{port}"));
    let start =
        start.env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol).env("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip");
    start.env("OTEL_BSP_MAX_QUEUE_SIZE", &queue.to_string()).start()
}

fn requests(app: App, from: u32, count: u32) -> Result<()> {
    let mut connection = Connection::open(app.address())?;
    for n in from..from + count {
        let context = format!("00-{:032x}-{:016x}-01", u64::from(n) + 1, u64::from(n) + 1);
        let fields: &[(&str, &str)] =
            &[("traceparent", &context), ("tracestate", "a=1"), ("User-Agent", "world/1")];
        connection.get(
            &format!(
                "/status/{}/{n}?q=1",
                [200, 404, 500].into_iter().cycle().nth(n as usize).unwrap_or(200)
            ),
            fields,
        )?;
    }
    Ok(())
}

fn same_on_both_sides(world: &mut World, protocol: &str) -> Result<()> {
    let app = world.hyper()?;
    let collector = collector(world)?;
    let agent = agent(world, app, &collector, protocol, 8192)?;
    requests(app, 0, 200)?;
    agent.expect(&server("GET").path("/status/404/199"))?;
    let stdout = agent.process.stdout.clone();
    agent.stop()?;
    collector.expect_count(200)?;
    let said: Vec<String> = stdout.look(|lines| lines.lines.iter().cloned().collect());
    let same = compare(&said, &collector.lines()?)?;
    ensure!(same == 200, "200 requests, {same} spans");
    Ok(())
}

fn a_real_collector_receives_over_grpc_what_json_says(world: &mut World) -> Result<()> {
    same_on_both_sides(world, "grpc")
}

fn a_real_collector_receives_over_http_what_json_says(world: &mut World) -> Result<()> {
    same_on_both_sides(world, "http/protobuf")
}

fn a_collector_that_was_away_gets_all_that_fits_the_queue(world: &mut World) -> Result<()> {
    let app = world.hyper()?;
    let mut collector = collector(world)?;
    let agent = agent(world, app, &collector, "grpc", 8192)?;
    requests(app, 0, 100)?;
    collector.expect_count(100)?;
    collector.kill()?;
    requests(app, 100, 300)?;
    agent.expect(&server("GET").path("/status/200/399"))?;
    // Long enough for several retries to fail; the 30 s cost a minute and show nothing else.
    wait::pass(Duration::from_secs(8));
    collector.restart()?;
    requests(app, 400, 100)?;
    collector.expect_count(500).with_context(|| agent.process.last_words())?;
    let finished = agent.stop()?;
    let lost: Vec<_> =
        finished.of_class("loss").into_iter().filter(|row| row.name.starts_with("export")).collect();
    ensure!(lost.is_empty(), "lost, though it fits the queue: {lost:?}; log: {:#?}", finished.log);
    Ok(())
}

fn what_does_not_fit_the_queue_is_counted(world: &mut World) -> Result<()> {
    let app = world.hyper()?;
    let mut collector = collector(world)?;
    let agent = agent(world, app, &collector, "http/protobuf", 100)?;
    collector.kill()?;
    requests(app, 0, 500)?;
    agent.expect(&server("GET").path("/status/404/499"))?;
    collector.restart()?;
    let wanted = "/status/200/600";
    requests(app, 600, 1)?;
    wait::eventually("the queue to reach the Collector", wait::PATIENCE, || {
        Ok(collector.spans()?.iter().any(|span| span.path() == wanted).then_some(()))
    })?;
    let finished = agent.stop()?;
    let received = collector.spans()?.len() as u64;
    let rows = finished.of_class("loss");
    let lost: u64 = rows.iter().filter(|row| row.name.starts_with("export.otlp.")).map(|row| row.value).sum();
    ensure!(received + lost == 501, "501 requests, {received} received, {lost} counted as lost: {rows:?}");
    ensure!(lost > 0, "a queue of 100 held 500");
    Ok(())
}
