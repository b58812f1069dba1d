//! Calls whose request nginx's own structures name, and when that names nobody.
use super::check;
use expect_test::expect;

#[test]
fn calls_of_one_thread_go_to_the_requests_that_nginx_names() {
    check(
        "0  A/1 receives r1 /one conn=a nginx
         1  A/1 receives r2 /two conn=b nginx
         2  A/1 sends c2 /for-two for=b
         3  A/1 sends c1 /for-one for=a
         4  A/1 reads c1
         5  A/1 reads c2
         6  A/1 answers r2
         7  A/1 answers r1
         9  tick",
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
fn of_pipelined_requests_it_is_the_first_whose_response_has_not_begun() {
    check(
        "0  A/1 receives r1 /one conn=a nginx
         0  A/1 receives r2 /two conn=a nginx
         0  A/1 receives r3 /three conn=a nginx
         2  A/1 sends c1 /for-one for=a
         3  A/1 reads c1
         4  A/1 begins r1
         5  A/1 finishes r1
         6  A/1 sends c2 /for-two for=a
         7  A/1 reads c2
         # Where the response ends is seen late.
         8  A/1 begins r2
         9  A/1 sends c3 /for-three for=a
         10 A/1 finishes r2
         11 A/1 reads c3
         12 A/1 answers r3
         13 tick",
        expect![[r#"
            trace 1
              A server /three (none)
                A client /for-three (task)
            trace 2
              A server /two (none)
                A client /for-two (task)
            trace 3
              A server /one (none)
                A client /for-one (task)
        "#]],
    );
}

#[test]
fn what_goes_on_after_the_response_is_not_the_next_request_s() {
    check(
        "0  A/1 receives r1 /one conn=a nginx
         0  A/1 receives r2 /two conn=a nginx
         1  A/1 answers r1
         2  A/1 sends update /update after=a
         3  A/1 reads update
         4  A/1 sends c2 /for-two for=a
         5  A/1 reads c2
         6  A/1 answers r2
         7  tick",
        expect![[r#"
            trace 1
              A server /two (none)
                A client /for-two (task)
            trace 2
              A server /one (none)
            trace 3
              A client /update (none: after_answer)
        "#]],
    );
}

#[test]
fn a_call_within_a_response_is_its_own_if_it_was_sent_before_the_end() {
    check(
        "0  A/1 receives r1 /one conn=a nginx
         0  A/1 receives r2 /two conn=b nginx
         1  A/1 begins r1
         2  A/1 begins r2
         3  A/1 sends part /part after=a
         4  A/1 reads part
         5  A/1 finishes r1
         # The end of the response is told after the call.
         7  A/1 sends late /late after=b
         6  A/1 finishes r2
         8  A/1 reads late
         9  tick",
        expect![[r#"
            trace 1
              A server /two (none)
            trace 2
              A server /one (none)
                A client /part (task)
            trace 3
              A client /late (none: after_answer)
        "#]],
    );
}

#[test]
fn nothing_is_claimed_of_a_connection_after_a_request_on_it_was_given_up() {
    check(
        "0  A/1 receives r1 /one conn=a nginx
         0  A/1 receives r2 /two conn=a nginx
         1  A/1 aborts r1
         2  A/1 sends c1 /for-one for=a
         3  A/1 reads c1
         4  A/1 answers r2
         5  tick",
        expect![[r#"
            trace 1
              A server /two (none)
            trace 2
              A server /one (none) !client_disconnected
            trace 3
              A client /for-one (none: no_request_open)
        "#]],
    );
}

#[test]
fn a_request_that_is_never_answered_has_made_its_calls_and_a_loss_says_nothing() {
    check(
        "0  A/1 receives r1 /one conn=a nginx
         1  A/1 receives r2 /two conn=b nginx
         2  A/1 sends c1 /for-one for=a
         3  A/1 reads c1
         4  A/1 aborts r1
         5  tick
         300 tick
         301 A/1 sends c2 /for-two for=b
         302 A/1 reads c2
         303 A/1 answers r2
         304 lost
         310 tick",
        expect![[r#"
            trace 1
              A server /one (none) !client_disconnected
                A client /for-one (task)
            trace 2
              A server /two (none)
            trace 3
              A client /for-two (none: after_loss)
        "#]],
    );
}
