//! The two ends of one connection.
use super::{
    check,
    script::{check_with, run},
};
use crate::correlate::Settings;
use expect_test::expect;

const CHAIN: &str = "0 A/1 receives r1 /checkout
     1 A/1 sends r2 /order
     1.1 B/1 receives r2 /order
     2 B/1 sends r3 /stock
     2.1 C/1 receives r3 /stock
     3 C/1 answers r3
     3.1 B/1 reads r3
     4 B/1 answers r2
     4.1 A/1 reads r2
     5 A/1 answers r1
     1000 tick";

#[test]
fn a_chain_of_services_on_one_node_is_one_trace() {
    check(
        CHAIN,
        expect![[r#"
        trace 1
          A server /checkout (none)
            A client /order (only)
              B server /order (peer)
                B client /stock (only)
                  C server /stock (peer)
    "#]],
    );
}

#[test]
fn it_does_not_matter_which_end_is_seen_first_and_no_child_starts_before_its_parent() {
    check(
        "0 A/1 receives r1 /checkout
         1 B/1 receives r2 /order
         1.1 A/1 sends r2 /order
         3 A/1 reads r2
         3.1 B/1 answers r2
         5 A/1 answers r1
         1000 tick",
        expect![[r#"
            trace 1
              A server /checkout (none)
                A client /order (only)
                  B server /order (peer)
        "#]],
    );
}

#[test]
fn a_busy_receiver_may_read_a_request_long_after_it_was_sent() {
    check(
        "0 A/1 receives r1 /checkout
         1 A/1 sends r2 /order
         150 tick
         300 tick
         600 B/1 receives r2 /order
         601 B/1 answers r2
         602 A/1 reads r2
         605 A/1 answers r1
         1000 tick",
        expect![[r#"
            trace 1
              A server /checkout (none)
                A client /order (only)
                  B server /order (peer)
        "#]],
    );
}

#[test]
fn the_ends_are_joined_through_address_translation_by_number_and_head() {
    check(
        "0 A/1 sends r2 /order nat
         0.1 B/1 receives r2 /order
         1 B/1 answers r2
         2 A/1 reads r2
         1000 tick",
        expect![[r#"
            trace 1
              A client /order (none: no_request_open)
                B server /order (peer)
        "#]],
    );
}

#[test]
fn two_clients_that_look_the_same_through_translation_are_joined_with_neither() {
    let script = "0 A/1 sends r1 /order nat conn=x
         0.1 B/1 sends r1 /order nat conn=x
         0.2 C/1 receives r1 /order conn=x
         1 C/1 answers r1
         2 A/1 reads r1
         2 B/1 reads r1
         1000 tick";
    let (correlator, _) = run(Settings::default(), script);
    assert_eq!(correlator.counts().peer_ambiguous, 1);
    check(
        script,
        expect![[r#"
        trace 1
          A client /order (none: no_request_open)
        trace 2
          B client /order (none: no_request_open)
        trace 3
          C server /order (none: peer_unseen)
    "#]],
    );
}

#[test]
fn a_sender_on_this_node_that_is_not_observed_costs_a_moment_and_leaves_a_root_with_the_reason() {
    let settings = Settings { local_addresses: vec!["203.0.113.9".parse().unwrap()], ..Settings::default() };
    check_with(
        settings,
        "0 A/1 receives r1 /checkout\n1 A/1 answers r1\n1000 tick",
        expect![[r#"
        trace 1
          A server /checkout (none: peer_unseen)
    "#]],
    );
}

#[test]
fn requests_of_one_connection_are_told_apart_by_their_numbers() {
    check(
        "0 A/1 sends r1 /one conn=k
         0 A/1 sends r2 /two conn=k
         1 B/1 receives r1 /one conn=k
         1 B/1 receives r2 /two conn=k
         2 B/1 answers r1
         3 B/1 answers r2
         4 A/1 reads r1
         4 A/1 reads r2
         1000 tick",
        expect![[r#"
            trace 1
              A client /two (none: no_request_open)
                B server /two (peer)
            trace 2
              A client /one (none: no_request_open)
                B server /one (peer)
        "#]],
    );
}

#[test]
fn a_process_that_calls_itself_is_not_its_own_cause() {
    check(
        "0 A/2 receives r1 /self
         0.1 A/1 sends r1 /self
         1 A/2 answers r1
         2 A/1 reads r1
         1000 tick",
        expect![[r#"
            trace 1
              A client /self (none: no_request_open)
                A server /self (peer)
        "#]],
    );
}

#[test]
fn a_send_recorded_after_all_that_it_caused_is_not_caused_by_it() {
    // A's send returns late: B has already called A back.
    check(
        "0 B/1 receives r1 /out
         0.1 B/1 sends r2 /back
         0.2 A/2 receives r2 /back
         0.3 A/1 sends r1 /out
         1 A/2 answers r2
         2 B/1 reads r2
         3 B/1 answers r1
         4 A/1 reads r1
         1000 tick",
        expect![[r#"
            trace 1
              B server /out (none)
                B client /back (only)
                  A server /back (peer)
            trace 2
              A client /out (none: outlived)
        "#]],
    );
}

#[test]
fn a_connection_whose_sender_never_shows_waits_once() {
    let settings = Settings { local_addresses: vec!["203.0.113.9".parse().unwrap()], ..Settings::default() };
    let script = "0 A/1 receives r1 /one conn=k
         1 A/1 answers r1
         200 tick
         201 A/1 receives r2 /two conn=k
         202 A/1 answers r2";
    expect![[r#"
        trace 1
          A server /one (none: peer_unseen)
        trace 2
          A server /two (none: peer_unseen)
    "#]]
    .assert_eq(&super::script::run_without_stop(settings, script));
}
