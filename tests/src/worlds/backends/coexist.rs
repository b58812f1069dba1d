//! Beside others who trace: meshes whose headers the application hands on, proxies with spans of their own, and an
//! OpenTelemetry SDK in a service, as the OpenTelemetry Operator puts it there.
//!
//! Source: Istio's and Linkerd's documentation of the headers to hand on; Envoy writes its own span into `traceparent`.
//! Neither proxy can be had here: nginx does with the headers what they do.
use crate::{
    collector::{Binary, Collector},
    http::Connection,
    process::command,
    span::Span,
    wait::{PATIENCE, eventually},
    world::{App, World, free_port, repository},
};
use anyhow::{Context, Result, ensure};
use std::collections::{BTreeMap, BTreeSet};

/// Requests of each world.
const REQUESTS: u32 = 40;
/// How a proxy that traces writes itself into the context: same trace, a span of its own.
const OWN_SPAN: &str = "set $trace none; if ($http_traceparent ~ '^00-(.{32})-') { set $trace $1; } \
    set $own none; if ($request_id ~ '^(.{16})') { set $own $1; } \
    proxy_set_header traceparent 00-$trace-$own-01;";

/// A service in front of another, each behind a proxy, as in a mesh: proxy, service, proxy, service.
fn mesh(world: &mut World, header: &str) -> Result<[App; 4]> {
    let back = world.hyper()?;
    let proxy = |to: App| format!("{header} location / {{ proxy_pass http://127.0.0.1:{}; }}", to.port);
    let back_proxy = world.nginx(&proxy(back))?;
    let front = world.python("mesh.py", &[&back_proxy.port.to_string()])?;
    let front_proxy = world.nginx(&proxy(front))?;
    Ok([front_proxy, front, back_proxy, back])
}

/// Asks with a context each, and gives the spans by trace once there are so many of each.
fn ask(world: &mut World, apps: &[App; 4], spans: usize) -> Result<BTreeMap<String, Vec<Span>>> {
    let mut start = world.agent()?.env("WIRESPAN_REQUEST_HEADERS", "traceparent");
    for app in apps {
        start = start.port(app.port);
    }
    let agent = start.start()?;
    let mut connection = Connection::open(apps[0].address())?;
    for n in 0..REQUESTS {
        let answer = connection.get(&format!("/status/200/{n}"), &[("traceparent", &context(n))])?;
        ensure!(answer.status == 200, "request {n}: {}", answer.status);
    }
    eventually("all spans", PATIENCE, || {
        Ok((agent.spans()?.len() >= REQUESTS as usize * spans).then_some(()))
    })?;
    let finished = agent.stop()?;
    let mut traces: BTreeMap<String, Vec<Span>> = BTreeMap::new();
    for span in finished.spans {
        traces.entry(span.trace_id.clone()).or_default().push(span);
    }
    let ids: BTreeSet<String> = (0..REQUESTS).map(trace).collect();
    ensure!(traces.keys().eq(&ids), "a request left its trace: {traces:#?}");
    for (id, trace) in &traces {
        ensure!(trace.len() == spans, "{} spans instead of {spans} in {id}: {trace:#?}", trace.len());
    }
    Ok(traces)
}

/// Linkerd, or Istio with tracing off: what the client wrote passes unchanged.
pub(super) fn proxies_of_a_mesh_are_services_of_the_trace(world: &mut World) -> Result<()> {
    let apps = mesh(world, "")?;
    for (n, trace) in (0..REQUESTS).zip(by_number(ask(world, &apps, 7)?)) {
        let mut parent = caller(n);
        let mut kinds = Vec::new();
        while let Some(child) = trace.iter().find(|span| span.parent_id == parent) {
            parent.clone_from(&child.span_id);
            kinds.push(child.kind);
        }
        let chain = ["server", "client", "server", "client", "server", "client", "server"];
        ensure!(kinds == chain, "not a chain: {kinds:?} in {trace:#?}");
    }
    Ok(())
}

/// Istio with tracing on: each proxy's own span is in what it sends, so ours for the same call is left out.
pub(super) fn proxies_that_trace_keep_their_own_spans(world: &mut World) -> Result<()> {
    let apps = mesh(world, OWN_SPAN)?;
    for (n, trace) in (0..REQUESTS).zip(by_number(ask(world, &apps, 5)?)) {
        let clients: Vec<&Span> = trace.iter().filter(|span| span.kind == "client").collect();
        let [call] = clients.as_slice() else {
            anyhow::bail!("the proxies' calls are theirs, the service's is ours: {trace:#?}")
        };
        for span in trace.iter().filter(|span| span.kind == "server") {
            let port = span.attribute("server.port");
            let [front_proxy, _, back_proxy, _] = apps.map(|app| app.port.to_string());
            let received = span.attribute("http.request.header.traceparent");
            let wanted = match port {
                port if port == front_proxy => caller(n),
                port if port == back_proxy => call.span_id.clone(),
                // What the proxy in front of it wrote: its own span.
                _ => received.split('-').nth(2).context("a context on the wire")?.to_owned(),
            };
            ensure!(span.parent_id == wanted, "{span} should be a child of {wanted}: {trace:#?}");
        }
        let asker = trace.iter().find(|span| span.span_id == call.parent_id);
        ensure!(asker.is_some_and(|span| span.kind == "server"), "whose call? {trace:#?}");
    }
    Ok(())
}

/// The SDK's client spans are the client spans; ours of the same calls are left out, and what is called has them as parents.
/// The SDK's server spans stand beside ours: both are children of whoever called.
pub(super) fn an_sdk_in_a_service_keeps_its_client_spans_and_loses_none(world: &mut World) -> Result<()> {
    let collector = Collector::start(&Binary::build(&repository()?.join(".cache"))?, world.scratch(), None)?;
    let (front, back) = instrumented(world, &collector)?;
    let start = world.agent()?.port(front.port).port(back.port).flag("--exporter", "otlp");
    let endpoint = format!("http://127.0.0.1:{}", collector.grpc_port);
    let agent = start.env("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint).start()?;
    for n in 0..REQUESTS {
        let mut connection = Connection::open(front.address())?;
        let answer = connection.get(&format!("/front/{n}"), &[("traceparent", &context(n))])?;
        ensure!(answer.status == 200, "request {n}: {}", answer.status);
    }
    let each = REQUESTS as usize;
    let spans = eventually("the spans of both", PATIENCE, || {
        let spans = collector.spans()?;
        let all = [("sdk", "client"), ("sdk", "server"), ("front", "server"), ("back", "server")];
        let there = all.iter().all(|(whose, kind)| of(&spans, whose, kind).len() >= each);
        Ok(there.then_some(spans))
    })
    .with_context(|| format!("{:#?}", collector.spans()))?;
    agent.stop()?;
    for (whose, kind, count) in [
        ("sdk", "client", each),
        ("sdk", "server", each),
        ("front", "server", each),
        ("back", "server", each),
    ] {
        let found = of(&spans, whose, kind).len();
        ensure!(found == count, "{found} {kind} spans of {whose}, not {count}");
    }
    // The SDK's own exports are calls like any other; nobody else tells of them.
    let told = |span: &&Span| !span.attribute("url.full").ends_with("/v1/traces");
    let ours = spans.iter().filter(|span| !is_sdk(span) && span.kind == "client").filter(told);
    let ours: Vec<&Span> = ours.collect();
    ensure!(ours.is_empty(), "calls that the SDK already tells: {ours:#?}");
    for n in 0..REQUESTS {
        let in_trace = |span: &&&Span| span.trace_id == trace(n);
        let one = |whose, kind| {
            let found = of(&spans, whose, kind);
            found.iter().find(in_trace).copied().with_context(|| format!("request {n}: {kind} of {whose}"))
        };
        let (call, answer) = (one("sdk", "client")?, one("back", "server")?);
        ensure!(answer.parent_id == call.span_id, "{answer} should be a child of {call}");
        ensure!(one("front", "server")?.parent_id == caller(n), "request {n} has another parent");
        ensure!(one("sdk", "server")?.parent_id == caller(n), "request {n} of the SDK has another parent");
    }
    Ok(())
}

/// Two services: the first as `opentelemetry-instrument` starts it, the second as it is.
fn instrumented(world: &mut World, collector: &Collector) -> Result<(App, App)> {
    let environment = repository()?.join(".cache/backends/sdk/venv/bin");
    ensure!(environment.is_dir(), "the SDK's environment is not built");
    let (python, program) = (environment.join("python"), repository()?.join("tests/apps/sdk/app.py"));
    let port = free_port()?;
    let back = world.serve("back", port, command(&python).arg(&program).arg(port.to_string()))?;
    let port = free_port()?;
    let mut front = command(environment.join("opentelemetry-instrument"));
    front.arg(&python).arg(&program).args([port.to_string(), back.port.to_string()]);
    front.env("OTEL_SERVICE_NAME", "front").env("OTEL_TRACES_EXPORTER", "otlp");
    front.env("OTEL_METRICS_EXPORTER", "none").env("OTEL_LOGS_EXPORTER", "none");
    front.env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf").env("OTEL_BSP_SCHEDULE_DELAY", "200");
    front.env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://127.0.0.1:{}", collector.http_port));
    Ok((world.serve("front", port, &mut front)?, back))
}

fn is_sdk(span: &Span) -> bool {
    span.resource.get("telemetry.sdk.name").is_some_and(|name| name == "opentelemetry")
}

/// Spans of the SDK (`sdk`), or ours of the request to a service, by the first part of its path.
fn of<'a>(spans: &'a [Span], whose: &str, kind: &str) -> Vec<&'a Span> {
    let ours = |span: &Span| !is_sdk(span) && span.path().starts_with(&format!("/{whose}/"));
    let wanted = |span: &&Span| span.kind == kind && if whose == "sdk" { is_sdk(span) } else { ours(span) };
    spans.iter().filter(wanted).collect()
}

fn by_number(mut traces: BTreeMap<String, Vec<Span>>) -> impl Iterator<Item = Vec<Span>> {
    (0..REQUESTS).map(move |n| traces.remove(&trace(n)).unwrap_or_default())
}

fn trace(n: u32) -> String {
    format!("{:032x}", u128::from(n + 1) << 64)
}

/// The span that the client says it has.
fn caller(n: u32) -> String {
    format!("{:016x}", u64::from(n + 1) << 32)
}

fn context(n: u32) -> String {
    format!("00-{}-{}-01", trace(n), caller(n))
}
