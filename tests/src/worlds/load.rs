//! Many requests: nearly all of them become spans, and what is missing is counted.
use super::scenes;
use crate::{
    agent::{Agent, Finished},
    load::{self, Plan, Report},
    process,
    span::Span,
    wait,
    world::{App, World, need},
};
use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use std::{collections::HashSet, process::Command, time::Duration};

scenes! { "load":
    nginx_under_wrk_gives_a_span_per_request,
    an_agent_that_stood_still_for_two_seconds_is_right_again_within_one,
}

/// Requests per second that any machine can hold.
const RATE: f64 = 2_000.0;

fn observe(world: &World, app: App) -> Result<Agent> {
    world.agent()?.port(app.port).into_file(world.scratch().join("spans.jsonl")).start()
}

fn nginx_under_wrk_gives_a_span_per_request(world: &mut World) -> Result<()> {
    need("wrk")?;
    let app = world.nginx("location / { return 200 ok; } location /no { return 404 no; }")?;
    let agent = observe(world, app)?;
    let mut wrk = Command::new("wrk");
    wrk.args(["-t2", "-c64", "-d10s", &format!("http://127.0.0.1:{}/wrk", app.port)]);
    let (report, _) = process::output(&mut wrk, 0)?;
    let requests = wrk_requests(&report).with_context(|| report.clone())?;

    let (mut spans, mut wrong) = (0_u64, None);
    let finished = agent.stop_and_visit(&mut |span| {
        spans += 1;
        if span.path() != "/wrk" || !has_true_status(&span) {
            wrong = Some(span);
        }
    })?;
    println!("        {requests} requests, {spans} spans, losses {:?}", losses(&finished));
    ensure!(wrong.is_none(), "a span with a status that nginx never gave: {wrong:?}");
    ensure!(
        spans as f64 >= requests as f64 * 0.999,
        "{spans} spans of {requests} requests; losses: {:?}",
        finished.of_class("loss")
    );
    // 64 requests may be in flight when wrk stops counting.
    ensure!(spans <= requests + 64, "{spans} spans of {requests} requests: some were counted twice");
    Ok(())
}

fn wrk_requests(report: &str) -> Option<u64> {
    let line = report.lines().find(|line| line.contains(" requests in "))?;
    line.split_whitespace().next()?.parse().ok()
}

fn losses(finished: &Finished) -> Vec<String> {
    finished.of_class("loss").iter().map(|row| format!("{}={}", row.name, row.value)).collect()
}

fn an_agent_that_stood_still_for_two_seconds_is_right_again_within_one(world: &mut World) -> Result<()> {
    let app = world.nginx("location / { return 200 ok; }")?;
    let agent = observe(world, app)?;
    let during = |seconds: u64, rate: Option<f64>| -> Result<Report> {
        load::run(Plan { address: app.address(), connections: 64, rate, time: Duration::from_secs(seconds) })
    };
    during(2, Some(RATE))?;
    agent.process.signal(Signal::STOP)?;
    // More than the ring holds.
    let stopped = during(2, None)?;
    agent.process.signal(Signal::CONT)?;
    wait::pass(Duration::from_secs(1));
    let clean = during(2, Some(RATE))?;
    ensure!(stopped.bad == 0 && clean.bad == 0, "nginx noticed: {} and {} failures", stopped.bad, clean.bad);

    let mut all: Vec<(u64, bool)> = Vec::new();
    let mut seen: HashSet<(String, String)> = HashSet::new();
    let mut twice = None;
    let finished = agent.stop_and_visit(&mut |span| {
        all.push((span.start_ns, is_true(&span)));
        let request = (span.attribute("network.peer.port").to_owned(), span.path().to_owned());
        if !seen.insert(request) {
            twice = Some(span);
        }
    })?;
    let last = all.iter().map(|(start, _)| *start).max().context("no spans at all")?;
    let from = last.saturating_sub(u64::try_from(clean.time.as_nanos())?);
    let in_clean = all.iter().filter(|(start, _)| *start >= from).count() as f64;
    println!("        {} spans, losses {:?}", all.len(), losses(&finished));
    ensure!(all.iter().all(|(_, is_true)| *is_true), "a span with a path or status that was never there");
    ensure!(twice.is_none(), "one request, two spans: {twice:?}");
    ensure!(
        in_clean >= clean.good as f64 * 0.999,
        "{in_clean} spans of {} requests after it went on",
        clean.good
    );
    Ok(())
}

/// Every request of this load is a GET of `/CONNECTION-NUMBER`, answered with 200 or, at the cut, not seen to its end.
fn is_true(span: &Span) -> bool {
    let path = span.path().strip_prefix('/').and_then(|path| path.split_once('-'));
    let numbers = path.is_some_and(|(a, b)| a.parse::<u32>().is_ok() && b.parse::<u32>().is_ok());
    numbers && span.name == "GET" && has_true_status(span)
}

/// What nginx gave; or none, and the span says why: the client went away, or the answer's head was lost.
fn has_true_status(span: &Span) -> bool {
    match span.attribute("http.response.status_code") {
        "200" => true,
        "" => {
            let lost = span.attribute("wirespan.incomplete").contains("response_head");
            lost || !span.attribute("error.type").is_empty()
        }
        _ => false,
    }
}
