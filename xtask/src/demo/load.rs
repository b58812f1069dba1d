//! Visitors: who comes, how many at once, and what they were answered.
//!
//! Shape: a number of visits and of visitors → requests over kept connections, each visit noted in the ledger before its
//! first byte is sent. Not here: what a visit is (see `visit`).
use super::{
    client::Client,
    ledger::Ledger,
    stop::Stop,
    visit::{Errand, Visit},
};
use anyhow::{Result, ensure};
use std::{
    collections::HashMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

/// Wrong answers that are told one by one.
const TOLD: usize = 5;

/// Everything that visitors share.
pub(super) struct Load<'a> {
    /// Name and port of each service that runs.
    pub(super) ports: HashMap<&'static str, u16>,
    /// Where visits are noted; none if nobody watches.
    pub(super) ledger: &'a Mutex<Ledger>,
    /// Ends the load early.
    pub(super) stop: &'a Stop,
    /// What every visitor does; none if each does something else.
    pub(super) errand: Option<Errand>,
    /// The number of the next visit.
    pub(super) next: AtomicU64,
}

impl Load<'_> {
    /// The cart of the next visit.
    pub(super) fn first_cart(&self) -> u64 {
        Visit::number(self.next.load(Ordering::Relaxed)).cart
    }

    /// `visits` visits by `visitors` at once. An error if the shop itself answers wrongly: then the demo proves nothing.
    pub(super) fn round(&self, visits: u64, visitors: usize) -> Result<()> {
        let end = self.next.load(Ordering::Relaxed) + visits;
        let wrong = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for _ in 0..visitors {
                scope.spawn(|| self.visitor(end, None, &wrong));
            }
        });
        self.next.store(end, Ordering::Relaxed);
        let wrong = wrong.into_inner().unwrap_or_else(PoisonError::into_inner);
        ensure!(wrong.is_empty(), "the shop answers wrongly: {}", told(&wrong));
        Ok(())
    }

    /// Visits by `visitors` at once, with `pause` between the visits of each, until the demo ends.
    pub(super) fn until_stopped(&self, visitors: usize, pause: Duration) {
        let wrong = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for _ in 0..visitors {
                scope.spawn(|| self.visitor(u64::MAX, Some(pause), &wrong));
            }
        });
    }

    fn visitor(&self, end: u64, pause: Option<Duration>, wrong: &Mutex<Vec<String>>) {
        let mut clients = HashMap::new();
        while !self.stop.is_set() {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= end {
                return;
            }
            let mut visit = Visit::number(number);
            visit.errand = self.errand.unwrap_or(visit.errand);
            if let Err(error) = self.visit(visit, &mut clients) {
                let mut wrong = wrong.lock().unwrap_or_else(PoisonError::into_inner);
                if wrong.len() < 1_000 {
                    wrong.push(format!("{error:#}"));
                }
            }
            if let Some(pause) = pause {
                self.stop.wait(pause, || false);
            }
        }
    }

    fn visit(&self, visit: Visit, clients: &mut HashMap<&'static str, Client>) -> Result<()> {
        let present: Vec<&str> = self.ports.keys().copied().collect();
        let calls = visit.calls(&present);
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner).begin(visit, calls.clone());
        for call in calls.iter().filter(|call| call.during.is_none()) {
            let Some(port) = self.ports.get(call.service) else { continue };
            let client = clients.entry(call.service).or_insert_with(|| Client::new(*port));
            let status = client.send(call.method, &call.path, call.body.as_deref())?;
            let truly = call.status.unwrap_or(status);
            ensure!(status == truly, "{} {} gave {status} instead of {truly}", call.method, call.path);
        }
        Ok(())
    }
}

fn told(wrong: &[String]) -> String {
    let first = wrong.get(..TOLD.min(wrong.len())).unwrap_or_default().join("; ");
    if wrong.len() > TOLD { format!("{first}; and {} more", wrong.len() - TOLD) } else { first }
}
