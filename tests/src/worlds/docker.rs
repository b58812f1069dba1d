//! Plain containers: which one a span comes from, what it is called, and that what is in a container's own files is found there.
//!
//! Shape: a Docker engine of the world's own, images from what this machine has, containers on its network.
use super::{
    engine::{Container, Engine},
    links, scenes,
};
use crate::{
    agent::Agent,
    expect::{client, server},
    http::Connection,
    process::{self, command},
    span::Span,
    wait::{PATIENCE, eventually},
    world::{World, free_port, goroutines, repository},
};
use anyhow::{Context, Result, ensure};
use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

scenes! { "docker":
    spans_of_a_container_say_which_it_is_and_what_it_is_called,
    without_a_socket_they_say_which_it_is,
    containers_of_one_image_share_its_probes_and_no_link_is_false,
    a_library_inside_a_container_is_found_there,
}

const IMAGE: &str = "registry.example:5000/shop/goroutines:7";

/// An engine with an image of the Go service.
fn engine(world: &World) -> Result<Engine> {
    let engine = Engine::start(world)?;
    let root = world.scratch().join("root");
    fs::create_dir_all(&root)?;
    fs::copy(goroutines()?, root.join("goroutines"))?;
    engine.import(&root, IMAGE)?;
    Ok(engine)
}

/// The Go service in a container; with a back it makes no calls but those that it is asked for.
fn go(engine: &Engine, options: &[&str], port: u16, back: Option<u16>) -> Result<Container> {
    let mut program = vec!["/goroutines".to_owned(), port.to_string()];
    if let Some(back) = back {
        program.extend([back.to_string(), "64".to_owned(), "0".to_owned(), "0".to_owned()]);
    }
    let program: Vec<&str> = program.iter().map(String::as_str).collect();
    engine.serve(port, options, IMAGE, &program)
}

/// What a span's resource must say, key by key.
fn demand(span: &Span, wanted: &[(&str, &str)]) -> Result<()> {
    for (key, value) in wanted {
        let said = span.resource.get(*key).map_or("", String::as_str);
        ensure!(said == *value, "{key} is `{said}`, not `{value}`: {span}");
    }
    Ok(())
}

fn spans_of_a_container_say_which_it_is_and_what_it_is_called(world: &mut World) -> Result<()> {
    let engine = engine(world)?;
    let outside = world.hyper()?;
    let ports = [free_port()?, free_port()?];
    let back = go(&engine, &["--name=stock"], ports[0], None)?;
    // One container is there before the agent, the other comes after it: its first request is its name's race.
    let agent = world.agent()?.env("WIRESPAN_CONTAINER_SOCKETS", &engine.socket());
    let agent = agent.port(ports[0]).port(ports[1]).port(outside.port).start()?;
    let labels = ["--label=com.docker.compose.project=shop", "--label=com.docker.compose.service=cart"];
    let options = [&["--name=shop-cart-1"], &labels[..]].concat();
    let front = go(&engine, &options, ports[1], Some(ports[0]))?;
    Connection::open(front.app.address())?.get("/front/seq/1", &[])?;
    Connection::open(outside.address())?.get("/outside", &[])?;

    let asked = agent.expect(&server("GET").path("/front/seq/1"))?;
    let calls = agent.expect_count(&client("GET").child_of(&asked), 1)?;
    let answered = agent.expect(&server("GET").child_of(calls.first().context("a call")?))?;
    let common = [
        ("container.image.name", "registry.example:5000/shop/goroutines"),
        ("container.image.tags", "[7]"),
        ("container.runtime.name", "docker"),
    ];
    demand(&asked, &common)?;
    demand(&answered, &common)?;
    let (cart, stock) = (front.id.as_str(), back.id.as_str());
    demand(&asked, &[("container.id", cart), ("container.name", "shop-cart-1")])?;
    demand(&asked, &[("service.name", "cart"), ("service.namespace", "shop")])?;
    demand(&answered, &[("container.id", stock), ("container.name", "stock")])?;
    demand(&answered, &[("service.name", "goroutines"), ("service.namespace", "")])?;
    let plain = agent.expect(&server("GET").path("/outside"))?;
    demand(&plain, &[("container.id", ""), ("container.name", "")])?;
    let text = world.explained(front.app.pid, &[])?;
    let wanted = format!("in docker `shop-cart-1` {cart}, image registry.example:5000/shop/goroutines");
    ensure!(text.contains(&wanted), "no `{wanted}` in:\n{text}");

    let finished = agent.stop()?;
    let unnamed = finished.spans.iter().find(|span| {
        span.resource.contains_key("container.id") && !span.resource.contains_key("container.name")
    });
    ensure!(unnamed.is_none(), "a span went before its container had a name: {unnamed:?}");
    let counted =
        ["containers.named", "containers.unanswered", "names.unnamed"].map(|name| finished.counter(name));
    ensure!(counted == [2, 0, 0], "named, unanswered and unnamed: {counted:?}");
    Ok(())
}

fn without_a_socket_they_say_which_it_is(world: &mut World) -> Result<()> {
    let engine = engine(world)?;
    let agent = |port: u16, sockets: &str| {
        world.agent()?.env("WIRESPAN_CONTAINER_SOCKETS", sockets).port(port).start()
    };
    let absent = world.scratch().join("absent.sock").display().to_string();
    for sockets in ["none", &absent] {
        let port = free_port()?;
        let agent = agent(port, sockets)?;
        let service = go(&engine, &[], port, None)?;
        Connection::open(service.app.address())?.get("/front/seq/1", &[])?;
        let span = agent.expect(&server("GET").path("/front/seq/1"))?;
        demand(
            &span,
            &[("container.id", &service.id), ("container.name", ""), ("service.name", "goroutines")],
        )?;
    }
    Ok(())
}

/// A call's parent is the request that its path names, and nearly all that are not for learning have one.
fn judge(spans: &[Span], calls: usize, learning: usize) -> Result<()> {
    let by_id: HashMap<&str, &Span> = spans.iter().map(|span| (span.span_id.as_str(), span)).collect();
    let request = |span: &Span| {
        let full = span.attribute("url.full");
        let path = if full.is_empty() { span.path() } else { full };
        path.rsplit('/').next().unwrap_or_default().to_owned()
    };
    let mut right = 0;
    for call in spans.iter().filter(|span| span.kind == "client" && !span.parent_id.is_empty()) {
        let parent = by_id.get(call.parent_id.as_str()).context("a parent is missing")?;
        ensure!(request(call) == request(parent), "a false link: {call} to {parent}");
        right += 1;
    }
    ensure!(right * 100 >= calls.saturating_sub(learning) * 99, "{right} of {calls} calls have their parent");
    Ok(())
}

/// Waits for so many calls and ends the agent.
fn gather(agent: Agent, calls: usize) -> Result<crate::agent::Finished> {
    eventually(&format!("{calls} calls"), PATIENCE, || {
        let spans = agent.spans()?;
        Ok((spans.iter().filter(|span| span.kind == "client").count() >= calls).then_some(()))
    })?;
    agent.stop()
}

fn containers_of_one_image_share_its_probes_and_no_link_is_false(world: &mut World) -> Result<()> {
    let engine = engine(world)?;
    let back = go(&engine, &[], free_port()?, None)?;
    let fronts = [
        go(&engine, &[], free_port()?, Some(back.app.port))?,
        go(&engine, &[], free_port()?, Some(back.app.port))?,
    ];
    let mut agent = world.agent()?.env("WIRESPAN_LOG", "info,wirespan::attach=debug").port(back.app.port);
    for front in &fronts {
        agent = agent.port(front.app.port);
    }
    let agent = agent.start()?;
    let (clients, each, ways) = (16, 20, ["seq", "par2", "nested"]);
    for front in &fronts {
        links::drive(front.app, clients, each, |client, n| {
            let way = ways.get((client + n) % ways.len()).unwrap_or(&"");
            format!("/front/{way}/p{}c{client}n{n}", front.app.port)
        })?;
    }
    let asked = (0..clients).flat_map(|client| (0..each).map(move |n| (client + n) % ways.len()));
    let calls: usize = asked.map(|way| if way == 1 { 2 } else { 1 }).sum::<usize>() * fronts.len();
    let finished = gather(agent, calls)?;
    // Each `go` statement of each process is learned by five calls: that of `par2` and the two of `nested`.
    judge(&finished.spans, calls, 5 * 3 * fronts.len())?;
    // With a probe for each container, each would be called as often as there are containers.
    let attached = finished.log.iter().filter(|line| line.contains("program with probes")).count();
    ensure!(attached == 1, "{attached} files have probes: {:#?}", finished.log);
    Ok(())
}

/// Where a container has the interpreter, and this machine has nothing.
const LIBRARY: &str = "/opt/interpreter/lib/libpython3.11.so.1.0";
/// Debian's.
const OUTSIDE: &str = "/usr/lib/x86_64-linux-gnu/libpython3.11.so.1.0";
/// Its modules, which the container borrows.
const MODULES: &str = "/usr/lib/python3.11";
const PYTHON: &str = "local/python:3.11";

/// An image with a program and the libraries that it and the interpreter need.
fn import_python(world: &World, engine: &Engine) -> Result<()> {
    let program = world.compile("embed.c")?;
    let root = world.scratch().join("python");
    let into = |from: &Path, name: &str| -> Result<()> {
        let to = root.join(name.trim_start_matches('/'));
        fs::create_dir_all(to.parent().context("a file is in a folder")?)?;
        fs::copy(from, &to).with_context(|| format!("copy {}", from.display())).map(drop)
    };
    into(&program, "/opt/interpreter/bin/python3")?;
    into(Path::new(OUTSIDE), LIBRARY)?;
    for needing in [program.as_path(), Path::new(OUTSIDE)] {
        let (text, _) = process::output(command("ldd").arg(needing), 0)?;
        for library in text.split_whitespace().filter(|word| word.starts_with('/')) {
            into(Path::new(library), library)?;
        }
    }
    engine.import(&root, PYTHON)
}

fn a_library_inside_a_container_is_found_there(world: &mut World) -> Result<()> {
    let engine = Engine::start(world)?;
    ensure!(!PathBuf::from(LIBRARY).exists(), "{LIBRARY} is there outside of the container too");
    import_python(world, &engine)?;
    let apps = format!("--volume={}:/apps:ro", repository()?.join("tests/apps").display());
    let modules = format!("--volume={MODULES}:{MODULES}:ro");
    let options = [modules.as_str(), &apps, "--env=PYTHONHOME=/usr"];
    let ports = [free_port()?, free_port()?];
    let agent = world.agent()?.port(ports[0]).port(ports[1]).start()?;
    let serve = |port: u16, back: u16| {
        let (port_text, back) = (port.to_string(), back.to_string());
        let program =
            ["/opt/interpreter/bin/python3", LIBRARY, "/apps/contexts.py", &port_text, &back, "task"];
        engine.serve(port, &options, PYTHON, &program)
    };
    serve(ports[0], 0)?;
    let front = serve(ports[1], ports[0])?;
    let text = eventually("the interpreter's births", PATIENCE, || {
        let text = world.explained(front.app.pid, &[])?;
        Ok(text.contains("tasks that a request's task starts: probes at").then_some(text))
    })?;
    let wanted = format!("CPython 3.11: contexts are known; {LIBRARY}");
    ensure!(text.contains(&wanted), "no `{wanted}` in:\n{text}");
    let (clients, each, ways) = (16, 10, ["nested", "par", "thread"]);
    links::drive(front.app, clients, each, |client, n| {
        format!("/front/{}/c{client}n{n}", ways.get((client + n) % ways.len()).unwrap_or(&""))
    })?;
    let asked = (0..clients).flat_map(|client| (0..each).map(move |n| (client + n) % ways.len()));
    let calls: usize = asked.map(|way| if way == 2 { 1 } else { 2 }).sum();
    judge(&gather(agent, calls)?.spans, calls, 0)
}
