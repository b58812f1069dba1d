//! Connections that many exchanges share: exact when nothing is lost, never wrong when something is.
use super::{
    kernel::{events, play, play_through, replay},
    wire::{Conversation, Owned, Side, Step, Story, stories},
};
use crate::{
    assemble::Output,
    exchange::{Answer, Call, End},
    protocols::http2::tests::frame,
};
use proptest::prelude::*;
use std::collections::BTreeMap;

pub(super) const SIDES: [Side; 2] = [Side::Server, Side::Client];
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// Numbers that are always the same.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (self.0 >> 33) as usize % sides
    }
}

/// What one exchange truly was.
#[derive(Clone, Debug)]
pub(super) struct Truth {
    path: String,
    status: u16,
    id: String,
    request_bytes: u64,
    response_bytes: u64,
    reset: bool,
}

/// A header block in one frame or several.
fn head(
    dice: &mut Dice,
    encoder: &mut httlib_hpack::Encoder<'_>,
    stream: u32,
    ends: bool,
    fields: &[(&str, &str)],
) -> Vec<u8> {
    use httlib_hpack::Encoder;
    let mut block = Vec::new();
    for (name, value) in fields {
        let way = [Encoder::WITH_INDEXING, Encoder::BEST_FORMAT][dice.roll(2)];
        let coded = [0, Encoder::HUFFMAN_VALUE][dice.roll(2)];
        encoder
            .encode((name.as_bytes().to_vec(), value.as_bytes().to_vec(), way | coded), &mut block)
            .unwrap();
    }
    let ends = if ends { END_STREAM } else { 0 };
    if dice.roll(8) > 0 {
        return frame(1, ends | END_HEADERS, stream, &block);
    }
    let (first, second) = block.split_at(dice.roll(block.len()));
    [
        frame(1, ends, stream, if first.is_empty() { &block } else { first }),
        frame(9, END_HEADERS, stream, if first.is_empty() { &[] } else { second }),
    ]
    .concat()
}

/// A connection of `count` exchanges, `most` of them at a time, and the truth by stream.
pub(super) fn connection(
    seed: u64,
    count: u32,
    most: usize,
    truncates: bool,
) -> (Conversation, BTreeMap<u32, Truth>) {
    let mut dice = Dice(seed);
    let mut encoders = [httlib_hpack::Encoder::default(), httlib_hpack::Encoder::default()];
    let mut truth = BTreeMap::new();
    // Frames that each side still has to send on each open stream.
    let mut open: BTreeMap<u32, [Vec<Plan>; 2]> = BTreeMap::new();
    let mut steps = Vec::new();
    let settings = frame(4, 0, 0, &[0, 3, 0, 0, 0, 100]);
    steps.push((Side::Client, [PREFACE, &settings].concat()));
    steps.push((Side::Server, [settings, frame(4, 1, 0, &[])].concat()));
    let mut next = 1;
    while next < 2 * count || !open.is_empty() {
        if next < 2 * count && open.len() < most && (open.is_empty() || dice.roll(2) == 0) {
            let (story, plans) = plan(&mut dice, next);
            let path = story.path.clone();
            let ends = plans[0].is_empty();
            let fields = [
                (":method", "GET"),
                (":scheme", "http"),
                (":path", path.as_str()),
                (":authority", "example.com:8080"),
                ("x-id", story.id.as_str()),
                ("user-agent", "test/1"),
            ];
            steps.push((Side::Client, head(&mut dice, &mut encoders[0], next, ends, &fields)));
            truth.insert(next, story);
            open.insert(next, plans);
            next += 2;
            continue;
        }
        let streams: Vec<u32> = open.keys().copied().collect();
        let stream = streams[dice.roll(streams.len())];
        let plans = open.get_mut(&stream).unwrap();
        let side = if plans[0].is_empty() || (!plans[1].is_empty() && dice.roll(2) == 0) { 1 } else { 0 };
        let plan = plans[side].remove(0);
        let ends = plans[side].is_empty();
        let bytes = match plan {
            Plan::Head(status) => head(
                &mut dice,
                &mut encoders[1],
                stream,
                ends,
                &[(":status", &status.to_string()), ("server", "s"), ("x-id", "r")],
            ),
            Plan::Trailers => {
                head(&mut dice, &mut encoders[1], stream, ends, &[("x-id", &format!("t{stream}"))])
            }
            Plan::Data(bytes) => frame(0, u8::from(ends), stream, &vec![b'x'; bytes]),
            Plan::Reset => frame(3, 0, stream, &[0, 0, 0, 8]),
        };
        let reset = matches!(plan, Plan::Reset);
        steps.push((if side == 0 { Side::Client } else { Side::Server }, bytes));
        if reset || plans.iter().all(Vec::is_empty) {
            open.remove(&stream);
        }
        if dice.roll(5) == 0 {
            steps.push((Side::Client, frame(8, 0, 0, &[0, 0, 4, 0])));
        }
    }
    let mut calls: Vec<(Side, Vec<u8>)> = Vec::new();
    for (side, bytes) in steps {
        match calls.last_mut() {
            Some((last, call)) if *last == side && dice.roll(3) > 0 => call.extend(bytes),
            _ => calls.push((side, bytes)),
        }
    }
    let mut steps = Vec::new();
    for (from, call) in calls {
        let mut rest = call.as_slice();
        while !rest.is_empty() {
            let split = if dice.roll(3) == 0 { 1 + dice.roll(rest.len()) } else { rest.len() };
            let (data, after) = rest.split_at(split);
            if truncates && dice.roll(20) == 0 {
                steps.push(Step::Uncopied { from, bytes: u32::try_from(data.len()).unwrap() });
            } else {
                steps.push(Step::Bytes { from, data: data.to_vec() });
            }
            steps.push(Step::Pause { ns: 1_000 });
            rest = after;
        }
    }
    (Conversation { steps }, truth)
}

/// What one side still has to send on a stream.
enum Plan {
    Head(u16),
    Data(usize),
    Trailers,
    Reset,
}

fn plan(dice: &mut Dice, stream: u32) -> (Truth, [Vec<Plan>; 2]) {
    let mut request = Vec::new();
    let mut response = Vec::new();
    let (mut sent, mut answered) = (0, 0);
    for _ in 0..dice.roll(3) {
        let bytes = dice.roll(400);
        sent += bytes as u64;
        request.push(Plan::Data(bytes));
    }
    if dice.roll(6) == 0 {
        response.push(Plan::Head(103));
    }
    let status = [200, 204, 404, 500, 302][dice.roll(5)];
    response.push(Plan::Head(status));
    for _ in 0..dice.roll(3) {
        let bytes = dice.roll(600);
        answered += bytes as u64;
        response.push(Plan::Data(bytes));
    }
    if dice.roll(4) == 0 {
        response.push(Plan::Trailers);
    }
    let reset = dice.roll(10) == 0;
    if reset {
        // The client gives up before the answer is whole.
        response.push(Plan::Data(1));
        response.push(Plan::Data(1));
        let at = dice.roll(response.len() - 1);
        response.truncate(at + 1);
        response.push(Plan::Data(1));
        request.push(Plan::Reset);
    }
    let truth = Truth {
        path: format!("/{stream}"),
        status,
        id: format!("id-{}", dice.roll(4)),
        request_bytes: sent,
        response_bytes: answered,
        reset,
    };
    (truth, [request, response])
}

/// Says nothing of any stream that is not so; the stories by stream.
pub(super) fn true_stories(truth: &BTreeMap<u32, Truth>, out: &Output) -> BTreeMap<u32, Story> {
    let mut told = BTreeMap::new();
    for story in stories(&out.facts) {
        let opened = story.opened.clone().unwrap();
        let stream = opened.stream.unwrap();
        let true_one = &truth[&stream];
        let Call::Http(request) = &opened.call;
        assert!(request.method.is_empty() || request.method == "GET");
        assert!(request.target.is_empty() || request.target == true_one.path, "{request:?} is {true_one:?}");
        assert!(request.host.as_ref().is_none_or(|host| host == "example.com:8080"));
        for (name, value) in &request.fields {
            assert_eq!((name.as_str(), value.as_ref()), ("x-id", true_one.id.as_bytes()));
        }
        if let Some(Answer::Http(response)) = story.ended.as_ref().and_then(|ended| ended.answer.as_ref()) {
            assert!(
                response.status == 0 || response.status == true_one.status,
                "{response:?} is {true_one:?}"
            );
            for (_, value) in &response.fields {
                assert!(value.as_ref() == b"r" || value.as_ref() == format!("t{stream}").as_bytes());
            }
        }
        assert!(told.insert(stream, story).is_none(), "stream {stream} opened twice");
    }
    told
}

fn assert_exact(truth: &BTreeMap<u32, Truth>, out: &Output) {
    let told = true_stories(truth, out);
    assert_eq!(told.len(), truth.len());
    for (stream, story) in told {
        let (truth, ended) = (&truth[&stream], story.ended.unwrap());
        let Call::Http(request) = story.opened.unwrap().call;
        assert_eq!(request.target, truth.path);
        assert_eq!(request.fields.len(), 1);
        if truth.reset {
            // Unless the whole answer came first.
            assert!(matches!(ended.end, End::Reset(8) | End::Complete));
            continue;
        }
        assert_eq!(ended.end, End::Complete, "stream {stream}");
        assert_eq!(ended.incomplete, crate::exchange::Incomplete::default());
        let Answer::Http(response) = ended.answer.unwrap();
        assert_eq!(response.status, truth.status);
        // Calls that are skipped are not counted.
        assert!(ended.request_body_bytes.is_none_or(|bytes| bytes == truth.request_bytes));
        assert!(ended.response_body_bytes.is_none_or(|bytes| bytes == truth.response_bytes));
        assert!(story.answered_at.is_some());
    }
}

proptest! {
    #[test]
    fn exchanges_that_share_a_connection_are_exact(seed in any::<u64>(), count in 1..60_u32, most in 1..30_usize) {
        let (conversation, truth) = connection(seed, count, most, false);
        for side in SIDES {
            assert_exact(&truth, &play(&conversation, side).0);
        }
    }

    #[test]
    fn records_that_swap_change_nothing(seed in any::<u64>(), count in 1..40_u32, swaps in prop::collection::vec(any::<prop::sample::Index>(), 1..20)) {
        let (conversation, truth) = connection(seed, count, 8, false);
        for side in SIDES {
            let mut events = events(&conversation, side);
            for swap in &swaps {
                // The first record says who opened the connection.
                if events.len() > 3 {
                    let at = 1 + swap.index(events.len() - 2);
                    events.swap(at, at + 1);
                }
            }
            true_stories(&truth, &replay(&events).0);
        }
    }

    #[test]
    fn lost_records_never_give_a_wrong_name_or_status(
        seed in any::<u64>(),
        count in 1..80_u32,
        losses in prop::collection::vec(prop_oneof![8 => Just(true), 1 => Just(false)], 1..80),
    ) {
        let (conversation, truth) = connection(seed, count, 12, true);
        for side in SIDES {
            let mut losses = losses.iter().cycle();
            let delivers = |event: &Owned| *losses.next().unwrap() || matches!(event, Owned::Other(_));
            true_stories(&truth, &play_through(&conversation, side, delivers).0);
        }
    }

    #[test]
    fn a_connection_that_is_joined_late_is_never_wrong(seed in any::<u64>(), from in 2..60_usize) {
        let (conversation, truth) = connection(seed, 60, 10, false);
        for side in SIDES {
            let mut index = 0;
            let (out, _) = play_through(&conversation, side, |_| {
                index += 1;
                index > from
            });
            true_stories(&truth, &out);
        }
    }
}

#[test]
fn a_connection_that_is_joined_late_is_soon_understood() {
    let (conversation, truth) = connection(7, 400, 10, false);
    for side in SIDES {
        let mut index = 0;
        let (out, _) = play_through(&conversation, side, |_| {
            index += 1;
            index > 40
        });
        let told = true_stories(&truth, &out);
        let named = told.values().filter(|story| {
            let Call::Http(request) = &story.opened.as_ref().unwrap().call;
            !request.target.is_empty()
        });
        assert!(told.len() > 350 && named.count() > 340, "{} of 400", told.len());
    }
}

#[test]
fn a_connection_whose_frames_are_read_in_two_calls_is_joined_too() {
    let mut steps = vec![Step::Bytes { from: Side::Client, data: PREFACE.to_vec() }];
    for stream in (1..100).step_by(2) {
        let request = frame(1, END_STREAM | END_HEADERS, stream, b"\x82\x86\x04\x02/a");
        let (header, block) = request.split_at(9);
        steps.push(Step::Bytes { from: Side::Client, data: header.to_vec() });
        steps.push(Step::Bytes { from: Side::Client, data: block.to_vec() });
        let response = frame(1, END_STREAM | END_HEADERS, stream, b"\x88");
        steps.push(Step::Bytes { from: Side::Server, data: response });
    }
    let mut index = 0;
    let (out, _) = play_through(&Conversation { steps }, Side::Server, |_| {
        index += 1;
        index > 10
    });
    assert!(stories(&out.facts).len() > 40, "{} of 50", stories(&out.facts).len());
}
