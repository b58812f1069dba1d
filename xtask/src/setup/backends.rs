//! Brings what the `backends` worlds show spans in, into `.cache/backends`: Jaeger by its Go module, Zipkin by Maven, a Python
//! environment with an OpenTelemetry SDK, and Docker Compose by its Go module.
//!
//! Shape: pinned versions → `jaeger`, `zipkin.jar`, `sdk/venv`, `docker-compose`. Only when those worlds are named: Jaeger takes minutes to build. What
//! cannot be had is named and left out; a world that needs it fails then, and says so. Not here: the Collector (tests/src/collector.rs).
use super::{cache, debian, language, lock, log, shop, stamp::Stamp};
use crate::command::root;
use anyhow::{Context, Result};
use std::{fs, path::Path, process::Command};

/// Zipkin's server with everything in it.
const ZIPKIN: &str = "io.zipkin:zipkin-server:3.6.1:jar:exec";
/// Zipkin's file as Maven names it.
const ZIPKIN_JAR: &str = "zipkin-server-3.6.1-exec.jar";
/// Jaeger's module, and the program's place there.
const JAEGER: (&str, &str) = ("github.com/jaegertracing/jaeger", "cmd/jaeger");
/// Docker Compose's.
const COMPOSE: (&str, &str) = ("github.com/docker/compose/v5", "cmd");
/// What copies an artifact out of Maven's repository.
const COPY: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy";

type Build = fn(&Path, &Path) -> Result<()>;

const PROGRAMS: [(&str, Build); 4] = [
    ("compose", |source, result| published(source, result, COMPOSE, "docker-compose")),
    ("jaeger", |source, result| published(source, result, JAEGER, "jaeger")),
    ("zipkin", zipkin),
    ("sdk", |source, result| language::python(source, result).map(drop)),
];

/// All of them, and the shop, whose checkout they are shown.
pub(crate) fn programs() -> Result<()> {
    shop::services()?;
    let _lock = lock()?;
    let sources = root()?.join("tests/apps");
    for (name, build) in &PROGRAMS {
        let result = cache()?.join("backends").join(name);
        fs::create_dir_all(&result)?;
        if let Err(error) = build(&sources.join(name), &result) {
            println!("setup: {name} is left out: {error:#}");
        }
    }
    Ok(())
}

/// A program of a module that a module of ours requires; its own go.sum spares a look at every module it could need.
fn published(source: &Path, result: &Path, (module, place): (&str, &str), name: &str) -> Result<()> {
    debian::ensure(&[("go", "golang-go")])?;
    let stamp = Stamp::new(result, &[source.into()], "go")?;
    if !stamp.is_stale()? {
        return Ok(());
    }
    println!("setup: building {name}: minutes, once");
    fs::copy(source.join("go.mod"), result.join("go.mod")).context("copy go.mod")?;
    let go = |arguments: &[&str]| {
        let mut go = Command::new("nice");
        go.args(["-n", "10", "go"]).args(arguments).current_dir(result);
        go.env("GOTOOLCHAIN", "local").env("CGO_ENABLED", "0").env("GOFLAGS", "-mod=mod");
        go
    };
    log::run(&mut go(&["mod", "download", module]), &result.join("download.log"))?;
    let listed =
        go(&["list", "-m", "-f", "{{.Dir}}", module]).output().context("ask go for the module's folder")?;
    let folder = String::from_utf8(listed.stdout)?;
    // A copy of a file that nobody may write, which the build will have to.
    let sums = fs::read(Path::new(folder.trim()).join("go.sum")).context("read the module's go.sum")?;
    fs::write(result.join("go.sum"), sums)?;
    let program = format!("{module}/{place}");
    let arguments = ["build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", name, &program];
    log::run(&mut go(&arguments), &result.join("go.log"))?;
    stamp.write()
}

fn zipkin(_: &Path, result: &Path) -> Result<()> {
    debian::ensure(&[("java", "default-jdk-headless"), ("mvn", "maven")])?;
    let jar = result.join("zipkin.jar");
    if jar.is_file() {
        return Ok(());
    }
    println!("setup: fetching Zipkin (Maven)");
    let mut maven = Command::new("mvn");
    maven.args(["--quiet", "--batch-mode", "--no-transfer-progress", COPY]);
    maven.arg(format!("-Dartifact={ZIPKIN}")).arg(format!("-DoutputDirectory={}", result.display()));
    log::run(maven.current_dir(result), &result.join("maven.log"))?;
    fs::rename(result.join(ZIPKIN_JAR), jar).context("keep Zipkin")
}
