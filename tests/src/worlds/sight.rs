//! What each kind of hook cannot see: every row of doctor's table, under every kind that this kernel has.
//!
//! Shape: servers that move their bytes in unusual ways → per kind, spans for what is read, a counter for what is counted, neither for
//! what is not seen.
use super::scenes;
use crate::{
    agent::{Agent, Finished},
    http::Connection,
    process::{command, output},
    runner::Skip,
    world::{App, World, free_port},
};
use anyhow::{Context, Result, ensure};
use std::process::Command;
use wirespan::{
    attach::hooks::Kind,
    doctor::{SIGHTS, Seen},
};

scenes! { "sight":
    doctor_says_of_each_kind_what_it_does_not_read,
}

/// Rows that are played together, as what counts them differs: a name in the table, and its counter.
const ROUNDS: [&[(&str, &str)]; 4] = [
    &[("io_uring", "kernel.no_user_buffer"), ("ktls", "kernel.upper_layer_socket")],
    &[("sendfile", "kernel.no_user_buffer")],
    &[("splice", "kernel.no_user_buffer")],
    &[("several", "kernel.message_vector_place_unknown"), ("compat", "kernel.compat_call"), ("waiting", "")],
];
const KINDS: [(Kind, &str); 4] = [
    (Kind::Tracepoints, "tracepoints"),
    (Kind::Fentry, "fentry"),
    (Kind::Kprobe, "kprobe"),
    (Kind::Syscalls, "syscalls"),
];
/// What the server says by its exit code if the machine lacks what it needs.
const CANNOT: &str = "exit status: 77";

/// A server of a row.
struct Server {
    row: &'static str,
    counter: &'static str,
    app: App,
}

impl Server {
    /// None if this machine cannot do that.
    fn start(world: &mut World, row: &'static str, counter: &'static str) -> Result<Option<Self>> {
        let app = match row {
            "several" => world.calls("recvmmsg-sendmmsg")?,
            "waiting" => world.calls("read-write")?,
            _ => match deep(world, row)? {
                Some(app) => app,
                None => return Ok(None),
            },
        };
        Ok(Some(Self { row, counter, app }))
    }

    /// One request of which only this row's bytes are unusual.
    fn ask(&self, world: &World, waiting: Option<&mut Connection>) -> Result<()> {
        let path = format!("/{}", self.row);
        if self.row == "ktls" {
            let mut client = Command::new(world.compile("deep.c")?);
            let (answer, _) = output(client.args(["ask", &self.app.port.to_string(), &path]), 0)?;
            ensure!(answer.contains(&path), "the server answered {answer}");
            return Ok(());
        }
        match waiting {
            Some(connection) => connection.get(&path, &[])?,
            None => Connection::open(self.app.address())?.get(&path, &[])?,
        };
        Ok(())
    }

    /// What the agent said, against the table.
    fn judge(&self, finished: &Finished, seen: Seen) -> Result<()> {
        let Self { row, counter, .. } = *self;
        let span = finished.spans.iter().find(|span| span.path() == format!("/{row}"));
        let status = span.map(|span| span.attribute("http.response.status_code"));
        let counted = if counter.is_empty() { 0 } else { finished.counter(counter) };
        let is_so = match (seen, row) {
            (Seen::Read, _) => status == Some("200"),
            // The request was read: only its answer is unknown.
            (Seen::Counted, "sendfile") => status == Some("") && counted > 0,
            (Seen::Counted, _) => span.is_none() && counted > 0,
            (Seen::Unseen, _) => span.is_none() && counted == 0,
        };
        ensure!(is_so, "{row} is said to be {seen:?}: status {status:?}, {counter} is {counted}");
        Ok(())
    }
}

/// The server that moves bytes in that way.
fn deep(world: &mut World, way: &str) -> Result<Option<App>> {
    if way == "ktls" {
        // Where the module is not there, the server says so.
        let _ = Command::new("modprobe").arg("tls").output();
    }
    let binary = world.compile("deep.c")?;
    let port = free_port()?;
    match world.serve(way, port, command(binary).arg(way).arg(port.to_string())) {
        Ok(app) => Ok(Some(app)),
        Err(error) if is_impossible(world, way)? => {
            println!("        {way}: not on this machine: {error:#}");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn is_impossible(world: &World, way: &str) -> Result<bool> {
    let status = Command::new(world.compile("deep.c")?).args([way, "0"]).output()?.status;
    Ok(status.to_string() == CANNOT)
}

fn doctor_says_of_each_kind_what_it_does_not_read(world: &mut World) -> Result<()> {
    for row in &SIGHTS {
        ensure!(ROUNDS.iter().copied().flatten().any(|(id, _)| *id == row.id), "{} is in no round", row.id);
    }
    let mut played = 0;
    for round in ROUNDS {
        let mut servers = Vec::new();
        for (row, counter) in round {
            servers.extend(Server::start(world, row, counter)?);
        }
        for (kind, name) in KINDS {
            played += usize::from(play(world, &servers, kind, name).with_context(|| name.to_owned())?);
        }
    }
    if played == 0 { Err(Skip("no kind of hook works here".to_owned()).into()) } else { Ok(()) }
}

/// One kind, and some rows; false if this kernel does not have it.
fn play(world: &World, servers: &[Server], kind: Kind, name: &str) -> Result<bool> {
    if servers.is_empty() {
        return Ok(false);
    }
    // Its thread waits for a request before the agent is there.
    let mut early = Vec::new();
    for server in servers {
        let waits = server.row == "waiting";
        early.push(if waits { Some(Connection::open(server.app.address())?) } else { None });
    }
    let Some(agent) = observe(world, servers, name)? else { return Ok(false) };
    for (server, waiting) in servers.iter().zip(&mut early) {
        server.ask(world, waiting.as_mut())?;
    }
    let finished = agent.stop()?;
    for server in servers {
        let row = SIGHTS.iter().find(|row| row.id == server.row);
        let seen = row.with_context(|| format!("{} is not in the table", server.row))?.by(kind);
        server.judge(&finished, seen)?;
        println!("        {name}: {} is {seen:?}", server.row);
    }
    Ok(true)
}

fn observe(world: &World, servers: &[Server], kind: &str) -> Result<Option<Agent>> {
    let start = world.agent()?.env("WIRESPAN_HOOK", kind);
    match servers.iter().fold(start, |start, server| start.port(server.app.port)).start() {
        Ok(agent) => Ok(Some(agent)),
        Err(error) if error.to_string().contains("no way to see") => Ok(None),
        Err(error) => Err(error),
    }
}
