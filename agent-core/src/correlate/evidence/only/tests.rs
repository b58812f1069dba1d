//! Being alone, and what a process does by itself.
use super::*;
use crate::{
    event::{Actor, ConnId, Endpoints, Nanos, ProcessId},
    exchange::Role,
};

fn call(host: Option<&str>, remote: &str) -> Opened {
    let process = ProcessId { pid: 1, start_ticks: 1 };
    Opened {
        id: ExchangeId(1),
        role: Role::Client,
        protocol: "http",
        conn: ConnId(1),
        stream: None,
        endpoints: Endpoints { local: "10.0.0.1:40000".parse().unwrap(), remote: remote.parse().unwrap() },
        seq: 1,
        fingerprint: 1,
        at: Nanos(1),
        head_at: Nanos(1),
        actor: Actor::thread(process, 1),
        call: Call::Http(HttpRequest { host: host.map(str::to_owned), ..HttpRequest::default() }),
    }
}

#[test]
fn the_only_request_is_known_by_its_id_whatever_came_and_went() {
    let mut open = OpenRequests::default();
    assert_eq!(open.only(), None);
    for id in [5, 9, 1 << 40] {
        open.add(ExchangeId(id), Nanos(id));
    }
    assert_eq!((open.count(), open.only()), (3, None));
    open.remove(ExchangeId(5), Nanos(50));
    open.remove(ExchangeId(1 << 40), Nanos(60));
    assert_eq!(open.only(), Some(ExchangeId(9)));
}

#[test]
fn a_destination_is_the_host_as_named_whichever_replica_answers() {
    let mut background = Background::default();
    background.add(&call(Some("metrics:9090"), "10.0.0.7:9090"));
    assert!(background.covers(&call(Some("metrics:9090"), "10.0.0.8:9090")));
    assert!(!background.covers(&call(Some("shop"), "10.0.0.7:9090")));
}

#[test]
fn without_a_host_the_address_counts() {
    let mut background = Background::default();
    background.add(&call(None, "10.0.0.7:9090"));
    assert!(background.covers(&call(None, "10.0.0.7:9090")));
    assert!(!background.covers(&call(None, "10.0.0.8:9090")));
}

#[test]
fn a_process_that_calls_everybody_by_itself_is_covered_altogether() {
    let mut background = Background::default();
    for number in 0..200 {
        background.add(&call(Some(&format!("host-{number}")), "10.0.0.7:80"));
    }
    assert_eq!(background.destinations(), DESTINATIONS_MAX);
    assert!(background.covers(&call(Some("never-seen"), "10.0.0.9:80")));
}

#[test]
fn a_request_is_quiet_if_nothing_was_open_for_long_before_it_and_the_first_is_not() {
    let mut open = OpenRequests::default();
    let mut quiet = |from: u64, to: u64| {
        let quiet = open.add(ExchangeId(from), Nanos(from));
        open.remove(ExchangeId(from), Nanos(to));
        quiet
    };
    assert!(!quiet(1, 1_000_000));
    assert!(!quiet(1_000_000 + QUIET_NS - 1, 60_000_000));
    assert!(quiet(60_000_000 + QUIET_NS, 120_000_000));
    assert!(!open.is_mostly_idle(), "100 of 110 ms are not nine in ten of 120");
    open.add(ExchangeId(9), Nanos(3_000_000_000));
    assert!(open.is_mostly_idle());
}

#[test]
fn calls_are_alike_whose_paths_differ_in_numbers_and_ends() {
    let path = |method: &str, target: &str| {
        let mut opened = call(Some("shop"), "10.0.0.7:80");
        let Call::Http(request) = &mut opened.call;
        (request.method, request.target) = (method.to_owned(), target.to_owned());
        kind(&opened)
    };
    assert_eq!(path("GET", "/orders/17/items/a?x=1"), path("GET", "/orders/18/items/b"));
    assert_ne!(path("GET", "/orders/17"), path("GET", "/users/17"));
    assert_ne!(path("GET", "/orders/17"), path("POST", "/orders/17"));
}

#[test]
fn kinds_of_calls_are_bounded_and_those_beyond_are_never_believed() {
    let mut background = Background::default();
    let idle = OpenRequests { idle_ns: 1 << 40, ..OpenRequests::default() };
    let mut stands = |host: &str| background.stood(&call(Some(host), "10.0.0.7:80"), idle);
    let first: Vec<bool> = (0..8).map(|_| stands("first")).collect();
    assert_eq!(first, [false, false, false, false, false, false, true, true]);
    for number in 0..1_000 {
        stands(&format!("host-{number}"));
    }
    assert!((0..20).all(|_| !stands("one-too-many")));
    assert!(stands("first"));
    assert_eq!(background.stood.len(), KINDS_MAX);
}
