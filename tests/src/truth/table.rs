//! Which programs the ledger judges: one row per runtime, and how its program is started.
//!
//! Shape: [`RUNTIMES`]. A row's program is under `tests/apps/truth`; what it needs was built into `.cache/truth` by
//! `cargo xtask setup`. Every program reads the same environment: `PORT`, `SERVICE` (its name in rows), `PEERS` (base
//! addresses of all services, the leaf last), `LEDGER` (a folder for rows), `HABIT` (see [`Runtime::habit`]) and `POOL` (connections to the leaf, at most;
//! towards others that many are kept, and more are made when they are needed: a bound there could wait for itself).
use super::plan::Rules;
use crate::process::command;
use std::{path::Path, process::Command};

/// One program under test.
#[derive(Clone, Copy, Debug)]
pub struct Runtime {
    /// Its name in the table.
    pub name: &'static str,
    /// What it can do.
    pub rules: Rules,
    /// What it does besides: `poll` calls the leaf on nobody's behalf while requests come, from a worker that the first
    /// request starts; `after` makes one more call when a request was answered; `queue` has three workers, started by the
    /// first request, make the calls of all; `executor` has a pool of threads make them; `streams` calls the leaf on connections that calls share (HTTP/2), `all-streams` everybody; `waits` waits in many ways; `mutex` makes calls one at a time.
    pub habit: &'static str,
    /// An observed client that pipelines, and the leaf, each in a network of its own, with translation between them.
    pub translated: bool,
    /// Connections last for one request: the load's, and nginx's to the leaf. So addresses, and memory, are used again and again.
    pub brief: bool,
    /// Some clients of the load go away before they are answered.
    pub leaves: bool,
    /// Starts it.
    pub start: fn(&Paths<'_>) -> Command,
    /// Share of the calls within its processes whose parent must be found; none if nothing is promised yet.
    pub promise: Option<f64>,
    /// Requests at once in the short run of `cargo xtask test`; none: not part of it.
    pub short: Option<usize>,
    /// It opens a connection for each request, which few listeners' queues bear at 512.
    pub most: usize,
}

/// Where things are.
#[derive(Clone, Copy, Debug)]
pub struct Paths<'a> {
    /// `tests/apps/truth`.
    pub sources: &'a Path,
    /// `.cache/truth`.
    pub built: &'a Path,
    /// The world's folder.
    pub scratch: &'a Path,
    /// Where it is to listen.
    pub port: u16,
    /// Where the leaf listens.
    pub leaf: u16,
    /// Its name in rows.
    pub service: &'a str,
    /// The folder for rows.
    pub ledger: &'a Path,
}

/// Handles any number of requests at once, calls itself, and calls one by one: a thread per request from start to end.
const THREADS: Rules = Rules { callers: 1, itself: true, parallel: false, proxy: false, few: false };
/// A bounded pool: it would wait for itself, so it calls siblings.
const POOLED: Rules = Rules { callers: 3, itself: false, parallel: false, proxy: false, few: false };
/// Everything.
const FREE: Rules = Rules { callers: 1, itself: true, parallel: true, proxy: false, few: false };
/// Everything, but calls wait for a worker: through a service that calls itself they would wait for themselves.
const QUEUED: Rules = Rules { callers: 2, itself: false, parallel: true, proxy: false, few: false };
/// A reverse proxy.
const PROXY: Rules = Rules { callers: 1, itself: false, parallel: false, proxy: true, few: false };

/// Thread-per-request stacks keep their promise at every concurrency.
const THREAD_PER_REQUEST: Option<f64> = Some(0.999);

/// Event loops whose runtime tells what they work on: for what the answering task and those that it awaits do.
const EVENT_LOOP: Option<f64> = Some(0.99);

/// The same where a quarter of the requests wait in lists of user code.
const USER_QUEUES: Option<f64> = Some(0.85);

const NOTHING: Runtime = Runtime {
    name: "",
    rules: FREE,
    habit: "",
    translated: false,
    brief: false,
    leaves: false,
    start: go,
    promise: None,
    short: None,
    most: 512,
};

/// The table.
pub const RUNTIMES: &[Runtime] = &[
    Runtime {
        name: "flask",
        rules: THREADS,
        // A thread and a connection per request.
        start: |paths| script(paths, "flask_app.py", ""),
        promise: THREAD_PER_REQUEST,
        short: Some(8),
        ..NOTHING
    },
    Runtime {
        name: "gunicorn-sync",
        rules: POOLED,
        start: |paths| gunicorn(paths, &["--worker-class", "sync", "--workers", "4"]),
        promise: THREAD_PER_REQUEST,
        ..NOTHING
    },
    Runtime {
        name: "gunicorn-gthread",
        rules: POOLED,
        start: |paths| gunicorn(paths, &["--worker-class", "gthread", "--workers", "2", "--threads", "8"]),
        promise: THREAD_PER_REQUEST,
        short: Some(8),
        ..NOTHING
    },
    Runtime {
        name: "gunicorn-pool",
        rules: Rules { parallel: true, ..POOLED },
        start: |paths| gunicorn(paths, &["--worker-class", "gthread", "--workers", "1", "--threads", "16"]),
        ..NOTHING
    },
    Runtime {
        name: "fastapi-httpx",
        start: |paths| script(paths, "fastapi_app.py", "asyncio"),
        promise: EVENT_LOOP,
        ..NOTHING
    },
    Runtime {
        name: "fastapi-uvloop",
        start: |paths| script(paths, "fastapi_app.py", "uvloop"),
        promise: EVENT_LOOP,
        ..NOTHING
    },
    Runtime {
        name: "aiohttp",
        start: |paths| script(paths, "aiohttp_app.py", "asyncio"),
        promise: EVENT_LOOP,
        short: Some(8),
        ..NOTHING
    },
    Runtime {
        name: "aiohttp-uvloop",
        start: |paths| script(paths, "aiohttp_app.py", "uvloop"),
        promise: EVENT_LOOP,
        ..NOTHING
    },
    Runtime {
        name: "aiohttp-executor",
        habit: "executor",
        rules: QUEUED,
        start: |paths| script(paths, "aiohttp_app.py", "asyncio"),
        promise: EVENT_LOOP,
        ..NOTHING
    },
    Runtime { name: "go", start: go, short: Some(8), ..NOTHING },
    Runtime {
        name: "node-http",
        start: |paths| node(paths, &["http"]),
        promise: EVENT_LOOP,
        short: Some(8),
        ..NOTHING
    },
    Runtime { name: "node-fetch", start: |paths| node(paths, &["fetch"]), promise: EVENT_LOOP, ..NOTHING },
    Runtime { name: "node-axios", start: |paths| node(paths, &["axios"]), promise: EVENT_LOOP, ..NOTHING },
    Runtime { name: "node-undici", start: |paths| node(paths, &["undici"]), promise: EVENT_LOOP, ..NOTHING },
    Runtime {
        name: "node-cluster",
        start: |paths| node(paths, &["http", "cluster"]),
        promise: EVENT_LOOP,
        ..NOTHING
    },
    Runtime { name: "node-threads", start: |paths| node(paths, &["http", "threads"]), ..NOTHING },
    Runtime {
        name: "spring",
        rules: Rules { callers: 2, ..POOLED },
        start: spring,
        promise: THREAD_PER_REQUEST,
        ..NOTHING
    },
    Runtime {
        name: "flask-poll",
        habit: "poll",
        rules: THREADS,
        start: |paths| script(paths, "flask_app.py", ""),
        ..NOTHING
    },
    Runtime {
        name: "flask-after",
        habit: "after",
        rules: THREADS,
        start: |paths| script(paths, "flask_app.py", ""),
        ..NOTHING
    },
    Runtime {
        name: "flask-queue",
        habit: "queue",
        rules: QUEUED,
        start: |paths| script(paths, "flask_app.py", ""),
        ..NOTHING
    },
    Runtime {
        name: "aiohttp-poll",
        habit: "poll",
        start: |paths| script(paths, "aiohttp_app.py", "asyncio"),
        promise: EVENT_LOOP,
        ..NOTHING
    },
    Runtime {
        name: "aiohttp-after",
        habit: "after",
        start: |paths| script(paths, "aiohttp_app.py", "asyncio"),
        ..NOTHING
    },
    Runtime {
        name: "aiohttp-queue",
        habit: "queue",
        rules: QUEUED,
        start: |paths| script(paths, "aiohttp_app.py", "asyncio"),
        ..NOTHING
    },
    Runtime { name: "go-streams", habit: "streams", start: go, ..NOTHING },
    Runtime { name: "go-all-streams", habit: "all-streams", start: go, ..NOTHING },
    Runtime { name: "go-poll", habit: "poll", start: go, ..NOTHING },
    Runtime { name: "go-after", habit: "after", start: go, ..NOTHING },
    Runtime { name: "go-queue", habit: "queue", rules: QUEUED, start: go, ..NOTHING },
    Runtime {
        name: "node-poll",
        habit: "poll",
        start: |paths| node(paths, &["http"]),
        promise: EVENT_LOOP,
        ..NOTHING
    },
    Runtime { name: "node-after", habit: "after", start: |paths| node(paths, &["http"]), ..NOTHING },
    Runtime {
        name: "node-queue",
        habit: "queue",
        rules: QUEUED,
        start: |paths| node(paths, &["http"]),
        ..NOTHING
    },
    Runtime {
        name: "node-waits",
        habit: "waits",
        start: |paths| node(paths, &["http"]),
        promise: EVENT_LOOP,
        ..NOTHING
    },
    Runtime {
        name: "node-mutex",
        habit: "mutex",
        rules: QUEUED,
        start: |paths| node(paths, &["http"]),
        ..NOTHING
    },
    Runtime {
        name: "node-mix",
        habit: "mix",
        rules: Rules { few: true, ..QUEUED },
        start: |paths| node(paths, &["http"]),
        promise: USER_QUEUES,
        ..NOTHING
    },
    Runtime {
        name: "node-lists",
        habit: "lists",
        rules: QUEUED,
        start: |paths| node(paths, &["http"]),
        ..NOTHING
    },
    Runtime { name: "nginx", rules: PROXY, start: nginx, promise: Some(0.99), short: Some(8), ..NOTHING },
    Runtime {
        name: "nginx-brief",
        brief: true,
        rules: PROXY,
        start: |paths| nginx_with(paths, "proxy_set_header Connection close;"),
        promise: Some(0.99),
        ..NOTHING
    },
    Runtime { name: "nginx-leaves", leaves: true, rules: PROXY, start: nginx, ..NOTHING },
    Runtime { name: "go-brief", brief: true, start: go, ..NOTHING },
    Runtime { name: "go-leaves", leaves: true, start: go, ..NOTHING },
    Runtime { name: "node-brief", brief: true, start: |paths| node(paths, &["http"]), ..NOTHING },
    // Programs that nobody looked at while the rules were made.
    Runtime {
        name: "gunicorn-gevent",
        rules: THREADS,
        start: |paths| {
            gunicorn(paths, &["--worker-class", "gevent", "--workers", "2", "--worker-connections", "2000"])
        },
        ..NOTHING
    },
    Runtime {
        name: "django-waitress",
        rules: POOLED,
        start: |paths| script(paths, "django_app.py", ""),
        ..NOTHING
    },
    Runtime { name: "tornado", rules: QUEUED, start: |paths| script(paths, "tornado_app.py", ""), ..NOTHING },
    Runtime {
        name: "quart-hypercorn",
        start: |paths| script(paths, "hypercorn_app.py", "asyncio"),
        ..NOTHING
    },
    Runtime { name: "starlette-trio", start: |paths| script(paths, "hypercorn_app.py", "trio"), ..NOTHING },
    Runtime {
        name: "fastify-undici",
        start: |paths| frameworks(paths, "fastify"),
        promise: EVENT_LOOP,
        ..NOTHING
    },
    Runtime {
        name: "koa-superagent",
        start: |paths| frameworks(paths, "koa"),
        promise: EVENT_LOOP,
        ..NOTHING
    },
    Runtime { name: "node-bluebird", start: |paths| frameworks(paths, "bluebird"), ..NOTHING },
    Runtime { name: "node-rxjs", rules: QUEUED, start: |paths| frameworks(paths, "lists"), ..NOTHING },
    Runtime { name: "jdk-blocking", rules: THREADS, start: |paths| jdk(paths, "blocking"), ..NOTHING },
    Runtime { name: "jdk-async", start: |paths| jdk(paths, "async"), ..NOTHING },
    Runtime { name: "network", translated: true, short: Some(64), ..NOTHING },
];

fn python(paths: &Paths<'_>, program: &str) -> Command {
    let mut python = command(paths.built.join("python/venv/bin").join(program));
    python.env("PYTHONPATH", paths.sources.join("python")).env("PYTHONDONTWRITEBYTECODE", "1");
    python
}

/// A program of `tests/apps/truth/python` that starts its own server.
fn script(paths: &Paths<'_>, name: &str, argument: &str) -> Command {
    let mut script = python(paths, "python");
    script.arg(paths.sources.join("python").join(name)).arg(argument);
    script
}

fn gunicorn(paths: &Paths<'_>, worker: &[&str]) -> Command {
    let mut gunicorn = python(paths, "gunicorn");
    let bind = format!("127.0.0.1:{}", paths.port);
    gunicorn.args(["--bind", &bind, "--backlog", "2048", "--keep-alive", "75", "--timeout", "120"]);
    gunicorn.args(["--log-level", "warning", "--no-control-socket"]).args(worker).arg("flask_app:app");
    gunicorn
}

fn go(paths: &Paths<'_>) -> Command {
    command(paths.built.join("go/truth"))
}

fn node(paths: &Paths<'_>, arguments: &[&str]) -> Command {
    let mut node = script_of_node(paths, "server.js");
    node.args(arguments);
    node
}

fn frameworks(paths: &Paths<'_>, which: &str) -> Command {
    let mut node = script_of_node(paths, "frameworks.js");
    node.arg(which);
    node
}

fn script_of_node(paths: &Paths<'_>, name: &str) -> Command {
    let mut node = command("node");
    node.arg(paths.sources.join("node").join(name));
    node.env("NODE_PATH", paths.built.join("node/node_modules"));
    node
}

fn spring(paths: &Paths<'_>) -> Command {
    let mut java = command("java");
    java.args(["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx192m", "-jar"]);
    java.arg(paths.built.join("spring/truth.jar"));
    java
}

/// Java compiles a program of one file by itself.
fn jdk(paths: &Paths<'_>, calls: &str) -> Command {
    let mut java = command("java");
    java.args(["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx192m"]);
    java.arg(paths.sources.join("jdk/Truth.java")).arg(calls);
    java
}

/// nginx writes its own two rows by its access log, to the millisecond: its times are not judged.
fn nginx(paths: &Paths<'_>) -> Command {
    nginx_with(paths, r#"proxy_set_header Connection "";"#)
}

fn nginx_with(paths: &Paths<'_>, connections: &str) -> Command {
    let Paths { scratch, port, leaf, service, ledger, .. } = *paths;
    let (root, ledger) = (scratch.display(), ledger.display());
    let common =
        format!(r#""service":"{service}","pid":$pid,"method":"$request_method","start_ns":0,"end_ns":0"#);
    let text = format!(
        r#"daemon off; worker_processes 2; error_log stderr error; pid {root}/{service}.pid; user root;
events {{ worker_connections 4096; }}
http {{
  map $status $answered {{ 499 0; default $status; }} map $upstream_status $heard {{ "~^[0-9]+$" $upstream_status; default 0; }}
  log_format server '{{"id":"$http_x_ledger_id/s","parent":"$http_x_ledger_id","kind":"server","call":"$http_x_ledger_id","status":$answered,"path":"$request_uri",{common}}}';
  log_format client '{{"id":"$http_x_ledger_id.p","parent":"$http_x_ledger_id/s","kind":"client","call":"$http_x_ledger_id.p","status":$heard,"path":"$uri",{common}}}';
  client_body_temp_path {root}/body; proxy_temp_path {root}/proxy; fastcgi_temp_path {root}/fastcgi;
  uwsgi_temp_path {root}/uwsgi; scgi_temp_path {root}/scgi; keepalive_requests 1000000000;
  upstream leaf {{ server 127.0.0.1:{leaf}; keepalive 16; }}
  server {{
    listen 127.0.0.1:{port} backlog=2048;
    access_log {ledger}/{service}-server.jsonl server; access_log {ledger}/{service}-client.jsonl client;
    location / {{
      rewrite ^/t/0....(.*)$ /t/$1 break;
      proxy_pass http://leaf; proxy_http_version 1.1; {connections}
      proxy_set_header X-Ledger-Id "${{http_x_ledger_id}}.p";
    }}
  }}
}}
"#
    );
    let config = scratch.join(format!("{service}.conf"));
    let mut nginx = command("nginx");
    // The program that checks the configuration says what is wrong with it better than we could.
    let _ = std::fs::write(&config, text);
    nginx.args(["-e", "stderr", "-c"]).arg(config);
    nginx
}
