//! Exchanges that share a connection: who moves its bytes may do it for others, so threads and tasks say nothing there.
use super::{
    check,
    script::{check_links, process},
    threads::blocking_waves,
};
use crate::{
    correlate::{Correlator, Settings, forest::cut_short},
    event::{Actor, ConnId, Endpoints, Nanos},
    exchange::{Call, End, ExchangeId, Fact, HttpRequest, Opened, Role},
};
use expect_test::expect;

#[test]
fn a_thread_that_sends_on_a_shared_connection_is_no_evidence_even_where_threads_are_proven() {
    let waves = blocking_waves(20, 0);
    check_links(
        &format!(
            "{waves}
             5000   A/1 receives x /x
             5000.1 A/2 receives y /y
             5000.2 A/1 sends cx /for-y conn=up shared
             5000.3 A/2 sends cy /for-x conn=up shared
             5001   A/1 reads cx
             5001.1 A/2 reads cy
             5002   A/1 answers x
             5002.1 A/2 answers y
             9000 tick"
        ),
        expect!["thread 40, entry 42, connection_shared 2"],
    );
}

#[test]
fn a_call_on_a_shared_connection_belongs_to_the_only_request_like_any_other() {
    let mut script = String::new();
    for n in 0..40 {
        let at = n * 1_000;
        script += &format!(
            "{at}    A/1 receives r{n} /front/{n}
             {at}.2  A/7 sends c{n} /back/{n} host=back conn=up shared
             {at}.6  A/8 reads c{n}
             {at}.8  A/1 answers r{n}\n"
        );
    }
    check_links(&format!("{script}45000 tick"), expect!["only 33, entry 40, uncalibrated 7"]);
}

#[test]
fn requests_of_a_shared_connection_that_a_thread_reads_together_are_nobodys() {
    check(
        "0    A/1 receives r1 /a conn=in shared
         0.1  A/1 receives r2 /b conn=in shared
         0.2  A/1 sends c1 /for-b
         1    A/1 reads c1 wait=call
         2    A/1 answers r1
         2.1  A/1 answers r2
         3000 tick",
        expect![[r#"
            trace 1
              A server /a (none)
            trace 2
              A server /b (none)
            trace 3
              A client /for-b (none: thread_shared)
        "#]],
    );
}

#[test]
fn goroutines_and_contexts_that_read_a_shared_connection_are_nobodys() {
    check(
        "0    A/1 receives r1 /a conn=in shared go=5
         0.1  A/1 receives r2 /b conn=in shared go=5
         0.2  A/1 bears 6 go=5 site=1
         0.3  A/2 sends c1 /for-b go=6
         1    A/2 reads c1 go=6
         2    A/1 answers r1 go=5
         2.1  A/1 answers r2 go=5
         3000 tick",
        expect![[r#"
            trace 1
              A server /a (none)
            trace 2
              A server /b (none)
            trace 3
              A client /for-b (none: several_open)
        "#]],
    );
}

#[test]
fn both_ends_of_a_request_on_a_shared_connection_are_one() {
    check(
        "0    A/1 sends r1 /a conn=up shared
         0.1  B/1 receives r1 /a conn=up shared
         1    B/1 answers r1
         1.1  A/1 reads r1
         3000 tick",
        expect![[r#"
            trace 1
              A client /a (none: no_request_open)
                B server /a (peer)
        "#]],
    );
}

#[test]
fn requests_that_are_reset_at_once_by_the_ten_thousand_a_second_are_not_gathered() {
    /// Between two of them.
    const APART_NS: u64 = 100_000;
    let mut correlator = Correlator::new(Settings::default(), [7; 32]);
    let (mut spans, mut most, mut told) = (Vec::new(), 0, 0);
    for n in 0..100_000_u32 {
        let (id, at) = (ExchangeId(u64::from(n)), Nanos(1_000_000_000 + u64::from(n) * APART_NS));
        let opened = Opened {
            id,
            role: Role::Server,
            protocol: "http",
            conn: ConnId(1),
            stream: Some(2 * n + 1),
            endpoints: Endpoints {
                local: ([127, 0, 0, 1], 80).into(),
                remote: ([127, 0, 0, 1], 4_000).into(),
            },
            seq: n * 30,
            fingerprint: u64::from(n),
            at,
            head_at: at,
            actor: Actor::thread(process('A'), 1),
            call: Call::Http(HttpRequest::default()),
        };
        correlator.push(Fact::Opened(Box::new(opened)), &mut spans);
        correlator.push(Fact::Ended(cut_short(id, at, End::Reset(8))), &mut spans);
        if n % 100 == 0 {
            correlator.tick(at, &mut spans);
        }
        most = most.max(correlator.kept());
        told += spans.drain(..).count();
    }
    correlator.flush(&mut spans);
    // What is kept is what may still meet its sender: a tenth of a second's.
    assert!(most < 3_000, "{most} kept");
    assert_eq!(told + spans.len(), 100_000);
}
