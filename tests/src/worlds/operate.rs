//! The agent in the hands of operators: killed, restarted, beside processes that come and go.
use super::scenes;
use crate::{
    agent::Agent,
    expect::server,
    http::{Connection, request},
    process::{Process, command},
    wait::{PATIENCE, eventually},
    world::{App, World, free_port},
};
use anyhow::{Context, Result, bail, ensure};
use std::{
    collections::BTreeSet,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::Command,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

scenes! { "operate":
    a_process_that_serves_one_request_and_exits_is_traced,
    a_reused_pid_is_another_program,
    nothing_stays_attached_after_kill_9,
    an_echo_is_exact_to_the_byte_while_agents_come_and_go,
    a_download_of_1_gib_costs_a_handful_of_records,
}

fn a_process_that_serves_one_request_and_exits_is_traced(world: &mut World) -> Result<()> {
    let binary = world.compile("calls.c")?;
    let port = free_port()?;
    let agent = world.agent()?.port(port).start()?;
    for n in 0..20 {
        let mut once = Command::new(&binary);
        let mut process = Process::start("calls once", once.arg("once").arg(port.to_string()))?;
        let mut connection = eventually("the short-lived server", PATIENCE, || {
            Ok(Connection::open(SocketAddr::from(([127, 0, 0, 1], port))).ok())
        })?;
        let path = format!("/once/{n}");
        ensure!(connection.get(&path, &[])?.status == 200, "no answer");
        process.wait(PATIENCE)?;
        let wanted =
            server("GET").path(&path).status(200).fact("resource process.pid", &process.pid().to_string());
        agent.expect(&wanted.fact("resource process.executable.name", "calls"))?;
    }
    Ok(())
}

fn a_reused_pid_is_another_program(world: &mut World) -> Result<()> {
    let calls = world.compile("calls.c")?;
    let clone_at = world.compile("clone-at.c")?;
    let first = world.calls("read-write")?;
    let agent = world.agent()?.port(first.port).start()?;
    Connection::open(first.address())?.get("/first", &[])?;
    agent.expect(&server("GET").path("/first").fact("resource process.pid", &first.pid.to_string()))?;

    // The same pid on a port that nobody asked for: another program.
    let at_pid = |port: u16, way: &str| {
        let mut command = command(&clone_at);
        command.arg(first.pid.to_string()).arg(&calls).arg(way).arg(port.to_string());
        command
    };
    world.end(first)?;
    let port = free_port()?;
    let other = world.serve("second calls", port, &mut at_pid(port, "recv-send"))?;
    ensure!(
        std::fs::read_to_string(format!("/proc/{}/cmdline", first.pid))?.contains("recv-send"),
        "no reuse of the pid"
    );
    Connection::open(other.address())?.get("/second", &[])?;

    // And again on the chosen port: observed, because it listens there, not because of its number.
    world.end(other)?;
    free(first.pid)?;
    let third = world.serve("third calls", first.port, &mut at_pid(first.port, "recvfrom-sendto"))?;
    Connection::open(third.address())?.get("/third", &[])?;
    agent.expect(&server("GET").path("/third").status(200))?;
    let spans = agent.stop()?.spans;
    ensure!(spans.iter().all(|span| span.path() != "/second"), "a verdict outlived its program");
    Ok(())
}

/// A killed child of a killed parent is reaped by init, soon.
fn free(pid: u32) -> Result<()> {
    eventually("the pid to be free", PATIENCE, || {
        Ok((!Path::new(&format!("/proc/{pid}")).exists()).then_some(()))
    })
}

/// What the kernel holds for the agent: ids from the descriptors of its process.
fn kernel_objects(agent: &Agent, key: &str) -> Result<BTreeSet<u32>> {
    let mut ids = BTreeSet::new();
    for entry in std::fs::read_dir(format!("/proc/{}/fdinfo", agent.process.pid()))? {
        let text = std::fs::read_to_string(entry?.path()).unwrap_or_default();
        let values = text.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        ids.extend(values.filter_map(|value| value.trim().parse::<u32>().ok()));
    }
    Ok(ids)
}

fn nothing_stays_attached_after_kill_9(world: &mut World) -> Result<()> {
    let app = world.hyper()?;
    let agent = world.observe(app)?;
    Connection::open(app.address())?.get("/before", &[])?;
    agent.expect(&server("GET").path("/before"))?;
    let programs = kernel_objects(&agent, "prog_id")?;
    let maps = kernel_objects(&agent, "map_id")?;
    ensure!(!programs.is_empty() && !maps.is_empty(), "the agent holds no programs: {programs:?} {maps:?}");
    let pinned = pins();
    agent.kill()?;
    eventually("the kernel to let go", PATIENCE, || {
        let programs_left: Vec<u32> = aya::programs::loaded_programs()
            .filter_map(|info| Some(info.ok()?.id()))
            .filter(|id| programs.contains(id))
            .collect();
        let maps_left: Vec<u32> = aya::maps::loaded_maps()
            .filter_map(|info| Some(info.ok()?.id()))
            .filter(|id| maps.contains(id))
            .collect();
        Ok((programs_left.is_empty() && maps_left.is_empty()).then_some(()))
    })?;
    ensure!(pins() == pinned, "something is pinned");
    // And the next agent starts as if nothing had been.
    let agent = world.observe(app)?;
    Connection::open(app.address())?.get("/after", &[])?;
    agent.expect(&server("GET").path("/after"))?;
    Ok(())
}

/// Names in the BPF file system, if one is mounted.
fn pins() -> BTreeSet<String> {
    let entries = std::fs::read_dir("/sys/fs/bpf").into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

fn an_echo_is_exact_to_the_byte_while_agents_come_and_go(world: &mut World) -> Result<()> {
    const CONNECTIONS: u64 = 32;
    let app = world.calls("echo")?;
    let (over, moved) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let (over, moved) = (&over, &moved);
        let clients: Vec<_> =
            (0..CONNECTIONS).map(|n| scope.spawn(move || echo(app, n + 1, over, moved))).collect();
        let play = agents_come_and_go(world, app, moved);
        over.store(true, Ordering::Relaxed);
        for client in clients {
            client.join().map_err(|_| anyhow::anyhow!("a client panicked"))??;
        }
        play
    })?;
    let total = moved.load(Ordering::Relaxed);
    println!("        {:.1} GiB came back as they went", total as f64 / f64::from(1 << 30));
    Ok(())
}

/// Start, kill, start, until a gibibyte has come back.
fn agents_come_and_go(world: &World, app: App, moved: &AtomicU64) -> Result<()> {
    let more = |bytes: u64| {
        let goal = moved.load(Ordering::Relaxed) + bytes;
        eventually("bytes to come back", Duration::from_secs(120), || {
            Ok((moved.load(Ordering::Relaxed) >= goal).then_some(()))
        })
    };
    more(64 << 20)?;
    for _ in 0..2 {
        let agent = world.observe(app)?;
        more(256 << 20)?;
        agent.kill()?;
        more(64 << 20)?;
    }
    let agent = world.observe(app)?;
    more(400 << 20)?;
    agent.stop()?;
    Ok(())
}

/// Sends a stream that only this connection has, and compares what comes back.
fn echo(app: App, seed: u64, over: &AtomicBool, moved: &AtomicU64) -> Result<()> {
    let mut stream = TcpStream::connect(app.address())?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut state = seed;
    let (mut sent, mut back) = (vec![0; 32 * 1024], vec![0; 32 * 1024]);
    while !over.load(Ordering::Relaxed) {
        for word in sent.chunks_exact_mut(8) {
            // xorshift64: cheap, and different at every place of every stream.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            word.copy_from_slice(&state.to_le_bytes());
        }
        stream.write_all(&sent)?;
        stream.read_exact(&mut back)?;
        if sent != back {
            bail!("connection {seed} got other bytes than it sent");
        }
        moved.fetch_add(sent.len() as u64, Ordering::Relaxed);
    }
    Ok(())
}

fn a_download_of_1_gib_costs_a_handful_of_records(world: &mut World) -> Result<()> {
    const GIB: u64 = 1 << 30;
    for name in ["by-python", "by-sendfile", "by-write"] {
        std::fs::File::create(world.scratch().join(name))?.set_len(GIB)?;
    }
    let folder = world.scratch().to_path_buf();
    let python = world.python_http_server(&folder)?;
    let nginx = world.nginx("root $root; location /by-write { sendfile off; }")?;
    let agent = world.agent()?.port(python.port).port(nginx.port).start()?;
    for (app, path) in [(python, "/warm/python"), (nginx, "/warm/nginx")] {
        Connection::open(app.address())?.get(path, &[])?;
        agent.expect(&server("GET").path(path).status(404))?;
    }
    let before = agent.process.resident_bytes()?;
    for (app, path) in [(python, "/by-python"), (nginx, "/by-sendfile"), (nginx, "/by-write")] {
        let mut connection = Connection::open(app.address())?;
        connection.send(request("GET", path, &[]))?;
        let response = connection.response("GET").with_context(|| path.to_owned())?;
        ensure!(response.body_bytes == GIB, "{path}: {} bytes", response.body_bytes);
        connection.get("/none/after", &[])?;
        let span = agent.expect(&server("GET").path(path).status(200).lacks("error.type"))?;
        println!("        {path}: {:.0} ms", (span.end_ns - span.start_ns) as f64 / 1e6);
    }
    let grown = agent.process.resident_bytes()?.saturating_sub(before);
    let finished = agent.stop()?;
    ensure!(grown < 2 << 20, "the agent has grown by {grown} bytes");
    let records = finished.counter("assemble.records");
    println!("        {records} records in all, the agent grew by {} KiB", grown / 1024);
    ensure!(records > 0 && records < 200, "{records} records for three downloads");
    Ok(())
}
