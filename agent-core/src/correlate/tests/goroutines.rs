//! Who asked, who was born of whom, and when that says nothing.
use super::{
    check,
    script::{check_links, process, run},
};
use crate::correlate::Settings;
use expect_test::expect;

/// Requests one after the other, each called for by a goroutine that its reader creates: `site=1`.
fn families(requests: usize) -> String {
    let mut script = String::new();
    for n in 0..requests {
        let (at, reader, child) = (n * 10, 1_000 + n, 2_000 + n);
        script += &format!(
            "{at}    A/1 receives f{n} /family go={reader}
             {at}.1  A/2 receives other{n} /other go={}
             {at}.2  A/1 bears {child} go={reader} site=1
             {at}.3  A/1 claims cf{n} go={child}
             {at}.4  A/3 sends cf{n} /child go=77
             {at}.5  A/3 reads cf{n} go=78
             {at}.6  A/1 answers f{n} go={reader}
             {at}.7  A/1 answers other{n} go={}\n",
            5_000 + n,
            5_000 + n
        );
    }
    script
}

#[test]
fn a_call_is_its_whose_reader_asked_for_it_whoever_writes_the_bytes() {
    check(
        "0 A/1 receives r1 /one go=11
         1 A/2 receives r2 /two go=12
         2 A/1 claims c2 go=12
         3 A/2 claims c1 go=11
         4 A/3 sends c1 /for-one go=50
         5 A/3 sends c2 /for-two go=51
         6 A/3 reads c1 go=52
         7 A/3 reads c2 go=53
         8 A/5 answers r2 go=12
         9 A/6 answers r1 go=11
         30 tick",
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
fn a_goroutine_that_works_for_nobody_has_no_parent_even_while_one_request_is_open() {
    check(
        "0 A/1 receives r1 /one go=11
         1 A/1 claims c1 go=5
         2 A/3 sends c1 /ticker go=50
         3 A/3 reads c1 go=51
         4 A/1 answers r1 go=11
         30 tick",
        expect![[r#"
            trace 1
              A server /one (none)
            trace 2
              A client /ticker (none: other_task)
        "#]],
    );
}

#[test]
fn a_claim_is_for_one_request_and_never_for_one_that_was_sent_before() {
    check_links(
        "0 A/1 receives r1 /one go=11
         1 A/2 receives r2 /two go=12
         2 A/1 claims c1 go=11 conn=pool
         3 A/3 sends c1 /first go=50 conn=pool
         4 A/3 reads c1 go=51
         5 A/3 sends c2 /unclaimed go=50 conn=pool
         6 A/3 reads c2 go=51
         8 A/1 claims late go=11 conn=other
         7 A/3 sends c3 /before go=50 conn=other
         9 A/1 answers r1 go=11
         9 A/2 answers r2 go=12
         30 tick",
        expect!["task 1, entry 2, several_open 2"],
    );
}

#[test]
fn a_goroutine_left_behind_is_not_given_to_the_next_request_of_its_connection() {
    check(
        "0  A/1 receives r1 /one go=11
         1  A/1 bears 20 go=11
         2  A/1 answers r1 go=11
         10 A/1 receives r2 /two go=11
         11 A/1 claims c1 go=20
         12 A/3 sends c1 /late go=50
         13 A/3 reads c1 go=51
         14 A/1 answers r2 go=11
         5000 tick",
        expect![[r#"
            trace 1
              A server /one (none)
            trace 2
              A server /two (none)
            trace 3
              A client /late (none: after_answer)
        "#]],
    );
}

#[test]
fn descendants_are_believed_once_six_of_their_kind_kept_to_their_request() {
    check_links(&(families(5) + "9000 tick"), expect!["entry 10, uncalibrated 5"]);
    check_links(&(families(12) + "9000 tick"), expect!["task 7, entry 24, uncalibrated 5"]);
}

#[test]
fn nothing_has_stood_when_the_agent_stops_early() {
    check_links(&families(12), expect!["entry 24, uncalibrated 12"]);
}

#[test]
fn a_worker_that_the_first_request_started_takes_every_link_of_its_kind_along() {
    let script = families(12)
        + "200 A/1 receives w1 /starts go=30
           201 A/1 bears 40 go=30 site=1
           202 A/2 receives w2 /other go=31
           203 A/1 claims cw1 go=40
           204 A/3 sends cw1 /work-of-another go=50
           205 A/3 reads cw1 go=51
           206 A/1 answers w1 go=30
           207 A/1 claims cw2 go=40
           208 A/3 sends cw2 /more go=50
           209 A/3 reads cw2 go=51
           210 A/1 answers w2 go=31
           9000 tick";
    check_links(&script, expect!["entry 26, task_shared 13, after_answer 1"]);
    let (correlator, _) = run(Settings::default(), &script);
    assert_eq!(correlator.explain(process('A')).unwrap().task.sites_withdrawn, 1);
}

#[test]
fn a_worker_that_only_creates_others_is_found_out_too() {
    let script = families(12)
        + "2500 tick
           3000 A/1 receives w1 /starts go=30
           3001 A/1 bears 40 go=30 site=2
           3002 A/1 bears 41 go=40 site=1
           3003 A/1 claims cw1 go=41
           3004 A/3 sends cw1 /work go=50
           3005 A/3 reads cw1 go=51
           3006 A/1 answers w1 go=30
           3007 A/1 bears 42 go=40 site=1
           9000 tick";
    check_links(&script, expect!["task 7, entry 25, task_shared 1, uncalibrated 5"]);
}

#[test]
fn a_birth_that_was_not_seen_leads_to_nobody() {
    check_links(
        "0 A/1 receives r1 /one go=11
         1 A/1 claims c1 go=20
         2 A/3 sends c1 /child go=50
         3 A/3 reads c1 go=51
         4 A/1 answers r1 go=11
         5000 tick",
        expect!["entry 1, other_task 1"],
    );
}

#[test]
fn a_request_that_another_task_answers_was_not_worked_on_by_its_reader() {
    check_links(
        "0 A/1 receives r1 /one go=11
         1 A/1 claims c1 go=11
         2 A/3 sends c1 /call go=50
         3 A/3 reads c1 go=51
         4 A/1 answers r1 go=12
         5000 tick",
        expect!["entry 1, answered_elsewhere 1"],
    );
}

#[test]
fn a_reader_that_calls_while_it_streams_its_answer_still_works_for_it() {
    check_links(
        "0 A/1 receives r1 /one go=11
         1 A/1 begins r1 go=11
         2 A/1 claims c1 go=11
         3 A/3 sends c1 /call go=50
         4 A/3 reads c1 go=51
         5 A/1 finishes r1 go=11
         6 tick",
        expect!["task 1, entry 1"],
    );
}

#[test]
fn a_long_request_need_not_be_answered() {
    check_links(
        "0 A/1 receives r1 /one go=11
         1 A/1 claims c1 go=11
         2 A/3 sends c1 /call go=50
         3 A/3 reads c1 go=51
         2100 tick
         2200 tick",
        expect!["task 1, entry 1"],
    );
}

#[test]
fn a_goroutine_with_requests_of_two_connections_is_no_evidence() {
    check_links(
        "0 A/1 receives r1 /one go=11
         1 A/1 receives r2 /two go=11
         2 A/1 claims c1 go=11
         3 A/3 sends c1 /call go=50
         4 A/3 reads c1 go=51
         5 A/1 answers r1 go=11
         6 A/1 answers r2 go=11
         30 tick",
        expect!["entry 2, thread_shared 1"],
    );
}

#[test]
fn pipelined_requests_are_worked_off_in_order() {
    check(
        "0 A/1 receives r1 /one go=11 conn=k
         0 A/1 receives r2 /two go=11 conn=k
         1 A/1 claims c1 go=11
         2 A/3 sends c1 /for-one go=50
         3 A/3 reads c1 go=51
         4 A/1 answers r1 go=11
         5 A/1 claims c2 go=11
         6 A/3 sends c2 /for-two go=50
         7 A/3 reads c2 go=51
         8 A/1 answers r2 go=11
         30 tick",
        expect![[r#"
            trace 1
              A server /two (none)
                A client /for-two (task)
            trace 2
              A server /one (none)
                A client /for-one (task)
        "#]],
    );
}

#[test]
fn after_a_loss_nobody_is_believed() {
    check_links(
        "0 A/1 receives r1 /one go=11
         1 A/1 claims c1 go=11
         2 A/3 sends c1 /call go=50
         3 A/3 reads c1 go=51
         4 A/1 answers r1 go=11
         5 lost
         6 tick",
        expect!["entry 1, after_loss 1"],
    );
}
