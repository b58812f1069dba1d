//! What assembly costs: keep-alive conversations of the usual size, replayed from memory.
//!
//! `cargo run --release -p wirespan-core --example assemble_cost [rounds]` prints nanoseconds per record and per exchange;
//! under `valgrind --tool=callgrind` the same run counts instructions. Shape: two records make an exchange.
use std::{hint::black_box, time::Instant};
use wirespan_core::{
    assemble::{Assembler, Output, Settings},
    event::{
        Actor, ConnId, Direction, Endpoints, Event, Nanos, ProcessId, Reached, Segment, Source, Uncopied,
    },
};

const CONNECTIONS: u64 = 64;
const REQUEST: &[u8] =
    b"GET /users/7/orders?page=2 HTTP/1.1\r\nHost: shop.example:8080\r\nUser-Agent: curl/8.1.2\r\n\
    Accept: */*\r\nAccept-Encoding: gzip, deflate, br\r\nConnection: keep-alive\r\n\
    traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\nX-Request-Id: 6f1c\r\n\r\n";
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Tue, 01 Jul 2025 10:00:00 GMT\r\n\
    Content-Type: application/json\r\nContent-Length: 64\r\nConnection: keep-alive\r\nETag: \"64b\"\r\n\r\n\
    {\"id\":7,\"orders\":[{\"id\":1,\"total\":12.5},{\"id\":2,\"total\":7.25}]}.";

fn main() {
    let rounds: u64 = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(20_000);
    let keep = ["traceparent", "tracestate", "baggage", "b3", "user-agent", "x-forwarded-for", "forwarded"];
    let settings = Settings { keep_fields: keep.map(String::from).to_vec(), ..Settings::default() };
    let mut assembler = Assembler::new(settings);
    let mut output = Output::default();
    let mut facts = 0;
    let begun = Instant::now();
    for round in 0..rounds {
        for conn in 0..CONNECTIONS {
            let at = Nanos(1_000_000_000 + round * 1_000_000 + conn * 1_000);
            for (direction, data) in [(Direction::Ingress, REQUEST), (Direction::Egress, RESPONSE)] {
                assembler.push(&Event::Bytes(segment(ConnId(conn), at, direction, data, round)), &mut output);
                facts += output.facts.len();
                black_box(&output);
                output.facts.clear();
            }
        }
    }
    let ns = begun.elapsed().as_nanos() as f64;
    let exchanges = (rounds * CONNECTIONS) as f64;
    println!(
        "{:.0} ns per record, {:.0} ns per exchange, {facts} facts of {exchanges} exchanges",
        ns / exchanges / 2.0,
        ns / exchanges
    );
}

/// A call that moves a whole message, in a turn of its own.
fn segment(conn: ConnId, at: Nanos, direction: Direction, data: &[u8], round: u64) -> Segment<'_> {
    let (own, other) = match direction {
        Direction::Ingress => (REQUEST.len(), RESPONSE.len() as u64 * round),
        Direction::Egress => (RESPONSE.len(), REQUEST.len() as u64 * (round + 1)),
    };
    let is_first = round == 0 && direction == Direction::Ingress;
    Segment {
        conn,
        at,
        actor: Actor::thread(ProcessId { pid: 7, start_ticks: 1 }, 7),
        direction,
        source: Source::Socket,
        seq: (own as u64 * round) as u32,
        moved: own as u32,
        data,
        uncopied: Uncopied::Nothing,
        endpoints: Endpoints { local: ([127, 0, 0, 1], 80).into(), remote: ([127, 0, 0, 1], 4000).into() },
        begins_turn: true,
        opposite: (!is_first).then_some(Reached { at, seq: other as u32 }),
        walk: None,
    }
}
