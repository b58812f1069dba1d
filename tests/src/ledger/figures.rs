//! What the comparison counts.
//!
//! Shape: counts that add up over worlds, and ratios of them. Units: requests, spans, links, nanoseconds.
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Links of one kind of span.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Links {
    /// Parents that exist: what could be claimed.
    pub exist: u64,
    /// Spans that name a parent.
    pub claimed: u64,
    /// … which is the ledger's, in its trace.
    pub right: u64,
    /// … which is another span than the ledger's.
    pub wrong: u64,
}

/// Everything that is counted. Nothing here is ever an estimate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Requests that must be spans: one per end in an observed process that was answered.
    pub rows: u64,
    /// … that are.
    pub found: u64,
    /// Spans of a request that has one already.
    pub duplicates: u64,
    /// Spans that no row explains.
    pub strangers: u64,
    /// Spans whose method, path or status is not the ledger's.
    pub wrong_attributes: u64,
    /// Calls within a process: client spans below server spans.
    pub client: Links,
    /// Between processes: server spans below client spans.
    pub server: Links,
    /// Spans with the right parent in another trace than that.
    pub torn: u64,
    /// Trees that share a trace with another tree although none of their links is wrong.
    pub merged: u64,
    /// Parents that no exported span is, and that did not come on the wire.
    pub orphans: u64,
    /// Trees of the ledger.
    pub trees: u64,
    /// … that are one trace, with every span and link, and nothing else in it.
    pub whole: u64,
    /// Why spans have no parent that exists, as the spans say it.
    pub unparented: BTreeMap<String, u64>,
    /// Links by evidence, as the spans say it: all, and false ones.
    pub evidence: BTreeMap<String, (u64, u64)>,
    /// |start of span − start of row|, sorted.
    pub start_errors_ns: Vec<u64>,
    /// |end of span − end of row|, sorted.
    pub end_errors_ns: Vec<u64>,
}

/// A share; of nothing, everything.
pub fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 1.0 } else { part as f64 / whole as f64 }
}

/// A quantile of sorted values; 0 of none.
pub fn quantile(sorted: &[u64], q: f64) -> u64 {
    let at = (q * sorted.len().saturating_sub(1) as f64).round() as usize;
    sorted.get(at).copied().unwrap_or(0)
}

impl Links {
    /// Right ÷ exist.
    pub fn recall(&self) -> f64 {
        share(self.right, self.exist)
    }

    fn add(&mut self, other: Links) {
        self.exist += other.exist;
        self.claimed += other.claimed;
        self.right += other.right;
        self.wrong += other.wrong;
    }

    fn to_json(self) -> Value {
        json!({ "exist": self.exist, "claimed": self.claimed, "right": self.right, "wrong": self.wrong })
    }
}

impl Figures {
    /// Spans found ÷ rows.
    pub fn recall(&self) -> f64 {
        share(self.found, self.rows)
    }

    /// Spans whose attributes are the ledger's ÷ spans found.
    pub fn accuracy(&self) -> f64 {
        share(self.found.saturating_sub(self.wrong_attributes), self.found)
    }

    /// Both kinds together.
    pub fn links(&self) -> Links {
        let mut both = self.client;
        both.add(self.server);
        both
    }

    /// Right ÷ claimed.
    pub fn precision(&self) -> f64 {
        let links = self.links();
        share(links.right, links.claimed)
    }

    /// Claims of a parent or a trace that is not the ledger's: the number that matters.
    pub fn false_links(&self) -> u64 {
        self.client.wrong + self.server.wrong + self.torn + self.merged
    }

    /// Whole ÷ trees.
    pub fn completeness(&self) -> f64 {
        share(self.whole, self.trees)
    }

    /// Takes in those of another world.
    pub fn absorb(&mut self, other: &Figures) {
        self.rows += other.rows;
        self.found += other.found;
        self.duplicates += other.duplicates;
        self.strangers += other.strangers;
        self.wrong_attributes += other.wrong_attributes;
        self.client.add(other.client);
        self.server.add(other.server);
        self.torn += other.torn;
        self.merged += other.merged;
        self.orphans += other.orphans;
        self.trees += other.trees;
        self.whole += other.whole;
        for (reason, count) in &other.unparented {
            *self.unparented.entry(reason.clone()).or_default() += count;
        }
        for (evidence, (all, wrong)) in &other.evidence {
            let sum = self.evidence.entry(evidence.clone()).or_default();
            *sum = (sum.0 + all, sum.1 + wrong);
        }
        for (sum, more) in [
            (&mut self.start_errors_ns, &other.start_errors_ns),
            (&mut self.end_errors_ns, &other.end_errors_ns),
        ] {
            sum.extend(more);
            sum.sort_unstable();
        }
    }

    /// Counts and ratios.
    pub fn to_json(&self) -> Value {
        let time =
            |sorted: &[u64]| json!({ "p50_ns": quantile(sorted, 0.5), "p99_ns": quantile(sorted, 0.99) });
        let evidence: BTreeMap<&String, Value> = self
            .evidence
            .iter()
            .map(|(name, (all, wrong))| (name, json!({ "claimed": all, "wrong": wrong })))
            .collect();
        json!({
            "rows": self.rows, "found": self.found, "recall": self.recall(),
            "duplicates": self.duplicates, "strangers": self.strangers,
            "wrong_attributes": self.wrong_attributes, "attribute_accuracy": self.accuracy(),
            "client": self.client.to_json(), "server": self.server.to_json(),
            "parent_recall": self.links().recall(), "parent_precision": self.precision(),
            "client_parent_recall": self.client.recall(), "server_parent_recall": self.server.recall(),
            "false_links": self.false_links(), "torn": self.torn, "merged": self.merged, "orphans": self.orphans,
            "trees": self.trees, "whole": self.whole, "completeness": self.completeness(),
            "unparented": self.unparented, "evidence": evidence,
            "start_error": time(&self.start_errors_ns), "end_error": time(&self.end_errors_ns),
        })
    }
}
