//! What counts as whole, as alone, and as false.
use super::*;
use crate::demo::{
    otlp::Span,
    visit::{Errand, Visit},
};
use std::time::Instant;

const PRESENT: [&str; 4] = ["frontend", "product", "order", "inventory"];

/// A catalogue visit: two calls, three spans. `change` may spoil them.
fn judged(change: impl FnOnce(&mut Vec<Seen>)) -> Verdict {
    let visit = Visit { cart: 100_001, errand: Errand::Catalogue };
    let mut seen = vec![
        seen("frontend", Kind::Server, "01", None, "/catalogue/100001"),
        seen("frontend", Kind::Client, "02", Some("01"), "/products/all/100001"),
        seen("product", Kind::Server, "03", Some("02"), "/products/all/100001"),
    ];
    change(&mut seen);
    judge(&Entry { visit, calls: visit.calls(&PRESENT), since: Instant::now(), seen })
}

fn seen(service: &'static str, kind: Kind, id: &str, parent: Option<&str>, path: &str) -> Seen {
    let span = Span {
        trace: "aa".into(),
        id: id.into(),
        parent: parent.map(String::from),
        kind,
        service: service.into(),
        pid: None,
        method: "GET".into(),
        path: path.into(),
        route: None,
        evidence: None,
        unparented: None,
        status: Some(200),
        start: 0,
        end: 1,
    };
    Seen { span, service }
}

#[test]
fn a_visit_whose_spans_are_all_linked_is_whole() {
    let verdict = judged(|_| ());
    assert_eq!(verdict.whole.as_deref(), Some("aa"));
    assert_eq!((verdict.expected, verdict.missing), (3, 0));
}

#[test]
fn a_client_span_without_a_parent_is_counted_and_not_false() {
    let verdict = judged(|seen| {
        seen[1].span.parent = None;
        seen[1].span.trace = "bb".into();
        seen[2].span.trace = "bb".into();
    });
    assert_eq!(verdict.alone, ["frontend client: no reason given"]);
    assert!(verdict.false_claims.is_empty());
    assert_eq!(verdict.whole, None);
}

#[test]
fn a_missing_span_is_counted() {
    let verdict = judged(|seen| {
        seen.remove(0);
        seen[0].span.parent = None;
    });
    assert_eq!((verdict.missing, verdict.whole), (1, None));
}

#[test]
fn a_parent_that_is_not_the_caller_is_false() {
    let verdict = judged(|seen| seen[2].span.parent = Some("01".into()));
    assert_eq!(
        verdict.false_claims,
        ["server span GET /products/all/100001 of product has a wrong parent 01"]
    );
}

#[test]
fn a_parent_for_what_the_visitor_sent_is_false() {
    let verdict = judged(|seen| seen[0].span.parent = Some("02".into()));
    assert_eq!(verdict.false_claims.len(), 1);
}

#[test]
fn a_wrong_status_and_a_span_too_many_are_false() {
    let wrong = judged(|seen| seen[2].span.status = Some(500));
    assert_eq!(wrong.false_claims, ["server span GET /products/all/100001 of product says 500 for 200"]);
    let twice = judged(|seen| seen.push(seen[0].clone()));
    assert_eq!(twice.false_claims, ["cart 100001: 1 spans too many"]);
}

#[test]
fn a_parent_that_never_came_is_counted_and_a_made_up_one_is_false() {
    let lost = judged(|seen| {
        seen.remove(1);
    });
    assert_eq!((lost.orphans, lost.missing, lost.false_claims.len()), (1, 1, 0));
    let made_up = judged(|seen| seen[2].span.parent = Some("99".into()));
    assert_eq!((made_up.orphans, made_up.false_claims.len()), (0, 1));
}
