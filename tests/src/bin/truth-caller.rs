//! A client of the ledger's worlds that is observed: it pipelines, keeps connections for a while, and opens new ones.
//!
//! Shape: `TARGET`, `CLIENTS`, `REQUESTS`, `SERVICE` and `LEDGER` from the environment; it begins with the first line of its input, and
//! ends when all is answered. A row per request.
#![forbid(unsafe_code)]
#![expect(
    clippy::disallowed_methods,
    reason = "a program under test is told by its environment, like the others"
)]

use anyhow::{Context, Result, ensure};
use std::{
    env,
    fs::File,
    io::Write,
    net::SocketAddr,
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};
use wirespan_tests::{
    http::{Connection, request},
    ledger::{HEADER, Kind, Row},
    truth::plan::Dice,
    wait::{PATIENCE, eventually},
};

/// Requests written at once, at most.
const PIPELINED: usize = 5;
/// Batches on one connection, at most.
const BATCHES: usize = 40;

struct Caller {
    target: SocketAddr,
    service: String,
    requests: u64,
    next: AtomicU64,
}

fn main() -> Result<()> {
    let text = |name: &str| env::var(name).with_context(|| name.to_owned());
    let service = text("SERVICE")?;
    let folder = PathBuf::from(text("LEDGER")?);
    let mut file = File::create(folder.join(format!("{service}-{}.jsonl", std::process::id())))?;
    let (target, requests) = (text("TARGET")?.parse()?, text("REQUESTS")?.parse()?);
    let caller = Caller { target, service, requests, next: AtomicU64::new(0) };
    let clients: u64 = text("CLIENTS")?.parse()?;
    std::io::stdin().read_line(&mut String::new())?;
    let rows = std::thread::scope(|scope| {
        let caller = &caller;
        let clients: Vec<_> =
            (0..clients).map(|number| scope.spawn(move || caller.work(Dice::new(number)))).collect();
        let rows = clients.into_iter().map(|client| client.join().ok().context("a client panicked")?);
        rows.collect::<Result<Vec<_>>>()
    })?;
    let lines = rows.concat().iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>()?;
    Ok(file.write_all((lines.join("\n") + "\n").as_bytes())?)
}

impl Caller {
    fn work(&self, mut dice: Dice) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        loop {
            let mut connection =
                eventually("a connection", PATIENCE, || Ok(Connection::open(self.target).ok()))?;
            for _ in 0..dice.of(&[1, 1, 2, BATCHES]) {
                let batch = dice.of(&[1, 1, 2, 3, PIPELINED]);
                let batch: Vec<Row> =
                    (0..batch).map_while(|_| self.row(&mut dice).transpose()).collect::<Result<_>>()?;
                if batch.is_empty() {
                    return Ok(rows);
                }
                rows.extend(ask(&mut connection, batch, dice.of(&[1, 1, 1, 2, 3]))?);
            }
        }
    }

    /// The next request; none if there were enough.
    fn row(&self, dice: &mut Dice) -> Result<Option<Row>> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (delay, status) = (dice.of(&[0, 0, 0, 1, 2, 4]), dice.of(&[2, 2, 2, 2, 2, 2, 2, 4, 5]));
        let row = Row {
            id: format!("{number}"),
            parent: None,
            kind: Kind::Client,
            call: format!("{number}"),
            service: self.service.clone(),
            pid: std::process::id(),
            method: "GET".to_owned(),
            path: format!("/t/0s{delay}{status}0"),
            status: 0,
            // The second of a batch is sent with the first and answered after it: its times are not judged.
            start_ns: 0,
            end_ns: 0,
        };
        Ok((number < self.requests).then_some(row))
    }
}

/// Sends them all, in so many writes, and reads the answers.
fn ask(connection: &mut Connection, mut batch: Vec<Row>, writes: usize) -> Result<Vec<Row>> {
    let heads: String = batch.iter().map(|row| request("GET", &row.path, &[(HEADER, &row.id)])).collect();
    let is_alone = batch.len() == 1;
    let start_ns = unix_ns()?;
    connection.send_in(writes, heads.as_bytes())?;
    for row in &mut batch {
        row.status = connection.response("GET")?.status;
        ensure!(row.path.contains(&format!("{}0", row.status / 100)), "{row} has another status");
        if is_alone {
            (row.start_ns, row.end_ns) = (start_ns, unix_ns()?);
        }
    }
    Ok(batch)
}

fn unix_ns() -> Result<u64> {
    Ok(u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos())?)
}
