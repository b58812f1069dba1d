//! The closed-loop load: so many clients, each with one connection, each asking again when it was answered.
//!
//! Shape: plans → rows of the ledger, kept in memory. The load is never observed: its rows are where trees begin.
use super::plan::{Dice, Plan, Rules};
use crate::{
    http::{Connection, Response, request},
    ledger::{HEADER, Kind, Row},
    wait::{PATIENCE, eventually},
};
use anyhow::{Context, Result, ensure};
use std::{
    net::SocketAddr,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// The load's name in rows.
pub const SERVICE: &str = "load";

/// A runtime with hundreds of requests in its hands may take that long for one.
const LONGEST: Duration = Duration::from_secs(150);

/// Of so many requests one is not waited for, where clients leave.
const LEFT: u64 = 8;

/// What to ask for.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    /// Whom.
    pub address: SocketAddr,
    /// How many at once.
    pub concurrency: usize,
    /// How many in all.
    pub requests: u64,
    /// What the world can do.
    pub rules: Rules,
    /// The same seed, the same requests.
    pub seed: u64,
    /// A connection for each request.
    pub brief: bool,
    /// Some requests are not waited for: their clients go away.
    pub leaves: bool,
}

/// Asks, and gives a row per request.
pub fn run(order: Order) -> Result<Vec<Row>> {
    let next = AtomicU64::new(0);
    let rows: Vec<Vec<Row>> = std::thread::scope(|scope| {
        let next = &next;
        let client = || {
            std::thread::Builder::new()
                .stack_size(256 * 1024)
                .spawn_scoped(scope, move || client(order, next))
        };
        let clients = (0..order.concurrency).map(|_| client()).collect::<Result<Vec<_>, _>>()?;
        let rows = clients.into_iter().map(|client| client.join().ok().context("a client panicked")?);
        rows.collect::<Result<_>>()
    })?;
    let rows = rows.concat();
    let left = if order.leaves { rows.len() / usize::try_from(LEFT)? } else { 0 };
    let failed = rows.iter().filter(|row| row.status == 0).count().saturating_sub(left);
    // A world that breaks under its load shows nothing.
    ensure!(failed * 100 <= rows.len(), "{failed} of {} requests were not answered", rows.len());
    Ok(rows)
}

fn client(order: Order, next: &AtomicU64) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    let mut connection = None;
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= order.requests {
            return Ok(rows);
        }
        let plan = Plan::roll(order.rules, &mut Dice::new(order.seed.wrapping_add(number << 20)));
        let (path, id) = (plan.path(), format!("{number}"));
        let start_ns = unix_ns()?;
        let leaves = order.leaves && number % LEFT == LEFT - 1;
        let answer = match leaves {
            true => leave(order.address, &path, &id, number).map(|()| None)?,
            false => ask(order.address, &mut connection, &path, &id).ok(),
        };
        if order.brief {
            connection = None;
        }
        if let Some(answer) = &answer {
            ensure!(answer.status == plan.status(), "{path} was answered with {}", answer.status);
        }
        let status = answer.map_or(0, |answer| answer.status);
        rows.push(Row {
            id: id.clone(),
            parent: None,
            kind: Kind::Client,
            call: id,
            service: SERVICE.to_owned(),
            pid: std::process::id(),
            method: "GET".to_owned(),
            path,
            status,
            start_ns,
            end_ns: unix_ns()?,
        });
    }
}

/// Asks, and goes away after a few milliseconds, with an answer or without.
fn leave(address: SocketAddr, path: &str, id: &str, number: u64) -> Result<()> {
    let mut open = eventually("a connection", PATIENCE, || Ok(Connection::open(address).ok()))?;
    open.send(request("GET", path, &[(HEADER, id)]))?;
    // Whether there is one does not matter: nobody looks at it.
    let _ = open.patient(Duration::from_millis(1 + number / LEFT % 16))?.response("GET");
    Ok(())
}

/// Over the client's connection, while it lasts.
fn ask(address: SocketAddr, kept: &mut Option<Connection>, path: &str, id: &str) -> Result<Response> {
    // A full queue of the listener refuses: that is no answer, but nothing has happened yet either.
    let mut open = match kept.take() {
        Some(open) => open,
        None => {
            let open = eventually("a connection", PATIENCE, || Ok(Connection::open(address).ok()))?;
            open.patient(LONGEST)?
        }
    };
    let answer = open.get(path, &[(HEADER, id)])?;
    let closes = answer.field("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
    // HTTP/1.0 closes unless it says otherwise, and then gives no length either.
    if !closes && answer.field("content-length").or(answer.field("transfer-encoding")).is_some() {
        *kept = Some(open);
    }
    Ok(answer)
}

/// The time of day.
pub(super) fn unix_ns() -> Result<u64> {
    Ok(u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos())?)
}
