//! Who answers is who acted, who was created for it, and when that says nothing.
use super::{
    check,
    script::{check_links, process, run},
};
use crate::correlate::Settings;
use expect_test::expect;

/// Requests one after the other, each with two calls by tasks of its task, while another is open.
fn families(requests: usize) -> String {
    let mut script = String::new();
    for n in 0..requests {
        let at = n * 10;
        script += &format!(
            "{at}    A/1 receives f{n} /family in=5
             {at}.1  A/1 copies 1000 in=5
             {at}.2  A/1 receives other{n} /other in=6
             {at}.25 A/1 copies 2000 in=6
             {at}.3  A/1 copies 3000 in=1000
             {at}.31 A/1 copies 4000 in=1000
             {at}.4  A/1 sends a{n} /child in=3000
             {at}.41 A/1 sends b{n} /child in=4000
             {at}.5  A/1 reads a{n} in=7
             {at}.51 A/1 reads b{n} in=7
             {at}.6  A/1 answers f{n} in=1000
             {at}.7  A/1 answers other{n} in=2000\n"
        );
    }
    script
}

#[test]
fn a_call_belongs_to_the_request_that_its_context_answers() {
    check(
        "0 A/1 receives r1 /one in=5
         1 A/1 copies 10 in=5
         2 A/1 receives r2 /two in=6
         3 A/1 copies 20 in=6
         4 A/1 sends c2 /for-two in=20
         5 A/1 sends c1 /for-one in=10
         6 A/1 reads c1 in=7
         7 A/1 reads c2 in=7
         8 A/1 answers r2 in=20
         9 A/1 answers r1 in=10
         200 tick",
        expect![[r#"
            trace 1
              A server /one (none)
                A client /for-one (task)
            trace 2
              A server /two (none)
                A client /for-two (task)
        "#]],
    );
}

#[test]
fn what_is_created_for_a_request_calls_for_it_once_others_have_shown_that_it_does() {
    check_links(
        &(families(2) + "250 tick\n 2400 tick\n 5000 tick\n 9000 tick"),
        expect!["entry 4, uncalibrated 4"],
    );
    check_links(&(families(3) + "250 tick\n 2400 tick\n 5000 tick\n 9000 tick"), expect!["task 6, entry 6"]);
}

#[test]
fn a_worker_that_a_request_starts_is_shared_by_all() {
    check_links(
        &(families(12)
            + "200 A/1 receives w1 /starts in=5
               201 A/1 copies 1000 in=5
               202 A/1 copies 40 in=1000
               203 A/1 receives w2 /other in=6
               203 A/1 copies 2000 in=6
               204 A/1 sends cw1 /work-of-another in=40
               205 A/1 reads cw1 in=7
               206 A/1 answers w1 in=1000
               207 A/1 sends cw2 /more in=40
               208 A/1 reads cw2 in=7
               209 A/1 answers w2 in=2000
               250 tick
               2400 tick
               5000 tick
               9000 tick"),
        expect!["task 24, entry 26, task_shared 1, after_answer 1"],
    );
}

#[test]
fn one_that_only_creates_others_is_found_out_too() {
    check_links(
        &(families(12)
            + "200 A/1 receives w1 /starts in=5
               201 A/1 copies 1000 in=5
               202 A/1 copies 40 in=1000
               203 A/1 copies 41 in=40
               204 A/1 sends cw1 /work in=41
               205 A/1 reads cw1 in=7
               206 A/1 answers w1 in=1000
               207 A/1 copies 42 in=40
               250 tick
               2400 tick
               5000 tick
               9000 tick"),
        expect!["task 24, entry 25, task_shared 1"],
    );
}

#[test]
fn what_was_not_awaited_may_be_anybodys() {
    check_links(
        &(families(12)
            + "200 A/1 receives w1 /starts in=5
               201 A/1 copies 1000 in=5
               202 A/1 copies 40 in=1000
               204 A/1 sends cw1 /work in=40
               206 A/1 answers w1 in=1000
               207 A/1 reads cw1 in=7
               250 tick
               2400 tick
               5000 tick
               9000 tick"),
        expect!["task 24, entry 25, outlived 1"],
    );
}

#[test]
fn an_address_that_is_used_again_is_another_context() {
    check_links(
        "0 A/1 receives r1 /one in=5
         1 A/1 copies 10 in=5
         2 A/1 sends c1 /by-the-first in=10
         3 A/1 reads c1 in=7
         4 A/1 copies 10
         5 A/1 answers r1 in=10
         200 tick",
        expect!["entry 1, other_task 1"],
    );
}

#[test]
fn a_context_that_answers_two_at_once_is_nobodys() {
    let mut script = String::new();
    for n in 0..12 {
        let at = n * 10;
        script += &format!(
            "{at}   A/1 receives a{n} /a in=5
             {at}.1 A/1 receives b{n} /b in=6
             {at}.2 A/1 sends c{n} /call in=9
             {at}.3 A/1 reads c{n} in=7
             {at}.4 A/1 answers a{n} in=9
             {at}.5 A/1 answers b{n} in=9\n"
        );
    }
    check_links(&(script + "1000 tick"), expect!["entry 24, thread_shared 12"]);
}

#[test]
fn one_that_was_there_before_is_believed_when_overlapping_requests_have_contexts_of_their_own() {
    let mut script = String::new();
    for n in 0..12 {
        let at = n * 200;
        script += &format!(
            "{at}   A/1 receives a{n} /a in=5 conn=a
             {at}.1 A/1 receives b{n} /b in=6 conn=b
             {at}.2 A/1 sends c{n} /call in=8
             {at}.3 A/1 reads c{n} in=7
             {at}.4 A/1 answers a{n} in=8
             {at}.5 A/1 answers b{n} in=9
             {at}.6 tick\n"
        );
    }
    check_links(&(script + "5000 tick"), expect!["task 8, entry 24, uncalibrated 4"]);
}

#[test]
fn work_left_behind_is_not_given_to_the_next_request() {
    check_links(
        "0 A/1 receives r1 /one in=5 conn=k
         1 A/1 copies 10 in=5
         2 A/1 copies 20 in=10
         3 A/1 answers r1 in=10
         4 A/1 receives r2 /two in=5 conn=k
         5 A/1 copies 30 in=5
         6 A/1 sends c1 /left-behind in=20
         7 A/1 reads c1 in=7
         8 A/1 answers r2 in=30
         5000 tick",
        expect!["entry 2, after_answer 1"],
    );
}

#[test]
fn what_waits_for_a_long_request_is_decided_when_it_cannot_be_its_own_any_more() {
    check_links(
        "0    A/1 receives long /long in=5
         1    A/1 copies 10 in=5
         2    A/1 receives r1 /one in=6
         3    A/1 copies 20 in=6
         4    A/1 sends c1 /of-one in=20
         5    A/1 reads c1 in=7
         6    A/1 answers r1 in=20
         7    A/1 sends c2 /of-nobody in=99
         8    A/1 reads c2 in=7
         200  tick
         9000 A/1 aborts long
         9001 tick",
        expect!["task 1, entry 2, other_task 1"],
    );
}

#[test]
fn pipelined_requests_have_their_own_time() {
    check(
        "0 A/1 receives r1 /one in=5 conn=k
         0 A/1 receives r2 /two in=5 conn=k
         1 A/1 copies 10 in=5
         2 A/1 sends c1 /for-one in=10
         3 A/1 reads c1 in=7
         4 A/1 answers r1 in=10
         5 A/1 sends c2 /for-two in=10
         6 A/1 reads c2 in=7
         7 A/1 answers r2 in=10
         200 tick",
        expect![[r#"
            trace 1
              A server /two (none)
            trace 2
              A server /one (none)
                A client /for-one (task)
            trace 3
              A client /for-two (none: uncalibrated)
        "#]],
    );
}

#[test]
fn after_a_loss_nobody_is_believed() {
    check_links(
        "0 A/1 receives r1 /one in=5
         1 A/1 copies 10 in=5
         2 A/1 sends c1 /call in=10
         3 A/1 reads c1 in=7
         4 A/1 answers r1 in=10
         5 lost
         200 tick",
        expect!["entry 1, after_loss 1"],
    );
    check_links(
        &(families(12) + "250 tick\n 1000 lost\n 2400 tick\n 5000 tick\n 9000 tick"),
        expect!["entry 24, after_loss 24"],
    );
}

#[test]
fn a_thread_without_a_context_calls_for_nobody_that_is_known() {
    check_links(
        "0 A/1 receives r1 /one in=5
         1 A/1 copies 10 in=5
         2 A/2 sends c1 /executor
         3 A/2 reads c1
         4 A/1 answers r1 in=10
         200 tick",
        expect!["entry 1, other_task 1"],
    );
}

#[test]
fn explain_says_what_contexts_have_shown() {
    let (correlator, _) =
        run(Settings::default(), &(families(12) + "250 tick\n 2400 tick\n 5000 tick\n 9000 tick"));
    let context = correlator.explain(process('A')).unwrap().context;
    assert_eq!((context.births, context.kept, context.outlived, context.is_shared), (48, 24, 0, false));
}

/// Requests one after the other, each with a call that a thread of a pool makes, while another is open.
fn pools(requests: usize) -> String {
    let mut script = String::new();
    for n in 0..requests {
        let at = n * 10;
        script += &format!(
            "{at}    A/1 receives f{n} /front in=5
             {at}.1  A/1 copies 1000 in=5
             {at}.2  A/1 receives other{n} /other in=6
             {at}.25 A/1 copies 2000 in=6
             {at}.3  A/1 puts 64 in=1000
             {at}.35 A/2 takes 64
             {at}.4  A/2 sends a{n} /work
             {at}.5  A/2 reads a{n}
             {at}.6  A/1 answers f{n} in=1000
             {at}.7  A/1 answers other{n} in=2000\n"
        );
    }
    script
}

const LATER: &str = "400 tick\n 2400 tick\n 5000 tick\n 9000 tick";

#[test]
fn work_that_is_handed_to_a_thread_is_done_for_who_handed_it_over() {
    check_links(&(pools(12) + LATER), expect!["task 12, entry 24"]);
}

#[test]
fn a_thread_works_for_one_until_it_takes_the_next_and_for_nobody_if_that_is_unknown() {
    check_links(
        &(pools(12)
            + "200 A/1 receives w1 /one in=5
               201 A/1 copies 1000 in=5
               202 A/1 puts 64 in=1000
               203 A/2 takes 64
               204 A/2 takes 96
               205 A/2 sends c1 /unknown
               206 A/2 reads c1
               207 A/1 answers w1 in=1000\n"
            + LATER),
        expect!["task 12, entry 25, other_task 1"],
    );
}

#[test]
fn the_same_work_taken_twice_is_the_same() {
    let twice = pools(12).replace("A/2 takes 64", "A/2 takes 64\n 0 A/2 takes 64");
    check_links(&(twice + LATER), expect!["task 12, entry 24"]);
}

#[test]
fn a_context_that_a_thread_keeps_is_its_works_while_it_works() {
    // 700 is the thread's own context, born of the first request.
    let own = pools(12).replace("A/2 takes 64", "A/2 takes 64 in=700").replace("/work", "/work in=700");
    check_links(&("0 A/1 copies 700 in=9\n".to_owned() + &own + LATER), expect!["task 12, entry 24"]);
}

#[test]
fn work_that_was_put_after_the_answer_is_nobodys() {
    check_links(
        &(pools(12)
            + "200 A/1 receives w1 /one in=5
               201 A/1 copies 1000 in=5
               202 A/1 receives w2 /two in=6
               203 A/1 answers w1 in=1000
               204 A/1 puts 64 in=1000
               205 A/2 takes 64
               206 A/2 sends c1 /late
               207 A/2 reads c1
               208 A/1 answers w2 in=2000\n"
            + LATER),
        expect!["task 12, entry 26, after_answer 1"],
    );
}

#[test]
fn what_was_called_before_the_first_answer_is_known_too() {
    // Read outside of contexts, as uvloop does, all by one thread.
    check_links(
        "0   A/1 receives r1 /one
         0.1 A/1 copies 10
         1   A/1 receives r2 /two
         1.1 A/1 copies 20
         2   A/1 sends c1 /for-one in=10
         3   A/1 sends c2 /for-two in=20
         4   A/1 reads c1
         5   A/1 reads c2
         6   A/1 answers r1 in=10
         7   A/1 answers r2 in=20
         200 tick",
        expect!["task 2, entry 2"],
    );
}

#[test]
fn a_process_that_never_answers_in_contexts_has_no_evidence_of_them() {
    check_links(
        "0   A/1 receives r1 /one
         0.1 A/1 copies 10
         1   A/1 receives r2 /two
         2   A/1 sends c1 /for-one in=10
         4   A/1 reads c1
         6   A/1 answers r1
         7   A/1 answers r2
         200 tick",
        expect!["entry 2, other_task 1"],
    );
}

#[test]
fn who_queued_an_answer_has_given_it() {
    // Sent by the loop when 10 is gone, and its address another's.
    check(
        "0   A/1 receives r1 /one in=5
         0.1 A/1 copies 10
         1   A/1 sends c1 /for-one in=10 queued=0.5
         2   A/1 reads c1
         3   A/1 copies 10
         4   A/1 answers r1 in=10 queued=2.5
         200 tick",
        expect![[r#"
            trace 1
              A server /one (none)
                A client /for-one (task)
        "#]],
    );
}
