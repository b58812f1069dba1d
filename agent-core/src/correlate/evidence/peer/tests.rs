//! Joining the two ends of one connection.
use super::*;
use crate::{
    event::{Actor, ConnId, Endpoints, ProcessId},
    exchange::{Call, HttpRequest},
};

fn end(id: u64, role: Role, local: &str, remote: &str, seq: u32, at_ms: u64) -> Opened {
    let process = ProcessId { pid: 1, start_ticks: 1 };
    let at = Nanos(at_ms * 1_000_000);
    Opened {
        id: ExchangeId(id),
        role,
        protocol: "http",
        conn: ConnId(id),
        stream: None,
        endpoints: Endpoints { local: local.parse().unwrap(), remote: remote.parse().unwrap() },
        seq,
        fingerprint: 1,
        at,
        head_at: at,
        actor: Actor::thread(process, 1),
        call: Call::Http(HttpRequest::default()),
    }
}

fn table() -> Table {
    Table::new(FixedState::default(), &["192.0.2.1".parse().unwrap()])
}

const A: &str = "10.0.0.1:40000";
const B: &str = "10.0.0.2:80";

#[test]
fn mirrored_addresses_and_the_same_number_are_one_request() {
    let mut table = table();
    table.wait(&end(1, Role::Client, A, B, 100, 0));
    assert_eq!(table.take(&end(2, Role::Server, B, A, 101, 0), |_| true), Found::Nothing);
    assert_eq!(table.take(&end(2, Role::Server, B, A, 100, 0), |_| false), Found::One(ExchangeId(1)));
    assert_eq!(table.take(&end(3, Role::Server, B, A, 100, 0), |_| true), Found::Nothing, "it was taken");
    assert!(table.ends.is_empty());
}

#[test]
fn two_ends_of_the_same_side_are_not_one_request() {
    let mut table = table();
    table.wait(&end(1, Role::Client, A, B, 100, 0));
    assert_eq!(table.take(&end(2, Role::Client, A, B, 100, 0), |_| true), Found::Nothing);
}

#[test]
fn translated_ends_need_the_same_head_and_the_same_second() {
    let mut table = table();
    table.wait(&end(1, Role::Client, A, "198.51.100.1:8080", 100, 0));
    let server = |at_ms| end(2, Role::Server, B, "172.17.0.1:55555", 100, at_ms);
    assert_eq!(table.take(&server(0), |_| false), Found::Nothing);
    assert_eq!(table.take(&server(1_001), |_| true), Found::Nothing);
    assert_eq!(table.take(&server(999), |_| true), Found::One(ExchangeId(1)));
}

#[test]
fn who_was_joined_through_an_address_is_behind_it_the_next_time_too() {
    let server = end(2, Role::Server, B, "172.17.0.1:55555", 100, 0);
    let client = end(1, Role::Client, A, "198.51.100.1:8080", 100, 0);
    for (first, second) in [(&client, &server), (&server, &client)] {
        let mut table = table();
        table.wait(first);
        assert!(!table.is_here(&server));
        assert_eq!(table.take(second, |_| true), Found::One(first.id));
        assert!(table.is_here(&server));
    }
}

#[test]
fn mirrored_addresses_beat_a_translated_candidate_and_two_translated_ones_beat_nobody() {
    let mut table = table();
    table.wait(&end(1, Role::Client, A, "198.51.100.1:8080", 100, 0));
    table.wait(&end(2, Role::Client, A, B, 100, 0));
    assert_eq!(table.take(&end(3, Role::Server, B, A, 100, 0), |_| true), Found::One(ExchangeId(2)));
    table.wait(&end(4, Role::Client, "10.0.0.3:40000", "198.51.100.1:8080", 100, 0));
    assert_eq!(table.take(&end(5, Role::Server, B, "172.17.0.1:1", 100, 0), |_| true), Found::Several);
}

#[test]
fn loopback_own_and_learned_addresses_are_here() {
    let mut table = table();
    let from = |remote: &str| end(1, Role::Server, B, remote, 1, 0);
    assert!(table.is_here(&from("127.0.0.1:1")) && table.is_here(&from("[::1]:1")));
    assert!(table.is_here(&from("192.0.2.1:1")));
    assert!(!table.is_here(&from("10.0.0.1:1")));
    table.learn(&end(2, Role::Client, A, B, 1, 0));
    assert!(table.is_here(&from("10.0.0.1:1")));
}

#[test]
fn ends_with_one_number_are_bounded() {
    let mut table = table();
    for id in 0..1_000 {
        table.wait(&end(id, Role::Client, A, B, 100, 0));
    }
    assert_eq!(table.ends.values().map(SmallVec::len).sum::<usize>(), ENDS_MAX);
}

#[test]
fn a_lonely_connection_is_one_until_its_client_is_seen() {
    let mut table = table();
    let server = end(1, Role::Server, B, A, 100, 0);
    table.set_lonely(&server);
    assert!(table.is_lonely(&end(2, Role::Server, B, A, 200, 5)));
    assert!(!table.is_lonely(&end(3, Role::Server, B, "10.0.0.1:40001", 200, 5)));
    table.learn(&end(4, Role::Client, A, B, 300, 9));
    assert!(!table.is_lonely(&server));
}
