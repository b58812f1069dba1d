//! `--checkouts N`: how often a whole checkout through all services is one whole trace, under load.
//!
//! Shape: rounds of checkouts, each judged when its spans have come → one sum, and the exit code.
use super::{agent::Agent, load::Load, lock, report::Report, round, shop::Shop};
use anyhow::{Result, ensure};

/// Checkouts per round: half of what the ledger remembers, so that none is forgotten before it is judged.
const ROUND: u64 = 2_000;
/// What is promised of 64 in flight.
const PROMISE: f64 = 0.95;
/// False claims that are told one by one.
const TOLD: usize = 5;

pub(super) fn run(
    load: &Load,
    shop: &mut Shop,
    agent: &mut Agent,
    checkouts: u64,
    in_flight: usize,
) -> Result<()> {
    let names = shop.names();
    let mut sum = Report::default();
    let mut left = checkouts;
    while left > 0 && !load.stop.is_set() {
        let now = left.min(ROUND);
        let first = round(load, shop, Some(agent), in_flight, now)?;
        sum.absorb(Report::of(&lock(load.ledger), first, &names));
        left -= now;
    }
    println!("\n{}\n{in_flight} in flight: {sum}", sum.waterfall());
    for claim in sum.false_claims().iter().take(TOLD) {
        println!("false: {claim}");
    }
    let (mixed, wrong, whole) = (lock(load.ledger).mixed(), sum.false_claims().len(), sum.completeness());
    let verdict = if whole >= PROMISE { "met" } else { "short" };
    println!("demo: {whole:.4} of {checkouts} checkouts are whole, {PROMISE} is promised: {verdict}");
    ensure!(!load.stop.is_set(), "stopped before the end");
    ensure!(mixed == 0, "{mixed} spans are in the trace of another checkout");
    ensure!(wrong == 0, "{wrong} claims of the agent are false");
    ensure!(whole >= PROMISE, "too few checkouts are whole");
    Ok(())
}
