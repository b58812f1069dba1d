//! Frames in, what they say out: as the RFC has them, cut and damaged.
use super::*;
use proptest::prelude::*;

pub(crate) mod differential;

/// A frame: RFC 9113 section 4.1.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

const GET: &[u8] = &[0x82, 0x86, 0x84, 0x41, 1, b'h'];

/// Everything that is said, in short.
fn all(session: &mut Session, part: Part, bytes: &[u8]) -> Vec<String> {
    let keep = KeepList::new(&["x-kept".to_owned()]);
    let mut rest = bytes;
    let mut said = Vec::new();
    while !rest.is_empty() {
        match session.read(part, rest, &keep, 64 * 1024) {
            Step::Got { says, used, payload } => {
                rest = rest.get(used + payload as usize..).unwrap_or_default();
                said.push(match says {
                    Says::Nothing => continue,
                    Says::Head { stream, block, ends } => format!(
                        "{stream} {:?} {:?} {:?} {:?} cut {} ends {ends}",
                        block.method, block.path, block.status, block.fields, block.is_cut
                    ),
                    says => format!("{says:?}"),
                });
            }
            Step::Need => {
                said.push("need".to_owned());
                break;
            }
            Step::Bad => {
                said.push("bad".to_owned());
                break;
            }
            Step::Hostile => {
                said.push("hostile".to_owned());
                break;
            }
        }
    }
    said
}

fn after_preface() -> Session {
    let mut session = Session::new(true);
    assert_eq!(all(&mut session, Part::Request, PREFACE), Vec::<String>::new());
    session
}

#[test]
fn a_request_may_be_padded_prioritised_and_continued() {
    let whole = "1 Some(\"GET\") Some(\"/\") None [] cut false ends true";
    let padded = [&[2][..], &[0, 0, 0, 0, 16], GET, &[0, 0]].concat();
    let (first, second) = GET.split_at(2);
    let forms = [
        frame(kind::HEADERS, flag::END_STREAM | flag::END_HEADERS, 1, GET),
        frame(
            kind::HEADERS,
            flag::END_STREAM | flag::END_HEADERS | flag::PADDED | flag::PRIORITY,
            1,
            &padded,
        ),
    ];
    for bytes in forms {
        assert_eq!(all(&mut after_preface(), Part::Request, &bytes), [whole]);
    }
    let continued = [
        frame(kind::HEADERS, flag::END_STREAM, 1, first),
        frame(kind::CONTINUATION, 0, 1, &[]),
        frame(kind::CONTINUATION, flag::END_HEADERS, 1, second),
    ]
    .concat();
    assert_eq!(all(&mut after_preface(), Part::Request, &continued), ["Begins", "Begins", whole]);
}

#[test]
fn nothing_comes_between_the_parts_of_a_block() {
    for stranger in [
        frame(kind::DATA, 0, 1, b"x"),
        frame(kind::PING, 0, 0, &[0; 8]),
        frame(kind::CONTINUATION, flag::END_HEADERS, 3, GET),
        frame(kind::HEADERS, flag::END_HEADERS, 3, GET),
    ] {
        let bytes = [frame(kind::HEADERS, 0, 1, GET), stranger].concat();
        assert_eq!(all(&mut after_preface(), Part::Request, &bytes), ["Begins", "bad"]);
    }
    let alone = frame(kind::CONTINUATION, flag::END_HEADERS, 1, GET);
    assert_eq!(all(&mut after_preface(), Part::Request, &alone), ["bad"]);
}

#[test]
fn frames_that_no_peer_sends_are_refused() {
    for bad in [
        frame(kind::HEADERS, flag::END_HEADERS, 0, GET),
        frame(kind::HEADERS, flag::END_HEADERS, 2, GET),
        frame(kind::HEADERS, flag::END_HEADERS | flag::PADDED, 1, &[9, 1, 2]),
        frame(kind::DATA, 0, 0, b"x"),
        frame(kind::DATA, flag::PADDED, 1, &[4, 0, 0, 0]),
        frame(kind::RST_STREAM, 0, 1, &[0; 5]),
        frame(kind::PING, 0, 0, &[0; 7]),
        frame(kind::SETTINGS, flag::ACK, 0, &[0; 6]),
        frame(kind::PUSH_PROMISE, flag::END_HEADERS, 1, &[0, 0, 0, 2, 0x82]),
    ] {
        assert_eq!(all(&mut after_preface(), Part::Request, &bad), ["bad"], "{bad:?}");
    }
}

#[test]
fn other_frames_say_what_they_mean() {
    let bytes = [
        frame(kind::SETTINGS, 0, 0, &[0; 12]),
        frame(kind::WINDOW_UPDATE, 0, 0, &[0; 4]),
        frame(kind::DATA, flag::END_STREAM | flag::PADDED, 1, &[3, b'h', b'i', 0, 0, 0]),
        frame(kind::RST_STREAM, 0, 3, &[0, 0, 0, 8]),
        frame(0xbe, 0xff, 5, b"grease"),
        frame(kind::GOAWAY, 0, 0, &[0, 0, 0, 7, 0, 0, 0, 0, b'b', b'y', b'e']),
        frame(kind::DATA, 0, 9, b"abc"),
    ]
    .concat();
    assert_eq!(
        all(&mut after_preface(), Part::Request, &bytes),
        [
            "Data { stream: 1, bytes: 2, ends: true }",
            "Reset { stream: 3, code: 8 }",
            "GoAway { last: 7 }",
            "Data { stream: 9, bytes: 3, ends: false }"
        ]
    );
}

#[test]
fn a_block_that_is_too_long_is_given_up() {
    let piece = frame(kind::CONTINUATION, 0, 1, &[0; 16_000]);
    let mut bytes = frame(kind::HEADERS, 0, 1, GET);
    (0..5).for_each(|_| bytes.extend(&piece));
    assert_eq!(all(&mut after_preface(), Part::Request, &bytes).last().map(String::as_str), Some("hostile"));
}

#[test]
fn what_was_lost_is_absent_and_the_rest_is_right() {
    let mut session = after_preface();
    // A field is added, then referred to; after a loss the reference says nothing, and what is added anew is known.
    let add = |value: &str| {
        let head = [&[0x82, 0x86, 0x84, 0x40, 6][..], b"x-kept", &[u8::try_from(value.len()).unwrap()]];
        frame(kind::HEADERS, flag::END_HEADERS, 1, &[&head.concat(), value.as_bytes()].concat())
    };
    let refer = frame(kind::HEADERS, flag::END_HEADERS, 3, &[0x82, 0x86, 0x84, 0xbe]);
    let said = all(&mut session, Part::Request, &[add("a"), refer.clone()].concat());
    assert!(said.iter().all(|said| said.contains("(\"x-kept\", b\"a\")")), "{said:?}");
    session.lose(Part::Request);
    let said = all(&mut session, Part::Request, &refer);
    assert!(said[0].contains("GET") && said[0].contains("[] cut true"), "{said:?}");
    let said = all(&mut session, Part::Request, &[add("b"), refer].concat());
    assert!(said[1].contains("(\"x-kept\", b\"b\")] cut false"), "{said:?}");
}

#[test]
fn the_preface_and_frames_of_either_side_are_recognised() {
    let request = frame(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, 41, GET);
    let response = frame(kind::HEADERS, flag::END_HEADERS, 41, &[0x88]);
    let ping = frame(kind::PING, 0, 0, &[0; 8]);
    assert_eq!(sniff(PREFACE), Sight::Preface);
    assert_eq!(sniff(&PREFACE[..10]), Sight::Short);
    assert_eq!(sniff(&request), Sight::Side(Part::Request));
    assert_eq!(sniff(&[ping.clone(), response].concat()), Sight::Side(Part::Response));
    assert_eq!(sniff(&ping), Sight::Frames);
    assert_eq!(sniff(b""), Sight::No);
    assert_eq!(sniff(b"PRI * HTTP/1.1\r\n"), Sight::No);
    assert_eq!(sniff(&[0; 64]), Sight::No);
    // yamux: version, type, flags, stream, length
    for yamux in [
        &[0, 1, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0][..],
        &[0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 5, b'h', b'e', b'l', b'l', b'o'],
        &[0, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7],
        &[0, 1, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0],
    ] {
        assert!(!matches!(sniff(yamux), Sight::Side(_) | Sight::Preface), "{yamux:?}");
    }
}

#[test]
fn random_bytes_are_never_taken_for_a_side() {
    // A million prefixes of 64 bytes, from a generator that is always the same; half of them with many zeros.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut taken = 0;
    for round in 0..1_000_000 {
        let mut bytes = [0_u8; 64];
        for chunk in bytes.chunks_mut(8) {
            let word = if round % 2 == 0 { next() } else { next() & next() & next() };
            chunk.copy_from_slice(&word.to_le_bytes());
        }
        taken += u32::from(matches!(sniff(&bytes), Sight::Side(_) | Sight::Preface));
    }
    assert_eq!(taken, 0);
}

proptest! {
    #[test]
    fn any_bytes_are_read_in_bounds(bytes in prop::collection::vec(any::<u8>(), 0..400), lose in any::<bool>()) {
        let mut session = Session::new(lose);
        if lose {
            session.lose(Part::Request);
        }
        let keep = KeepList::default();
        let mut rest = bytes.as_slice();
        while let Step::Got { used, payload, .. } = session.read(Part::Request, rest, &keep, 1024) {
            prop_assert!(used > 0 && used <= rest.len());
            rest = rest.get(used + payload as usize..).unwrap_or_default();
        }
    }
}
