//! HTTP/1 in every shape, through servers that nobody prepared.
use super::scenes;
use crate::{
    expect::server,
    http::{Connection, request},
    wait,
    world::{App, World},
};
use anyhow::{Result, ensure};
use std::time::Duration;

scenes! { "http":
    a_request_to_python_is_a_server_span,
    pipelined_requests_get_their_own_answers,
    bodies_in_chunks_both_ways_end_where_they_end,
    head_and_bodyless_answers_do_not_swallow_the_next,
    one_hundred_continue_is_not_the_answer,
    an_early_answer_and_an_upgrade_end_as_a_person_expects,
    an_aborted_upload_says_who_went_away,
    connections_that_were_open_before_the_agent_are_traced_from_the_next_request_on,
    ipv6_and_mapped_ipv4_are_told_apart,
    unix_sockets_are_not_tcp,
}

const NGINX: &str =
    "location /ok { return 200 ok; } location /no { return 404 no; } location /moved { return 301 /ok; }
    location /none { return 204; }";

fn a_request_to_python_is_a_server_span(world: &mut World) -> Result<()> {
    std::fs::write(world.scratch().join("a.txt"), "hello")?;
    let folder = world.scratch().to_path_buf();
    let app = world.python_http_server(&folder)?;
    let agent = world.observe(app)?;
    let mut connection = Connection::open(app.address())?;
    let response = connection.get("/a.txt", &[("User-Agent", "world/1")])?;
    ensure!(response.status == 200 && response.body == b"hello", "python answered {response:?}");
    let wanted = server("GET").path("/a.txt").status(200).root().fact("span status", "unset");
    let wanted = wanted.fact("url.scheme", "http").fact("network.protocol.version", "1.1");
    let wanted = wanted.fact("server.address", "example.test").fact("client.address", "127.0.0.1");
    let wanted = wanted.fact("user_agent.original", "world/1").lacks("error.type").lacks("url.query");
    let wanted = wanted.fact("network.peer.port", &connection.local_port()?.to_string());
    agent.expect(&wanted.fact("resource process.pid", &app.pid.to_string()).has("resource service.name"))?;
    Ok(())
}

fn pipelined_requests_get_their_own_answers(world: &mut World) -> Result<()> {
    let nginx = world.nginx(NGINX)?;
    let hyper = world.hyper()?;
    let agent = world.agent()?.port(nginx.port).port(hyper.port).start()?;
    let mut wanted: Vec<(u32, String, u16)> = Vec::new();
    let servers = [
        (nginx, ["ok", "no", "moved", "none"]),
        (hyper, ["status/200", "status/404", "status/301", "status/204"]),
    ];
    for (app, routes) in servers {
        let mut connection = Connection::open(app.address())?;
        // A short pipeline, then one whose answers are more than is copied of one turn, then a short one again. After the long
        // one it is not certain which answer belongs to which request as long as the client may have more in flight.
        // A second of silence settles it.
        for (round, count) in [(0, 12_u32), (1, 400), (2, 12), (3, 12)] {
            if round == 3 {
                wait::pass(Duration::from_millis(1200));
            }
            let kinds = routes.iter().zip([200, 404, 301, 204]).cycle();
            let new: Vec<(u32, String, u16)> = (0..count)
                .zip(kinds)
                .map(|(n, (route, status))| (round, format!("/{route}/{round}-{n}"), status))
                .collect();
            connection.send(new.iter().map(|(_, path, _)| request("GET", path, &[])).collect::<String>())?;
            for (_, path, status) in &new {
                ensure!(connection.response("GET")?.status == *status, "{path}: not {status}");
            }
            wanted.extend(new);
        }
    }
    agent.expect(&server("GET").path("/status/204/3-11").status(204))?;
    let finished = agent.stop()?;
    let mut missing = 0;
    for (round, path, status) in wanted {
        if round == 0 || round == 3 {
            finished.only(&server("GET").path(&path).status(status).lacks("error.type"))?;
            continue;
        }
        // Of a long pipeline, and after it, some answers may be unseen: then the span says so, or the loss is counted.
        let Some(span) = finished.spans.iter().find(|span| span.path() == path) else {
            missing += 1;
            continue;
        };
        let is = span.attribute("http.response.status_code");
        let unseen = is.is_empty() && span.attribute("wirespan.incomplete").contains("response");
        ensure!(is == status.to_string() || unseen, "{path} was {status}: {span} {:?}", span.attributes);
    }
    println!("        {missing} of 824 requests of long pipelines and after them have no span");
    let counted = finished.counter("assemble.unpaired_requests");
    ensure!(missing <= counted, "{missing} spans are missing, {counted} are counted");
    Ok(())
}

fn bodies_in_chunks_both_ways_end_where_they_end(world: &mut World) -> Result<()> {
    let hyper = world.hyper()?;
    let proxy = world.nginx(&format!(
        "location / {{ proxy_pass http://127.0.0.1:{}; proxy_http_version 1.1; proxy_request_buffering off; }}",
        hyper.port
    ))?;
    let agent = world.agent()?.port(hyper.port).port(proxy.port).start()?;
    for (n, app) in [hyper, proxy].into_iter().enumerate() {
        let mut connection = Connection::open(app.address())?;
        for chunk_bytes in [1_usize, 100, 20_000, 300_000] {
            let path = format!("/echo/{n}/{chunk_bytes}");
            connection.send(request("POST", &path, &[("Transfer-Encoding", "chunked")]))?;
            // The end of a chunked body, inside a chunk: no end of the message.
            let data = "\r\n0\r\n\r\n".repeat(chunk_bytes.div_ceil(7));
            for _ in 0..4 {
                connection.send(format!("{:x};ext=1\r\n{data}\r\n", data.len()))?;
            }
            connection.send("0\r\nTrailer: yes\r\n\r\n")?;
            let response = connection.response("POST")?;
            ensure!(response.body_bytes == 4 * data.len() as u64, "echo of {} bytes", response.body_bytes);
            agent.expect(&server("POST").path(&path).status(200).lacks("error.type"))?;
        }
        let many = connection.get(&format!("/chunks/50000/{n}"), &[])?;
        ensure!(many.body_bytes == 250_000, "{} bytes in chunks", many.body_bytes);
        connection.get(&format!("/status/404/{n}"), &[])?;
        agent.expect(&server("GET").path(&format!("/chunks/50000/{n}")).status(200).lacks("error.type"))?;
        agent.expect(&server("GET").path(&format!("/status/404/{n}")).status(404))?;
    }
    Ok(())
}

fn head_and_bodyless_answers_do_not_swallow_the_next(world: &mut World) -> Result<()> {
    std::fs::write(world.scratch().join("file"), vec![b'x'; 5000])?;
    let folder = world.scratch().to_path_buf();
    let python = world.python_http_server(&folder)?;
    let nginx = world.nginx("root $root; location /none { return 204; }")?;
    let hyper = world.hyper()?;
    let agent = world.agent()?.port(python.port).port(nginx.port).port(hyper.port).start()?;
    let rounds: [(App, &str, &str, u16); 6] = [
        (python, "HEAD", "/file", 200),
        (nginx, "HEAD", "/file", 200),
        (nginx, "GET", "/none", 204),
        (hyper, "HEAD", "/length/5000", 200),
        (hyper, "GET", "/status/204", 204),
        (hyper, "GET", "/status/304", 304),
    ];
    for (n, (app, method, path, status)) in rounds.into_iter().enumerate() {
        let mut connection = Connection::open(app.address())?;
        connection.send(request(method, path, &[]))?;
        let is = connection.response(method)?.status;
        ensure!(is == status, "{method} {path} gave {is}");
        let next = format!("/after/{n}");
        let after = connection.get(&next, &[])?.status;
        agent.expect(&server(method).path(path).status(status).lacks("error.type"))?;
        agent.expect(&server("GET").path(&next).status(after))?;
    }
    Ok(())
}

fn one_hundred_continue_is_not_the_answer(world: &mut World) -> Result<()> {
    let app = world.hyper()?;
    let agent = world.observe(app)?;
    let mut connection = Connection::open(app.address())?;
    for n in 0..2 {
        let path = format!("/sink/{n}");
        connection.send(request("PUT", &path, &[("Content-Length", "10"), ("Expect", "100-continue")]))?;
        ensure!(connection.response("PUT")?.status == 100, "hyper did not say 100 first");
        connection.send("0123456789")?;
        ensure!(connection.response("PUT")?.body == b"10", "hyper read another body");
        agent.expect(&server("PUT").path(&path).status(200))?;
    }
    ensure!(agent.stop()?.spans.len() == 2, "two requests are two spans");
    Ok(())
}

fn an_early_answer_and_an_upgrade_end_as_a_person_expects(world: &mut World) -> Result<()> {
    let app = world.hyper()?;
    let agent = world.observe(app)?;
    let mut early = Connection::open(app.address())?;
    early.send(request("POST", "/early/1", &[("Content-Length", "1000000")]))?;
    early.send(vec![b'x'; 1000])?;
    ensure!(early.response("POST")?.status == 413, "hyper did not answer early");
    drop(early);
    agent.expect(&server("POST").path("/early/1").status(413))?;

    let mut upgrade = Connection::open(app.address())?;
    upgrade.send(request("GET", "/upgrade", &[("Connection", "upgrade"), ("Upgrade", "echo")]))?;
    ensure!(upgrade.response("GET")?.status == 101, "hyper did not upgrade");
    // What follows looks like a request and is none.
    upgrade.send(request("GET", "/not-http-any-more", &[]))?;
    upgrade.finish()?;
    upgrade.rest()?;
    agent.expect(&server("GET").path("/upgrade").status(101).lacks("error.type"))?;
    let spans = agent.stop()?.spans;
    ensure!(spans.len() == 2, "an upgraded connection gave spans: {spans:?}");
    Ok(())
}

fn an_aborted_upload_says_who_went_away(world: &mut World) -> Result<()> {
    let app = world.hyper()?;
    let agent = world.observe(app)?;
    let mut connection = Connection::open(app.address())?;
    connection.send(request("PUT", "/sink/aborted", &[("Content-Length", "1000000")]))?;
    connection.send(vec![b'x'; 100_000])?;
    drop(connection);
    agent
        .expect(&server("PUT").path("/sink/aborted").has("error.type").lacks("http.response.status_code"))?;

    let mut connection = Connection::open(app.address())?;
    connection.get("/status/200/next", &[])?;
    agent.expect(&server("GET").path("/status/200/next").status(200).lacks("error.type"))?;
    Ok(())
}

fn connections_that_were_open_before_the_agent_are_traced_from_the_next_request_on(
    world: &mut World,
) -> Result<()> {
    let nginx = world.nginx(NGINX)?;
    let python = world.python("threads.py", &[])?;
    let mut open = [Connection::open(nginx.address())?, Connection::open(python.address())?];
    let mut idle = [Connection::open(nginx.address())?, Connection::open(python.address())?];
    for connection in &mut open {
        connection.get("/ok/before", &[])?;
    }
    let agent = world.agent()?.port(nginx.port).port(python.port).start()?;
    // They must see a call begin, and threads of Python wait in one already.
    let must_see_begin = matches!(agent.kind.as_str(), "fentry" | "kprobe");
    let threads = python.address();
    for (n, connection) in open.iter_mut().chain(&mut idle).enumerate() {
        for round in 0..3 {
            connection.get(&format!("/ok/{n}/{round}"), &[])?;
            if round == 0 && must_see_begin && connection.peer()? == threads {
                continue;
            }
            agent.expect(&server("GET").path(&format!("/ok/{n}/{round}")).status(200))?;
        }
    }
    Ok(())
}

fn ipv6_and_mapped_ipv4_are_told_apart(world: &mut World) -> Result<()> {
    let app = world.hyper()?;
    let agent = world.observe(app)?;
    Connection::open(app.address())?.get("/v4", &[])?;
    Connection::open(([0, 0, 0, 0, 0, 0, 0, 1], app.port).into())?.get("/v6", &[])?;
    agent.expect(&server("GET").path("/v4").fact("network.peer.address", "127.0.0.1"))?;
    agent.expect(&server("GET").path("/v6").fact("network.peer.address", "::1"))?;
    Ok(())
}

fn unix_sockets_are_not_tcp(world: &mut World) -> Result<()> {
    let path = world.scratch().join("door").display().to_string();
    let app = world.python("unix_socket.py", &[&path])?;
    let agent = world.observe(app)?;
    let mut unix = std::process::Command::new("curl");
    unix.args(["-sS", "--unix-socket", &path, "http://localhost/unix/[1-20]"]);
    crate::process::output(&mut unix, 0)?;
    Connection::open(app.address())?.get("/tcp", &[])?;
    agent.expect(&server("GET").path("/tcp").status(200))?;
    let spans = agent.stop()?.spans;
    ensure!(spans.len() == 1, "a unix socket gave spans: {spans:?}");
    Ok(())
}
