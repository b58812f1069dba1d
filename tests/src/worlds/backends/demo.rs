//! The demo as a laptop gets it: deploy/demo/compose.yaml by Docker Compose itself, up, seen in Jaeger, and gone.
//!
//! Shape: images that stand in for published ones → `build`, `up` → whole checkouts by Jaeger's query API → `down` → the machine as it was.
//! What differs from a laptop is tests/fixtures/compose/docker-20.10.yaml and [`bases`].
use super::{
    super::engine::Engine,
    bases,
    shown::{Shown, list, of_jaeger, tag, text},
};
use crate::{
    backends::newest,
    cluster::Machine,
    process::output,
    shop::{CHECKOUT_SPANS, SERVICES},
    wait::eventually,
    world::{World, repository},
};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

/// Services of the compose file.
const DEMO: usize = 8;
/// Where it shows Jaeger.
const JAEGER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 16686);
/// From `up` to checkouts in Jaeger: a JVM starts beside seven other containers.
const OPENING: Duration = Duration::from_secs(240);
/// Checkouts that must be whole in Jaeger. The visitor makes one a second.
const CHECKOUTS: usize = 20;

fn compose() -> Result<PathBuf> {
    let program = repository()?.join(".cache/backends/compose/docker-compose").canonicalize();
    program.context("Docker Compose is not built")
}

fn file() -> Result<String> {
    Ok(repository()?.join("deploy/demo/compose.yaml").display().to_string())
}

/// Docker Compose takes it, and every file that it names is there.
pub(super) fn the_demos_compose_file_is_one_that_docker_compose_takes(_: &mut World) -> Result<()> {
    let config = |more: &[&str]| -> Result<String> {
        let mut compose = Command::new(compose()?);
        Ok(output(compose.args(["--file", &file()?, "config"]).args(more), 0)?.0)
    };
    config(&["--quiet"])?;
    let services = config(&["--services"])?.lines().count();
    ensure!(services == DEMO, "{services} services");
    let told: Value = serde_json::from_str(&config(&["--format", "json"])?)?;
    let services = told.get("services").and_then(Value::as_object).context("services")?;
    for (name, service) in services {
        let built = |key: &str| service.pointer(&format!("/build/{key}")).and_then(Value::as_str);
        let context = Path::new(built("context").unwrap_or_default());
        let dockerfile = built("dockerfile").map(|file| context.join(file));
        let mounts = list(service.get("volumes")).into_iter();
        let mounts = mounts.filter_map(|mount| Some(PathBuf::from(mount.get("source")?.as_str()?)));
        for path in mounts.chain(dockerfile) {
            ensure!(path.exists(), "{name}: {} is missing", path.display());
        }
    }
    Ok(())
}

pub(super) fn the_demo_comes_up_by_docker_compose(world: &mut World) -> Result<()> {
    let engine = Engine::start(world)?;
    engine.plugin("compose", &compose()?)?;
    bases::import(world, &engine)?;
    let image = repository()?.join("target/image/wirespan.tar").display().to_string();
    engine.docker(&["load", "--input", &image])?;
    let shipped = file()?;
    let beside = repository()?.join("tests/fixtures/compose/docker-20.10.yaml").display().to_string();
    let demo = |words: &[&str]| {
        engine.docker(&[&["compose", "--file", &shipped, "--file", &beside], words].concat())
    };
    demo(&["build"])?;
    let before = Machine::look()?;
    demo(&["up", "--no-build", "--detach"])?;
    seen().with_context(|| demo(&["logs", "--tail", "20"]).unwrap_or_default())?;
    demo(&["down"])?;
    let left = [&["ps", "--all", "--quiet"][..], &["volume", "ls", "--quiet"]];
    for words in left {
        let left = engine.docker(words)?;
        ensure!(left.is_empty(), "docker {words:?} after `down`: {left}");
    }
    let networks = engine.docker(&["network", "ls", "--format", "{{.Name}}"])?;
    ensure!(!networks.contains("demo"), "networks after `down`: {networks}");
    before.expect_unchanged()
}

/// Waits for whole checkouts, and finds no trace in which two are mixed.
fn seen() -> Result<()> {
    let mut traces = BTreeMap::new();
    let whole = eventually("whole checkouts in Jaeger", OPENING, || {
        // Nobody listens there at first. Traces grow: the last that is told of each counts.
        for trace in newest(JAEGER, "frontend").unwrap_or_default() {
            traces.insert(text(&trace, "/traceID"), trace);
        }
        let whole = traces.values().filter(|trace| is_whole(trace)).count();
        Ok((whole >= CHECKOUTS).then_some(whole))
    });
    let whole =
        whole.with_context(|| format!("the last of {}: {:#?}", traces.len(), traces.values().last()))?;
    println!("  {} traces of the frontend, {whole} whole", traces.len());
    for trace in traces.values() {
        let carts: BTreeSet<String> = list(trace.get("spans")).iter().map(cart).collect();
        ensure!(carts.len() == 1, "trace {} mixes {carts:?}", text(trace, "/traceID"));
    }
    Ok(())
}

/// Every path ends in the checkout's number.
fn cart(span: &Value) -> String {
    let path = [tag(span, "url.path"), tag(span, "url.full")].concat();
    path.rsplit('/').next().unwrap_or_default().to_owned()
}

fn is_whole(trace: &Value) -> bool {
    let spans: Vec<Shown> = list(trace.get("spans")).iter().map(|span| of_jaeger(trace, span).1).collect();
    let services: BTreeSet<&str> = spans.iter().map(|(_, _, service, _)| service.as_str()).collect();
    let roots = spans.iter().filter(|(parent, ..)| parent.is_empty()).count();
    spans.len() == CHECKOUT_SPANS && roots == 1 && services == BTreeSet::from(SERVICES)
}
