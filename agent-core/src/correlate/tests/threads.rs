//! Which open request made a call: threads, being the only one, and when neither may be believed.
use super::check;
use expect_test::expect;

#[test]
fn a_call_made_while_one_request_is_open_and_answered_before_it_is_its_child() {
    check(
        "0 A/1 receives r1 /checkout
         1 A/1 sends r2 /pay
         3 A/1 reads r2
         4 A/1 answers r1
         100 tick",
        expect![[r#"
            trace 1
              A server /checkout (none)
                A client /pay (only)
        "#]],
    );
}
