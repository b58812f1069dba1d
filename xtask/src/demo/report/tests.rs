//! From the agent's spans to the exit code.
use super::*;
use crate::demo::{
    otlp::{Kind, Span},
    visit::Visit,
};

const PRESENT: [&str; 4] = ["frontend", "product", "order", "inventory"];
const VISITS: u64 = 16;

/// The truth of two rounds of the whole mix as a perfect agent would tell it; `change` may spoil a span or drop it.
fn told(mut change: impl FnMut(&mut Span) -> bool) -> (Ledger, Range<u64>) {
    let mut ledger = Ledger::default();
    for number in 0..2 * VISITS {
        let visit = Visit::number(number);
        let calls = visit.calls(&PRESENT);
        ledger.begin(visit, calls.clone());
        for (at, call) in calls.iter().enumerate() {
            let span = |kind, service: &str, id: String, parent: Option<String>| Span {
                trace: format!("t{}", visit.cart),
                id,
                parent,
                kind,
                service: service.into(),
                pid: None,
                method: call.method.into(),
                path: call.path.clone(),
                route: None,
                evidence: Some("peer".into()),
                unparented: None,
                status: call.status,
                start: at as u64 * 10,
                end: 1_000 - at as u64 * 10,
            };
            let client = call.during.map(|_| format!("{}c{at}", visit.cart));
            let server = span(Kind::Server, call.service, format!("{}s{at}", visit.cart), client.clone());
            let caller = call.during.map(|during| calls[during].service);
            let client = client.zip(call.during).zip(caller).map(|((id, during), caller)| {
                (span(Kind::Client, caller, id, Some(format!("{}s{during}", visit.cart))), caller)
            });
            for (mut span, service) in std::iter::once((server, call.service)).chain(client) {
                if change(&mut span) {
                    ledger.add(span, Some(service));
                }
            }
        }
    }
    (ledger, Visit::number(0).cart..Visit::number(VISITS).cart)
}

fn judged(change: impl FnMut(&mut Span) -> bool) -> Result<(), String> {
    let (ledger, rounds) = told(change);
    judge_once(&ledger, rounds, &Table::default(), &PRESENT).map_err(|error| format!("{error:#}"))
}

#[test]
fn a_perfect_agent_passes_and_every_span_is_expected() {
    let (ledger, rounds) = told(|_| true);
    let report = Report::of(&ledger, rounds.start, &PRESENT);
    assert_eq!(
        report.to_string(),
        "32 visits: 160 of 160 spans seen, 32 traces whole (6 of 6 checkouts), 0 false; \
         0 without a parent; linked by peer 160"
    );
    assert_eq!(judged(|_| true), Ok(()));
}

#[test]
fn the_crowds_calls_without_a_parent_are_counted_and_allowed() {
    let crowd = Visit::number(VISITS).cart;
    let change = |span: &mut Span| {
        let late = crate::demo::visit::cart_of(&span.path).is_some_and(|cart| cart >= crowd);
        if late && span.kind == Kind::Client && span.service == "frontend" {
            span.parent = None;
            span.unparented = Some("several_open".into());
        }
        true
    };
    let (ledger, rounds) = told(change);
    let report = Report::of(&ledger, rounds.end, &PRESENT).to_string();
    assert!(report.contains("20 without a parent (frontend client: several_open 20)"), "{report}");
    assert_eq!(judged(change), Ok(()));
}

#[test]
fn without_one_whole_checkout_the_demo_fails() {
    let error = judged(|span| span.service != "inventory").unwrap_err();
    assert_eq!(error, "no checkout gave one trace through all of frontend, product, order, inventory");
}

#[test]
fn one_span_in_the_trace_of_another_visit_fails() {
    let victim = format!("t{}", Visit::number(3).cart);
    let error = judged(|span| {
        if span.trace == victim && span.kind == Kind::Server && span.parent.is_none() {
            span.trace = format!("t{}", Visit::number(1).cart);
        }
        true
    });
    assert_eq!(error.unwrap_err(), "1 spans are in the trace of another visit");
}
