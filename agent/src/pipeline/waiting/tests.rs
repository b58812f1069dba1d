//! Who waits, for how long, and how many.
use super::*;
use std::cell::Cell;
use wirespan_core::spans::{Evidence, Kind, SpanId, Status, TraceId};

const MS: u64 = 1_000_000;

fn span(pid: u32) -> Span {
    Span {
        trace_id: TraceId([7; 16]),
        span_id: SpanId([7; 8]),
        parent_id: None,
        parent_is_remote: None,
        trace_flags: 1,
        trace_state: String::new(),
        evidence: Evidence::Root,
        kind: Kind::Server,
        name: "GET /".into(),
        process: ProcessId { pid, start_ticks: 1 },
        start: Nanos(1_000),
        end: Nanos(2_000),
        attributes: Vec::new(),
        status: Status::Unset,
    }
}

fn pids(spans: &[Span]) -> Vec<u32> {
    spans.iter().map(|span| span.process.pid).collect()
}

#[test]
fn a_span_waits_for_its_name_and_others_do_not() {
    let mut waiting = Waiting::new(Duration::from_secs(3));
    let mut counts = Counts::default();
    let named = Cell::new(false);
    let awaits = |process: ProcessId| process.pid == 1 && !named.get();
    assert_eq!(pids(&waiting.pass(vec![span(1), span(2)], Nanos(0), awaits, &mut counts)), [2]);
    assert!(waiting.pass(Vec::new(), Nanos(100 * MS), awaits, &mut counts).is_empty());
    named.set(true);
    assert_eq!(pids(&waiting.pass(Vec::new(), Nanos(200 * MS), awaits, &mut counts)), [1]);
    assert_eq!(counts, Counts::default());
}

#[test]
fn a_name_that_does_not_come_is_waited_for_no_longer_than_allowed() {
    let mut waiting = Waiting::new(Duration::from_secs(3));
    let mut counts = Counts::default();
    assert!(waiting.pass(vec![span(1)], Nanos(0), |_| true, &mut counts).is_empty());
    assert!(waiting.pass(Vec::new(), Nanos(2_999 * MS), |_| true, &mut counts).is_empty());
    assert_eq!(pids(&waiting.pass(Vec::new(), Nanos(3_020 * MS), |_| true, &mut counts)), [1]);
    assert_eq!(counts.unnamed, 1);
}

#[test]
fn beyond_the_most_the_oldest_leave() {
    let mut waiting = Waiting::new(Duration::from_secs(3));
    let mut counts = Counts::default();
    let spans = (0..MOST as u32 + 2).map(span).collect();
    assert_eq!(pids(&waiting.pass(spans, Nanos(0), |_| true, &mut counts)), [0, 1]);
    assert_eq!((counts.crowded, waiting.all().count()), (2, MOST));
}

#[test]
fn without_a_wait_nobody_waits() {
    let mut waiting = Waiting::new(Duration::ZERO);
    assert_eq!(pids(&waiting.pass(vec![span(1)], Nanos(0), |_| true, &mut Counts::default())), [1]);
}
