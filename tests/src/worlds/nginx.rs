//! For whose request nginx calls, where it does more than hand on: subrequests, delays, retries, work after the answer, clients
//! that pipeline and clients that go away.
//!
//! Every request has an id; nginx gives its calls that id with a letter more. So each link is judged by itself, and more calls
//! than one may have the same id.
use super::scenes;
use crate::{
    http::{Connection, request},
    ledger::HEADER,
    process::command,
    span::Span,
    truth::plan::Dice,
    world::{App, World, free_port, own_binary},
};
use anyhow::{Context, Result, ensure};
use std::{
    collections::{BTreeMap, HashMap},
    fs,
};

scenes! { "nginx":
    calls_are_for_the_request_that_nginx_is_at_whatever_it_does_besides,
}

/// What the front does besides handing on, by the first part of the path, and the share of its calls whose parent is found.
const KINDS: [(&str, f64); 7] = [
    ("plain", 0.99),
    ("post", 0.99),
    ("auth", 0.99),
    ("limit", 0.99),
    ("retry", 0.99),
    // The copy is sometimes sent when the answer has begun, or is over.
    ("mirror", 0.75),
    // The answer is old, and the new one is fetched when that is sent.
    ("cache", 0.0),
];
/// Clients at once, requests that each of them writes at once, and how often.
const CLIENTS: usize = 64;
const PIPELINED: usize = 4;
const ROUNDS: usize = 40;
/// Every so many rounds a client goes away without its answers.
const LEAVES: usize = 9;
/// More than nginx keeps in memory.
const BODY: usize = 20_000;

fn config(world: &World, port: u16, leaf: u16) -> String {
    let root = world.scratch().display();
    let handed = |letter: char, rest: &str| {
        format!(
            r#"proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header X-Ledger-Id "${{http_x_ledger_id}}.{letter}"; {rest}"#
        )
    };
    let hand_on = handed('p', "proxy_pass http://leaf/;");
    let inner = "internal; proxy_pass_request_body off; proxy_set_header Content-Length \"\";";
    let (asked, copied) =
        (handed('a', "proxy_pass http://leaf/t/1s120;"), handed('m', "proxy_pass http://leaf/t/1s420;"));
    let (retried, kept) = (handed('p', "proxy_pass http://flaky/;"), handed('p', "proxy_pass http://leaf/;"));
    format!(
        r#"daemon off; worker_processes 2; error_log stderr crit; pid {root}/nginx.pid; user root;
events {{ worker_connections 4096; }}
http {{
  access_log off; client_body_temp_path {root}/body; proxy_temp_path {root}/proxy; fastcgi_temp_path {root}/fastcgi;
  uwsgi_temp_path {root}/uwsgi; scgi_temp_path {root}/scgi; keepalive_requests 1000000000; client_body_buffer_size 4k;
  limit_req_zone $server_port zone=slow:1m rate=300r/s; proxy_cache_path {root}/cache keys_zone=kept:1m;
  upstream leaf {{ server 127.0.0.1:{leaf}; keepalive 8; }}
  upstream flaky {{ server 127.0.0.1:{leaf} max_fails=0; server 127.0.0.1:{leaf} max_fails=0; keepalive 8; }}
  server {{
    listen 127.0.0.1:{port} backlog=2048;
    location /plain/ {{ {hand_on} }}
    location /post/ {{ {hand_on} }}
    location /auth/ {{ auth_request /asked; {hand_on} }}
    location = /asked {{ {inner} {asked} }}
    location /mirror/ {{ mirror /copied; {hand_on} }}
    location = /copied {{ {inner} {copied} }}
    location /limit/ {{ limit_req zone=slow burst=10000; {hand_on} }}
    location /retry/ {{ proxy_next_upstream error http_500; {retried} }}
    location /cache/ {{
      proxy_cache kept; proxy_cache_valid any 1s; proxy_cache_use_stale updating; proxy_cache_background_update on; {kept}
    }}
  }}
}}
"#
    )
}

fn programs(world: &mut World) -> Result<App> {
    let (port, leaf) = (free_port()?, free_port()?);
    let ledger = world.scratch().join("ledger");
    fs::create_dir_all(&ledger)?;
    let mut program = command(own_binary("truth-leaf")?);
    program.env("PORT", leaf.to_string()).env("SERVICE", "leaf").env("LEDGER", ledger);
    world.serve("leaf", leaf, &mut program)?;
    let path = world.scratch().join("nginx.conf");
    fs::write(&path, config(world, port, leaf))?;
    world.serve("nginx", port, command("nginx").args(["-e", "stderr", "-c"]).arg(path))
}

/// The bytes of a client's request; its id begins with its kind, or says that nobody waits for the answer.
fn asked(client: usize, n: usize, leaves: bool) -> Vec<u8> {
    let number = client * 31 + n;
    let (kind, _) = KINDS.get(number % KINDS.len()).copied().unwrap_or_default();
    // Waits of 0, 0, 2 and 10 ms; to be retried is what fails.
    let delay = Dice::new(number as u64).of(&[0, 0, 2, 4]);
    let status = if kind == "retry" { 5 } else { 2 };
    let path = match kind {
        "cache" => format!("/cache/t/1s{delay}2{}", number % 90),
        _ => format!("/{kind}/t/1s{delay}{status}0"),
    };
    let named = if leaves { "left" } else { kind };
    let id = format!("{named}-{client}-{n}");
    if kind != "post" {
        return request("GET", &path, &[(HEADER, &id)]).into_bytes();
    }
    let length = BODY.to_string();
    let mut bytes = request("POST", &path, &[(HEADER, &id), ("content-length", &length)]).into_bytes();
    bytes.resize(bytes.len() + BODY, b'x');
    bytes
}

fn client(front: App, client: usize) -> Result<()> {
    let mut connection = Connection::open(front.address())?;
    for round in 0..ROUNDS {
        let numbers = (0..PIPELINED).map(|n| round * PIPELINED + n);
        let leaves = (client + round).is_multiple_of(LEAVES);
        let batch: Vec<u8> = numbers.flat_map(|n| asked(client, n, leaves)).collect();
        connection.send(batch)?;
        if leaves {
            // Some of it may be answered before the end is seen, and calls are made after it.
            connection = Connection::open(front.address())?;
            continue;
        }
        for _ in 0..PIPELINED {
            connection.response("GET")?;
        }
    }
    Ok(())
}

fn calls_are_for_the_request_that_nginx_is_at_whatever_it_does_besides(world: &mut World) -> Result<()> {
    let front = programs(world)?;
    let exported = world.scratch().join("spans.jsonl");
    let agent = world.agent()?.env("WIRESPAN_REQUEST_HEADERS", HEADER).port(front.port).into_file(exported);
    let agent = agent.start()?;
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|number| scope.spawn(move || client(front, number))).collect();
        clients
            .into_iter()
            .try_for_each(|client| client.join().map_err(|_| anyhow::anyhow!("a client panicked"))?)
    })?;
    let finished = agent.stop()?;
    let losses = finished.of_class("loss");
    judge(&finished.spans, !losses.is_empty())
        .with_context(|| format!("losses {losses:?}, {:?}", finished.of_class("unparented")))
}

/// The id that the header carried.
fn id(span: &Span) -> &str {
    span.attribute("http.request.header.x-ledger-id").trim_matches(['[', ']'])
}

/// Each call's parent is the request whose id it has, and of each kind enough are found. A loss that the agent counted may
/// have taken links away: they say so, and count neither way.
fn judge(spans: &[Span], was_lost: bool) -> Result<()> {
    let by_id: HashMap<&str, &Span> = spans.iter().map(|span| (span.span_id.as_str(), span)).collect();
    let mut found: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for call in spans.iter().filter(|span| span.kind == "client") {
        let (truth, _) =
            id(call).rsplit_once('.').with_context(|| format!("a call without an id: {call}"))?;
        let kind = truth.split('-').next().unwrap_or_default();
        let (linked, all) = found.entry(kind).or_default();
        if was_lost && call.attribute("wirespan.unparented.reason") == "after_loss" {
            continue;
        }
        *all += 1;
        if call.parent_id.is_empty() {
            continue;
        }
        *linked += 1;
        let parent = by_id.get(call.parent_id.as_str()).context("a parent that is not there")?;
        ensure!(
            parent.kind == "server" && id(parent) == truth && parent.trace_id == call.trace_id,
            "{call} is for {truth}, not for {} ({})",
            id(parent),
            call.attribute("wirespan.evidence")
        );
    }
    println!("        linked of all calls: {found:?}");
    for (kind, least) in KINDS {
        let (linked, all) = found.get(kind).copied().unwrap_or_default();
        ensure!(all > 0 && linked as f64 >= all as f64 * least, "{kind}: {linked} of {all} calls are linked");
    }
    Ok(())
}
