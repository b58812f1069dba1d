//! Shared connections in volumes: records dropped at random, and nothing wrong is told; other protocols, and nothing is told at all.
//!
//! `cargo xtask fuzz streams --runs 100000` and `cargo xtask fuzz prefixes` ask for more than a test has time for.
use super::{
    kernel::play_through,
    multiplex::{SIDES, connection, true_stories},
    wire::{Owned, PROCESS, settings},
};
use crate::{
    assemble::{Assembler, Command, Output, Settings},
    event::{Actor, ConnId, Direction, Endpoints, Event, Nanos, Reached, Segment, Source, Uncopied},
    exchange::{Answer, Call},
    protocols::http2::tests::differential::{Dice, runs},
};

#[test]
fn streams_volume_with_records_dropped_at_random() {
    let wanted = runs(1_000);
    let (mut sent, mut told, mut named, mut answered, mut records, mut lost) = (0_u64, 0, 0, 0, 0_u64, 0_u64);
    let mut dice = Dice(7);
    for seed in 1.. {
        if sent >= wanted {
            break;
        }
        let (conversation, truth) = connection(seed, 80, 1 + dice.roll(40), seed % 2 == 0);
        // From one in a hundred to one in three.
        let one_in = 3 + dice.roll(97);
        for side in SIDES {
            let delivers = |event: &Owned| {
                records += 1;
                let delivers = dice.roll(one_in) > 0 || matches!(event, Owned::Other(_));
                lost += u64::from(!delivers);
                delivers
            };
            let out = play_through(&conversation, side, delivers).0;
            sent += truth.len() as u64;
            // Every name and value that is told is compared with the stream's own.
            for story in true_stories(&truth, &out).into_values() {
                let Call::Http(request) = story.opened.unwrap().call;
                told += 1;
                named += u64::from(!request.target.is_empty());
                let answer = story.ended.and_then(|ended| ended.answer);
                answered += u64::from(answer.is_some_and(|Answer::Http(response)| response.status > 0));
            }
        }
    }
    println!(
        "{sent} streams, {lost} of {records} records lost: {told} told, {named} with their path, {answered} with a status, none wrong"
    );
    assert!(named > told / 4 && told > sent / 2);
}

/// What a protocol that is not HTTP/2 may put on a connection; both sides alike.
fn stranger(dice: &mut Dice, family: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut frames = 1 + dice.roll(6);
    while frames > 0 {
        frames -= 1;
        let payload: Vec<u8> = (0..8 + dice.roll(60)).map(|_| dice.word() as u8).collect();
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        match family {
            0 => bytes.extend(payload),
            1 => bytes.extend(payload.iter().map(|byte| byte & dice.word() as u8 & dice.word() as u8)),
            // yamux: version, type, flags, stream, length
            2 => {
                let kind = u8::try_from(dice.roll(4)).unwrap();
                bytes.extend([0, kind, 0, u8::try_from(dice.roll(16)).unwrap(), 0, 0, 0]);
                bytes.push(u8::try_from(dice.roll(200)).unwrap());
                bytes.extend(length);
                if kind == 0 {
                    bytes.extend(payload);
                }
            }
            // SPDY: a control frame or data of a stream, flags, length
            3 => {
                let control = dice.roll(2) == 0;
                let kind = u8::try_from(dice.roll(10)).unwrap();
                bytes.extend(if control { [0x80, 3, 0, kind] } else { [0, 0, 0, kind] });
                bytes.push(u8::try_from(dice.roll(2)).unwrap());
                bytes.extend(&length[1..]);
                bytes.extend(payload);
            }
            // a length before each message: four bytes, or three and a number or a type
            4 => {
                bytes.extend(if dice.roll(2) == 0 { length } else { [length[3], 0, 0, dice.roll(10) as u8] });
                bytes.extend(payload);
            }
            // frames that HTTP/2 might have sent, but for what is in them
            _ => {
                let [kind, stream] = [dice.roll(10), 2 * dice.roll(40) + 1];
                let flags = [0, 1, 4, 5][dice.roll(4)];
                let stream = if matches!(kind, 4 | 6 | 7) { 0 } else { u32::try_from(stream).unwrap() };
                bytes.extend(crate::protocols::http2::tests::frame(kind as u8, flags, stream, &payload));
            }
        }
    }
    bytes
}

#[test]
fn prefixes_volume_of_other_protocols() {
    let wanted = runs(10_000);
    let mut dice = Dice(11);
    let mut assembler = Assembler::new(Settings { max_connections: 16, ..settings() });
    let mut out = Output::default();
    let mut given_up = 0;
    for conn in 0..wanted {
        let family = dice.roll(6);
        let mut seqs = [0_u32, 0];
        for turn in 0..12_u64 {
            let side = (turn % 2) as usize;
            let data = stranger(&mut dice, family);
            let at = Nanos(1_000_000_000 + conn * 1_000 + turn);
            let segment = Segment {
                conn: ConnId(conn),
                at,
                actor: Actor::thread(PROCESS, 1),
                direction: [Direction::Ingress, Direction::Egress][side],
                source: Source::Socket,
                seq: seqs[side],
                moved: u32::try_from(data.len()).unwrap(),
                data: &data,
                uncopied: Uncopied::Nothing,
                endpoints: Endpoints {
                    local: ([127, 0, 0, 1], 1).into(),
                    remote: ([127, 0, 0, 1], 2).into(),
                },
                begins_turn: true,
                opposite: (turn > 0).then_some(Reached { at, seq: seqs[1 - side] }),
                walk: None,
            };
            seqs[side] += segment.moved;
            assembler.push(&Event::Bytes(segment), &mut out);
        }
        assert!(out.facts.is_empty(), "family {family} of connection {conn}: {:?}", out.facts);
        let taken = out.commands.iter().any(|command| matches!(command, Command::Frames { walks: true, .. }));
        assert!(!taken, "family {family} of connection {conn} was taken for HTTP/2");
        given_up += u64::from(out.commands.contains(&Command::Stop { conn: ConnId(conn) }));
        out.commands.clear();
    }
    println!(
        "{wanted} connections of other protocols: none taken for HTTP/2, {given_up} given up after a few turns"
    );
}
