//! Requests that stay open are told before they end, if that is wanted.
use super::script::{check_with, run_kept, run_without_stop};
use crate::{correlate::Settings, sample::Exclude};
use expect_test::expect;

/// Every ten seconds.
fn reporting() -> Settings {
    Settings { report_open_ns: 10_000_000_000, ..Settings::default() }
}

const STREAM: &str = "
    0     A/1 receives one /watch shared
    100   tick
    5000  A/1 receives short /get shared
    6000  A/1 answers short
    9000  tick
    12000 tick
    21000 tick
    22000 tick
    35000 tick
";

#[test]
fn a_stream_is_told_in_parts_under_the_span_that_it_becomes() {
    let script = format!("{STREAM}36000 A/1 answers one");
    check_with(
        reporting(),
        &script,
        expect![[r#"
            trace 1
              A server /watch (none)
                A internal /watch (part) ~unfinished
                A internal /watch (part) ~unfinished
            trace 2
              A server /get (none)
        "#]],
    );
}

#[test]
fn its_parts_are_handed_on_while_it_is_open() {
    expect![[r#"
        trace 1
          A internal /watch (part of efb0fde390209010) ~unfinished
          A internal /watch (part of efb0fde390209010) ~unfinished
        trace 2
          A server /get (none)
    "#]]
    .assert_eq(&run_without_stop(reporting(), STREAM));
}

#[test]
fn unless_that_is_wanted_nothing_is_told_before_the_end() {
    expect![[r#"
        trace 1
          A server /get (none)
    "#]]
    .assert_eq(&run_without_stop(Settings::default(), STREAM));
}

#[test]
fn its_span_follows_though_the_agent_stops_first() {
    check_with(
        reporting(),
        STREAM,
        expect![[r#"
        trace 1
          A server /watch (none) ~unfinished
            A internal /watch (part) ~unfinished
            A internal /watch (part) ~unfinished
        trace 2
          A server /get (none)
    "#]],
    );
}

#[test]
fn a_call_whose_cause_is_not_known_yet_is_not_told() {
    let script = "
        0     A/1 receives one /watch
        10    A/1 sends two /list conn=two
        12000 tick
        24000 tick
    ";
    expect![[r#"
        trace 1
          A internal /watch (part of efb0fde390209010) ~unfinished
          A internal /watch (part of efb0fde390209010) ~unfinished
    "#]]
    .assert_eq(&run_without_stop(reporting(), script));
}

#[test]
fn what_is_not_exported_is_not_told_either() {
    let excluded = Settings { exclude: Exclude::new(&["/watch".to_owned()]), ..reporting() };
    let (correlator, text) = run_kept(excluded, STREAM);
    assert_eq!(correlator.counts().parts, 0);
    assert!(!text.contains("/watch"), "{text}");
}

#[test]
fn parts_count_among_the_spans_of_a_trace() {
    let full = Settings { max_trace_spans: 2, ..reporting() };
    let (correlator, _) = super::script::run(full, STREAM);
    assert_eq!(correlator.counts().parts, 1);
}
