//! The other commands, as their users meet them: what they print, and what their exit codes mean.
use super::scenes;
use crate::{
    expect::server,
    http::Connection,
    process::{Process, command, output},
    span::parse_line,
    wait::PATIENCE,
    world::{World, free_port, repository},
};
use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use serde_json::Value;
use std::process::Command;

scenes! { "operate":
    doctor_names_the_hook_that_was_chosen_and_why_the_others_were_not,
    the_kernel_finds_fault_with_no_program,
    explain_tells_the_observed_from_the_unobserved_and_the_finished,
    workers_are_observed_with_whoever_hands_them_connections,
    config_tells_where_each_value_came_from,
    bad_usage_is_64_with_all_errors_at_once,
    a_recording_replays_to_the_same_spans,
    for_a_while_means_for_that_long,
}

fn doctor_names_the_hook_that_was_chosen_and_why_the_others_were_not(world: &mut World) -> Result<()> {
    let (text, _) = output(Command::new(world.wirespan()?).arg("doctor"), 0)?;
    for word in ["tracepoint", "fentry", "kprobe", "syscall"] {
        ensure!(text.to_lowercase().contains(word), "doctor does not speak of {word}:\n{text}");
    }
    let (json, _) = output(Command::new(world.wirespan()?).args(["doctor", "--json"]), 0)?;
    let report: Value = serde_json::from_str(&json).context("doctor --json is JSON")?;
    ensure!(report.is_object(), "doctor --json: {report}");
    Ok(())
}

/// A kernel may lack a hook, or forbid it (EPERM); with what a program does it must not find fault (EACCES, EINVAL).
fn the_kernel_finds_fault_with_no_program(world: &mut World) -> Result<()> {
    let (json, _) = output(Command::new(world.wirespan()?).args(["doctor", "--json"]), 0)?;
    let report: Value = serde_json::from_str(&json).context("doctor --json is JSON")?;
    let hooks = report.get("hooks").and_then(Value::as_array).context("hooks")?;
    let variants: Vec<&Value> =
        hooks.iter().filter_map(|hook| hook.get("variants")?.as_array()).flatten().collect();
    ensure!(variants.len() >= hooks.len(), "each hook has a way to have it: {report}");
    for variant in variants {
        let reason = variant.get("reason").and_then(Value::as_str).unwrap_or_default();
        let is_fault =
            ["os error 13", "os error 22", "os error 7"].iter().any(|error| reason.contains(error));
        ensure!(!is_fault, "the verifier refuses {variant}");
    }
    Ok(())
}

fn explain(world: &World, pid: u32) -> Result<(String, Value)> {
    Ok((world.explained(pid, &[])?, serde_json::from_str(&world.explained(pid, &["--json"])?)?))
}

fn explain_tells_the_observed_from_the_unobserved_and_the_finished(world: &mut World) -> Result<()> {
    let observed = world.hyper()?;
    let unobserved = world.calls("read-write")?;
    let finished = world.calls("recv-send")?;
    let socket = world.scratch().join("agent.sock").display().to_string();
    let agent =
        world.agent()?.port(observed.port).port(finished.port).env("WIRESPAN_SOCKET", &socket).start()?;
    for app in [observed, unobserved, finished] {
        Connection::open(app.address())?.get("/a", &[])?;
    }
    agent.expect_count(&server("GET").path("/a").status(200), 2)?;
    world.end(finished)?;

    let (text, json) = explain(world, observed.pid)?;
    ensure!(json.get("observed") == Some(&Value::Bool(true)), "observed: {text}");
    ensure!(
        json.get("work").and_then(|work| work.get("spans")).and_then(Value::as_u64) == Some(1),
        "one span: {json}"
    );
    ensure!(text.contains("observed") && text.contains(&observed.port.to_string()), "why observed: {text}");

    let (text, json) = explain(world, unobserved.pid)?;
    ensure!(json.get("observed") == Some(&Value::Bool(false)), "not observed: {text}");
    ensure!(text.contains("not observed"), "why not: {text}");

    let (text, json) = crate::wait::eventually("the end to be known", PATIENCE, || {
        let answer = explain(world, finished.pid)?;
        Ok((answer.1.get("running") == Some(&Value::Bool(false))).then_some(answer))
    })?;
    ensure!(
        json.get("observed") == Some(&Value::Bool(true)) && text.contains("finished"),
        "finished: {text}"
    );
    Ok(())
}

fn workers_are_observed_with_whoever_hands_them_connections(world: &mut World) -> Result<()> {
    let socket = world.scratch().join("agent.sock").display().to_string();
    let port = free_port()?;
    let script = repository()?.join("tests/apps/handed.py");
    // The first agent sees the worker start before its master listens, the second one finds both.
    let first = world.agent()?.port(port).env("WIRESPAN_SOCKET", &socket).start()?;
    let master = world.serve("handed.py", port, command("python3").arg(script).arg(port.to_string()))?;
    for (path, agent) in [("/first", Some(first)), ("/second", None)] {
        let agent = match agent {
            Some(agent) => agent,
            None => world.agent()?.port(port).env("WIRESPAN_SOCKET", &socket).start()?,
        };
        let mut connection = Connection::open(master.address())?;
        let worker = String::from_utf8(connection.get("/who", &[])?.body)?;
        let why = format!("it runs the same program as the observed process {}", master.pid);
        crate::wait::eventually("the worker to be observed", PATIENCE, || {
            Ok(explain(world, worker.parse()?)?.0.contains(&why).then_some(()))
        })?;
        connection.get(path, &[])?;
        agent.expect(&server("GET").path(path).fact("resource process.pid", &worker))?;
        agent.stop()?;
    }
    Ok(())
}

fn config_tells_where_each_value_came_from(world: &mut World) -> Result<()> {
    let mut config = Command::new(world.wirespan()?);
    config.env("OTEL_BSP_MAX_QUEUE_SIZE", "1234").env("OTEL_SERVICE_NAME", "");
    let (text, _) = output(config.arg("config"), 0)?;
    let line = text.lines().find(|line| line.contains("1234")).with_context(|| text.clone())?;
    ensure!(line.contains("OTEL_BSP_MAX_QUEUE_SIZE") || line.contains("environment"), "no origin: {line}");
    ensure!(text.contains("default"), "no defaults: {text}");
    Ok(())
}

fn bad_usage_is_64_with_all_errors_at_once(world: &mut World) -> Result<()> {
    let wirespan = world.wirespan()?;
    output(Command::new(&wirespan).arg("rnu"), 64)?;
    output(Command::new(&wirespan).args(["run", "--port", "seventy"]), 64)?;
    let file = world.scratch().join("bad.yaml");
    std::fs::write(&file, "exprot:\n  queue: 5\nselect:\n  ports: [\"eighty\"]\n")?;
    let (_, errors) = output(Command::new(&wirespan).args(["run", "--config"]).arg(&file), 64)?;
    ensure!(errors.contains("did you mean") && errors.contains("export"), "no suggestion: {errors}");
    ensure!(
        errors.contains("ports") && errors.contains("bad.yaml"),
        "not all errors, or not where: {errors}"
    );
    output(Command::new(&wirespan).args(["run", "--config", "/nonexistent/file.yaml"]), 64)?;
    Ok(())
}

fn a_recording_replays_to_the_same_spans(world: &mut World) -> Result<()> {
    let app = world.hyper()?;
    let file = world.scratch().join("ring.rec");
    let mut record = command(world.wirespan()?);
    record.arg("record").arg(&file).args(["--port", &app.port.to_string()]);
    let mut recorder = Process::start("wirespan record", &mut record)?;
    recorder.wait_for_line("`ready`", |line| line.contains("ready"))?;
    let mut connection = Connection::open(app.address())?;
    for n in 0..50 {
        connection.get(&format!("/status/{}/{n}", 200 + n % 5), &[])?;
    }
    recorder.signal(Signal::TERM)?;
    ensure!(recorder.wait(PATIENCE)?.code() == Some(0), "record ended badly{}", recorder.last_words());

    let replay = || -> Result<Vec<String>> {
        let (lines, _) =
            output(Command::new(world.wirespan()?).arg("replay").arg(&file).args(["--exporter", "json"]), 0)?;
        let mut shown = Vec::new();
        for line in lines.lines() {
            let spans = parse_line(line)?;
            shown.extend(spans.iter().map(|span| {
                format!("{} {} {}", span.name, span.path(), span.attribute("http.response.status_code"))
            }));
        }
        shown.sort();
        Ok(shown)
    };
    let spans = replay()?;
    let mut wanted: Vec<String> = (0..50).map(|n| format!("GET /status/{0}/{n} {0}", 200 + n % 5)).collect();
    wanted.sort();
    ensure!(spans == wanted, "replay gave {spans:#?}");
    ensure!(replay()? == spans, "a second replay gave other spans");
    Ok(())
}

fn for_a_while_means_for_that_long(world: &mut World) -> Result<()> {
    let app = world.hyper()?;
    let mut agent = world.agent()?.port(app.port).flag("--for", "1s").start()?;
    Connection::open(app.address())?.get("/a", &[])?;
    ensure!(
        agent.process.wait(PATIENCE)?.code() == Some(0),
        "not asked to stop: {}",
        agent.process.last_words()
    );
    agent.expect(&server("GET").path("/a"))?;
    Ok(())
}
