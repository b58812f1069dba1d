//! Back ends as users run them: the very files of deploy/backends, with addresses from the environment.
//!
//! Shape: a file of an example → a running Collector, Jaeger or Zipkin → what its own query interface says of a trace.
//! Source: Jaeger 2.13 (`/api/traces`, `/api/v3/traces`), Zipkin 3.6 (`/api/v2/trace`). Not here: building them
//! (xtask/src/setup/backends.rs), Tempo, which cannot be had here: see `published`.
#[cfg(test)]
mod published;

use crate::{
    agent::Start,
    collector::Binary,
    http::Connection,
    process::{Process, command},
    wait::{PATIENCE, eventually},
    world::{free_port, repository},
};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

/// A JVM on a busy machine takes its time.
const START: Duration = Duration::from_secs(180);

/// A file of deploy/backends.
pub fn example(file: &str) -> Result<PathBuf> {
    let path = repository()?.join("deploy/backends").join(file);
    ensure!(path.is_file(), "{} is missing", path.display());
    Ok(path)
}

/// The Collector with the components that the examples name.
pub fn binary() -> Result<Binary> {
    Binary::of_examples(&repository()?.join(".cache"))
}

/// An address on loopback that nobody listens on.
pub fn free_address() -> Result<SocketAddr> {
    Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?)))
}

/// Runs a Collector with an example's file. Its own metrics would take a port that all share, and so would its health.
pub fn collector(wrapper: &[&str], file: &str, environment: &[(&str, String)]) -> Result<Process> {
    let mut all = vec![("OWN_METRICS", "none".to_owned()), ("HEALTH_ENDPOINT", free_address()?.to_string())];
    all.extend_from_slice(environment);
    binary()?.run(wrapper, &example(file)?, &all)
}

/// An agent with an example's file, sending to that address, that also says on stdout what it sends.
pub fn sending(agent: Start, folder: &str, to: SocketAddr) -> Result<Start> {
    let config = example(&format!("{folder}/wirespan.yaml"))?.display().to_string();
    let agent = agent.flag("--config", &config).flag("--exporter", "otlp");
    Ok(agent.env("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("http://{to}")))
}

/// A running Jaeger with the file of deploy/backends/jaeger.
#[derive(Debug)]
pub struct Jaeger {
    _process: Process,
    /// Where it takes OTLP/gRPC.
    pub otlp: SocketAddr,
    query: SocketAddr,
}

impl Jaeger {
    /// Starts it and waits until it answers.
    pub fn start() -> Result<Jaeger> {
        let program = repository()?.join(".cache/backends/jaeger/jaeger");
        ensure!(program.is_file(), "Jaeger is not built");
        let (otlp, query) = (free_address()?, free_address()?);
        let mut jaeger = command(program);
        jaeger.arg("--config").arg(example("jaeger/jaeger.yaml")?);
        jaeger.env("OTLP_ENDPOINT", otlp.to_string()).env("QUERY_ENDPOINT", query.to_string());
        jaeger.env("OTLP_HTTP_ENDPOINT", free_address()?.to_string());
        jaeger.env("QUERY_GRPC_ENDPOINT", free_address()?.to_string());
        jaeger.env("OWN_METRICS", "none").env("OTEL_TRACES_SAMPLER", "always_off");
        let mut process = Process::start("jaeger", &mut jaeger)?;
        answers(&mut process, query, "/api/services")?;
        Ok(Jaeger { _process: process, otlp, query })
    }

    /// The trace as its user interface gets it: `spans` and `processes`.
    pub fn trace(&self, id: &str) -> Result<Option<Value>> {
        let answer = ask(self.query, &format!("/api/traces/{id}"))?;
        Ok(answer.and_then(|answer| answer.pointer("/data/0").cloned()))
    }

    /// The trace as OTLP/JSON.
    pub fn otlp_trace(&self, id: &str) -> Result<Option<Value>> {
        let answer = ask(self.query, &format!("/api/v3/traces/{id}"))?;
        Ok(answer.and_then(|answer| answer.get("result").cloned()))
    }
}

/// The newest traces that a Jaeger has of a service, as its user interface gets them; few, since of long answers only the start is kept.
pub fn newest(query: SocketAddr, service: &str) -> Result<Vec<Value>> {
    let answer = ask(query, &format!("/api/traces?service={service}&limit=4"))?;
    Ok(answer.as_ref().and_then(|answer| answer.get("data")?.as_array()).cloned().unwrap_or_default())
}

/// A running Zipkin.
#[derive(Debug)]
pub struct Zipkin {
    _process: Process,
    /// Where it takes spans and answers questions.
    pub address: SocketAddr,
}

impl Zipkin {
    /// Starts it and waits until it answers.
    pub fn start() -> Result<Zipkin> {
        let jar = repository()?.join(".cache/backends/zipkin/zipkin.jar");
        ensure!(jar.is_file(), "Zipkin was not fetched");
        let address = free_address()?;
        let mut zipkin = command("java");
        zipkin.args(["-Xmx192m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-jar"]).arg(jar);
        zipkin.arg("--armeria.ports[0].ip=127.0.0.1");
        zipkin.arg(format!("--armeria.ports[0].port={}", address.port()));
        zipkin.arg("--armeria.ports[0].protocols[0]=http");
        let mut process = Process::start("zipkin", &mut zipkin)?;
        answers(&mut process, address, "/health")?;
        Ok(Zipkin { _process: process, address })
    }

    /// The spans of a trace; none if it is not known.
    pub fn trace(&self, id: &str) -> Result<Vec<Value>> {
        let answer = ask(self.address, &format!("/api/v2/trace/{id}"))?;
        Ok(answer.as_ref().and_then(Value::as_array).cloned().unwrap_or_default())
    }
}

/// Waits until a server answers that question with 200.
fn answers(process: &mut Process, address: SocketAddr, path: &str) -> Result<()> {
    let name = process.name().to_owned();
    let answered = eventually(&format!("an answer of {name}"), START, || {
        ensure!(process.is_running()?, "{name} has ended{}", process.last_words());
        let answer = Connection::open(address).and_then(|mut connection| connection.get(path, &[]));
        Ok(answer.is_ok_and(|answer| answer.status == 200).then_some(()))
    });
    answered.with_context(|| process.last_words())
}

/// The answer as JSON; none if what was asked for is not there yet.
fn ask(address: SocketAddr, path: &str) -> Result<Option<Value>> {
    let answer = Connection::open(address)?.get(path, &[])?;
    if answer.status == 404 {
        return Ok(None);
    }
    ensure!(answer.status == 200, "{path} gave {}", answer.status);
    let text = String::from_utf8_lossy(&answer.body);
    Ok(Some(serde_json::from_str(&text).with_context(|| format!("{path} gave {text}"))?))
}

/// Waits until a back end has so many spans of something.
pub fn has<T>(what: &str, ask: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    eventually(what, PATIENCE, ask)
}
