//! What Jaeger and Zipkin say of a checkout through the shop's four services, and what a sidecar Collector hands on.
use crate::{
    agent::Agent,
    backends::{Jaeger, Zipkin, collector, example, free_address, has, sending},
    collector::{Binary, Collector, compare},
    expect::server,
    http::Connection,
    process::output,
    shop::{CHECKOUT_SPANS, SERVICES, Shop, whole_checkout},
    span::{Span, parse_line},
    world::{World, repository},
};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

/// The agent's part of each example, those that are not run included.
pub(super) fn the_agent_takes_its_part_of_every_example(world: &mut World) -> Result<()> {
    for folder in ["collector", "jaeger", "sidecar", "tempo", "zipkin"] {
        let file = example(&format!("{folder}/wirespan.yaml"))?;
        let (told, _) = output(Command::new(world.wirespan()?).args(["config", "--config"]).arg(&file), 0)?;
        ensure!(told.contains(":4317"), "{folder}: {told}");
    }
    Ok(())
}

/// Checkouts, one after the other: the first ones show the agent how each service works.
const CHECKOUTS: u32 = 12;
/// The first one's number.
const FIRST: u32 = 100_001;

/// Checks out until the agent has said one whole, and gives its spans.
fn checkout(shop: &Shop, agent: &Agent) -> Result<Vec<Span>> {
    for cart in FIRST..FIRST + CHECKOUTS {
        shop.checkout(cart)?;
    }
    let last = FIRST + CHECKOUTS - 1;
    let found = has("a whole checkout", || Ok(whole_checkout(&agent.spans()?, last)));
    found.with_context(|| {
        let spans = agent.spans().unwrap_or_default();
        spans.iter().rev().take(20).map(|span| format!("\n  {span}")).collect::<String>()
    })
}

pub(super) fn jaeger_shows_a_checkout_whole(world: &mut World) -> Result<()> {
    let shop = Shop::open(world)?;
    let jaeger = Jaeger::start()?;
    let agent = sending(shop.observed(world.agent()?), "jaeger", jaeger.otlp)?.start()?;
    let said = checkout(&shop, &agent)?;
    let id = said.first().context("nine spans")?.trace_id.clone();
    let spans = |trace: &Value| trace.get("spans").and_then(Value::as_array).map_or(0, Vec::len);
    let trace =
        has("the trace in Jaeger", || Ok(jaeger.trace(&id)?.filter(|trace| spans(trace) >= CHECKOUT_SPANS)))?;
    let shown: BTreeMap<String, Shown> =
        list(trace.get("spans")).iter().map(|span| of_jaeger(&trace, span)).collect();
    same(&said, &shown)?;

    // The interface of version 3 speaks OTLP: everything that the agent said, its attributes sorted.
    let answer = jaeger.otlp_trace(&id)?.context("the trace by /api/v3")?;
    let by_id = |spans: Vec<Span>| -> BTreeMap<String, Span> {
        spans.into_iter().map(|span| (span.span_id.clone(), span)).collect()
    };
    let (said, shown) = (by_id(said), by_id(parse_line(&answer.to_string())?));
    ensure!(said == shown, "said: {said:#?}\nshown: {shown:#?}");
    agent.stop().map(drop)
}

pub(super) fn zipkin_shows_a_checkout_whole(world: &mut World) -> Result<()> {
    let shop = Shop::open(world)?;
    let zipkin = Zipkin::start()?;
    let otlp = free_address()?;
    let environment = [("OTLP_ENDPOINT", otlp.to_string()), ("ZIPKIN", format!("http://{}", zipkin.address))];
    let _collector = collector(&[], "zipkin/collector.yaml", &environment)?;
    let agent = sending(shop.observed(world.agent()?), "zipkin", otlp)?.start()?;
    let said = checkout(&shop, &agent)?;
    let id = said.first().context("nine spans")?.trace_id.clone();
    let spans = has("the trace in Zipkin", || {
        Ok(Some(zipkin.trace(&id)?).filter(|spans| spans.len() >= CHECKOUT_SPANS))
    })?;
    let shown = spans.iter().map(of_zipkin).collect();
    same(&said, &shown)?;
    agent.stop().map(drop)
}

pub(super) fn a_sidecar_collector_hands_on_what_the_agent_says(world: &mut World) -> Result<()> {
    let app = world.hyper()?;
    let backend = Collector::start(&Binary::build(&repository()?.join(".cache"))?, world.scratch(), None)?;
    let otlp = free_address()?;
    let environment = [
        ("OTLP_ENDPOINT", otlp.to_string()),
        ("BACKEND", format!("127.0.0.1:{}", backend.grpc_port)),
        ("BACKEND_PLAINTEXT", "true".to_owned()),
        ("AUTHORIZATION", "Bearer of-a-test".to_owned()),
    ];
    let _collector = collector(&[], "sidecar/collector.yaml", &environment)?;
    let agent = sending(world.agent()?.port(app.port), "sidecar", otlp)?.start()?;
    let mut connection = Connection::open(app.address())?;
    for n in 0..200 {
        connection.get(&format!("/status/200/{n}"), &[])?;
    }
    agent.expect(&server("GET").path("/status/200/199"))?;
    let stdout = agent.process.stdout.clone();
    agent.stop()?;
    backend.expect_count(200)?;
    let said: Vec<String> = stdout.look(|lines| lines.lines.iter().cloned().collect());
    let same = compare(&said, &backend.lines()?)?;
    ensure!(same == 200, "200 requests, {same} spans");
    Ok(())
}

/// What every back end says of a span: parent (or empty), kind in lower case, service, and status code of the answer.
pub(super) type Shown = (String, String, String, String);

/// Both say the same spans, and four services have them.
fn same(said: &[Span], shown: &BTreeMap<String, Shown>) -> Result<()> {
    let ours: BTreeMap<String, Shown> = said
        .iter()
        .map(|span| {
            let service = span.resource.get("service.name").cloned().unwrap_or_default();
            let status = span.attribute("http.response.status_code").to_owned();
            (span.span_id.clone(), (span.parent_id.clone(), span.kind.to_owned(), service, status))
        })
        .collect();
    ensure!(ours == *shown, "said: {ours:#?}\nshown: {shown:#?}");
    let services: BTreeSet<&str> = shown.values().map(|(_, _, service, _)| service.as_str()).collect();
    ensure!(services.len() == SERVICES.len() && shown.len() == CHECKOUT_SPANS, "{shown:#?}");
    Ok(())
}

pub(super) fn of_jaeger(trace: &Value, span: &Value) -> (String, Shown) {
    let process = format!("/processes/{}/serviceName", text(span, "/processID"));
    let shown = (
        text(span, "/references/0/spanID"),
        tag(span, "span.kind"),
        text(trace, &process),
        tag(span, "http.response.status_code"),
    );
    (text(span, "/spanID"), shown)
}

/// What one of Jaeger's spans says under that key; empty if nothing.
pub(super) fn tag(span: &Value, wanted: &str) -> String {
    let tag = list(span.get("tags")).into_iter().find(|tag| text(tag, "/key") == wanted);
    let value = tag.and_then(|tag| tag.get("value").cloned());
    value.map_or(String::new(), |value| value.as_str().map_or(value.to_string(), str::to_owned))
}

fn of_zipkin(span: &Value) -> (String, Shown) {
    let status = span.get("tags").and_then(|tags| tags.get("http.response.status_code"));
    let shown = (
        text(span, "/parentId"),
        text(span, "/kind").to_lowercase(),
        text(span, "/localEndpoint/serviceName"),
        status.and_then(Value::as_str).unwrap_or_default().to_owned(),
    );
    (text(span, "/id"), shown)
}

pub(super) fn list(value: Option<&Value>) -> Vec<Value> {
    value.and_then(Value::as_array).cloned().unwrap_or_default()
}

pub(super) fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}
