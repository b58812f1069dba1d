//! What is bounded stays bounded, and what that costs is told.
use super::wire::{CONN, Conversation, PROCESS, Side, exchanges, settings, stories};
use crate::{
    assemble::{Assembler, Output, Settings},
    event::{
        Actor, ConnId, Direction, Endpoints, Event, Nanos, ProcessId, Reached, Segment, Source, Uncopied,
    },
    exchange::{End, Fact},
};

const MS: u64 = 1_000_000;

/// A server's connections, by hand.
struct Server {
    assembler: Assembler,
    output: Output,
}

impl Server {
    fn new(settings: Settings) -> Server {
        Server { assembler: Assembler::new(settings), output: Output::default() }
    }

    fn moved(
        &mut self,
        conn: u64,
        at: u64,
        direction: Direction,
        seq: u32,
        data: &[u8],
        opposite: Option<Reached>,
    ) {
        self.moved_by(PROCESS, conn, at, direction, seq, data, opposite);
    }

    #[expect(clippy::too_many_arguments, reason = "a record has so many parts that matter here")]
    fn moved_by(
        &mut self,
        process: ProcessId,
        conn: u64,
        at: u64,
        direction: Direction,
        seq: u32,
        data: &[u8],
        opposite: Option<Reached>,
    ) {
        let segment = Segment {
            conn: ConnId(conn),
            at: Nanos(at),
            actor: Actor::thread(process, 1),
            direction,
            source: Source::Socket,
            seq,
            moved: u32::try_from(data.len()).unwrap(),
            data,
            uncopied: Uncopied::Nothing,
            endpoints: Endpoints { local: ([127, 0, 0, 1], 1).into(), remote: ([127, 0, 0, 1], 2).into() },
            begins_turn: true,
            opposite,
            walk: None,
        };
        self.assembler.push(&Event::Bytes(segment), &mut self.output);
    }

    fn asks(&mut self, conn: u64, at: u64) {
        self.moved(conn, at, Direction::Ingress, 1, b"GET / HTTP/1.1\r\n\r\n", None);
    }

    fn ends(&self) -> Vec<End> {
        let ended = |fact: &Fact| if let Fact::Ended(ended) = fact { Some(ended.end) } else { None };
        self.output.facts.iter().filter_map(ended).collect()
    }
}

#[test]
fn the_connection_that_was_silent_for_longest_makes_room_for_a_new_one() {
    let mut server = Server::new(Settings { max_connections: 3, ..settings() });
    for conn in [1, 2, 3] {
        server.asks(conn, conn * MS);
    }
    server.moved(1, 4 * MS, Direction::Ingress, 19, b"GET /2 HTTP/1.1\r\n", None);
    server.asks(4, 5 * MS);
    assert_eq!(server.assembler.connections(), 3);
    assert_eq!(server.ends(), [End::Evicted]);
    let ended = stories(&server.output.facts).into_iter().find(|story| story.ended.is_some()).unwrap();
    assert_eq!(ended.opened.unwrap().conn, ConnId(2));
    assert_eq!(server.assembler.counts().evicted_connections, 1);
}

#[test]
fn more_open_requests_than_are_allowed_are_dropped_and_none_gets_anothers_answer() {
    let mut server = Server::new(Settings { max_open: 3, ..settings() });
    server.moved(1, MS, Direction::Ingress, 1, &b"GET / HTTP/1.1\r\n\r\n".repeat(4), None);
    assert_eq!(server.ends(), [End::Evicted; 4]);
    let reached = Some(Reached { at: Nanos(MS), seq: 1 + 4 * 18 });
    server.moved(1, 2 * MS, Direction::Egress, 1, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", reached);
    assert!(stories(&server.output.facts).iter().all(|story| story.answered_at.is_none()));
    assert_eq!(server.assembler.counts().evicted, 4);
}

#[test]
fn buffers_of_all_connections_together_have_a_cap() {
    let mut server = Server::new(Settings { max_buffered_bytes: 100, ..settings() });
    for conn in 0..50 {
        server.moved(conn, MS, Direction::Ingress, 1, b"GET / HTTP/1.1\r\nHost: half-a-head", None);
    }
    assert!(server.assembler.counts().out_of_buffer >= 40);
    assert!(server.assembler.shared.buffered <= 100);
    for conn in 0..50 {
        server.assembler.forget(ConnId(conn), &mut Output::default());
    }
    assert_eq!(server.assembler.shared.buffered, 0, "what is forgotten gives its buffer back");
}

#[test]
fn records_out_of_order_are_held_for_a_bounded_time_only() {
    let mut server = Server::new(settings());
    server.asks(1, MS);
    let reached = Some(Reached { at: Nanos(MS), seq: 100 });
    server.moved(1, 2 * MS, Direction::Egress, 1, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", reached);
    assert!(server.ends().is_empty(), "the client had sent 81 bytes more: they may still come");
    server.assembler.push(&Event::Tick { at: Nanos(60 * MS) }, &mut server.output);
    assert_eq!(server.assembler.counts().held_too_long, 1);
    assert_eq!(server.assembler.counts().missing_bytes, 81);
    assert_eq!(server.assembler.shared.buffered, 0);
}

#[test]
fn an_answer_whose_record_overtook_its_requests_is_that_requests() {
    let mut server = Server::new(settings());
    server.asks(1, MS);
    let ok = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    server.moved(1, 2 * MS, Direction::Egress, 1, ok, Some(Reached { at: Nanos(MS), seq: 19 }));
    // The thread that read the second request was late with its record: the answer seems to follow the first answer.
    server.moved(1, 3 * MS, Direction::Egress, 39, b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", None);
    let reached = Some(Reached { at: Nanos(3 * MS), seq: 77 });
    server.moved(1, 3 * MS + 10, Direction::Ingress, 19, b"GET /late HTTP/1.1\r\n\r\n", reached);
    let text = exchanges(&server.output.facts);
    assert!(text.contains("GET /late host=- -> 404 Complete"), "{text}");
}

#[test]
fn of_a_process_that_is_observed_no_longer_nothing_is_claimed() {
    let mut server = Server::new(settings());
    server.asks(1, MS);
    server.assembler.push(&Event::Left { process: PROCESS, at: Nanos(2 * MS) }, &mut server.output);
    assert_eq!(server.ends(), [End::Lost]);
}

#[test]
fn an_exit_ends_the_exchanges_of_that_process_only() {
    let mut server = Server::new(settings());
    let child = ProcessId { pid: 8, start_ticks: 80 };
    server.asks(1, MS);
    server.moved_by(child, 2, MS, Direction::Ingress, 1, b"GET /child HTTP/1.1\r\n\r\n", None);
    server.assembler.push(&Event::Exit { process: child, at: Nanos(2 * MS) }, &mut server.output);
    server.assembler.push(&Event::Exit { process: child, at: Nanos(2 * MS) }, &mut server.output);
    assert_eq!(server.ends(), [End::ProcessExited]);
}

#[test]
fn a_connection_that_is_over_is_forgotten() {
    let conversation = Conversation::parse("> GET / HTTP/1.1\n> \n= client fin\n= server fin\n= closed\n");
    let (_, assembler) = super::kernel::play(&conversation, Side::Server);
    assert_eq!(assembler.connections(), 0);
    assert_eq!(CONN, ConnId(1));
}

#[test]
fn a_protocol_that_is_stopped_costs_nothing_more_and_is_stopped_once() {
    let conversation =
        Conversation::parse("> \\x16\\x03\\x01\\x00\\x05\\x01\\x00\\\n< \\x16\\x03\n> GET / HTTP/1.1\n> \n");
    let (out, assembler) = super::kernel::play(&conversation, Side::Client);
    assert_eq!(out.commands.len(), 1);
    assert!(out.facts.is_empty());
    assert_eq!(assembler.counts().stopped_tls, 1);
}
