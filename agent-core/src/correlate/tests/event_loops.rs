//! What an event loop works on: each rule with the case that justifies it.
use super::{check, script::check_links};
use expect_test::expect;

/// Two requests at once on one loop: `a` has the handle 11, `b` the handle 12.
const TWO: &str = "
    0   A/1 loops nobody young=12
    1   A/1 receives a /a conn=ka young=12
    1   A/1 loops read in=ka id=11 young=12
    2   A/1 receives b /b conn=kb young=20
    2   A/1 loops read in=kb id=12 young=20
";

/// Time in which nothing happens, so that what is held is decided.
const REST: &str = "
    3000 tick
    4000 tick
    9000 tick
";

#[test]
fn a_call_is_for_the_request_whose_read_is_worked_on() {
    check(
        &format!(
            "{TWO}
             3   A/1 sends c /c run=12 trig=1 young=30
             5   A/1 reads c young=31
             5   A/1 loops read out=c id=30 young=31
             6   A/1 answers b young=31
             7   A/1 loops read in=ka id=11 young=31
             8   A/1 answers a young=31
             {REST}"
        ),
        expect![[r#"
            trace 1
              A server /a (none)
            trace 2
              A server /b (none)
                A client /c (task)
        "#]],
    );
}

#[test]
fn what_was_created_for_a_request_goes_on_for_it() {
    // 15 is a file request of `a`, 25 a timer of `b`.
    check(
        &format!(
            "{TWO}
             3   A/1 loops callback id=15 trig=11 young=30
             3   A/1 sends fc /file young=30
             4   A/1 loops nobody young=31
             4   A/1 sends tc /timer run=25 trig=12 young=31
             5   A/1 answers a young=31
             6   A/1 answers b young=31
             7   A/1 reads fc young=32
             7   A/1 reads tc young=32
             {REST}"
        ),
        expect![[r#"
            trace 1
              A server /a (none)
                A client /file (task)
            trace 2
              A server /b (none)
                A client /timer (task)
        "#]],
    );
}

#[test]
fn what_waits_for_a_promise_goes_on_for_who_resolved_it() {
    let after = |resolver: &str| {
        format!(
            "{TWO}
             3   A/1 loops nobody young=30
             3   A/1 loops resolved {resolver} young=30 bounded
             3   A/1 sends c /c young=30
             5   A/1 answers a young=31
             6   A/1 answers b young=31
             7   A/1 reads c young=32
             {REST}"
        )
    };
    check_links(&after("id=15 trig=11 first=15"), expect!["task 1, entry 2"]);
    // Two of different requests.
    check_links(&after("id=15 trig=11 first=25"), expect!["entry 2, other_task 1"]);
    // One that nobody knows.
    check_links(&after("id=5 trig=2 first=5"), expect!["entry 2, other_task 1"]);
}

#[test]
fn a_timer_that_runs_twice_is_nobodys() {
    check_links(
        &format!(
            "{TWO}
             3   A/1 loops nobody young=30
             3   A/1 sends p1 /poll run=15 trig=11 young=30
             8   A/1 loops nobody young=31
             8   A/1 sends p2 /poll run=15 trig=11 young=31
             9   A/1 answers a young=31
             9   A/1 answers b young=31
             {REST}"
        ),
        expect!["entry 2, task_shared 2"],
    );
}

#[test]
fn a_callback_that_is_called_twice_is_nobodys() {
    // A port to a worker that `a` has started: its messages are for anybody.
    check_links(
        &format!(
            "{TWO}
             3   A/1 loops callback id=15 trig=11 young=30
             3   A/1 sends c1 /c young=30
             8   A/1 loops callback id=15 trig=11 young=31
             8   A/1 sends c2 /c young=31
             9   A/1 answers a young=31
             9   A/1 answers b young=31
             {REST}"
        ),
        expect!["entry 2, task_shared 2"],
    );
}

#[test]
fn a_callback_of_another_handle_is_not_the_reads() {
    // A part of `a`'s body came that called nothing, then a callback of `b`'s.
    check(
        &format!(
            "{TWO}
             3   A/1 loops read in=ka id=22 young=30
             3   A/1 sends c /c young=30
             5   A/1 answers a young=31
             6   A/1 answers b young=31
             7   A/1 reads c young=32
             {REST}"
        ),
        expect![[r#"
            trace 1
              A server /a (none)
            trace 2
              A server /b (none)
                A client /c (task)
        "#]],
    );
}

#[test]
fn who_is_answered_in_a_calls_answer_made_the_call() {
    check(
        &format!(
            "{TWO}
             3   A/1 loops nobody young=30
             3   A/1 sends c /c young=30
             5   A/1 reads c young=31
             5   A/1 loops read out=c id=31 young=31
             6   A/1 answers b young=31
             7   A/1 loops nobody young=32
             7   A/1 answers a young=32
             {REST}"
        ),
        expect![[r#"
            trace 1
              A server /a (none)
            trace 2
              A server /b (none)
                A client /c (task)
        "#]],
    );
}

#[test]
fn a_call_whose_answer_answers_another_was_handed_over() {
    // In the slice of `a` a list of user code lets `b`'s call go.
    check_links(
        &format!(
            "{TWO}
             3   A/1 loops read in=ka id=11 young=30
             3   A/1 sends c /c run=11 trig=1 young=30
             5   A/1 reads c young=31
             5   A/1 loops read out=c id=30 young=31
             6   A/1 answers b young=31
             7   A/1 loops nobody young=32
             7   A/1 answers a young=32
             {REST}"
        ),
        expect!["entry 2, task_shared 1"],
    );
}

#[test]
fn work_after_the_answer_is_nobodys() {
    check_links(
        &format!(
            "{TWO}
             3   A/1 answers b young=30
             4   A/1 loops nobody young=31
             4   A/1 sends c /c run=25 trig=12 young=31
             5   A/1 reads c young=31
             6   A/1 answers a young=31
             {REST}"
        ),
        expect!["entry 2, after_answer 1"],
    );
}

#[test]
fn records_that_were_lost_are_heeded() {
    check_links(
        &format!(
            "{TWO}
             3   A/1 sends c /c run=12 trig=1 young=30
             5   A/1 answers b young=31
             6   A/1 answers a young=31
             7   lost
             {REST}"
        ),
        expect!["entry 2, after_loss 1"],
    );
}

#[test]
fn a_loop_whose_numbers_cannot_be_read_says_nothing() {
    check_links(
        &format!(
            "{TWO}
             3   A/1 sends c /c young=0
             5   A/1 answers b young=31
             6   A/1 answers a young=31
             {REST}"
        ),
        expect!["entry 2, other_task 1"],
    );
}
