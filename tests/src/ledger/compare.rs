//! Joins rows with spans and judges every claim of every span.
//!
//! Shape: a [`Ledger`] and spans → a [`Verdict`]: figures, and each thing that is wrong with what is needed to look into it.
//! Pure: the same input gives the same verdict. A request's first span is judged; more of them are duplicates.
use super::{
    Kind, Ledger,
    figures::{Figures, Links},
    traces,
};
use crate::span::Span;
use serde_json::{Value, json};
use std::collections::HashMap;

/// Where a span has the header [`super::HEADER`].
const ATTRIBUTE: &str = "http.request.header.x-ledger-id";

/// What came of a comparison.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// Counts.
    pub figures: Figures,
    /// What is false, up to [`Verdict::KEPT`] of it.
    pub findings: Vec<Finding>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// In a few words.
    pub what: &'static str,
    /// The span, as it prints, and its evidence.
    pub span: String,
    /// Its row.
    pub row: String,
    /// The span that it claims, and the row of that.
    pub claimed: String,
    /// The row that would have been right.
    pub truth: String,
}

impl Verdict {
    /// Findings kept.
    pub const KEPT: usize = 1_000;

    pub(super) fn find(&mut self, finding: Finding) {
        if self.findings.len() < Verdict::KEPT {
            self.findings.push(finding);
        }
    }
}

impl Finding {
    /// All of it.
    pub fn to_json(&self) -> Value {
        json!({ "what": self.what, "span": self.span, "row": self.row, "claimed": self.claimed, "truth": self.truth })
    }
}

/// What a span says of its parent, judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// It names none.
    None,
    /// It came with the request.
    Wire,
    /// The ledger's, and that span's index.
    Right(usize),
    /// Not the ledger's.
    Wrong,
    /// A span that is not there.
    Orphan,
}

/// Rows and spans, joined.
pub(super) struct Joined<'a> {
    pub(super) ledger: &'a Ledger,
    pub(super) spans: &'a [Span],
    /// The row of each span.
    pub(super) row_of: Vec<Option<usize>>,
    /// The first span of each row.
    pub(super) span_of: HashMap<usize, usize>,
    /// What each span says of its parent.
    pub(super) claims: Vec<Claim>,
}

/// Compares.
pub fn compare(ledger: &Ledger, spans: &[Span]) -> Verdict {
    let mut verdict = Verdict::default();
    let joined = join(ledger, spans, &mut verdict);
    for (at, row) in ledger.rows().iter().enumerate() {
        let span = joined.span_of.get(&at).and_then(|span| spans.get(*span));
        if ledger.is_certain(at) {
            verdict.figures.rows += 1;
            verdict.figures.found += u64::from(span.is_some());
        }
        let Some(span) = span else {
            // It could have been linked: a lost span is a lost link as well.
            if ledger.is_certain(at) && ledger.parent(at).is_some() {
                links(&mut verdict.figures, row.kind).exist += 1;
                *verdict.figures.unparented.entry("(no span)".to_owned()).or_default() += 1;
            }
            continue;
        };
        attributes(at, span, ledger, &mut verdict);
        for (theirs, ours, errors) in [
            (row.start_ns, span.start_ns, &mut verdict.figures.start_errors_ns),
            (row.end_ns, span.end_ns, &mut verdict.figures.end_errors_ns),
        ] {
            if theirs != 0 {
                errors.push(theirs.abs_diff(ours));
            }
        }
    }
    verdict.figures.start_errors_ns.sort_unstable();
    verdict.figures.end_errors_ns.sort_unstable();
    parents(&joined, &mut verdict);
    traces::judge(&joined, &mut verdict);
    verdict
}

/// The id that the header carried, or empty.
fn call(span: &Span) -> &str {
    // A field may come more than once, so the attribute is a list, and prints in brackets.
    span.attribute(ATTRIBUTE).trim_matches(['[', ']'])
}

fn join<'a>(ledger: &'a Ledger, spans: &'a [Span], verdict: &mut Verdict) -> Joined<'a> {
    let mut row_of = Vec::with_capacity(spans.len());
    let mut span_of = HashMap::new();
    for (at, span) in spans.iter().enumerate() {
        let kind = if span.kind == Kind::Server.name() { Kind::Server } else { Kind::Client };
        let row = ledger.find(kind, call(span)).filter(|row| ledger.is_observed(*row));
        row_of.push(row);
        match row {
            None => {
                verdict.figures.strangers += 1;
                verdict.find(found("a span that no row explains", span, ""));
            }
            Some(row) if span_of.contains_key(&row) => {
                verdict.figures.duplicates += 1;
                let row = ledger.row(row).map(ToString::to_string).unwrap_or_default();
                verdict.find(found("a second span of one request", span, &row));
            }
            Some(row) => {
                span_of.insert(row, at);
            }
        }
    }
    let by_id: HashMap<&str, usize> =
        spans.iter().enumerate().map(|(at, span)| (span.span_id.as_str(), at)).collect();
    let claims = spans
        .iter()
        .zip(&row_of)
        .map(|(span, row)| match by_id.get(span.parent_id.as_str()) {
            _ if span.parent_id.is_empty() => Claim::None,
            None if span.attribute("wirespan.evidence") == "wire" => Claim::Wire,
            None => Claim::Orphan,
            Some(&parent) => {
                let claimed = row_of.get(parent).copied().flatten();
                let truth = row.and_then(|row| ledger.parent(row));
                if claimed.is_some() && claimed == truth { Claim::Right(parent) } else { Claim::Wrong }
            }
        })
        .collect();
    Joined { ledger, spans, row_of, span_of, claims }
}

fn links(figures: &mut Figures, kind: Kind) -> &mut Links {
    match kind {
        Kind::Server => &mut figures.server,
        Kind::Client => &mut figures.client,
    }
}

fn found(what: &'static str, span: &Span, row: &str) -> Finding {
    let evidence = span.attribute("wirespan.evidence");
    let pid = span.resource.get("process.pid").cloned().unwrap_or_default();
    Finding {
        what,
        span: format!("{span} of process {pid} from {} to {} by {evidence:?}", span.start_ns, span.end_ns),
        row: row.to_owned(),
        claimed: String::new(),
        truth: String::new(),
    }
}

/// Every span of a row is judged once: a duplicate's claims count as the duplicate they are in.
fn parents(joined: &Joined<'_>, verdict: &mut Verdict) {
    let Joined { ledger, spans, .. } = joined;
    for (at, row) in ledger.rows().iter().enumerate() {
        let Some(&index) = joined.span_of.get(&at) else { continue };
        let (Some(span), Some(&claim)) = (spans.get(index), joined.claims.get(index)) else { continue };
        let exists = ledger.parent(at).is_some();
        let evidence = span.attribute("wirespan.evidence").to_owned();
        let figures = &mut verdict.figures;
        links(figures, row.kind).exist += u64::from(exists);
        links(figures, row.kind).claimed +=
            u64::from(matches!(claim, Claim::Right(_) | Claim::Wrong | Claim::Orphan));
        match claim {
            Claim::None if exists => {
                let reason = match span.attribute("wirespan.unparented.reason") {
                    "" => "(no reason)",
                    reason => reason,
                };
                *figures.unparented.entry(reason.to_owned()).or_default() += 1;
            }
            Claim::None | Claim::Wire => {}
            Claim::Right(parent) => {
                let torn = spans.get(parent).is_none_or(|parent| parent.trace_id != span.trace_id);
                figures.evidence.entry(evidence).or_default().0 += 1;
                if torn {
                    figures.torn += 1;
                    verdict.find(judged("right parent, another trace", joined, at, index));
                } else {
                    links(figures, row.kind).right += 1;
                }
            }
            Claim::Wrong => {
                let counts = figures.evidence.entry(evidence).or_default();
                *counts = (counts.0 + 1, counts.1 + 1);
                links(figures, row.kind).wrong += 1;
                verdict.find(judged("false parent", joined, at, index));
            }
            Claim::Orphan => {
                figures.orphans += 1;
                verdict.find(judged("a parent that is not there", joined, at, index));
            }
        }
    }
}

/// A finding about a link, with both ends.
pub(super) fn judged(what: &'static str, joined: &Joined<'_>, row: usize, span: usize) -> Finding {
    let Joined { ledger, spans, .. } = joined;
    let told = |row: Option<usize>| row.and_then(|row| ledger.row(row)).map(ToString::to_string);
    let Some(span) = spans.get(span) else { return Finding { what, ..Finding::empty() } };
    let parent = spans.iter().position(|parent| parent.span_id == span.parent_id);
    let claimed = parent.and_then(|parent| spans.get(parent).map(|span| found("", span, "").span));
    let claimed_row = told(parent.and_then(|parent| joined.row_of.get(parent).copied().flatten()));
    Finding {
        claimed: format!("{} = {}", claimed.unwrap_or_default(), claimed_row.unwrap_or_default()),
        truth: told(ledger.parent(row)).unwrap_or_else(|| "no parent".to_owned()),
        ..found(what, span, &told(Some(row)).unwrap_or_default())
    }
}

impl Finding {
    fn empty() -> Finding {
        Finding {
            what: "",
            span: String::new(),
            row: String::new(),
            claimed: String::new(),
            truth: String::new(),
        }
    }
}

fn attributes(at: usize, span: &Span, ledger: &Ledger, verdict: &mut Verdict) {
    let Some(row) = ledger.row(at).filter(|_| ledger.is_certain(at)) else { return };
    let said =
        (span.attribute("http.request.method"), path(span), span.attribute("http.response.status_code"));
    if said != (row.method.as_str(), row.path.as_str(), row.status.to_string().as_str()) {
        verdict.figures.wrong_attributes += 1;
        verdict.find(found("method, path or status is not the ledger's", span, &row.to_string()));
    }
}

/// `url.path`, or that part of `url.full`.
fn path(span: &Span) -> &str {
    let full = span.attribute("url.full");
    let path = match full.split_once("://") {
        Some((_, rest)) => rest.find('/').and_then(|slash| rest.get(slash..)).unwrap_or("/"),
        None => span.path(),
    };
    path.split('?').next().unwrap_or_default()
}
