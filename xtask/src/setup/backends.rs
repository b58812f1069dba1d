//! Brings what the `backends` worlds show spans in, into `.cache/backends`: Jaeger by its Go module, Zipkin by Maven, a Python
//! environment with an OpenTelemetry SDK, and a reader of compose files.
//!
//! Shape: pinned versions → `jaeger`, `zipkin.jar`, `sdk/venv`, `compose`. Only when those worlds are named: Jaeger takes minutes to build. What
//! cannot be had is named and left out; a world that needs it fails then, and says so. Not here: the Collector (tests/src/collector.rs).
use super::{cache, debian, language, lock, log, shop, stamp::Stamp};
use crate::command::root;
use anyhow::{Context, Result};
use std::{fs, path::Path, process::Command};

/// Zipkin's server with everything in it.
const ZIPKIN: &str = "io.zipkin:zipkin-server:3.6.1:jar:exec";
/// Zipkin's file as Maven names it.
const ZIPKIN_JAR: &str = "zipkin-server-3.6.1-exec.jar";
/// Where Jaeger's program is in its module.
const JAEGER: &str = "github.com/jaegertracing/jaeger";
/// What copies an artifact out of Maven's repository.
const COPY: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy";

type Build = fn(&Path, &Path) -> Result<()>;

const PROGRAMS: [(&str, Build); 4] = [
    ("compose", |source, result| language::go(source, result, "compose").map(drop)),
    ("jaeger", jaeger),
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

/// A module of ours that requires Jaeger's; its own go.sum spares a look at every module it could need.
fn jaeger(source: &Path, result: &Path) -> Result<()> {
    debian::ensure(&[("go", "golang-go")])?;
    let stamp = Stamp::new(result, &[source.into()], "go")?;
    if !stamp.is_stale()? {
        return Ok(());
    }
    println!("setup: building Jaeger: minutes, once");
    fs::copy(source.join("go.mod"), result.join("go.mod")).context("copy go.mod")?;
    let go = |arguments: &[&str]| {
        let mut go = Command::new("nice");
        go.args(["-n", "10", "go"]).args(arguments).current_dir(result);
        go.env("GOTOOLCHAIN", "local").env("CGO_ENABLED", "0").env("GOFLAGS", "-mod=mod");
        go
    };
    log::run(&mut go(&["mod", "download", JAEGER]), &result.join("download.log"))?;
    let listed =
        go(&["list", "-m", "-f", "{{.Dir}}", JAEGER]).output().context("ask go for Jaeger's folder")?;
    let module = String::from_utf8(listed.stdout)?;
    // A copy of a file that nobody may write, which the build will have to.
    let sums = fs::read(Path::new(module.trim()).join("go.sum")).context("read Jaeger's go.sum")?;
    fs::write(result.join("go.sum"), sums)?;
    let program = format!("{JAEGER}/cmd/jaeger");
    let arguments = ["build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", "jaeger", &program];
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
