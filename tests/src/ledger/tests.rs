//! Planted errors: each must move its own figures, and no other.
use super::{
    Kind, Ledger, Row,
    compare::{Verdict, compare},
    figures::{Figures, quantile},
};
use crate::span::{Attributes, Span};
use std::sync::Arc;

const TREES: usize = 4;

fn row(id: &str, parent: Option<&str>, kind: Kind, call: &str, service: &str) -> Row {
    Row {
        id: id.to_owned(),
        parent: parent.map(str::to_owned),
        kind,
        call: call.to_owned(),
        service: service.to_owned(),
        pid: if service == "app" { 10 } else { 20 },
        method: "GET".to_owned(),
        path: format!("/{call}"),
        status: 200,
        start_ns: 1_000_000 + id.len() as u64,
        end_ns: 2_000_000 - id.len() as u64,
    }
}

/// Each tree: the load calls the app, which calls the leaf twice. Six rows, five of which are observed.
fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for tree in 0..TREES {
        let call = format!("t{tree}");
        let server = format!("{call}/s");
        rows.push(row(&call, None, Kind::Client, &call, "load"));
        rows.push(row(&server, Some(&call), Kind::Server, &call, "app"));
        for n in 0..2 {
            let inner = format!("{call}.{n}");
            rows.push(row(&inner, Some(&server), Kind::Client, &inner, "app"));
            rows.push(row(&format!("{inner}/s"), Some(&inner), Kind::Server, &inner, "leaf"));
        }
    }
    rows
}

fn ledger(rows: Vec<Row>) -> Ledger {
    Ledger::new(rows, &["load"]).unwrap()
}

/// What a perfect agent exports: one span per observed row, in that order.
fn spans(ledger: &Ledger) -> Vec<Span> {
    let id = |at: usize| format!("{:016x}", at + 1);
    let perfect = |at: usize| {
        let row = ledger.row(at)?;
        let mut attributes = Attributes::new();
        attributes.insert("http.request.header.x-ledger-id".to_owned(), format!("[{}]", row.call));
        attributes.insert("http.request.method".to_owned(), row.method.clone());
        attributes.insert("http.response.status_code".to_owned(), row.status.to_string());
        match row.kind {
            Kind::Server => attributes.insert("url.path".to_owned(), row.path.clone()),
            Kind::Client => {
                attributes.insert("url.full".to_owned(), format!("http://leaf:80{}?x=1", row.path))
            }
        };
        if ledger.parent(at).is_some() {
            attributes.insert("wirespan.evidence".to_owned(), "thread".to_owned());
        }
        Some(Span {
            trace_id: format!("{:032x}", ledger.tree(at) + 1),
            span_id: id(at),
            parent_id: ledger.parent(at).map(id).unwrap_or_default(),
            flags: 0,
            trace_state: String::new(),
            name: "GET".to_owned(),
            kind: row.kind.name(),
            start_ns: row.start_ns,
            end_ns: row.end_ns,
            attributes,
            status: "unset",
            resource: Arc::default(),
        })
    };
    (0..ledger.rows().len()).filter(|at| ledger.is_observed(*at)).filter_map(perfect).collect()
}

/// The figures of a perfect agent.
fn perfect() -> Figures {
    let ledger = ledger(rows());
    compare(&ledger, &spans(&ledger)).figures
}

/// Plants one error among perfect spans.
fn planted(plant: impl FnOnce(&mut Vec<Span>)) -> Verdict {
    let ledger = ledger(rows());
    let mut spans = spans(&ledger);
    plant(&mut spans);
    compare(&ledger, &spans)
}

/// The spans of tree `n` are at `5 n`: the app's server, then client and leaf twice.
const SERVER: usize = 0;
const CLIENT: usize = 1;
const LEAF: usize = 2;

#[test]
fn perfect_spans_give_perfect_figures() {
    let figures = perfect();
    assert_eq!((figures.rows, figures.found, figures.trees, figures.whole), (20, 20, 4, 4));
    assert_eq!((figures.client.exist, figures.client.claimed, figures.client.right), (8, 8, 8));
    assert_eq!((figures.server.exist, figures.server.claimed, figures.server.right), (8, 8, 8));
    assert_eq!(
        (figures.duplicates, figures.strangers, figures.wrong_attributes, figures.orphans),
        (0, 0, 0, 0)
    );
    let ratios = [
        figures.recall(),
        figures.accuracy(),
        figures.links().recall(),
        figures.precision(),
        figures.completeness(),
    ];
    assert_eq!((figures.false_links(), ratios), (0, [1.0; 5]));
    assert_eq!((quantile(&figures.start_errors_ns, 1.0), quantile(&figures.end_errors_ns, 1.0)), (0, 0));
    assert!(planted(|_| ()).findings.is_empty() && figures.unparented.is_empty());
}

#[test]
fn two_calls_that_swapped_parents_are_two_false_links() {
    // The traces stay as they were: only the parents are wrong.
    let verdict = planted(|spans| {
        let first = spans[CLIENT].parent_id.clone();
        spans[CLIENT].parent_id = spans[5 + CLIENT].parent_id.clone();
        spans[5 + CLIENT].parent_id = first;
    });
    let mut wanted = perfect();
    (wanted.client.right, wanted.client.wrong, wanted.whole) = (6, 2, 2);
    wanted.evidence.insert("thread".to_owned(), (16, 2));
    assert_eq!(verdict.figures, wanted);
    assert_eq!((verdict.figures.false_links(), verdict.figures.precision()), (2, 14.0 / 16.0));
    let finding = &verdict.findings[0];
    assert_eq!(finding.what, "false parent");
    assert!(finding.row.starts_with("client t0.0 of app[10] for t0/s"), "{}", finding.row);
    assert!(finding.claimed.contains("server t1/s") && finding.truth.contains("server t0/s"));
}

#[test]
fn a_false_link_that_takes_its_whole_branch_along_is_one_false_link() {
    let verdict = planted(|spans| {
        let (parent, trace) = (spans[5 + SERVER].span_id.clone(), spans[5 + SERVER].trace_id.clone());
        spans[CLIENT].parent_id = parent;
        spans[CLIENT].trace_id = trace.clone();
        spans[LEAF].trace_id = trace;
    });
    let mut wanted = perfect();
    (wanted.client.right, wanted.client.wrong, wanted.whole) = (7, 1, 2);
    wanted.evidence.insert("thread".to_owned(), (16, 1));
    assert_eq!(verdict.figures, wanted);
}

#[test]
fn a_root_that_claims_a_parent_is_a_false_link() {
    let verdict = planted(|spans| spans[SERVER].parent_id = spans[5 + CLIENT].span_id.clone());
    let mut wanted = perfect();
    (wanted.server.claimed, wanted.server.wrong, wanted.whole) = (9, 1, 3);
    wanted.evidence.insert(String::new(), (1, 1));
    assert_eq!(verdict.figures, wanted);
}

#[test]
fn a_sibling_as_a_parent_is_a_false_link_although_the_trace_is_right() {
    let verdict = planted(|spans| spans[LEAF].parent_id = spans[3].span_id.clone());
    let mut wanted = perfect();
    (wanted.server.right, wanted.server.wrong, wanted.whole) = (7, 1, 3);
    wanted.evidence.insert("thread".to_owned(), (16, 1));
    assert_eq!(verdict.figures, wanted);
}

#[test]
fn a_missing_span_is_missing_and_so_is_its_link() {
    let verdict = planted(|spans| drop(spans.remove(LEAF)));
    let mut wanted = perfect();
    (wanted.found, wanted.whole) = (19, 3);
    (wanted.server.claimed, wanted.server.right) = (7, 7);
    wanted.evidence.insert("thread".to_owned(), (15, 0));
    wanted.unparented.insert("(no span)".to_owned(), 1);
    wanted.start_errors_ns.pop();
    wanted.end_errors_ns.pop();
    assert_eq!(verdict.figures, wanted);
    assert_eq!((verdict.figures.recall(), verdict.figures.precision()), (0.95, 1.0));
}

#[test]
fn a_second_span_of_one_request_is_a_duplicate() {
    let verdict = planted(|spans| {
        let mut second = spans[LEAF].clone();
        second.span_id = "ffffffffffffffff".to_owned();
        spans.push(second);
    });
    let mut wanted = perfect();
    (wanted.duplicates, wanted.whole) = (1, 3);
    assert_eq!(verdict.figures, wanted);
}

#[test]
fn a_span_that_nobody_wrote_down_is_a_stranger() {
    let verdict = planted(|spans| {
        let mut other = spans[LEAF].clone();
        other.attributes.remove("http.request.header.x-ledger-id");
        (other.span_id, other.trace_id) = ("ffffffffffffffff".to_owned(), "f".repeat(32));
        spans.push(other);
    });
    let mut wanted = perfect();
    wanted.strangers = 1;
    assert_eq!(verdict.figures, wanted);
}

#[test]
fn a_wrong_status_path_or_method_is_a_wrong_attribute() {
    for (key, value) in [
        ("http.response.status_code", "500"),
        ("http.response.status_code", ""),
        ("url.full", "http://leaf:80/t1.0?x=1"),
        ("http.request.method", "POST"),
    ] {
        let verdict = planted(|spans| {
            spans[CLIENT].attributes.insert(key.to_owned(), value.to_owned());
        });
        let mut wanted = perfect();
        wanted.wrong_attributes = 1;
        assert_eq!(verdict.figures, wanted, "{key} {value}");
        assert_eq!(verdict.figures.accuracy(), 0.95);
    }
}

#[test]
fn a_parent_that_is_not_there_is_an_orphan_unless_it_came_on_the_wire() {
    let dangling = "eeeeeeeeeeeeeeee".to_owned();
    let verdict = planted(|spans| spans[CLIENT].parent_id = dangling.clone());
    let mut wanted = perfect();
    (wanted.orphans, wanted.client.right, wanted.whole) = (1, 7, 3);
    wanted.evidence.insert("thread".to_owned(), (15, 0));
    assert_eq!(verdict.figures, wanted);
    let verdict = planted(|spans| {
        spans[SERVER].parent_id = dangling.clone();
        spans[SERVER].attributes.insert("wirespan.evidence".to_owned(), "wire".to_owned());
    });
    assert_eq!(verdict.figures, perfect());
}

#[test]
fn trees_in_one_trace_are_merged_although_every_parent_is_right() {
    let verdict = planted(|spans| {
        let trace = spans[0].trace_id.clone();
        spans.iter_mut().take(15).for_each(|span| span.trace_id = trace.clone());
    });
    let mut wanted = perfect();
    (wanted.merged, wanted.whole) = (2, 1);
    assert_eq!((&verdict.figures, verdict.figures.false_links()), (&wanted, 2));
    assert_eq!(verdict.findings[0].what, "a trace of somebody else");
}

#[test]
fn a_right_parent_in_another_trace_is_torn() {
    let verdict = planted(|spans| spans[LEAF].trace_id = "f".repeat(32));
    let mut wanted = perfect();
    (wanted.torn, wanted.server.right, wanted.whole) = (1, 7, 3);
    assert_eq!((&verdict.figures, verdict.figures.false_links()), (&wanted, 1));
}

#[test]
fn a_span_without_the_parent_that_exists_is_counted_by_its_reason() {
    let verdict = planted(|spans| {
        let span = &mut spans[CLIENT];
        span.parent_id = String::new();
        span.attributes.remove("wirespan.evidence");
        span.attributes.insert("wirespan.unparented.reason".to_owned(), "several_open".to_owned());
        span.trace_id = "f".repeat(32);
        spans[LEAF].trace_id = "f".repeat(32);
    });
    let mut wanted = perfect();
    (wanted.client.claimed, wanted.client.right, wanted.whole) = (7, 7, 3);
    wanted.evidence.insert("thread".to_owned(), (15, 0));
    wanted.unparented.insert("several_open".to_owned(), 1);
    assert_eq!(verdict.figures, wanted);
    assert_eq!(verdict.figures.precision(), 1.0, "silence is not false");
}

#[test]
fn a_shifted_time_is_a_timing_error() {
    let verdict = planted(|spans| {
        spans[LEAF].start_ns -= 700;
        spans[LEAF].end_ns += 900;
    });
    let mut wanted = perfect();
    *wanted.start_errors_ns.last_mut().unwrap() = 700;
    *wanted.end_errors_ns.last_mut().unwrap() = 900;
    assert_eq!(verdict.figures, wanted);
}

#[test]
fn a_call_without_an_answer_may_have_a_span_and_need_not() {
    let failed = || {
        let mut rows = rows();
        let call = rows.iter().position(|row| row.id == "t0.0").unwrap();
        rows[call].status = 0;
        rows.remove(call + 1);
        rows
    };
    let ledger = ledger(failed());
    let mut spans = spans(&ledger);
    assert_eq!((compare(&ledger, &spans).figures.rows, compare(&ledger, &spans).figures.whole), (18, 4));
    spans.remove(CLIENT);
    let without = compare(&ledger, &spans).figures;
    assert_eq!((without.found, without.whole, without.false_links()), (18, 4, 0));
}

#[test]
fn a_call_has_no_parent_to_find_in_another_process() {
    let mut rows = rows();
    rows.iter_mut().filter(|row| row.id == "t0.0").for_each(|row| row.pid = 11);
    assert_eq!(compare(&ledger(rows), &[]).figures.client.exist, 7);
}

#[test]
fn a_ledger_with_a_hole_a_circle_or_two_rows_of_one_call_is_refused() {
    let refused = |change: &dyn Fn(&mut Vec<Row>)| {
        let mut rows = rows();
        change(&mut rows);
        Ledger::new(rows, &["load"]).unwrap_err().to_string()
    };
    assert!(refused(&|rows| drop(rows.remove(1))).contains("hole"));
    assert!(refused(&|rows| rows[1].parent = Some("t0.0".to_owned())).contains("own cause"));
    assert!(refused(&|rows| rows.push(rows[0].clone())).contains("two rows with one id"));
    let twice = |rows: &mut Vec<Row>| rows.push(Row { id: "other".to_owned(), ..rows[1].clone() });
    assert!(refused(&twice).contains("two server rows of one call"));
}

#[test]
fn figures_of_worlds_add_up() {
    let mut sum = perfect();
    sum.absorb(&perfect());
    assert_eq!((sum.rows, sum.client.right, sum.whole, sum.recall()), (40, 16, 8, 1.0));
    assert_eq!(sum.start_errors_ns.len(), 40);
    assert_eq!(sum.evidence["thread"], (32, 0));
}
