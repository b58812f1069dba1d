//! h2load on 8 connections, each with many streams at once; every request has a path of its own.
//!
//! Shape: a server, how many streams → what of its requests has a span with their own path and status. `WORLD_REQUESTS` says how
//! many requests a server gets over all numbers of streams.
use super::{App, Ledger, World, beyond, command, fs, ledger, nginx, output, told};
use anyhow::{Context, Result, ensure};

/// Connections; h2load asks on each for the same paths, so each has an h2load of its own.
const CONNECTIONS: usize = 8;
/// Streams of a connection at once.
const STREAMS: [usize; 3] = [1, 10, 100];
/// Requests of a server, if nothing else is said.
const REQUESTS: usize = 12_000;

/// Spans that may wait for their file: what is judged is what was seen, not how fast it is written while the load takes all cores.
const QUEUE: &str = "131072";

/// Paths below which a server answers in ways of its own, and the status there.
type Routes = [(&'static str, &'static str); 3];
const NGINX: Routes = [("ok", "200"), ("no", "404"), ("none", "204")];
const HYPER: Routes = [("status/200", "200"), ("status/404", "404"), ("status/204", "204")];

pub(super) fn every_stream_of_nginx_has_its_own_path_and_status(world: &mut World) -> Result<()> {
    let app = nginx(world)?;
    let asked = judge(world, app, &NGINX)?;
    ensure!(ledger(world.scratch())? == asked, "nginx was not asked for what h2load was told to ask");
    Ok(())
}

pub(super) fn every_stream_of_hyper_has_its_own_path_and_status(world: &mut World) -> Result<()> {
    let app = world.hyper_h2()?;
    judge(world, app, &HYPER).map(drop)
}

/// What was asked for, when spans have been found to say the same.
fn judge(world: &World, app: App, routes: &Routes) -> Result<Ledger> {
    let wanted = std::env::var_os("WORLD_REQUESTS").and_then(|text| text.to_str()?.parse().ok());
    let requests = wanted.unwrap_or(REQUESTS) / STREAMS.len();
    let exported = world.scratch().join("spans.jsonl");
    let start = world.agent()?.env("OTEL_BSP_MAX_QUEUE_SIZE", QUEUE);
    let agent = start.port(app.port).into_file(exported).start()?;
    let mut asked = Ledger::new();
    for streams in STREAMS {
        asked.extend(ask(world, app, &format!("m{streams}"), requests, streams, routes)?);
    }
    let mut spans = Vec::new();
    let finished = agent.stop_and_visit(&mut |span| {
        if span.attribute("network.protocol.version") == "2" {
            spans.push(span);
        }
    })?;
    let told = told(spans.iter());
    let (missing, wrong) = (beyond(&asked, &told), beyond(&told, &asked));
    println!("        of {} requests {missing} have no span, {wrong} spans are wrong", asked.len());
    for lost in finished.of_class("loss") {
        println!("        {} {}", lost.name, lost.value);
    }
    ensure!(wrong == 0, "{wrong} spans say what nobody asked for");
    ensure!(missing * 1_000 <= asked.len(), "{missing} of {} requests have no span", asked.len());
    Ok(asked)
}

/// nginx gets that many requests, with paths below `run`.
pub(super) fn load(world: &World, app: App, run: &str, requests: usize, streams: usize) -> Result<()> {
    ask(world, app, run, requests, streams, &NGINX).map(drop)
}

fn ask(
    world: &World,
    app: App,
    run: &str,
    requests: usize,
    streams: usize,
    routes: &Routes,
) -> Result<Ledger> {
    let mut asked = Ledger::new();
    let mut loads = Vec::new();
    let each = requests / CONNECTIONS;
    for connection in 0..CONNECTIONS {
        let mut lines = String::new();
        for (n, (route, status)) in (0..each).zip(routes.iter().cycle()) {
            let path = format!("/{route}/{run}/{connection}/{n}");
            lines.push_str(&format!("http://127.0.0.1:{}{path}\n", app.port));
            asked.insert((path, (*status).to_owned()), 1);
        }
        let file = world.scratch().join(format!("paths-{connection}"));
        fs::write(&file, lines)?;
        let mut h2load = command("h2load");
        h2load.args(["-c", "1", "-t", "1", "-n", &each.to_string(), "-m", &streams.to_string(), "-i"]);
        h2load.arg(file);
        loads.push(h2load);
    }
    std::thread::scope(|scope| {
        let running = loads.iter_mut().map(|load| scope.spawn(|| output(load, 0)));
        running.collect::<Vec<_>>().into_iter().try_for_each(|run| {
            let (report, _) = run.join().ok().context("a client panicked")??;
            ensure!(report.contains(&format!(" {each} done")), "h2load did not finish: {report}");
            Ok(())
        })
    })?;
    Ok(asked)
}
