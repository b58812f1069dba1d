//! Trace context in request headers, in every format and spelling, read beside three servers that know none of them.
use super::scenes;
use crate::{
    agent::Agent,
    expect::{Expected, server},
    http::{Connection, request},
    process,
    world::{App, World},
};
use anyhow::{Result, ensure};
use std::process::Command;

scenes! { "http":
    context_in_every_format_and_spelling_reaches_python_spans,
    context_in_every_format_and_spelling_reaches_nginx_spans,
    context_in_every_format_and_spelling_reaches_hyper_spans,
    curl_with_a_traceparent_gives_a_span_of_that_trace,
    malformed_context_begins_a_new_trace,
    an_unsampled_flag_on_the_wire_is_obeyed,
    a_60_kb_header_block_in_20_writes_is_read_to_its_end,
}

/// Ids that no other request has.
struct Ids {
    trace: String,
    span: String,
}

impl Ids {
    fn new(n: usize) -> Ids {
        Ids { trace: format!("5759e988bd862e3f{:016x}", n + 1), span: format!("53995c3f{:08x}", n + 1) }
    }

    /// Header fields per format, names spelt as their own documents do.
    fn fields(&self, format: &str) -> Vec<(String, String)> {
        let Ids { trace, span } = self;
        let (epoch, rest) = trace.split_at(8);
        let fields = match format {
            "w3c" => vec![
                ("traceparent", format!("00-{trace}-{span}-01")),
                ("tracestate", "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7".to_owned()),
            ],
            "b3" => vec![("b3", format!("{trace}-{span}-1-05e3ac9a4f6e3b90"))],
            "b3 multi" => vec![
                ("X-B3-TraceId", trace.clone()),
                ("X-B3-SpanId", span.clone()),
                ("X-B3-ParentSpanId", "05e3ac9a4f6e3b90".to_owned()),
                ("X-B3-Sampled", "1".to_owned()),
            ],
            "jaeger" => vec![("uber-trace-id", format!("{trace}:{span}:0:1"))],
            _ => vec![("X-Amzn-Trace-Id", format!("Root=1-{epoch}-{rest};Parent={span};Sampled=1"))],
        };
        fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    fn expected(&self, path: &str) -> Expected {
        server("GET").path(path).trace(&self.trace).parent(&self.span).trace_flags(1)
    }
}

const FORMATS: [&str; 5] = ["w3c", "b3", "b3 multi", "jaeger", "x-ray"];

/// The same name in another spelling: header names have no case.
const SPELLINGS: [fn(&str) -> String; 4] =
    [str::to_owned, str::to_ascii_lowercase, str::to_ascii_uppercase, |name| {
        let swap = |(at, c): (usize, char)| {
            if at % 2 == 0 { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() }
        };
        name.chars().enumerate().map(swap).collect()
    }];

fn every_format_and_spelling(agent: &Agent, app: App) -> Result<()> {
    let mut connection = Connection::open(app.address())?;
    let mut wanted = Vec::new();
    for format in FORMATS {
        for spelling in SPELLINGS {
            let ids = Ids::new(wanted.len());
            let path = format!("/context/{}", wanted.len());
            let fields: Vec<(String, String)> =
                ids.fields(format).into_iter().map(|(name, value)| (spelling(&name), value)).collect();
            let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (&**name, &**value)).collect();
            connection.get(&path, &fields)?;
            let state = if format == "w3c" { "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7" } else { "" };
            wanted.push(ids.expected(&path).trace_state(state));
        }
    }
    for span in &wanted {
        agent.expect(span)?;
    }
    Ok(())
}

fn context_in_every_format_and_spelling_reaches_python_spans(world: &mut World) -> Result<()> {
    let app = world.python("threads.py", &[])?;
    every_format_and_spelling(&world.observe(app)?, app)
}

fn context_in_every_format_and_spelling_reaches_nginx_spans(world: &mut World) -> Result<()> {
    let app = world.nginx("location / { return 200 ok; }")?;
    every_format_and_spelling(&world.observe(app)?, app)
}

fn context_in_every_format_and_spelling_reaches_hyper_spans(world: &mut World) -> Result<()> {
    let app = world.hyper()?;
    every_format_and_spelling(&world.observe(app)?, app)
}

fn curl_with_a_traceparent_gives_a_span_of_that_trace(world: &mut World) -> Result<()> {
    std::fs::write(world.scratch().join("a.txt"), "hello")?;
    let folder = world.scratch().to_path_buf();
    let app = world.python_http_server(&folder)?;
    let agent = world.observe(app)?;
    let ids = Ids::new(0);
    let mut curl = Command::new("curl");
    curl.args(["-sS", "-H", "tracestate: a=1", "-H", "TraceState: b=2"]);
    curl.args(["-H", &format!("TRACEPARENT: 00-{}-{}-03", ids.trace, ids.span)]);
    let (body, _) = process::output(curl.arg(format!("http://127.0.0.1:{}/a.txt?user=7", app.port)), 0)?;
    ensure!(body == "hello", "python answered {body:?}");
    let wanted = server("GET").path("/a.txt").status(200).trace(&ids.trace).parent(&ids.span);
    agent.expect(
        &wanted
            .trace_flags(3)
            .trace_state("a=1,b=2")
            .has("user_agent.original")
            .fact("url.query", "user=REDACTED"),
    )?;
    Ok(())
}

fn malformed_context_begins_a_new_trace(world: &mut World) -> Result<()> {
    let app = world.hyper()?;
    let agent = world.observe(app)?;
    let mut connection = Connection::open(app.address())?;
    let Ids { trace, span } = Ids::new(0);
    let bad = [
        format!("ff-{trace}-{span}-01"),
        format!("00-{}-{span}-01", trace.to_uppercase()),
        format!("00-{}-{span}-01", "0".repeat(32)),
        format!("00-{trace}-{}-01", "0".repeat(16)),
        format!("00-{trace}-{span}-01-extra"),
        format!("00-{trace}-{span}"),
        String::new(),
    ];
    for (n, value) in bad.iter().enumerate() {
        connection.get(&format!("/bad/{n}"), &[("traceparent", value), ("tracestate", "a=1")])?;
    }
    let twice = format!("00-{trace}-{span}-01");
    connection.get("/bad/twice", &[("traceparent", &twice), ("traceparent", &twice)])?;
    let future = format!("42-{trace}-{span}-01-what-else");
    connection.get("/future", &[("traceparent", &future)])?;

    agent.expect(&server("GET").path("/future").trace(&trace).parent(&span))?;
    let spans = agent.stop()?;
    for path in (0..bad.len()).map(|n| format!("/bad/{n}")).chain(["/bad/twice".to_owned()]) {
        let found = spans.only(&server("GET").path(&path).root().trace_state(""))?;
        ensure!(found.trace_id != trace, "{path} believed a malformed context: {found}");
    }
    Ok(())
}

fn an_unsampled_flag_on_the_wire_is_obeyed(world: &mut World) -> Result<()> {
    let app = world.hyper()?;
    let agent = world.observe(app)?;
    let mut connection = Connection::open(app.address())?;
    let Ids { trace, span } = Ids::new(0);
    connection.get("/no", &[("traceparent", &format!("00-{trace}-{span}-00"))])?;
    connection.get("/no", &[("b3", "0")])?;
    connection.get("/yes", &[])?;
    agent.expect(&server("GET").path("/yes").status(200))?;
    let spans = agent.stop()?.spans;
    ensure!(spans.iter().all(|span| span.path() != "/no"), "an unsampled request was exported");
    Ok(())
}

fn a_60_kb_header_block_in_20_writes_is_read_to_its_end(world: &mut World) -> Result<()> {
    let nginx = world.nginx("location / { return 200 ok; }")?;
    let python = world.python("threads.py", &[])?;
    let hyper = world.hyper()?;
    let agent = world.agent()?.port(nginx.port).port(python.port).port(hyper.port).start()?;
    let fill = "f".repeat(4096 - 16);
    for (n, app) in [nginx, python, hyper].into_iter().enumerate() {
        let path = format!("/large/{n}");
        let ids = Ids::new(n);
        let context = format!("00-{}-{}-01", ids.trace, ids.span);
        let names: Vec<String> = (0..15).map(|n| format!("X-Fill-{n}")).collect();
        let mut fields: Vec<(&str, &str)> = names.iter().map(|name| (&**name, &*fill)).collect();
        fields.push(("traceparent", &context));
        let mut connection = Connection::open(app.address())?;
        for _ in 0..2 {
            // Twice: after it the connection must be as good as new.
            connection.send_in(20, request("GET", &path, &fields).as_bytes())?;
            ensure!(connection.response("GET")?.status == 200, "the server refused 60 KB");
        }
        connection.get(&format!("{path}/after"), &[])?;
        agent.expect_count(&ids.expected(&path).status(200), 2)?;
        agent.expect(&server("GET").path(&format!("{path}/after")).status(200).root())?;
    }
    Ok(())
}
