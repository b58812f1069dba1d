//! Builds the shop's services, each with its language's own tools, into `.cache/shop`.
//!
//! Shape: sources under tests/apps/shop → a command line per service, or why there is none. What a service needs at run
//! time is copied or built into its own folder; nothing is written beside the sources.
use super::{cache, debian, lock, log, stamp::Stamp};
use crate::command::root;
use anyhow::{Context, Result};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The four, in the order in which a checkout meets them.
pub(crate) const SERVICES: [Service; 4] = [
    Service { name: "frontend", language: "Node", build: frontend },
    Service { name: "product", language: "Python", build: product },
    Service { name: "order", language: "Java", build: order },
    Service { name: "inventory", language: "Go", build: inventory },
];

/// One service of the shop.
pub(crate) struct Service {
    /// Its folder under tests/apps/shop, and what others call it.
    pub(crate) name: &'static str,
    /// What it is written in.
    pub(crate) language: &'static str,
    build: fn(&Path, &Path) -> Result<Program>,
}

/// How a service is started.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    /// What is executed.
    pub(crate) program: PathBuf,
    /// Its arguments.
    pub(crate) arguments: Vec<String>,
    /// Its working folder.
    pub(crate) folder: PathBuf,
}

/// A service that can be started.
pub(crate) type Built = (&'static Service, Program);

/// Builds all; a service that cannot be built is named on the terminal and left out.
pub(crate) fn services() -> Result<Vec<Built>> {
    let _lock = lock()?;
    let sources = root()?.join("tests/apps/shop");
    let results = cache()?.join("shop");
    let mut built = Vec::new();
    for service in &SERVICES {
        let result = results.join(service.name);
        fs::create_dir_all(&result)?;
        match (service.build)(&sources.join(service.name), &result) {
            Ok(program) => built.push((service, program)),
            Err(error) => {
                println!("setup: service {} ({}) is left out: {error:#}", service.name, service.language);
            }
        }
    }
    Ok(built)
}

/// Node: the sources beside exactly the packages of the lock file.
fn frontend(source: &Path, result: &Path) -> Result<Program> {
    debian::ensure(&[("node", "nodejs"), ("npm", "npm")])?;
    let stamp = Stamp::new(result, &[source.into()], "node")?;
    if stamp.is_stale()? {
        println!("setup: installing the packages of frontend (npm)");
        for name in ["package.json", "package-lock.json", "server.js"] {
            fs::copy(source.join(name), result.join(name)).with_context(|| format!("copy {name}"))?;
        }
        let arguments = ["ci", "--omit=dev", "--no-audit", "--no-fund", "--loglevel=error"];
        let mut npm = Command::new("npm");
        npm.env("npm_config_update_notifier", "false");
        log::run(npm.args(arguments).current_dir(result), &result.join("npm.log"))?;
        stamp.write()?;
    }
    Ok(Program { program: "node".into(), arguments: vec!["server.js".into()], folder: result.into() })
}

/// Python: a virtual environment with exactly the packages of requirements.txt.
fn product(source: &Path, result: &Path) -> Result<Program> {
    debian::ensure(&[("python3", "python3")])?;
    let environment = result.join("venv");
    let stamp = Stamp::new(result, &[source.join("requirements.txt")], "python3")?;
    if stamp.is_stale()? {
        println!("setup: installing the packages of product (pip)");
        let create = || {
            let mut python = Command::new("python3");
            log::run(python.args(["-m", "venv", "--clear"]).arg(&environment), &result.join("venv.log"))
        };
        // Debian ships the module that makes environments without what it puts into them.
        create().or_else(|_| debian::install(&["python3-venv"]).and_then(|()| create()))?;
        let mut pip = Command::new(environment.join("bin/python"));
        pip.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
            "--requirement",
        ]);
        log::run(pip.arg(source.join("requirements.txt")), &result.join("pip.log"))?;
        stamp.write()?;
    }
    for name in ["app.py", "gunicorn.conf.py"] {
        fs::copy(source.join(name), result.join(name)).with_context(|| format!("copy {name}"))?;
    }
    let arguments = ["--config", "gunicorn.conf.py", "app:app"].map(String::from).to_vec();
    Ok(Program { program: environment.join("bin/gunicorn"), arguments, folder: result.into() })
}

/// Java: one jar with everything in it.
fn order(source: &Path, result: &Path) -> Result<Program> {
    debian::ensure(&[("javac", "default-jdk-headless"), ("mvn", "maven")])?;
    let stamp = Stamp::new(result, &[source.join("pom.xml"), source.join("src")], "javac")?;
    if stamp.is_stale()? {
        println!("setup: building order (Maven fetches Spring Boot the first time)");
        let mut maven = Command::new("mvn");
        maven.args(["--quiet", "--batch-mode", "--no-transfer-progress", "-DskipTests"]);
        maven.arg(format!("-Dbuild.folder={}", result.display())).arg("package");
        log::run(maven.current_dir(source), &result.join("maven.log"))?;
        stamp.write()?;
    }
    // A small shop needs a small machine: the serial collector and 96 MB of heap.
    let arguments = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx96m", "-jar", "order.jar"];
    let arguments = arguments.map(String::from).to_vec();
    Ok(Program { program: "java".into(), arguments, folder: result.into() })
}

/// Go: one binary, from the standard library alone.
fn inventory(source: &Path, result: &Path) -> Result<Program> {
    debian::ensure(&[("go", "golang-go")])?;
    let stamp = Stamp::new(result, &[source.into()], "go")?;
    let binary = result.join("inventory");
    if stamp.is_stale()? {
        println!("setup: building inventory (go)");
        let mut go = Command::new("go");
        go.args(["build", "-trimpath", "-buildvcs=false", "-o"]).arg(&binary).arg(".");
        log::run(go.env("GOTOOLCHAIN", "local").current_dir(source), &result.join("go.log"))?;
        stamp.write()?;
    }
    Ok(Program { program: binary, arguments: Vec::new(), folder: result.into() })
}
