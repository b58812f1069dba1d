//! Exchanges that share a connection: who moves its bytes may do it for others, so threads and tasks say nothing there.
use super::{
    check,
    script::{check_links, process, run},
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

/// Requests one after the other, two at a time, each called for on a shared connection by a goroutine that its reader creates for
/// that (`site=1`).
fn streams(requests: usize) -> String {
    let mut script = String::new();
    for n in 0..requests {
        let (at, one, two) = (n * 10, 1_000 + n, 5_000 + n);
        let (for_one, for_two) = (20_000 + n, 30_000 + n);
        script += &format!(
            "{at}    A/1 receives a{n} /a{n} go={one}
             {at}.1  A/2 receives b{n} /b{n} go={two}
             {at}.2  A/1 bears {for_one} go={one} site=1
             {at}.3  A/2 bears {for_two} go={two} site=1
             {at}.4  A/3 sends cb{n} /for-b{n} go={for_two} conn=up shared
             {at}.5  A/3 sends ca{n} /for-a{n} go={for_one} conn=up shared
             {at}.6  A/4 reads ca{n} go=9
             {at}.7  A/4 reads cb{n} go=9
             {at}.8  A/1 answers a{n} go={one}
             {at}.9  A/2 answers b{n} go={two}\n"
        );
    }
    script
}

#[test]
fn a_goroutine_that_was_created_to_send_one_request_sends_it_for_its_creator() {
    let (_, text) = run(Settings::default(), &(streams(20) + "9000 tick"));
    for (request, call) in text.lines().zip(text.lines().skip(1)).filter(|(_, call)| call.contains("(task)"))
    {
        let path = request.split_whitespace().nth(2).unwrap_or_default().trim_start_matches('/');
        assert!(call.contains(&format!("/for-{path} ")), "{call} below {request}");
    }
    // The first of the connection, and those with which the statement showed what it is.
    check_links(
        &(streams(20) + "9000 tick"),
        expect!["task 34, entry 40, uncalibrated 5, connection_shared 1"],
    );
}

#[test]
fn a_goroutine_that_sends_for_others_too_takes_every_link_of_its_kind_along() {
    let script = streams(20)
        + "300   A/1 receives w1 /starts go=30
           300.1 A/1 bears 40 go=30 site=1
           300.2 A/2 receives w2 /other go=31
           300.3 A/3 sends cw1 /first go=40 conn=up shared
           300.4 A/3 sends cw2 /of-another go=40 conn=up shared
           300.5 A/4 reads cw1 go=9
           300.6 A/4 reads cw2 go=9
           300.7 A/1 answers w1 go=30
           300.8 A/2 answers w2 go=31\n"
        + "9000 tick";
    check_links(&script, expect!["entry 42, task_shared 40, connection_shared 2"]);
}

#[test]
fn whoever_sends_all_requests_of_a_connection_is_no_evidence_though_one_of_them_created_it() {
    let mut script = String::new();
    for n in 0..20 {
        let (at, reader, writer) = (n * 10, 1_000 + n, 2_000 + n);
        script += &format!(
            "{at}    A/1 receives r{n} /r{n} go={reader}
             {at}.1  A/2 receives s{n} /s{n} go={}
             {at}.2  A/1 bears {writer} go={reader} site=1
             {at}.3  A/3 sends c{n} /for-another go={writer} conn=up{n} shared
             {at}.4  A/3 reads c{n} go=9
             {at}.5  A/1 answers r{n} go={reader}
             {at}.6  A/2 answers s{n} go={}\n",
            6_000 + n,
            6_000 + n,
        );
    }
    check_links(&(script + "9000 tick"), expect!["entry 40, connection_shared 20"]);
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
