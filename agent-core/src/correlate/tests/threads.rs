//! Which open request made a call: threads, being the only one, and when neither may be believed.
use super::{
    check,
    script::{check_with, process, run},
};
use crate::correlate::{Settings, ThreadState};
use expect_test::{Expect, expect};

/// Two requests at a time, each read, called for and answered by a thread of its own: `waves` times.
pub(super) fn blocking_waves(waves: usize, from_ms: usize) -> String {
    let mut script = String::new();
    for wave in 0..waves {
        let at = from_ms + wave * 10;
        script += &format!(
            "{at}    A/1 receives a{wave} /a
             {at}.1  A/2 receives b{wave} /b
             {at}.2  A/1 sends ca{wave} /for-a
             {at}.3  A/2 sends cb{wave} /for-b
             {at}.4  A/2 reads cb{wave}
             {at}.5  A/1 reads ca{wave}
             {at}.6  A/2 answers b{wave}
             {at}.7  A/1 answers a{wave}\n"
        );
    }
    script
}

/// What became of calls, by evidence and by reason.
fn check_links(script: &str, expect: Expect) {
    let (correlator, _) = run(Settings::default(), script);
    let counted: Vec<String> = correlator
        .counts()
        .rows()
        .into_iter()
        .filter(|(counter, count)| *count > 0 && ["link", "unparented"].contains(&counter.class))
        .map(|(counter, count)| format!("{} {count}", counter.name))
        .collect();
    expect.assert_eq(&counted.join(", "));
}

#[test]
fn a_call_made_while_one_request_is_open_and_answered_before_it_is_its_child() {
    check(
        "0 A/1 receives r1 /checkout
         1 A/1 sends r2 /pay
         3 A/1 reads r2
         4 A/1 answers r1
         1100 tick",
        expect![[r#"
            trace 1
              A server /checkout (none)
                A client /pay (only)
        "#]],
    );
}

#[test]
fn the_first_concurrent_requests_are_linked_once_the_process_has_shown_that_its_threads_answer_what_they_read()
 {
    check_links(&blocking_waves(16, 0), expect!["thread 32, entry 32"]);
}

#[test]
fn too_few_concurrent_requests_prove_nothing() {
    check_links(&(blocking_waves(1, 0) + "3000 tick"), expect!["entry 2, uncalibrated 2"]);
}

#[test]
fn a_few_proofs_that_nothing_contradicted_for_the_hold_time_are_enough() {
    check_links(&(blocking_waves(3, 0) + "3000 tick"), expect!["thread 6, entry 6"]);
}

#[test]
fn a_thread_that_holds_two_requests_is_an_event_loop_and_loses_its_evidence_even_after_it_was_calibrated() {
    let script = blocking_waves(16, 0)
        + "1000 A/1 receives r1 /one
           1101 A/1 sends c1 /for-one
           1102 A/1 receives r2 /two
           1103 A/1 sends c2 /for-two
           1104 A/1 reads c1
           1105 A/1 answers r1
           1106 A/1 reads c2
           1107 A/1 answers r2";
    let (correlator, _) = run(Settings::default(), &script);
    let links = correlator.explain(process('A')).unwrap();
    assert_eq!(links.thread.state, ThreadState::Shared);
    check_links(&script, expect!["thread 32, only 1, entry 34, thread_shared 1"]);
}

#[test]
fn an_event_loop_links_what_it_calls_alone_and_counts_the_rest() {
    check(
        "0 A/1 receives r1 /one
         1 A/1 sends c1 /for-one
         2 A/1 receives r2 /two
         3 A/1 sends c2 /for-either
         4 A/1 reads c1
         5 A/1 reads c2
         6 A/1 answers r2
         7 A/1 answers r1
         1100 tick",
        expect![[r#"
            trace 1
              A server /one (none)
                A client /for-one (only)
            trace 2
              A server /two (none)
            trace 3
              A client /for-either (none: thread_shared)
        "#]],
    );
}

#[test]
fn a_request_answered_by_another_thread_withdraws_thread_evidence() {
    let script = blocking_waves(16, 0)
        + "1000 A/1 receives r1 /one
           1101 A/2 receives r2 /two
           1102 A/1 sends c1 /for-one
           1103 A/1 reads c1
           1104 A/3 answers r1
           1105 A/2 sends c2 /for-two
           1106 A/2 reads c2
           1107 A/2 answers r2";
    let (correlator, _) = run(Settings::default(), &script);
    assert_eq!(correlator.explain(process('A')).unwrap().thread.state, ThreadState::AnsweredElsewhere);
    check_links(&script, expect!["thread 32, entry 34, several_open 1, answered_elsewhere 1"]);
}

#[test]
fn requests_that_call_nothing_prove_nothing_about_threads() {
    let mut script = String::new();
    for number in 0..50 {
        script += &format!(
            "{number} A/1 receives a{number}\n{number} A/2 receives b{number}\n\
             {number}.5 A/1 answers a{number}\n{number}.5 A/2 answers b{number}\n"
        );
    }
    let (correlator, _) = run(Settings::default(), &script);
    let thread = correlator.explain(process('A')).unwrap().thread;
    assert_eq!((thread.state, thread.proofs, thread.answered_by_reader), (ThreadState::Learning, 0, 100));
}

#[test]
fn goroutines_make_threads_worthless_at_once() {
    let script = "0 A/1 receives r1 /one go=7\n1 A/1 answers r1";
    let (correlator, _) = run(Settings::default(), script);
    let state = correlator.explain(process('A')).unwrap().thread.state;
    // The option is of the actor, so the script gives it after the request.
    assert_eq!(state, ThreadState::Goroutines);
}

#[test]
fn a_call_from_a_pool_thread_is_linked_while_one_request_is_open_and_not_while_two_are() {
    check(
        "0 A/1 receives r1 /alone
         1 A/9 sends c1 /from-pool
         2 A/9 reads c1
         3 A/1 answers r1
         10 A/1 receives r2 /two
         10 A/2 receives r3 /three
         11 A/9 sends c2 /from-pool
         12 A/9 reads c2
         13 A/1 answers r2
         13 A/2 answers r3
         1100 tick",
        expect![[r#"
            trace 1
              A server /alone (none)
                A client /from-pool (only)
            trace 2
              A server /three (none)
            trace 3
              A server /two (none)
            trace 4
              A client /from-pool (none: several_open)
        "#]],
    );
}

#[test]
fn a_call_without_an_open_request_is_background_and_its_destination_is_no_evidence_for_only_any_more() {
    check(
        "0 A/9 sends p1 /poll host=metrics
         1 A/9 reads p1
         10 A/1 receives r1 /one
         11 A/9 sends p2 /poll host=metrics
         12 A/9 reads p2
         13 A/1 sends c1 /for-one host=shop
         14 A/1 reads c1
         15 A/1 answers r1
         3000 tick",
        expect![[r#"
            trace 1
              A client  (none: no_request_open)
            trace 2
              A server /one (none)
                A client  (only)
            trace 3
              A client  (none: background)
        "#]],
    );
}

#[test]
fn a_call_that_outlives_the_only_request_may_be_background_work() {
    check(
        "0 A/1 receives r1 /one
         1 A/9 sends c1 /slow
         2 A/1 answers r1
         50 A/9 reads c1
         1100 tick",
        expect![[r#"
            trace 1
              A server /one (none)
            trace 2
              A client /slow (none: outlived)
        "#]],
    );
}

#[test]
fn work_that_an_overlapping_request_left_behind_is_not_taken_for_the_one_that_remains() {
    check(
        "0 A/1 receives r1 /first
         1 A/2 receives r2 /second
         2 A/1 answers r1
         3 A/9 sends c1 /left-behind-by-first
         4 A/9 reads c1
         5 A/2 answers r2
         1100 tick",
        expect![[r#"
            trace 1
              A server /first (none)
            trace 2
              A server /second (none)
            trace 3
              A client /left-behind-by-first (none: several_open)
        "#]],
    );
}

#[test]
fn calls_between_the_parts_of_a_streamed_answer_are_linked_where_threads_are_proven() {
    let stream = "1000 A/1 receives r1 /stream
         1101 A/2 receives r2 /other
         1102 A/1 begins r1
         1103 A/1 sends c1 /while-streaming
         1104 A/1 reads c1
         1105 A/1 finishes r1
         1106 A/2 answers r2
         1200 tick";
    check_links(&(blocking_waves(16, 0) + stream), expect!["thread 33, entry 34"]);
    check_links(stream, expect!["entry 2, after_answer 1"]);
}

#[test]
fn a_call_after_an_answer_whose_end_was_only_inferred_is_not_linked() {
    let stream = "1000 A/1 receives r1 /stream
         1101 A/2 receives r2 /other
         1102 A/1 begins r1
         1103 A/1 sends c1 /perhaps-after
         1104 A/1 reads c1
         1105 A/1 finishes r1 inferred
         1106 A/2 answers r2
         1200 tick";
    check_links(&(blocking_waves(16, 0) + stream), expect!["thread 32, entry 34, after_answer 1"]);
}

#[test]
fn an_aborted_request_keeps_its_calls_where_threads_are_proven_and_nothing_was_lost() {
    let aborted = "1000 A/1 receives r1 /slow
         1101 A/2 receives r2 /other
         1102 A/1 sends c1 /for-slow
         1103 A/1 aborts r1
         1104 A/1 reads c1
         1105 A/2 answers r2
         1200 tick";
    check_links(&(blocking_waves(16, 0) + aborted), expect!["thread 33, entry 34"]);
    check_links(
        &(blocking_waves(16, 0) + &aborted.replace("1200 tick", "1150 lost\n1200 tick")),
        expect!["thread 32, entry 34, after_loss 1"],
    );
    check_links(aborted, expect!["entry 2, unanswered 1"]);
}

#[test]
fn a_loss_told_before_the_next_tick_takes_back_what_being_alone_had_shown() {
    check(
        "0 A/1 receives r1 /one
         1 A/1 sends c1 /for-somebody
         2 A/1 reads c1
         3 A/1 answers r1
         4 lost
         5 tick",
        expect![[r#"
            trace 1
              A server /one (none)
            trace 2
              A client /for-somebody (none: after_loss)
        "#]],
    );
}

#[test]
fn after_a_loss_being_alone_is_no_evidence_until_nothing_unseen_can_be_open() {
    check_links(
        "0 lost
         1 A/1 receives r1
         2 A/1 sends c1
         3 A/1 reads c1
         4 A/1 answers r1
         6000 tick
         6001 A/1 receives r2
         6002 A/1 sends c2
         6003 A/1 reads c2
         6004 A/1 answers r2
         9000 tick",
        expect!["only 1, entry 2, uncalibrated 1"],
    );
}

#[test]
fn a_gap_where_an_answer_should_be_is_a_loss_in_that_process() {
    let gap = "1000 A/1 receives r1 /slow
         1001 A/2 receives r2 /other
         1002 A/1 sends c1 /for-whom
         1003 A/1 misses r1
         1004 A/1 reads c1
         1005 A/2 answers r2
         1006 A/1 receives r3 /alone
         1007 A/9 sends c3 /for-whom
         1008 A/9 reads c3
         1009 A/1 answers r3
         1010 B/1 receives r4 /elsewhere
         1011 B/1 sends c4 /its-own
         1012 B/1 reads c4
         1013 B/1 answers r4
         1200 tick";
    check_links(
        &(blocking_waves(16, 0) + gap),
        expect!["thread 32, only 1, entry 36, unanswered 1, after_loss 1"],
    );
}

#[test]
fn a_lost_answer_does_not_make_a_thread_an_event_loop() {
    // The answer of r1 was lost; its thread goes on with other connections.
    let mut script = "0 A/1 receives r1 /lost-answer\n".to_owned() + &blocking_waves(12, 10);
    script += "1000 A/1 aborts r1";
    let (correlator, _) = run(Settings::default(), &script);
    let state = correlator.explain(process('A')).unwrap().thread.state;
    assert_eq!(state, ThreadState::Learning, "only one thread is left to show anything");
}

#[test]
fn pipelined_requests_read_at_once_are_no_event_loop_but_no_evidence_either() {
    check_links(
        &(blocking_waves(16, 0)
            + "1000 A/1 receives r1 /one conn=k
               1100 A/1 receives r2 /two conn=k
               1101 A/1 sends c1 /for-one
               1102 A/1 reads c1
               1103 A/1 answers r1
               1104 A/1 sends c2 /for-two
               1105 A/1 reads c2
               1106 A/1 answers r2
               1200 tick"),
        expect!["thread 33, entry 34, thread_shared 1"],
    );
}

#[test]
fn only_can_be_switched_off() {
    let settings = Settings { only: false, ..Settings::default() };
    check_with(
        settings,
        "0 A/1 receives r1 /one
         1 A/9 sends c1 /from-pool
         2 A/9 reads c1
         3 A/1 answers r1
         1100 tick",
        expect![[r#"
            trace 1
              A server /one (none)
            trace 2
              A client /from-pool (none: several_open)
        "#]],
    );
}
