//! What the demo tells: a waterfall, a table, and how much of the truth the agent saw.
//!
//! Shape: the ledger's verdicts → text, and for `--once` the judgement that becomes the exit code.
use super::{
    judge::Verdict,
    ledger::{Entry, Ledger},
    table::Table,
    visit::Errand,
    waterfall,
};
use anyhow::{Result, ensure};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    io::{IsTerminal, stdout},
    ops::Range,
    time::Duration,
};

/// False claims that are told one by one.
const TOLD: usize = 5;
/// A visit that began longer ago has been answered, and its spans should have come.
const SETTLED: Duration = Duration::from_secs(4);

/// Sums over the visits of a round.
#[derive(Default)]
pub(super) struct Report {
    visits: usize,
    whole: usize,
    checkouts: usize,
    whole_checkouts: usize,
    expected: usize,
    missing: usize,
    orphans: usize,
    alone: BTreeMap<String, usize>,
    evidence: BTreeMap<String, usize>,
    false_claims: Vec<String>,
    best: Option<Best>,
}

/// The last checkout that was seen whole.
struct Best {
    trace: String,
    spans: usize,
    services: BTreeSet<&'static str>,
    drawn: String,
}

impl Report {
    /// Of all visits from cart `first` on.
    pub(super) fn of(ledger: &Ledger, first: u64, present: &[&'static str]) -> Report {
        Report::between(ledger, first..u64::MAX, present)
    }

    /// Likewise, without the visits whose spans may still be on their way.
    fn settled(ledger: &Ledger, first: u64, present: &[&'static str]) -> Report {
        let mut report = Report::default();
        for (entry, verdict) in ledger.verdicts(first).filter(|(entry, _)| entry.since.elapsed() > SETTLED) {
            report.add(entry, verdict, present);
        }
        report
    }

    fn between(ledger: &Ledger, carts: Range<u64>, present: &[&'static str]) -> Report {
        let mut report = Report::default();
        for (entry, verdict) in ledger.verdicts(carts.start) {
            if carts.contains(&entry.visit.cart) {
                report.add(entry, verdict, present);
            }
        }
        report
    }

    fn add(&mut self, entry: &Entry, verdict: Verdict, present: &[&'static str]) {
        self.visits += 1;
        self.whole += usize::from(verdict.whole.is_some());
        self.expected += verdict.expected;
        self.missing += verdict.missing;
        self.orphans += verdict.orphans;
        for alone in verdict.alone {
            *self.alone.entry(alone).or_default() += 1;
        }
        for evidence in entry.seen.iter().filter_map(|seen| seen.span.evidence.clone()) {
            *self.evidence.entry(evidence).or_default() += 1;
        }
        self.false_claims.extend(verdict.false_claims);
        if entry.visit.errand != Errand::Checkout {
            return;
        }
        self.checkouts += 1;
        let services: BTreeSet<&str> = entry.seen.iter().map(|seen| seen.service).collect();
        let covers = present.iter().all(|service| services.contains(service));
        if let Some(trace) = verdict.whole.filter(|_| covers) {
            self.whole_checkouts += 1;
            let drawn = waterfall::draw(&entry.seen);
            self.best = Some(Best { trace, spans: entry.seen.len(), services, drawn });
        }
    }

    /// Takes in those of another round.
    pub(super) fn absorb(&mut self, other: Report) {
        self.visits += other.visits;
        self.whole += other.whole;
        self.checkouts += other.checkouts;
        self.whole_checkouts += other.whole_checkouts;
        self.expected += other.expected;
        self.missing += other.missing;
        self.orphans += other.orphans;
        for (alone, count) in other.alone {
            *self.alone.entry(alone).or_default() += count;
        }
        for (evidence, count) in other.evidence {
            *self.evidence.entry(evidence).or_default() += count;
        }
        self.false_claims.extend(other.false_claims);
        self.best = other.best.or(self.best.take());
    }

    /// Share of the checkouts that were seen whole: one trace, every span and every link, nothing else in it.
    pub(super) fn completeness(&self) -> f64 {
        self.whole_checkouts as f64 / self.checkouts.max(1) as f64
    }

    /// What the agent says and is not so, one sentence each.
    pub(super) fn false_claims(&self) -> &[String] {
        &self.false_claims
    }

    /// The last whole checkout, drawn.
    pub(super) fn waterfall(&self) -> String {
        let Some(best) = &self.best else { return "no checkout was seen whole\n".into() };
        format!(
            "one checkout, trace {}: {} spans of {} services\n{}",
            best.trace,
            best.spans,
            best.services.len(),
            best.drawn
        )
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        let seen = self.expected - self.missing;
        write!(
            out,
            "{} visits: {seen} of {} spans seen, {} traces whole ({} of {} checkouts), {} false",
            self.visits,
            self.expected,
            self.whole,
            self.whole_checkouts,
            self.checkouts,
            self.false_claims.len(),
        )?;
        write!(out, "; {} without a parent", self.alone.values().sum::<usize>())?;
        if !self.alone.is_empty() {
            write!(out, " ({})", listed(&self.alone))?;
        }
        if !self.evidence.is_empty() {
            write!(out, "; linked by {}", listed(&self.evidence))?;
        }
        if self.orphans > 0 {
            write!(out, "; {} whose parent never came", self.orphans)?;
        }
        Ok(())
    }
}

/// `thread 12, peer 40`.
fn listed(counts: &BTreeMap<impl fmt::Display, usize>) -> String {
    counts.iter().map(|(what, count)| format!("{what} {count}")).collect::<Vec<_>>().join(", ")
}

/// Tells the summary of the endless load again, over the last one if this is a terminal.
pub(super) fn refresh(ledger: &Ledger, first: u64, table: &Table, present: &[&'static str]) {
    let report = Report::settled(ledger, first, present);
    let clear = if stdout().is_terminal() { "\x1b[2J\x1b[H" } else { "" };
    println!("{clear}{}\n{table}\n{report}\nCtrl-C ends the demo", report.waterfall());
}

/// Tells the two rounds and decides: `rounds` begins with the first cart of the first round and ends where the second begins.
pub(super) fn judge_once(
    ledger: &Ledger,
    rounds: Range<u64>,
    table: &Table,
    present: &[&'static str],
) -> Result<()> {
    let crowd = Report::of(ledger, rounds.end, present);
    let alone = Report::between(ledger, rounds, present);
    println!("\n{}\n{table}\none at once:   {alone}\n8 in flight:   {crowd}", alone.waterfall());
    println!("{} spans in all, {} that no visit explains", ledger.spans(), ledger.strange());

    let false_claims: Vec<&String> = alone.false_claims.iter().chain(&crowd.false_claims).collect();
    for claim in false_claims.iter().take(TOLD) {
        println!("false: {claim}");
    }
    ensure!(ledger.mixed() == 0, "{} spans are in the trace of another visit", ledger.mixed());
    ensure!(false_claims.is_empty(), "{} claims of the agent are false", false_claims.len());
    let Some(best) = &alone.best else {
        anyhow::bail!("no checkout gave one trace through all of {}", present.join(", "));
    };
    println!(
        "demo: one trace of {} spans through {} services; nothing false in {} visits",
        best.spans,
        best.services.len(),
        alone.visits + crowd.visits
    );
    Ok(())
}

#[cfg(test)]
mod tests;
