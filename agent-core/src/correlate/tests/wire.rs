//! Context in headers: who wrote it, and what it says about parent, trace and sampling.
use super::check;
use expect_test::expect;

#[test]
fn a_request_with_context_continues_the_senders_trace() {
    check(
        "0 A/1 receives r1 /checkout ctx=1.7
         1 A/1 answers r1",
        expect![[r#"
            trace 1
              A server /checkout (wire of 7)
        "#]],
    );
}

#[test]
fn the_senders_sampling_decision_holds_for_the_whole_tree() {
    check(
        "0 A/1 receives r1 /checkout ctx=1.7 unsampled
         1 A/1 sends r2 /pay
         2 A/1 reads r2 wait=call
         3 A/1 answers r1
         10 tick",
        expect![[r#"
            trace 1 unsampled
              A server /checkout (wire of 7)
                A client /pay (thread)
        "#]],
    );
}

#[test]
fn a_trace_id_without_a_parent_begins_at_the_request_that_carries_it() {
    check(
        "0 A/1 receives r1 /checkout ctx=1
         1 A/1 answers r1",
        expect![[r#"
            trace 1
              A server /checkout (none)
        "#]],
    );
}

#[test]
fn context_that_a_library_made_stands_for_the_librarys_own_client_span() {
    check(
        "0 A/1 receives r1 /checkout ctx=1.7
         1 A/1 sends r2 /pay ctx=1.8
         1 B/1 receives r2 /pay ctx=1.8
         2 B/1 answers r2
         3 A/1 reads r2
         4 A/1 answers r1
         1000 tick",
        expect![[r#"
            trace 1
              A server /checkout (wire of 7)
              B server /pay (wire of 8)
        "#]],
    );
}

#[test]
fn context_that_the_application_hands_on_is_refined_by_the_two_ends_of_the_connection() {
    check(
        "0 A/1 receives r1 /checkout ctx=1.7
         1 A/1 sends r2 /pay ctx=1.7
         1 B/1 receives r2 /pay ctx=1.7
         2 B/1 sends r3 /bank ctx=1.7
         2 C/1 receives r3 /bank ctx=1.7
         3 C/1 answers r3
         3 B/1 reads r3
         4 B/1 answers r2
         5 A/1 reads r2
         6 A/1 answers r1
         1000 tick",
        expect![[r#"
            trace 1
              A server /checkout (wire of 7)
                A client /pay (wire)
                  B server /pay (peer)
                    B client /bank (wire)
                      C server /bank (peer)
        "#]],
    );
}

#[test]
fn a_context_handed_on_tells_the_request_apart_among_many_on_one_thread() {
    check(
        "0 A/1 receives r1 /one ctx=1.7
         0 A/1 receives r2 /two ctx=2.7
         1 A/1 sends c2 /for-two ctx=2.7
         1 A/1 sends c1 /for-one ctx=1.7
         2 A/1 reads c1
         2 A/1 reads c2
         3 A/1 answers r1
         3 A/1 answers r2",
        expect![[r#"
            trace 1
              A server /two (wire of 7)
                A client /for-two (wire)
            trace 2
              A server /one (wire of 7)
                A client /for-one (wire)
        "#]],
    );
}

#[test]
fn a_context_that_several_open_requests_carry_does_not_tell_which_one_called() {
    check(
        "0 A/1 receives r1 /one ctx=1.7
         0 A/2 receives r2 /two ctx=1.7
         1 A/1 sends c1 /for-one ctx=1.7
         1 B/1 receives c1 /for-one ctx=1.7
         2 B/1 answers c1
         2 A/1 reads c1
         3 A/1 answers r1
         3 A/2 answers r2
         1000 tick",
        expect![[r#"
            trace 1
              A server /two (wire of 7)
              A server /one (wire of 7)
              B server /for-one (wire of 7)
            trace 2
              A client /for-one (none: forward_ambiguous)
        "#]],
    );
}

#[test]
fn a_trace_id_that_the_client_begins_without_a_parent_covers_its_own_span() {
    check(
        "0 A/1 sends r1 /start ctx=1
         0 B/1 receives r1 /start ctx=1
         1 B/1 answers r1
         2 A/1 reads r1
         1000 tick",
        expect![[r#"
            trace 1
              A client /start (none)
                B server /start (peer)
        "#]],
    );
}
