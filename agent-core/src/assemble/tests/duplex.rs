//! Both sides talk at once, and the agent comes too late to say where bodies end.
use super::wire::{CONN, PROCESS, settings, stories};
use crate::{
    assemble::{Assembler, Command, Mark, Output},
    event::{Actor, Direction, Endpoints, Event, Nanos, Reached, Segment, Source, Uncopied},
    exchange::Answer,
};

/// A connection whose calls are copied only as far as is said.
struct Duplex {
    assembler: Assembler,
    output: Output,
    at: u64,
    /// Where each direction is: egress, ingress.
    seq: [u32; 2],
    turn: Option<Direction>,
}

impl Duplex {
    fn new() -> Duplex {
        let (assembler, output) = (Assembler::new(settings()), Output::default());
        Duplex { assembler, output, at: 0, seq: [1, 1], turn: None }
    }

    /// A call that moved `data` and `uncopied` bytes more.
    fn moved(&mut self, direction: Direction, data: &str, uncopied: u32) -> &mut Duplex {
        let begins_turn = self.turn.replace(direction) != Some(direction);
        let is_first = self.at == 0;
        let [egress, ingress] = self.seq;
        let (seq, other) = match direction {
            Direction::Egress => (egress, ingress),
            Direction::Ingress => (ingress, egress),
        };
        let opposite = (begins_turn && !is_first).then_some(Reached { at: Nanos(self.at), seq: other });
        self.at += 1_000;
        let moved = u32::try_from(data.len()).unwrap() + uncopied;
        let segment = Segment {
            conn: CONN,
            at: Nanos(self.at),
            actor: Actor::thread(PROCESS, 1),
            direction,
            source: Source::Socket,
            seq,
            moved,
            data: data.as_bytes(),
            uncopied: if uncopied > 0 { Uncopied::Policy } else { Uncopied::Nothing },
            endpoints: Endpoints { local: ([127, 0, 0, 1], 1).into(), remote: ([127, 0, 0, 1], 2).into() },
            begins_turn,
            opposite,
            walk: None,
        };
        self.assembler.push(&Event::Bytes(segment), &mut self.output);
        match direction {
            Direction::Egress => self.seq = [seq + moved, ingress],
            Direction::Ingress => self.seq = [egress, seq + moved],
        }
        self
    }

    fn asks(&mut self, data: &str, uncopied: u32) -> &mut Duplex {
        self.moved(Direction::Ingress, data, uncopied)
    }

    fn answers(&mut self, data: &str, uncopied: u32) -> &mut Duplex {
        self.moved(Direction::Egress, data, uncopied)
    }

    /// An echo of a body in chunks, of whose chunks most bytes are not seen.
    fn echo(&mut self) -> &mut Duplex {
        self.asks("POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 0)
            .answers("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 0)
            .asks("8000\r\naaaa", 200_000)
            .answers("8000\r\naaaa", 200_000)
            .asks("GET / in the middle of a chunk", 100_000)
            .answers("bbbb", 100_000)
    }

    /// Target and status of each exchange that ended.
    fn told(&self) -> Vec<(String, Option<u16>)> {
        stories(&self.output.facts)
            .into_iter()
            .filter_map(|story| {
                let status = story.ended?.answer.map(|Answer::Http(answer)| answer.status);
                let crate::exchange::Call::Http(call) = story.opened?.call;
                Some((call.target, status))
            })
            .collect()
    }
}

fn both() -> Vec<(String, Option<u16>)> {
    vec![("/echo".to_owned(), Some(200)), ("/next".to_owned(), Some(404))]
}

#[test]
fn a_last_chunk_in_a_call_of_its_own_ends_a_body_that_was_not_seen() {
    let mut duplex = Duplex::new();
    duplex.echo().asks("0\r\nTrailer: yes\r\n\r\n", 0).answers("0\r\n\r\n", 0);
    duplex.assembler.push(&Event::Tick { at: Nanos(1_000_000_000) }, &mut duplex.output);
    assert_eq!(duplex.told(), [("/echo".to_owned(), Some(200))]);
    duplex.at = 2_000_000_000;
    duplex.asks("GET /next HTTP/1.1\r\n\r\n", 0).answers("HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", 0);
    assert_eq!(duplex.told(), both());
}

#[test]
fn the_next_request_ends_an_exchange_both_of_whose_bodies_were_not_seen() {
    for end in ["0\r\n\r\n", "0\r\nTrailer: yes\r\n\r\n", ""] {
        let mut duplex = Duplex::new();
        duplex.echo().asks("0\r\nTrailer: yes\r\n\r\n", 0).answers(end, 1_000);
        duplex
            .asks("GET /next HTTP/1.1\r\n\r\n", 0)
            .answers("HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", 0);
        assert_eq!(duplex.told(), both(), "after {end:?}");
    }
}

#[test]
fn a_body_that_pauses_where_it_seems_to_end_costs_the_next_exchange_nothing() {
    for pause in [0, 60_000_000] {
        let mut duplex = Duplex::new();
        duplex.echo().asks("0\r\nTrailer: yes\r\n\r\n", 0).answers("data: \r\n0\r\n\r\n", 0);
        duplex.assembler.push(&Event::Tick { at: Nanos(1_000_000_000) }, &mut duplex.output);
        assert_eq!(duplex.told(), [("/echo".to_owned(), Some(200))]);
        duplex.at = 1_100_000_000;
        duplex.answers("0\r\n\r\n more of it", 200_000).at += pause;
        duplex.answers("bbbb", 100_000).answers("\r\n0\r\n\r\n", 0).at += pause;
        duplex
            .asks("GET /next HTTP/1.1\r\n\r\n", 0)
            .answers("HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", 0);
        assert_eq!(duplex.told(), both(), "{pause}");
    }
}

#[test]
fn each_turn_that_is_not_copied_to_its_end_waits_for_its_own_tail() {
    let mut duplex = Duplex::new();
    duplex.echo();
    let is_tail = |command: &&Command| {
        matches!(command, Command::Mark { direction: Direction::Egress, mark: Mark::Tail { .. }, .. })
    };
    assert_eq!(duplex.output.commands.iter().filter(is_tail).count(), 2);
}

#[test]
fn a_client_that_pipelines_has_more_of_its_answers_copied() {
    for (requests, expected) in [(2, 0), (5, 1), (50, 1)] {
        let mut duplex = Duplex::new();
        duplex.asks(&"GET / HTTP/1.1\r\n\r\n".repeat(requests), 0);
        let is_head =
            |command: &&Command| matches!(command, Command::Head { direction: Direction::Egress, .. });
        assert_eq!(duplex.output.commands.iter().filter(is_head).count(), expected, "{requests} requests");
    }
}
