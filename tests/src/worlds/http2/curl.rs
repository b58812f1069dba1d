//! curl as a caller: a process and a connection for each call.
use super::{
    calls::Called,
    command,
    stacks::{HEADER, Row, Stack},
};
use anyhow::{Context, Result, ensure};

/// In the table, and in the search path.
pub(super) const NAME: &str = "curl";

/// It may sleep for a second before it notices that a response has ended.
pub(super) const NOTICED_LATE_NS: u64 = 1_000_000_000;

/// Types of calls, as they are asked for.
const CALLS: [(&str, &str, &[&str]); 5] = [
    ("unary", "GET /get", &[]),
    ("fail", "GET /fail", &[]),
    ("down", "GET /down", &[]),
    ("up", "POST /up", &["--data", "some"]),
    ("cancelled", "GET /slow", &["--max-time", "0.1"]),
];
/// Exit code of a transfer that took too long.
const LATE: i32 = 28;

/// One call of each type.
pub(super) fn call(server: Stack, port: u16) -> Result<Vec<Called>> {
    CALLS.iter().map(|call| Ok(Called { client: NAME, server, row: one(port, call)? })).collect()
}

fn one(port: u16, (kind, method, arguments): &(&str, &str, &[&str])) -> Result<Row> {
    let (_, path) = method.split_once(' ').context("a method and a path")?;
    let id = format!("{NAME}-{port}-{kind}");
    let mut curl = command(NAME);
    curl.args(["--silent", "--http2-prior-knowledge", "--output", "/dev/null"]);
    curl.args(["--write-out", "%{http_code} %{time_total}", "--header", &format!("{HEADER}: {id}")]);
    curl.args(*arguments).arg(format!("http://127.0.0.1:{port}{path}"));
    let output = curl.output()?;
    ensure!(matches!(output.status.code(), Some(0 | LATE)), "{curl:?}: {}", output.status);
    let said = String::from_utf8(output.stdout)?;
    let (status, seconds) = said.split_once(' ').with_context(|| format!("curl said {said}"))?;
    // Only how long it took is known to a fraction of what a process takes to start.
    let end = (seconds.parse::<f64>()? * 1e9) as u64;
    Ok(Row { id, method: (*method).to_owned(), status: status.replace("000", ""), start: 0, end })
}
