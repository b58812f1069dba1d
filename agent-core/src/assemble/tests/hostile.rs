//! Shared connections of clients that mean no good, or very much: memory and records stay bounded.
use super::{
    kernel::{play, play_through},
    wire::{Conversation, Owned, Side, Step, stories},
};
use crate::{exchange::End, protocols::http2::tests::frame};

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
    let (out, _) = play(&client(resets), Side::Server);
    let stories = stories(&out.facts);
    assert_eq!(stories.len(), 10_000);
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
