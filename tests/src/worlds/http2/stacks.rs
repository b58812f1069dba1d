//! Programs that call and answer over HTTP/2, one per stack, all with the same command line (see tests/apps/grpc).
//!
//! Shape: a [`Stack`] and its [`Job`] → a command; what a caller wrote down → [`Row`]s.
use crate::{
    process::{command, output},
    span::Span,
    world::{App, World, free_port, own_binary, repository},
};
use anyhow::{Context, Result};
use serde::Deserialize;
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

/// The field in which a call's id travels: how rows and spans are matched.
pub(super) const HEADER: &str = "x-call";

/// A stack, and who speaks it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stack {
    /// Its name in the table.
    pub(super) name: &'static str,
    /// Does it carry gRPC, or plain requests?
    pub(super) is_grpc: bool,
    /// What is started, without the job.
    words: fn(&Path) -> Result<Vec<OsString>>,
}

/// All of them: who calls the next one of its kind too.
pub(super) const STACKS: [Stack; 7] = [
    Stack { name: "grpc-python", is_grpc: true, words: python },
    Stack { name: "grpc-js", is_grpc: true, words: |root| node(root, "grpc") },
    Stack { name: "grpc-go", is_grpc: true, words: |root| go(root, "grpc") },
    Stack { name: "tonic", is_grpc: true, words: |_| Ok(vec![own_binary("tonic-calls")?.into()]) },
    Stack { name: "grpc-java", is_grpc: true, words: java },
    Stack { name: "node http2", is_grpc: false, words: |root| node(root, "http") },
    Stack { name: "go net/http", is_grpc: false, words: |root| go(root, "http") },
];

/// One call, as its caller wrote it down.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Row {
    /// Its id, which its span has too.
    pub(super) id: String,
    /// `/t.Calls/Unary` or `GET /get`.
    pub(super) method: String,
    /// The code of gRPC or HTTP; empty where none came.
    pub(super) status: String,
    /// Unix time in nanoseconds.
    pub(super) start: u64,
    /// Unix time in nanoseconds.
    pub(super) end: u64,
}

impl Row {
    /// The path that was asked for.
    pub(super) fn path(&self) -> &str {
        self.method.split_once(' ').map_or(&*self.method, |(_, path)| path)
    }
}

fn python(root: &Path) -> Result<Vec<OsString>> {
    let python = root.join(".cache/grpc/python/venv/bin/python");
    Ok(vec![python.into(), root.join("tests/apps/grpc/python/calls.py").into()])
}

fn node(root: &Path, stack: &str) -> Result<Vec<OsString>> {
    Ok(vec!["node".into(), root.join(".cache/grpc/node/calls.js").into(), stack.into()])
}

fn go(root: &Path, stack: &str) -> Result<Vec<OsString>> {
    Ok(vec![root.join(".cache/grpc/go/calls").into(), stack.into()])
}

fn java(root: &Path) -> Result<Vec<OsString>> {
    // A small program on a small machine: the serial collector and the quick compiler.
    let words = ["java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx96m", "-jar"];
    let mut words: Vec<OsString> = words.map(OsString::from).to_vec();
    words.push(root.join(".cache/grpc/java/calls.jar").into());
    Ok(words)
}

impl Stack {
    fn start(self, job: &str, port: u16) -> Result<Command> {
        let words = (self.words)(&repository()?)?;
        let (program, arguments) = words.split_first().context("a stack is started by something")?;
        let mut command = command(program);
        command.args(arguments).arg(job).arg(port.to_string());
        Ok(command)
    }

    /// Its server, on a port of its own.
    pub(super) fn serve(self, world: &mut World) -> Result<App> {
        let port = free_port()?;
        let app = world.serve(self.name, port, &mut self.start("serve", port)?);
        app.context("`cargo xtask e2e` builds the programs of this world")
    }

    /// One call of each type, all on one connection; their ids begin with the name.
    pub(super) fn call(self, port: u16, name: &str) -> Result<Vec<Row>> {
        let (said, _) = output(self.start("call", port)?.arg(name), 0)?;
        rows(&said)
    }

    /// So many seconds of calls, four at a time.
    pub(super) fn busy(self, port: u16, seconds: u32) -> Result<Command> {
        let mut command = self.start("busy", port)?;
        command.arg(seconds.to_string());
        Ok(command)
    }

    /// What is started, as it would be typed.
    pub(super) fn program(self) -> Result<PathBuf> {
        let words = (self.words)(&repository()?)?;
        Ok(words.first().context("a stack is started by something")?.into())
    }
}

/// What a caller wrote, line by line.
pub(super) fn rows(text: &str) -> Result<Vec<Row>> {
    text.lines().map(|line| serde_json::from_str(line).with_context(|| line.to_owned())).collect()
}

/// What a span says of its method, in the words of a row; empty: it does not know.
pub(super) fn method(span: &Span) -> String {
    let path = path(span);
    if path.is_empty() || span.attribute("rpc.system") == "grpc" {
        return path;
    }
    format!("{} {path}", span.attribute("http.request.method"))
}

/// The path of its request; empty: it does not know.
pub(super) fn path(span: &Span) -> String {
    if span.attribute("rpc.system") == "grpc" {
        let (service, method) = (span.attribute("rpc.service"), span.attribute("rpc.method"));
        return if method.is_empty() { String::new() } else { format!("/{service}/{method}") };
    }
    let path = span.attribute("url.full").splitn(4, '/').nth(3).map(|path| format!("/{path}"));
    path.unwrap_or_else(|| span.path().to_owned())
}

/// What a span says of its end, in the words of a row.
pub(super) fn status(span: &Span) -> &str {
    match span.attribute("rpc.grpc.status_code") {
        "" => span.attribute("http.response.status_code"),
        status => status,
    }
}
