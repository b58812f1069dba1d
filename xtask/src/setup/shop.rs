//! Builds the shop's services, each with its language's own tools, into `.cache/shop`.
//!
//! Shape: sources under tests/apps/shop → a command line per service, or why there is none. What a service needs at run
//! time is copied or built into its own folder; nothing is written beside the sources.
use super::{cache, language, lock};
use crate::command::root;
use anyhow::{Context, Result};
use std::{
    fs,
    path::{Path, PathBuf},
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

fn frontend(source: &Path, result: &Path) -> Result<Program> {
    language::node(source, result, &["server.js"])?;
    Ok(Program { program: "node".into(), arguments: vec!["server.js".into()], folder: result.into() })
}

fn product(source: &Path, result: &Path) -> Result<Program> {
    let environment = language::python(source, result)?;
    for name in ["app.py", "gunicorn.conf.py"] {
        fs::copy(source.join(name), result.join(name)).with_context(|| format!("copy {name}"))?;
    }
    let arguments = ["--config", "gunicorn.conf.py", "app:app"].map(String::from).to_vec();
    Ok(Program { program: environment.join("bin/gunicorn"), arguments, folder: result.into() })
}

fn order(source: &Path, result: &Path) -> Result<Program> {
    language::java(source, result)?;
    // A small shop needs a small machine: the serial collector and 96 MB of heap.
    let arguments = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx96m", "-jar", "order.jar"];
    let arguments = arguments.map(String::from).to_vec();
    Ok(Program { program: "java".into(), arguments, folder: result.into() })
}

fn inventory(source: &Path, result: &Path) -> Result<Program> {
    let program = language::go(source, result, "inventory")?;
    Ok(Program { program, arguments: Vec::new(), folder: result.into() })
}
