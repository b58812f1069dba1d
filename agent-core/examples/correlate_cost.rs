//! What correlation costs: nanoseconds per exchange and exchanges kept, on a made-up history of two services at eight requests in flight.
//!
//! `cargo run --release -p wirespan-core --example correlate_cost [ROUNDS]`; under `valgrind --tool=callgrind` the same in instructions.
//! A round is three exchanges: a server request, the call it makes, and the other end of that. The facts are made before the clock runs.
use std::{net::SocketAddr, time::Instant};
use wirespan_core::{
    correlate::{Correlator, Settings},
    event::{Actor, ConnId, Endpoints, Nanos, ProcessId},
    exchange::{
        Answer, Answering, Call, End, Ended, ExchangeId, Fact, HttpRequest, HttpResponse, Incomplete, Opened,
        Role,
    },
};

/// Requests in flight.
const LANES: u64 = 8;
/// Rounds between two ticks: 100 ms at 40,000 exchanges per second.
const ROUNDS_PER_TICK: u64 = 1_333;

fn main() {
    let rounds = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(200_000);
    let mut correlator = Correlator::new(Settings::default(), [1; 32]);
    let mut spans = Vec::new();
    let (mut exchanges, mut handed_on, mut kept, mut spent) = (0u64, 0usize, 0usize, 0u128);
    for batch in 0..rounds / ROUNDS_PER_TICK {
        let facts = history(batch * ROUNDS_PER_TICK, ROUNDS_PER_TICK);
        let now = Nanos((batch + 1) * 100_000_000);
        let start = Instant::now();
        for fact in facts {
            correlator.push(fact, &mut spans);
        }
        correlator.tick(now, &mut spans);
        spent += start.elapsed().as_nanos();
        kept = kept.max(correlator.kept());
        handed_on += spans.len();
        exchanges += 3 * ROUNDS_PER_TICK;
        spans.clear();
    }
    let each = spent as f64 / exchanges.max(1) as f64;
    println!(
        "{exchanges} exchanges, {handed_on} spans, at most {kept} kept, {each:.0} ns per exchange with its span"
    );
    println!("{:?}", correlator.counts());
}

/// Lanes start one after the other and overlap.
fn history(first: u64, rounds: u64) -> Vec<Fact> {
    let mut facts: Vec<(u64, Fact)> = Vec::new();
    for round in first..first + rounds {
        let at = round * 75_000;
        let step = 100_000;
        let lane = (round % LANES) as u32;
        let [asked, called, received] = [0, 1, 2].map(|part| ExchangeId(round * 3 + part + 1));
        let (front, back) = (actor(1, lane), actor(2, lane));
        facts.push((at, opened(asked, Role::Server, at, front, round, 1)));
        facts.push((at + step, opened(called, Role::Client, at + step, front, round, 2)));
        facts.push((at + step + 1, opened(received, Role::Server, at + step + 1, back, round, 2)));
        facts.extend(ended(received, at + 2 * step, back));
        facts.extend(ended(called, at + 3 * step, front));
        facts.extend(ended(asked, at + 4 * step, front));
    }
    facts.sort_by_key(|(at, _)| *at);
    facts.into_iter().map(|(_, fact)| fact).collect()
}

fn actor(pid: u32, tid: u32) -> Actor {
    Actor::thread(ProcessId { pid, start_ticks: 1 }, pid * 100 + tid)
}

fn opened(id: ExchangeId, role: Role, at: u64, actor: Actor, round: u64, hop: u64) -> Fact {
    let lane = (round % LANES) as u16;
    let client = SocketAddr::from(([10, 0, 0, hop as u8], 40_000 + lane));
    let server = SocketAddr::from(([10, 0, 1, hop as u8], 80));
    let (local, remote) = if role == Role::Client { (client, server) } else { (server, client) };
    Fact::Opened(Box::new(Opened {
        id,
        role,
        protocol: "http",
        conn: ConnId(u64::from(lane) * 4 + hop * 2 + u64::from(role == Role::Client)),
        stream: None,
        endpoints: Endpoints { local, remote },
        seq: (round as u32).wrapping_mul(2_654_435_761).wrapping_add(hop as u32),
        fingerprint: hop,
        at: Nanos(at),
        head_at: Nanos(at),
        actor,
        call: Call::Http(HttpRequest {
            method: "GET".to_owned(),
            target: format!("/products/{round}?page=2"),
            version: "1.1",
            scheme: None,
            host: Some("shop.example:8080".to_owned()),
            fields: vec![("user-agent".to_owned(), "bench/1".into())],
            content_length: None,
        }),
    }))
}

fn ended(id: ExchangeId, at: u64, actor: Actor) -> [(u64, Fact); 2] {
    let at_nanos = Nanos(at);
    let response = HttpResponse { status: 200, ..HttpResponse::default() };
    let ended = Ended {
        id,
        at: at_nanos,
        request_end: Some(at_nanos),
        answer: Some(Answer::Http(response)),
        request_body_bytes: Some(0),
        response_body_bytes: Some(512),
        end: End::Complete,
        incomplete: Incomplete::default(),
    };
    [(at, Fact::Answering(Answering { id, at: at_nanos, actor })), (at, Fact::Ended(Box::new(ended)))]
}
