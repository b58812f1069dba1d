//! Which open request made a call: threads, being the only one, and when neither may be believed.
use super::{
    check,
    script::{check_links, check_with, process, run},
};
use crate::correlate::{Settings, ThreadState};
use expect_test::expect;

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

/// Requests with pauses between them, each of which is called for once, by `caller`, who reads the answer so.
fn one_at_a_time(count: usize, caller: &str, wait: &str) -> String {
    let mut script = String::new();
    for n in 0..count {
        let at = n * 1_000;
        script += &format!(
            "{at}    A/1 receives r{n} /front/{n}
             {at}.2  A/{caller} sends c{n} /back/{n} host=back {wait}
             {at}.6  A/{caller} reads c{n} {wait}
             {at}.8  A/1 answers r{n}\n"
        );
    }
    script + &format!("{} tick", count * 1_000 + 3_000)
}

#[test]
fn a_thread_that_waits_for_a_call_in_the_call_that_reads_its_answer_made_it_for_the_request_that_it_holds() {
    check(
        "0 A/1 receives r1 /checkout
         1 A/1 sends r2 /pay
         3 A/1 reads r2 wait=call
         4 A/1 answers r1
         1100 tick",
        expect![[r#"
            trace 1
              A server /checkout (none)
                A client /pay (thread)
        "#]],
    );
}

#[test]
fn waiting_in_poll_is_a_proof_and_a_few_of_them_are_enough_for_requests_one_at_a_time() {
    check_links(&one_at_a_time(8, "1", "wait=poll"), expect!["thread 8, entry 8"]);
    check_links(&one_at_a_time(2, "1", "wait=poll"), expect!["entry 2, uncalibrated 2"]);
    check_links(&one_at_a_time(8, "1", ""), expect!["only 1, entry 8, uncalibrated 7"]);
}

#[test]
fn a_pool_that_calls_and_waits_by_itself_proves_nothing_for_those_who_do_not_call() {
    check_links(&one_at_a_time(8, "9", "wait=call"), expect!["only 1, entry 8, uncalibrated 7"]);
}

#[test]
fn calls_after_the_answer_by_threads_that_wait_for_them_leave_the_evidence_of_threads_as_it_is() {
    let mut script = String::new();
    for wave in 0..40 {
        let at = wave * 10;
        script += &format!(
            "{at}    A/1 receives a{wave} /a
             {at}.1  A/2 receives b{wave} /b
             {at}.2  A/1 sends ca{wave} /for-a
             {at}.3  A/2 sends cb{wave} /for-b
             {at}.4  A/2 reads cb{wave} wait=poll
             {at}.5  A/1 reads ca{wave} wait=poll
             {at}.6  A/2 answers b{wave}
             {at}.7  A/2 sends after{wave} /after wait=poll
             {at}.8  A/2 reads after{wave} wait=poll
             {at}.9  A/1 answers a{wave}\n"
        );
    }
    check_links(&(script + "3000 tick"), expect!["thread 80, entry 80, several_open 40"]);
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
    check_links(&script, expect!["thread 32, entry 34, thread_shared 1, uncalibrated 1"]);
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
            trace 2
              A client /for-one (none: uncalibrated)
            trace 3
              A server /two (none)
            trace 4
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
fn a_call_from_a_pool_thread_is_linked_once_calls_like_it_have_stood_and_not_while_two_requests_are_open() {
    let two = "20000 A/1 receives r80 /two
         20000 A/2 receives r81 /three
         20001 A/9 sends c80 /back/80 host=back
         20002 A/9 reads c80
         20003 A/1 answers r80
         20003 A/2 answers r81
         24000 tick";
    check_links(
        &(one_at_a_time(9, "9", "") + "\n" + two),
        expect!["only 2, entry 11, several_open 1, uncalibrated 7"],
    );
}

#[test]
fn a_call_while_nothing_is_open_takes_every_link_by_being_alone_from_its_destination() {
    let poll = "8100 A/9 sends p1 /poll host=back\n8101 A/9 reads p1\n12000 tick";
    // The last two are still held when it comes.
    let calls = one_at_a_time(9, "9", "").replace("12000 tick", poll);
    check_links(&calls, expect!["entry 9, no_request_open 1, uncalibrated 1, background 8"]);
}

#[test]
fn without_a_pause_before_the_request_being_alone_is_no_evidence() {
    let mut script = one_at_a_time(9, "9", "");
    for n in 10..30 {
        let at = 20_000 + n * 2;
        script += &format!(
            "\n{at} A/1 receives r{n}\n{at}.2 A/9 sends c{n} /back/{n} host=back\n{at}.4 A/9 reads c{n}\n{at}.6 A/1 answers r{n}"
        );
    }
    check_links(&(script + "\n30000 tick"), expect!["only 3, entry 29, uncalibrated 26"]);
}

#[test]
fn in_a_process_that_is_busy_most_of_the_time_being_alone_is_no_evidence() {
    let mut script = String::new();
    for n in 0..20 {
        let at = n * 1_000;
        script += &format!(
            "{at} A/1 receives r{n}\n{} A/9 sends c{n} /back/{n} host=back\n{} A/9 reads c{n}\n{} A/1 answers r{n}\n",
            at + 1,
            at + 2,
            at + 900
        );
    }
    check_links(&(script + "30000 tick"), expect!["entry 20, uncalibrated 20"]);
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
fn a_loss_told_before_the_next_tick_takes_back_what_waiting_had_shown() {
    check(
        "0 A/1 receives r1 /one
         1 A/1 sends c1 /for-somebody
         2 A/1 reads c1 wait=call
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
        &one_at_a_time(14, "9", "").replace("8000    A/1 receives", "7999 lost\n8000    A/1 receives"),
        expect!["entry 14, uncalibrated 2, after_loss 12"],
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
         1012 B/1 reads c4 wait=call
         1013 B/1 answers r4
         1200 tick";
    check_links(&(blocking_waves(16, 0) + gap), expect!["thread 33, entry 36, unanswered 1, after_loss 1"]);
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
