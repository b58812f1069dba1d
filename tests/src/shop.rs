//! The shop of tests/apps/shop, running: four unchanged services in four languages.
//!
//! Shape: what `cargo xtask setup` has built in `.cache/shop` → [`Shop`]; a checkout → its number, by which its spans are known.
//! Not here: building it (xtask/src/setup/shop.rs), judging each kind of visit (`cargo xtask demo`).
use crate::{
    agent::Start,
    http::{Connection, request},
    process::command,
    span::Span,
    world::{App, World, free_port, repository},
};
use anyhow::{Context, Result, ensure};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Command,
};

/// Spans of a checkout: five requests are answered, and four of them are made by services.
pub const CHECKOUT_SPANS: usize = 9;
/// The services in the order in which a checkout meets them.
pub const SERVICES: [&str; 4] = ["frontend", "product", "order", "inventory"];

/// What a checkout asks for, as JSON.
pub const ORDER: &str = r#"{"product":1,"quantity":1}"#;

/// How one of the services is started.
#[derive(Debug)]
pub struct Program {
    /// As its spans name it.
    pub name: &'static str,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Where it is started.
    pub folder: PathBuf,
}

impl Program {
    /// The variable in which the others find its address.
    pub fn address(&self) -> String {
        format!("{}_URL", self.name.to_uppercase())
    }
}

/// How each of [`SERVICES`] is started that was built in a folder.
///
/// # Errors
/// They were not built.
pub fn programs(cache: &Path) -> Result<Vec<Program>> {
    let gunicorn = cache.join("product/venv/bin/gunicorn");
    ensure!(gunicorn.is_file(), "the shop is not built: run `cargo xtask setup`");
    let (gunicorn, inventory) = (gunicorn.to_string_lossy(), cache.join("inventory/inventory"));
    let commands: [&[&str]; SERVICES.len()] = [
        &["node", "server.js"],
        &[&gunicorn, "--config", "gunicorn.conf.py", "app:app"],
        &["java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx96m", "-jar", "order.jar"],
        &[&inventory.to_string_lossy()],
    ];
    let programs = SERVICES.into_iter().zip(commands).map(|(name, words)| Program {
        name,
        command: words.iter().map(|&word| word.to_owned()).collect(),
        folder: cache.join(name),
    });
    Ok(programs.collect())
}

/// The running services.
#[derive(Debug)]
pub struct Shop {
    frontend: App,
    all: Vec<App>,
}

impl Shop {
    /// Starts them, and they end with the world.
    pub fn open(world: &mut World) -> Result<Shop> {
        let cache = repository()?.join(".cache/shop");
        let programs = programs(&cache)?;
        let mut ports = Vec::new();
        for program in &programs {
            ports.push((program.address(), free_port()?));
        }
        let mut all = Vec::new();
        for (program, (_, port)) in programs.iter().zip(&ports) {
            let (first, arguments) = program.command.split_first().context("a program")?;
            let mut service = command(first);
            service.args(arguments).current_dir(&program.folder).env("PORT", port.to_string());
            addresses(&mut service, &ports);
            all.push(world.serve(program.name, *port, &mut service)?);
        }
        Ok(Shop { frontend: *all.first().context("four services")?, all })
    }

    /// An agent that observes all four.
    pub fn observed(&self, agent: Start) -> Start {
        self.all.iter().fold(agent, |agent, app| agent.port(app.port))
    }

    /// Checks out, with that number in the path.
    pub fn checkout(&self, cart: u32) -> Result<()> {
        let length = ORDER.len().to_string();
        let fields = [("Content-Type", "application/json"), ("Content-Length", length.as_str())];
        let mut connection = Connection::open(self.frontend.address())?;
        connection.send(request("POST", &path(cart), &fields) + ORDER)?;
        let answer = connection.response("POST")?;
        ensure!(answer.status == 201, "checkout {cart}: {}", answer.status);
        Ok(())
    }
}

/// The spans of a checkout, if all are there and form one trace with one root.
pub fn whole_checkout(spans: &[Span], cart: u32) -> Option<Vec<Span>> {
    let root = spans.iter().find(|span| span.kind == "server" && span.path() == path(cart))?;
    let of_trace = |span: &&Span| span.trace_id == root.trace_id;
    let trace: Vec<Span> = spans.iter().filter(of_trace).cloned().collect();
    let roots = trace.iter().filter(|span| span.parent_id.is_empty()).count();
    let services: BTreeSet<_> = trace.iter().map(|span| span.resource.get("service.name")).collect();
    (trace.len() == CHECKOUT_SPANS && roots == 1 && services.len() == SERVICES.len()).then_some(trace)
}

/// The path of a checkout.
pub fn path(cart: u32) -> String {
    format!("/checkout/{cart}")
}

fn addresses(service: &mut Command, ports: &[(String, u16)]) {
    for (name, port) in ports {
        service.env(name, format!("http://127.0.0.1:{port}"));
    }
}
