//! Openness of parents, endings of every kind, bounds, and the agent's stop.
use super::{
    check,
    script::{check_with, run, run_kept, run_without_stop},
};
use crate::{correlate::Settings, sample::Exclude};
use expect_test::expect;

#[test]
fn a_finished_request_is_nobodys_parent() {
    check(
        "0 A/1 receives r1 /one
         1 A/1 answers r1
         2 A/1 sends c1 /after
         3 A/1 reads c1
         100 tick",
        expect![[r#"
            trace 1
              A server /one (none)
            trace 2
              A client /after (none: no_request_open)
        "#]],
    );
}

#[test]
fn a_request_that_came_after_the_call_had_left_is_not_its_parent() {
    check(
        "2 A/1 receives r1 /late
         1 A/1 sends c1 /before
         3 A/1 reads c1
         4 A/1 answers r1
         100 tick",
        expect![[r#"
            trace 1
              A client /before (none: no_request_open)
            trace 2
              A server /late (none)
        "#]],
    );
}

#[test]
fn a_span_is_handed_on_as_soon_as_its_parent_is_certain_and_not_before() {
    let script = "0 A/1 receives r1 /one
         1 A/1 sends c1 /call
         3 A/1 reads c1 wait=call
         100 tick";
    expect![[""]].assert_eq(&run_without_stop(Settings::default(), script));
    let answered = format!("{script}\n101 A/1 answers r1\n200 tick");
    expect![[r#"
        trace 1
          A server /one (none)
            A client /call (thread)
    "#]]
    .assert_eq(&run_without_stop(Settings::default(), &answered));
}

#[test]
fn a_process_that_dies_ends_its_requests_and_keeps_the_tree_whole() {
    check(
        "0 A/1 receives r1 /checkout
         1 A/1 sends r2 /pay
         1 B/1 receives r2 /pay
         2 B/1 answers r2
         3 A/1 exits
         1000 tick",
        expect![[r#"
            trace 1
              A server /checkout (none) !process_exited
            trace 2
              A client /pay (none: unanswered) !process_exited
                B server /pay (peer)
        "#]],
    );
}

#[test]
fn what_is_open_at_the_end_is_handed_on_only_if_a_span_names_it() {
    let script = "0 A/1 sends r1 /waiting
         0 B/1 receives r1 /waiting
         1 B/1 answers r1
         2 A/1 sends r2 /nobody-answers
         1000 tick";
    let (correlator, _) = run(Settings::default(), script);
    assert_eq!(correlator.counts().unfinished, 1);
    check(
        script,
        expect![[r#"
        trace 1
          A client /waiting (none: no_request_open) ~unfinished
            B server /waiting (peer)
    "#]],
    );
}

#[test]
fn of_a_chain_that_is_open_when_the_agent_stops_every_parent_is_there() {
    let mut script = super::threads::blocking_waves(16, 0);
    script += "1000 C/1 sends x1 /one
         1001 A/1 receives x1 /one
         1002 A/1 sends x2 /two
         1003 A/1 reads x2
         1004 A/1 begins x1
         2000 tick";
    let (_, text) = run(Settings::default(), &script);
    let chain: Vec<&str> =
        text.lines().map(str::trim).skip_while(|line| !line.contains("/one")).take(3).collect();
    let whole = [
        "C client /one (none: no_request_open) ~unfinished",
        "A server /one (peer) ~unfinished",
        "A client /two (thread)",
    ];
    assert_eq!(chain, whole);
}

#[test]
fn a_call_whose_request_is_not_answered_for_long_is_let_go() {
    let script = "0 A/1 receives r1 /long-poll
         1 A/1 sends c1 /call
         3 A/1 reads c1
         40000 tick";
    expect![[r#"
        trace 1
          A client /call (none: unanswered)
    "#]]
    .assert_eq(&run_without_stop(Settings::default(), script));
}

#[test]
fn where_threads_are_proven_a_long_request_does_not_hold_its_calls_back() {
    let mut script = super::threads::blocking_waves(16, 0);
    script += "1000 A/1 receives r1 /long-poll
         1001 A/2 receives r2 /long-too
         1002 A/1 sends c1 /call
         1003 A/1 reads c1
         3100 tick";
    let text = run_without_stop(Settings::default(), &script);
    assert!(text.contains("A client /call (thread of"), "{text}");
}

#[test]
fn beyond_the_cap_the_oldest_is_given_up_and_counted() {
    let settings = Settings { max_exchanges: 3, ..Settings::default() };
    let script = "0 A/1 receives r1 /one
         1 A/1 sends c1 /for-one
         2 A/1 reads c1
         3 A/2 receives r2 /two
         4 A/3 receives r3 /three
         5 A/4 receives r4 /four
         6 A/2 answers r2
         7 A/1 answers r1
         100 tick";
    let (correlator, _) = run(settings.clone(), script);
    assert_eq!(correlator.counts().evicted, 1);
    assert_eq!(correlator.counts().unknown_exchange, 2);
    check_with(
        settings,
        script,
        expect![[r#"
        trace 1
          A server /one (none) ~evicted
        trace 2
          A client /for-one (none: unanswered)
        trace 3
          A server /two (none)
    "#]],
    );
}

#[test]
fn nothing_is_kept_once_all_is_over() {
    let mut script = String::new();
    for number in 0..100 {
        script += &format!(
            "{number}.0 A/1 receives r{number}\n{number}.1 A/1 sends c{number}\n{number}.2 B/1 receives c{number}\n\
             {number}.3 B/1 answers c{number}\n{number}.4 A/1 reads c{number}\n{number}.5 A/1 answers r{number}\n"
        );
    }
    script += "10000 tick";
    let (correlator, _) = run(Settings::default(), &script);
    assert_eq!(correlator.kept(), 0);
    assert_eq!(correlator.counts().spans, 300);
}

#[test]
fn a_trace_that_is_full_takes_no_more_spans_and_those_begin_another() {
    let settings = Settings { max_trace_spans: 3, ..Settings::default() };
    let script = "0 A/1 receives r1 /export
         1 A/1 sends c1 /page
         2 A/1 reads c1 wait=call
         3 A/1 sends c2 /page
         4 A/1 reads c2 wait=call
         5 A/1 sends c3 /page
         6 B/1 receives c3 /page
         7 B/1 answers c3
         8 A/1 reads c3 wait=call
         9 A/1 answers r1
         100 tick";
    let (correlator, _) = run(settings.clone(), script);
    assert_eq!(correlator.counts().trace_full, 1);
    check_with(
        settings,
        script,
        expect![[r#"
        trace 1
          A server /export (none)
            A client /page (thread)
            A client /page (thread)
        trace 2
          A client /page (none: trace_full)
            B server /page (peer)
    "#]],
    );
}

#[test]
fn a_trace_that_is_old_takes_no_more_spans() {
    let settings = Settings { max_trace_age_ns: 1_000_000_000, ..Settings::default() };
    check_with(
        settings,
        "0 A/1 receives r1 /watch
         900 A/1 sends c1 /poll
         950 A/1 reads c1 wait=call
         1100 A/1 sends c2 /poll
         1150 A/1 reads c2 wait=call
         1200 A/1 answers r1
         1300 tick",
        expect![[r#"
            trace 1
              A server /watch (none)
                A client /poll (thread)
            trace 2
              A client /poll (none: trace_old)
        "#]],
    );
}

#[test]
fn what_is_excluded_is_left_out_with_all_that_it_caused_and_nothing_else_is() {
    let exclude = Exclude::new(&["/healthz", "/grpc.health.v1.Health/*"].map(str::to_owned));
    let settings = Settings { exclude, ..Settings::default() };
    let script = "0 A/1 receives r1 /healthz
         1 A/1 sends c1 /ping
         2 B/1 receives c1 /ping
         3 B/1 answers c1
         4 A/1 reads c1 wait=call
         5 A/1 answers r1
         100 A/1 receives r2 /page
         101 A/1 sends c2 /grpc.health.v1.Health/Check
         102 B/1 receives c2 /grpc.health.v1.Health/Check
         103 B/1 answers c2
         104 A/1 reads c2 wait=call
         105 A/1 sends c3 /rows
         106 A/1 reads c3 wait=call
         107 A/1 answers r2
         3000 tick";
    let (correlator, kept) = run_kept(settings, script);
    // The request and the call, whose other end is below it.
    assert_eq!(correlator.counts().excluded, 2);
    expect![[r#"
        trace 1
          A server /page (none)
            A client /rows (thread)
    "#]]
    .assert_eq(&kept);
}
