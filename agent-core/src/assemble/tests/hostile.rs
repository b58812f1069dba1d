//! Shared connections of clients that mean no good, or very much: memory and records stay bounded.
use super::wire::{PROCESS, settings};
use super::{
    kernel::{play, play_through},
    wire::{Conversation, Owned, Side, Step, stories},
};
use crate::{
    assemble::{Assembler, Output},
    event::{Actor, ConnId, Direction, Endpoints, Event, Nanos, Reached, Segment, Source, Uncopied},
    exchange::{Answer, End},
    protocols::http2::tests::frame,
};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";
const SETTINGS: &[u8] = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00";

fn get(stream: u32) -> Vec<u8> {
    frame(1, 5, stream, &[0x82, 0x86, 0x84])
}

/// A server's settings, then these calls of the client, after its preface.
fn client(calls: impl IntoIterator<Item = Vec<u8>>) -> Conversation {
    let mut steps = vec![
        Step::Bytes { from: Side::Client, data: PREFACE.to_vec() },
        Step::Bytes { from: Side::Server, data: SETTINGS.to_vec() },
    ];
    for data in calls {
        steps.push(Step::Pause { ns: 1_000 });
        steps.push(Step::Bytes { from: Side::Client, data });
    }
    Conversation { steps }
}

#[test]
fn streams_that_are_reset_at_once_end_at_once() {
    let resets = (0..10_000_u32).map(|n| [get(2 * n + 1), frame(3, 0, 2 * n + 1, &[0, 0, 0, 8])].concat());
    let (out, assembler) = play(&client(resets), Side::Server);
    let stories = stories(&out.facts);
    assert_eq!((stories.len(), assembler.shared.buffered), (10_000, 0));
    assert!(stories.iter().all(|story| story.ended.as_ref().is_some_and(|ended| ended.end == End::Reset(8))));
}

#[test]
fn more_streams_than_may_be_open_end_the_oldest() {
    let (out, assembler) = play(&client((0..3_000_u32).map(|n| get(2 * n + 1))), Side::Server);
    let open = stories(&out.facts).iter().filter(|story| story.ended.is_none()).count();
    assert_eq!((open, assembler.counts().evicted), (1_024, 3_000 - 1_024));
}

#[test]
fn a_header_block_without_end_is_given_up() {
    let endless = (0..100).map(|n| {
        let kind = if n == 0 { 1 } else { 9 };
        frame(kind, 0, 1, &[0x82; 16_000])
    });
    let (out, assembler) = play(&client(endless), Side::Server);
    assert_eq!((out.facts.len(), assembler.counts().stopped_http2), (0, 1));
}

#[test]
fn a_field_that_stands_for_thousands_of_bytes_is_kept_once_in_a_while() {
    // One field of 4,000 bytes on the keep-list, then a block that refers to it 15,000 times: 60 MB.
    let mut large = vec![0x82, 0x86, 0x84, 0x40, 4];
    large.extend(b"x-id");
    large.extend([0x7f, 0xa1, 0x1e]);
    large.extend([b'a'; 4_000]);
    let bomb = frame(1, 5, 3, &[&[0x82, 0x86, 0x84][..], &[0xbe; 15_000]].concat());
    let (out, _) = play(&client([frame(1, 5, 1, &large), bomb]), Side::Server);
    let kept = stories(&out.facts).into_iter().map(|story| {
        let crate::exchange::Call::Http(request) = story.opened.unwrap().call;
        request.fields.iter().map(|(_, value)| value.len()).sum::<usize>()
    });
    assert_eq!(kept.collect::<Vec<_>>(), [4_000, 64_000]);
}

#[test]
fn the_highest_stream_is_a_stream_and_frames_that_are_too_long_are_no_end() {
    let (out, _) = play(&client([get(0x7fff_ffff), vec![0xff, 0xff, 0xff, 1, 5, 0, 0, 0, 5]]), Side::Server);
    assert_eq!(stories(&out.facts).len(), 1);
}

#[test]
fn an_upload_costs_as_many_records_whatever_its_size() {
    let records = [10, 1_000].map(|frames| {
        let warm = (0..10_u32).map(|n| get(2 * n + 1));
        let head = frame(1, 4, 101, &[0x83, 0x86, 0x84]);
        let data = (0..frames).map(|_| frame(0, 0, 101, &[0; 1_000]));
        let calls = warm.chain([head]).chain(data).chain([frame(0, 1, 101, b"end")]);
        let mut records = 0;
        let (out, assembler) = play_through(&client(calls), Side::Server, |event| {
            records += usize::from(matches!(event, Owned::Bytes { .. }));
            true
        });
        assert_eq!(assembler.counts().missing_bytes, 0);
        assert_eq!(stories(&out.facts).len(), 11);
        records
    });
    assert_eq!(records[0], records[1]);
}

/// Connections of a server, each a preface and the server's settings, then what its client says.
struct Crowd {
    assembler: Assembler,
    out: Output,
    most: usize,
}

impl Crowd {
    fn new() -> Crowd {
        Crowd { assembler: Assembler::new(settings()), out: Output::default(), most: 0 }
    }

    fn moved(&mut self, conn: u64, direction: Direction, seq: u32, data: &[u8]) {
        let at = Nanos(1_000_000_000 + u64::from(seq));
        let segment = Segment {
            conn: ConnId(conn),
            at,
            actor: Actor::thread(PROCESS, 1),
            direction,
            source: Source::Socket,
            seq,
            moved: u32::try_from(data.len()).unwrap(),
            data,
            uncopied: Uncopied::Nothing,
            endpoints: Endpoints { local: ([127, 0, 0, 1], 1).into(), remote: ([127, 0, 0, 1], 2).into() },
            begins_turn: seq == 0,
            opposite: (direction == Direction::Egress && seq == 0)
                .then_some(Reached { at, seq: u32::try_from(PREFACE.len()).unwrap() }),
            walk: None,
        };
        self.assembler.push(&Event::Bytes(segment), &mut self.out);
        self.out.facts.clear();
        self.most = self.most.max(self.assembler.shared.buffered);
    }

    fn client(&mut self, conn: u64, calls: &[Vec<u8>]) {
        self.moved(conn, Direction::Ingress, 0, PREFACE);
        self.moved(conn, Direction::Egress, 0, SETTINGS);
        let mut seq = u32::try_from(PREFACE.len()).unwrap();
        for data in calls {
            self.moved(conn, Direction::Ingress, seq, data);
            seq += u32::try_from(data.len()).unwrap();
        }
    }

    /// What all connections hold stays below the cap by no more than one of them may add, and is given back.
    fn assert_bounded(mut self, connections: u64) {
        let cap = settings().max_buffered_bytes;
        assert!(self.most > cap / 2 && self.most <= cap + 128 * 1024, "{} of {cap}", self.most);
        assert!(self.assembler.counts().out_of_buffer > 0);
        (0..connections).for_each(|conn| self.assembler.forget(ConnId(conn), &mut Output::default()));
        assert_eq!(self.assembler.shared.buffered, 0);
    }
}

#[test]
fn header_blocks_that_never_end_have_a_cap_together() {
    let mut crowd = Crowd::new();
    let half = [frame(1, 0, 1, &[0x82; 16_000]), frame(9, 0, 1, &[0x82; 16_000])];
    (0..2_000).for_each(|conn| crowd.client(conn, &half));
    crowd.assert_bounded(2_000);
}

#[test]
fn what_header_blocks_refer_to_has_a_cap_together() {
    let mut crowd = Crowd::new();
    // A table of 16 KiB, and four fields of 3,900 bytes for it.
    let mut block = vec![0x3f, 0xe1, 0x7f, 0x82, 0x86, 0x84];
    for _ in 0..4 {
        block.extend([0x40, 1, b'a', 0x7f, 0xbd, 0x1d]);
        block.extend([b'a'; 3_900]);
    }
    let calls = [frame(1, 5, 1, &block), get(3)];
    (0..4_000).for_each(|conn| crowd.client(conn, &calls));
    crowd.assert_bounded(4_000);
}

#[test]
fn fields_of_requests_that_stay_open_have_a_cap_together() {
    let mut crowd = Crowd::new();
    // One field of 3,900 bytes, and requests that refer to it ten times in ten bytes.
    let mut first = vec![0x82, 0x86, 0x84, 0x40, 4];
    first.extend(b"x-id");
    first.extend([0x7f, 0xbd, 0x1d]);
    first.extend([b'a'; 3_900]);
    let later = [&[0x82, 0x86, 0x84][..], &[0xbe; 10]].concat();
    let calls: Vec<Vec<u8>> = [frame(1, 4, 1, &first)]
        .into_iter()
        .chain((1..500).map(|n| frame(1, 4, 2 * n + 1, &later)))
        .collect();
    (0..20).for_each(|conn| crowd.client(conn, &calls));
    crowd.assert_bounded(20);
}

#[test]
fn a_block_of_frames_without_a_byte_is_given_up() {
    let endless =
        (0..10_000).map(|n| frame(if n == 0 { 1 } else { 9 }, 0, 1, if n == 0 { &[0x82] } else { &[] }));
    let (out, assembler) = play(&client(endless), Side::Server);
    assert_eq!((out.facts.len(), assembler.counts().stopped_http2), (0, 1));
}

#[test]
fn a_frame_that_announces_more_than_any_head_is_given_up() {
    for kind in [1, 9] {
        let mut huge = vec![0xff, 0xff, 0xff, kind, 4, 0, 0, 0, 1];
        huge.extend([0x82; 100]);
        let first = if kind == 9 { frame(1, 0, 1, &[0x82]) } else { Vec::new() };
        let (_, assembler) = play(&client([[first, huge].concat()]), Side::Server);
        assert_eq!((assembler.counts().stopped_http2, assembler.shared.buffered), (1, 0), "{kind}");
    }
}

#[test]
fn trailers_that_go_on_are_not_gathered() {
    let mut steps = client([get(1)]).steps;
    let head = |flags, value: u8| {
        let field = [&[0x88, 0x00, 4][..], b"x-id", &[100], &[value; 100]].concat();
        frame(1, flags, 1, &field)
    };
    for _ in 0..10_000 {
        steps.push(Step::Bytes { from: Side::Server, data: head(4, b'm') });
    }
    steps.push(Step::Bytes { from: Side::Server, data: head(5, b'l') });
    let (out, _) = play(&Conversation { steps }, Side::Server);
    let Some(Answer::Http(response)) = stories(&out.facts).remove(0).ended.unwrap().answer else { panic!() };
    assert_eq!(response.fields.len(), 2);
}

#[test]
fn a_block_that_stands_for_very_much_is_cut_and_counted() {
    // A name of 4,000 bytes, referred to 60,000 times: 240 MB to look at.
    let mut large = vec![0x82, 0x86, 0x84, 0x40, 0x7f, 0xa1, 0x1e];
    large.extend([b'a'; 4_000]);
    large.extend([1, b'a']);
    let bomb = [&[0x82, 0x86, 0x84][..], &vec![0xbe; 60_000]].concat();
    let (out, assembler) =
        play(&client([frame(1, 5, 1, &large), frame(1, 5, 3, &bomb), get(5)]), Side::Server);
    assert_eq!((stories(&out.facts).len(), assembler.counts().heads_cut), (3, 1));
}
