//! Conversations: bytes as text, exchanges as text.
//!
//! `> ` is what the client says, `< ` what the server says, one call a line; `\r`, `\n` are escapes. `! > 40` and `! < 40`
//! lose 40 bytes, `~ 12ms` lets time pass, `fin <` closes the server's direction, `end` closes the connection.
use super::*;
use crate::{
    event::{Actor, Ending, Endpoints, Reached, Uncopied},
    exchange::{Answer, Call, Role},
};
use expect_test::{Expect, expect};
use proptest::prelude::*;
use std::fmt::Write;

const CONN: ConnId = ConnId(7);

fn unescape(text: &str) -> Vec<u8> {
    text.replace("\\r", "\r").replace("\\n", "\n").into_bytes()
}

/// A step of a script.
#[derive(Clone, Debug)]
enum Step {
    Bytes(bool, Vec<u8>),
    Lost(bool, u32),
    Wait(u64),
    Fin(bool),
    End,
}

fn steps(script: &str) -> Vec<Step> {
    let lines = script.lines().map(str::trim_start).filter(|line| !line.is_empty());
    lines
        .map(|line| match line.split_at(line.find(' ').map_or(line.len(), |at| at + 1)) {
            ("> ", bytes) => Step::Bytes(true, unescape(bytes)),
            ("< ", bytes) => Step::Bytes(false, unescape(bytes)),
            ("! ", rest) => {
                let (side, count) = rest.split_once(' ').unwrap();
                Step::Lost(side == ">", count.parse().unwrap())
            }
            ("~ ", rest) => Step::Wait(rest.trim_end_matches("ms").parse::<u64>().unwrap() * 1_000_000),
            ("fin ", side) => Step::Fin(side == ">"),
            ("end", _) => Step::End,
            other => panic!("{other:?}"),
        })
        .collect()
}

struct Player {
    assembler: Assembler,
    output: Output,
    role: Role,
    now: u64,
    seq: [u32; 2],
    last: Option<Direction>,
    reached: [Option<Reached>; 2],
}

impl Player {
    fn new(role: Role) -> Player {
        let settings = Settings { keep_fields: vec!["traceparent".into()], ..Settings::default() };
        let seq = [u32::MAX - 10, 5];
        let (now, last, reached) = (1_000_000_000, None, [None; 2]);
        Player { assembler: Assembler::new(settings), output: Output::default(), role, now, seq, last, reached }
    }

    fn direction(&self, from_client: bool) -> Direction {
        if from_client == (self.role == Role::Server) { Direction::Ingress } else { Direction::Egress }
    }

    fn bytes(&mut self, from_client: bool, data: &[u8], moved: u32, uncopied: Uncopied) {
        let direction = self.direction(from_client);
        self.now += 1_000_000;
        let at = Nanos(self.now);
        let flips = self.last != Some(direction);
        self.last = Some(direction);
        let process = ProcessId { pid: 1, start_ticks: 1 };
        let seq = self.seq[direction as usize];
        let segment = Segment {
            conn: CONN,
            at,
            actor: Actor { process, tid: 1, goroutine: None, parent_goroutine: None },
            direction,
            source: Source::Socket,
            seq,
            moved,
            data,
            uncopied,
            endpoints: Endpoints {
                local: "127.0.0.1:80".parse().unwrap(),
                remote: "127.0.0.1:5000".parse().unwrap(),
            },
            opposite: if flips { self.reached[direction.opposite() as usize] } else { None },
        };
        self.seq[direction as usize] = seq.wrapping_add(moved);
        self.reached[direction as usize] = Some(Reached { at, seq: seq.wrapping_add(moved) });
        self.assembler.push(&Event::Bytes(segment), &mut self.output);
    }

    fn play(&mut self, step: &Step) {
        match step {
            Step::Bytes(from_client, data) => {
                self.bytes(*from_client, data, data.len() as u32, Uncopied::Nothing);
            }
            Step::Lost(from_client, count) => {
                let direction = self.direction(*from_client);
                let seq = &mut self.seq[direction as usize];
                *seq = seq.wrapping_add(*count);
                // The kernel knows of bytes whose record the ring refused.
                self.now += 1_000_000;
                self.reached[direction as usize] = Some(Reached { at: Nanos(self.now), seq: *seq });
                self.last = Some(direction);
            }
            Step::Wait(ns) => {
                self.now += ns;
                self.assembler.push(&Event::Tick { at: Nanos(self.now) }, &mut self.output);
            }
            Step::Fin(from_client) => {
                let local = self.direction(*from_client) == Direction::Egress;
                self.ending(if local { Ending::LocalFin } else { Ending::RemoteFin });
            }
            Step::End => self.ending(Ending::Closed),
        }
    }

    fn ending(&mut self, ending: Ending) {
        self.now += 1_000_000;
        let [egress, ingress] = self.reached;
        let event = Event::Ending { conn: CONN, at: Nanos(self.now), ending, egress, ingress };
        self.assembler.push(&event, &mut self.output);
    }

    fn render(&self, times: bool) -> String {
        let mut text = String::new();
        let mut opened = Vec::new();
        for fact in &self.output.facts {
            match fact {
                Fact::Opened(it) => opened.push(it),
                Fact::Answering(_) => {}
                Fact::Ended(it) => {
                    let open = opened.iter().find(|open| open.id == it.id).unwrap();
                    let Call::Http(request) = &open.call;
                    write!(text, "{} {}", request.method, request.target).unwrap();
                    for (name, value) in &request.fields {
                        write!(text, " [{name}: {}]", String::from_utf8_lossy(value)).unwrap();
                    }
                    match &it.answer {
                        Some(Answer::Http(response)) => write!(text, " -> {}", response.status).unwrap(),
                        None => text.push_str(" -> none"),
                    }
                    if times {
                        write!(text, " {}ms", it.at.since(open.at) / 1_000_000).unwrap();
                    }
                    writeln!(text, " {:?}{}", it.end, incomplete(it)).unwrap();
                }
            }
        }
        for command in &self.output.commands {
            if let Command::Stop { .. } = command {
                text.push_str("stop\n");
            }
        }
        text
    }
}

fn incomplete(it: &crate::exchange::Ended) -> String {
    let bits = [
        (it.incomplete.request_head, "request_head"),
        (it.incomplete.response_head, "response_head"),
        (it.incomplete.request_end, "request_end"),
        (it.incomplete.response_end, "response_end"),
    ];
    let set: Vec<&str> = bits.iter().filter(|(is, _)| *is).map(|(_, name)| *name).collect();
    if set.is_empty() { String::new() } else { format!(" incomplete: {}", set.join(" ")) }
}

fn run(role: Role, steps: &[Step], times: bool) -> String {
    let mut player = Player::new(role);
    steps.iter().for_each(|step| player.play(step));
    player.render(times)
}

/// As server and as client, whole, byte by byte and cut at every boundary: always the same exchanges.
fn check(script: &str, expected: Expect) {
    let steps = steps(script);
    expected.assert_eq(&run(Role::Server, &steps, true));
    let plain = run(Role::Server, &steps, false);
    assert_eq!(run(Role::Client, &steps, false), plain, "as client");
    let each: Vec<Step> = steps.iter().flat_map(|step| split(step, 1)).collect();
    assert_eq!(run(Role::Server, &each, false), plain, "byte by byte");
    for cut in 1..200 {
        let cut: Vec<Step> = steps.iter().flat_map(|step| split_once(step, cut)).collect();
        assert_eq!(run(Role::Server, &cut, false), plain, "cut");
    }
}

fn split(step: &Step, size: usize) -> Vec<Step> {
    match step {
        Step::Bytes(side, data) => data.chunks(size).map(|part| Step::Bytes(*side, part.to_vec())).collect(),
        other => vec![other.clone()],
    }
}

fn split_once(step: &Step, at: usize) -> Vec<Step> {
    match step {
        Step::Bytes(side, data) if at < data.len() => {
            vec![Step::Bytes(*side, data[..at].to_vec()), Step::Bytes(*side, data[at..].to_vec())]
        }
        other => vec![other.clone()],
    }
}

#[test]
fn keep_alive_requests_are_told_apart() {
    check(
        r"> GET /a HTTP/1.1\r\nHost: x\r\nTraceParent:  00-ab-01 \r\n\r\n
          < HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc
          > POST /b HTTP/1.1\r\ncontent-length: 2\r\n\r\nhi
          < HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nT: 1\r\n\r\n
          > GET /c HTTP/1.1\r\n\r\n
          < HTTP/1.1 204 No Content\r\n\r\n",
        expect![[r#"
            GET /a [traceparent: 00-ab-01] -> 200 1ms Complete
            POST /b -> 404 1ms Complete
            GET /c -> 204 1ms Complete
        "#]],
    );
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    check(
        r"> GET /1 HTTP/1.1\r\n\r\nHEAD /2 HTTP/1.1\r\n\r\nGET /3 HTTP/1.1\r\n\r\n
          < HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\naHTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nHTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n",
        expect![[r#"
            GET /1 -> 200 1ms Complete
            HEAD /2 -> 200 1ms Complete
            GET /3 -> 304 1ms Complete
        "#]],
    );
}

#[test]
fn interim_responses_are_passed_over() {
    check(
        r"> PUT /u HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n
          < HTTP/1.1 100 Continue\r\n\r\n
          > body
          < HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n",
        expect![[r#"
            PUT /u -> 201 3ms Complete
        "#]],
    );
}

#[test]
fn a_response_without_length_ends_with_the_connection() {
    check(
        r"> GET /old HTTP/1.0\r\n\r\n
          < HTTP/1.0 200 OK\r\n\r\nsome
          ~ 5ms
          < thing
          fin <
          end",
        expect![[r#"
            GET /old -> 200 7ms Complete
        "#]],
    );
}

#[test]
fn an_upgrade_ends_at_its_response() {
    check(
        r"> GET /ws HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n
          < HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n
          < noise GET / HTTP/1.1\r\n\r\n",
        expect![[r#"
            GET /ws -> 101 1ms Upgraded
            stop
        "#]],
    );
}

#[test]
fn whoever_closes_first_is_gone() {
    check(
        r"> GET /slow HTTP/1.1\r\n\r\n
          ~ 100ms
          fin >
          end",
        expect![[r#"
            GET /slow -> none 101ms ClientGone
        "#]],
    );
    check(
        r"> GET /crash HTTP/1.1\r\n\r\n
          < HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart
          fin <
          end",
        expect![[r#"
            GET /crash -> 200 2ms ServerGone
        "#]],
    );
}

#[test]
fn loss_ends_what_was_open_and_spares_what_follows() {
    check(
        r"> GET /a HTTP/1.1\r\n\r\n
          ! < 30
          < rest of a response that nobody saw
          ~ 100ms
          > GET /b HTTP/1.1\r\n\r\n
          < HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        expect![[r#"
            GET /a -> none 2ms Complete incomplete: response_head response_end
            GET /b -> 200 1ms Complete
        "#]],
    );
}

#[test]
fn bytes_missing_from_a_body_of_known_length_cost_nothing() {
    check(
        r"> GET /a HTTP/1.1\r\n\r\n
          < HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n
          ! < 50
          > GET /b HTTP/1.1\r\n\r\n
          < HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n",
        expect![[r#"
            GET /a -> 200 2ms Complete
            GET /b -> 500 1ms Complete
        "#]],
    );
}

#[test]
fn an_unknown_protocol_is_given_up() {
    let noise = "> #binary stuff\n< more of it\n".repeat(4);
    let steps = steps(&noise);
    assert_eq!(run(Role::Server, &steps, false), "stop\n");
}

#[test]
fn a_long_uncopied_body_ends_at_its_mark() {
    let mut player = Player::new(Role::Server);
    player.bytes(true, b"GET /big HTTP/1.1\r\n\r\n", 21, Uncopied::Nothing);
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n";
    player.bytes(false, head, head.len() as u32 + 1_000, Uncopied::Policy);
    let [Command::Mark { mark: Mark::Seq(end), .. }] = player.output.commands[..] else {
        panic!("{:?}", player.output.commands)
    };
    let seq = player.seq[Direction::Egress as usize];
    assert_eq!(end, seq.wrapping_add(999_000));
    let reached = Reached { at: Nanos(9_000_000_000), seq: end };
    let event = Event::Progress { conn: CONN, direction: Direction::Egress, reached, by_tail: false };
    player.assembler.push(&event, &mut player.output);
    assert_eq!(player.render(true), "GET /big -> 200 7999ms Complete\n");
}

/// One exchange of a generated conversation.
fn exchange() -> impl Strategy<Value = (String, String)> {
    let body = prop_oneof![Just(String::new()), "[a-z]{1,40}"];
    let status = prop_oneof![Just(200u16), Just(404), Just(500), Just(204)];
    (any::<u16>(), body.clone(), body, status, any::<bool>()).prop_map(|(path, asked, answered, status, chunked)| {
        let request = format!("POST /{path} HTTP/1.1\r\ncontent-length: {}\r\n\r\n{asked}", asked.len());
        let response = match (status, chunked) {
            (204, _) => "HTTP/1.1 204 No\r\n\r\n".to_string(),
            (_, true) if !answered.is_empty() => format!(
                "HTTP/1.1 {status} X\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{answered}\r\n0\r\n\r\n",
                answered.len()
            ),
            _ => format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{answered}", answered.len()),
        };
        (request, response)
    })
}

proptest! {
    #[test]
    fn records_lost_at_random_never_make_a_wrong_exchange(
        talk in prop::collection::vec(exchange(), 1..12),
        size in 1usize..60,
        lost in prop::collection::vec(any::<u8>(), 200),
    ) {
        let truth: Vec<String> = talk.iter().map(|(request, response)| {
            let path = request.split(' ').nth(1).unwrap();
            format!("POST {path} -> {}", response.get(9..12).unwrap())
        }).collect();
        let mut player = Player::new(Role::Server);
        let mut coin = lost.iter().cycle();
        for (request, response) in &talk {
            for (side, text) in [(true, request), (false, response)] {
                for part in text.as_bytes().chunks(size) {
                    let step = if coin.next().unwrap() % 16 == 0 {
                        Step::Lost(side, part.len() as u32)
                    } else {
                        Step::Bytes(side, part.to_vec())
                    };
                    player.play(&step);
                }
            }
            player.play(&Step::Wait(60_000_000));
        }
        for line in player.render(false).lines().filter(|line| *line != "stop") {
            let known = truth.iter().any(|it| line.starts_with(it.as_str()));
            let absent = line.contains("-> none") && truth.iter().any(|it| {
                line.starts_with(it.split(" ->").next().unwrap())
            });
            prop_assert!(known || absent, "{line} is none of {truth:?}");
        }
    }

    #[test]
    fn any_bytes_in_any_order_are_survived(
        parts in prop::collection::vec((any::<bool>(), any::<u32>(), prop::collection::vec(any::<u8>(), 0..80)), 0..60),
    ) {
        let mut player = Player::new(Role::Client);
        for (side, skip, data) in parts {
            player.play(&Step::Lost(side, skip % 100));
            player.play(&Step::Bytes(side, data));
        }
        player.play(&Step::End);
    }
}
