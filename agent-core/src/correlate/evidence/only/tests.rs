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
        endpoints: Endpoints { local: "10.0.0.1:40000".parse().unwrap(), remote: remote.parse().unwrap() },
        seq: 1,
        fingerprint: 1,
        at: Nanos(1),
        head_at: Nanos(1),
        actor: Actor { process, tid: 1, task: None },
        call: Call::Http(HttpRequest { host: host.map(str::to_owned), ..HttpRequest::default() }),
    }
}

#[test]
fn the_only_request_is_known_by_its_id_whatever_came_and_went() {
    let mut open = OpenRequests::default();
    assert_eq!(open.only(), None);
    for id in [5, 9, 1 << 40] {
        open.add(ExchangeId(id));
    }
    assert_eq!((open.count(), open.only()), (3, None));
    open.remove(ExchangeId(5));
    open.remove(ExchangeId(1 << 40));
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
