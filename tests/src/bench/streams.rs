//! What exchanges cost in user space that share a connection, beside those that do not; and how many records a large upload is.
//!
//! Shape: h2load asks nginx for the same over HTTP/1.1 and over HTTP/2 with a few streams at once and with many; each is recorded and
//! replayed through the whole core. Instructions are callgrind's, minus those of an empty recording.
use super::{
    figures::Figures,
    replay::{exchanges_of, instructions, record, records_of},
    sink::Sink,
};
use crate::{
    expect::server,
    process::{command, output},
    world::{App, World, free_port, need, repository},
};
use anyhow::{Result, ensure};

/// Requests of a recording.
const REQUESTS: u32 = 4_000;
/// Records of an upload, at most: most of them are those that say where the frames begin.
const UPLOAD_MOST: f64 = 400.0;

pub(super) fn run(world: &mut World, figures: &mut Figures) -> Result<()> {
    upload(world, figures)?;
    if need("valgrind").is_err() {
        println!("   valgrind is not installed: no instruction counts");
        return Ok(());
    }
    let port = free_port()?;
    let nginx = world.nginx(&format!(
        "listen 127.0.0.1:{port} http2; http2_max_concurrent_streams 256; location / {{ return 200 ok; }}"
    ))?;
    let shared = App { port, ..nginx };
    let sink = Sink::start()?;
    let empty = record(world, shared, "empty", || Ok(()))?;
    let nothing = instructions(world, &empty, "none", &sink)?;
    for (name, app, way) in [
        ("HTTP/1.1", nginx, &["--h1"][..]),
        ("HTTP/2, a stream at a time", shared, &["-m", "1"]),
        ("HTTP/2, 10 streams at a time", shared, &["-m", "10"]),
        ("HTTP/2, 100 streams at a time", shared, &["-m", "100"]),
    ] {
        let file = record(world, app, "loaded", || {
            let url = format!("http://127.0.0.1:{}/users/7/orders", app.port);
            let mut load = command("h2load");
            load.args(["-c", "8", "-t", "1", "-n", &REQUESTS.to_string()]).args(way).arg(url);
            output(&mut load, 0).map(drop)
        })?;
        let (records, exchanges) = (records_of(&file)?, exchanges_of(world, &file)?);
        ensure!(exchanges >= f64::from(REQUESTS), "{exchanges} of {REQUESTS} requests were understood");
        let spent = instructions(world, &file, "none", &sink)? - nothing;
        figures.known(format!("streams: {name}: records per exchange"), records / exchanges, "records");
        figures.known(format!("streams: {name}: per exchange"), spent / exchanges, "instructions");
    }
    Ok(())
}

/// A gibibyte in one stream, to Node.js.
fn upload(world: &mut World, figures: &mut Figures) -> Result<()> {
    let program = repository()?.join("tests/apps/http2.js");
    let port = free_port()?;
    world.serve("node http2", port, command("node").arg(&program).arg(port.to_string()))?;
    let agent = world.agent()?.port(port).start()?;
    output(command("node").arg(&program).args([&port.to_string(), "1024"]), 0)?;
    agent.expect(&server("POST").path("/after").status(200))?;
    let records = agent.stop()?.counter("assemble.records");
    figures.at_most("streams: 1 GiB in one stream", records as f64, "records", UPLOAD_MOST);
    Ok(())
}
