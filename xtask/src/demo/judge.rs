//! Compares what the agent said of one visit with what happened.
//!
//! Shape: the calls of a visit and its spans → counts: linked, without a parent, missing, and a list of what is false.
//! A missing parent is allowed, and counted; a wrong one never is.
use super::{
    ledger::{Entry, Seen},
    otlp::Kind,
    visit::Call,
};
use std::collections::HashSet;

/// What is true of one visit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    /// Spans that should be.
    pub(super) expected: usize,
    /// Spans that are not there.
    pub(super) missing: usize,
    /// Spans that should have a parent and have none: whose, and why.
    pub(super) alone: Vec<String>,
    /// Spans whose parent should be one that is missing: the link may be right, and cannot be checked.
    pub(super) orphans: usize,
    /// What is wrong, as sentences.
    pub(super) false_claims: Vec<String>,
    /// The trace id, if all spans are there and share it.
    pub(super) whole: Option<String>,
}

/// Spans that these calls should give: a server span each, and a client span for each that a service makes.
pub(super) fn expected(calls: &[Call]) -> usize {
    calls.iter().map(|call| 1 + usize::from(call.during.is_some())).sum()
}

/// The spans of one call.
struct Pair<'a> {
    server: Option<&'a Seen>,
    client: Option<&'a Seen>,
}

/// Judges one visit.
pub(super) fn judge(entry: &Entry) -> Verdict {
    let mut verdict = Verdict { expected: expected(&entry.calls), ..Verdict::default() };
    let pairs: Vec<Pair> = entry.calls.iter().map(|call| pair(call, entry)).collect();
    let known: HashSet<&str> = entry.seen.iter().map(|seen| seen.span.id.as_str()).collect();
    let mut explained = 0;
    for (call, pair) in entry.calls.iter().zip(&pairs) {
        explained += usize::from(pair.server.is_some()) + usize::from(pair.client.is_some());
        server(call, pair, &known, &mut verdict);
        client(call, pair, &pairs, &known, &mut verdict);
    }
    verdict.missing = verdict.expected.saturating_sub(explained);
    if entry.seen.len() > explained {
        let cart = entry.visit.cart;
        verdict.false_claims.push(format!("cart {cart}: {} spans too many", entry.seen.len() - explained));
    }
    let first = entry.seen.first().map(|seen| seen.span.trace.clone());
    let one_trace = entry.seen.iter().all(|seen| Some(&seen.span.trace) == first.as_ref());
    let connected = verdict.alone.is_empty() && verdict.orphans == 0;
    if verdict.missing == 0 && verdict.false_claims.is_empty() && connected && one_trace {
        verdict.whole = first;
    }
    verdict
}

/// The spans that a call should have given: its server's, and its client's in the service that makes it.
fn pair<'a>(call: &Call, entry: &'a Entry) -> Pair<'a> {
    let caller = call.during.and_then(|during| entry.calls.get(during)).map(|caller| caller.service);
    let find = |kind: Kind, service: &str| {
        entry.seen.iter().find(|seen| {
            let span = &seen.span;
            span.kind == kind
                && seen.service == service
                && span.path == call.path
                && span.method == call.method
        })
    };
    Pair {
        server: find(Kind::Server, call.service),
        client: caller.and_then(|caller| find(Kind::Client, caller)),
    }
}

/// A server span's parent is the caller's client span. The visitor is not observed: its requests begin traces.
fn server(call: &Call, pair: &Pair, known: &HashSet<&str>, verdict: &mut Verdict) {
    let Some(seen @ Seen { span, .. }) = pair.server else { return };
    match (&span.parent, pair.client) {
        (None, _) => verdict.alone.extend(call.during.map(|_| alone(seen))),
        (Some(parent), Some(client)) if *parent == client.span.id => {
            same_trace(pair.server, pair.client, verdict)
        }
        (Some(parent), None) if call.during.is_some() && !known.contains(parent.as_str()) => {
            verdict.orphans += 1
        }
        (Some(parent), _) => {
            verdict.false_claims.push(format!("server span {} has a wrong parent {parent}", shown(call)));
        }
    }
    if let (Some(said), Some(truly)) = (span.status, call.status)
        && said != truly
    {
        verdict.false_claims.push(format!("server span {} says {said} for {truly}", shown(call)));
    }
}

/// A client span's parent is the server span of the call during which it was made.
fn client(call: &Call, pair: &Pair, pairs: &[Pair], known: &HashSet<&str>, verdict: &mut Verdict) {
    let Some(seen @ Seen { span, .. }) = pair.client else { return };
    let within = call.during.and_then(|during| pairs.get(during)).and_then(|pair| pair.server);
    match (&span.parent, within) {
        (None, _) => verdict.alone.push(alone(seen)),
        (Some(parent), Some(within)) if *parent == within.span.id => {
            same_trace(pair.client, Some(within), verdict);
        }
        (Some(parent), None) if !known.contains(parent.as_str()) => verdict.orphans += 1,
        (Some(parent), _) => {
            verdict.false_claims.push(format!("client span {} has a wrong parent {parent}", shown(call)));
        }
    }
    if let (Some(said), Some(truly)) = (span.status, call.status)
        && said != truly
    {
        verdict.false_claims.push(format!("client span {} says {said} for {truly}", shown(call)));
    }
}

fn same_trace(child: Option<&Seen>, parent: Option<&Seen>, verdict: &mut Verdict) {
    let Some((child, parent)) = child.zip(parent) else { return };
    if child.span.trace != parent.span.trace {
        verdict.false_claims.push(format!("{} is not in the trace of its parent", child.span.path));
    }
}

/// `frontend client: several_open`.
fn alone(seen: &Seen) -> String {
    let kind = if seen.span.kind == Kind::Server { "server" } else { "client" };
    format!("{} {kind}: {}", seen.service, seen.span.unparented.as_deref().unwrap_or("no reason given"))
}

fn shown(call: &Call) -> String {
    format!("{} {} of {}", call.method, call.path, call.service)
}

#[cfg(test)]
mod tests;
