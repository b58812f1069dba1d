//! The examples of RFC 7541, and two encoders that others wrote.
use super::*;
use proptest::prelude::*;

type Pair = (Vec<u8>, Vec<u8>);

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn decode(decoder: &mut Decoder, block: &[u8]) -> Result<Vec<(String, String)>, Malformed> {
    let text = |bytes: Option<&[u8]>| {
        bytes.map_or_else(|| "?".to_owned(), |bytes| String::from_utf8_lossy(bytes).into_owned())
    };
    let mut fields = Vec::new();
    decoder.decode(block, |field| fields.push((text(field.name), text(field.value))))?;
    Ok(fields)
}

fn decode_text(decoder: &mut Decoder, block: &str) -> String {
    let fields = decode(decoder, &hex(block)).unwrap();
    fields.iter().map(|(name, value)| format!("{name}: {value}\n")).collect()
}

#[test]
fn integers_of_appendix_c1() {
    for (bytes, prefix, value) in
        [(&[0b0_1010][..], 5, 10), (&[0b1_1111, 0b1001_1010, 0b1010], 5, 1337), (&[0b10_1010], 8 - 1, 42)]
    {
        let mut rest = bytes;
        assert_eq!(integer::read(&mut rest, prefix), Ok(value));
        assert!(rest.is_empty());
    }
    assert_eq!(integer::read(&mut &[0x1f, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f][..], 5), Err(Malformed));
    assert_eq!(integer::read(&mut &[0x1f, 0x80][..], 5), Err(Malformed));
}

#[test]
fn single_fields_of_appendix_c2() {
    let mut decoder = Decoder::new(true);
    let literal = "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572";
    assert_eq!(decode_text(&mut decoder, literal), "custom-key: custom-header\n");
    assert_eq!(decode_text(&mut decoder, "be"), "custom-key: custom-header\n");
    assert_eq!(decode_text(&mut decoder, "040c 2f73 616d 706c 652f 7061 7468"), ":path: /sample/path\n");
    assert_eq!(decode_text(&mut decoder, "1008 7061 7373 776f 7264 0673 6563 7265 74"), "password: secret\n");
    assert_eq!(decode_text(&mut decoder, "82"), ":method: GET\n");
    assert_eq!(decode(&mut decoder, &hex("bf")), Err(Malformed));
}

const REQUESTS: [&str; 3] = [
    ":method: GET\n:scheme: http\n:path: /\n:authority: www.example.com\n",
    ":method: GET\n:scheme: http\n:path: /\n:authority: www.example.com\ncache-control: no-cache\n",
    ":method: GET\n:scheme: https\n:path: /index.html\n:authority: www.example.com\ncustom-key: custom-value\n",
];

const RESPONSES: [&str; 3] = [
    ":status: 302\ncache-control: private\ndate: Mon, 21 Oct 2013 20:13:21 GMT\nlocation: https://www.example.com\n",
    ":status: 307\ncache-control: private\ndate: Mon, 21 Oct 2013 20:13:21 GMT\nlocation: https://www.example.com\n",
    ":status: 200\ncache-control: private\ndate: Mon, 21 Oct 2013 20:13:22 GMT\nlocation: https://www.example.com\ncontent-encoding: gzip\nset-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1\n",
];

#[test]
fn requests_of_appendix_c3_and_c4() {
    let plain = [
        "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
        "8286 84be 5808 6e6f 2d63 6163 6865",
        "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
    ];
    let coded = [
        "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
        "8286 84be 5886 a8eb 1064 9cbf",
        "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
    ];
    for blocks in [plain, coded] {
        let mut decoder = Decoder::new(true);
        for (block, fields) in blocks.into_iter().zip(REQUESTS) {
            assert_eq!(decode_text(&mut decoder, block), fields);
        }
    }
}

#[test]
fn responses_of_appendix_c5_and_c6_with_evictions() {
    let plain = [
        "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
        "4803 3330 37c1 c0bf",
        "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31",
    ];
    let coded = [
        "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
        "4883 640e ffc1 c0bf",
        "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07",
    ];
    for blocks in [plain, coded] {
        let mut decoder = Decoder::new(true);
        // SETTINGS_HEADER_TABLE_SIZE is 256 in these examples.
        decoder.table.resize(256);
        for (block, fields) in blocks.into_iter().zip(RESPONSES) {
            assert_eq!(decode_text(&mut decoder, block), fields);
        }
        // Four entries were dropped for others: only the last three are there.
        assert_eq!(decode_text(&mut decoder, "be").lines().count(), 1);
        assert_eq!(decode(&mut decoder, &hex("c1")), Err(Malformed));
    }
}

#[test]
fn every_octet_has_its_code_and_padding_is_ones() {
    let all: Vec<u8> = (0..=255).collect();
    let mut coded = Vec::new();
    httlib_hpack_string(&all, &mut coded);
    assert_eq!(huffman::decode(&coded), Ok(all));
    assert_eq!(huffman::decode(&hex("f1e3c2e5f23a6ba0ab90f4ff")).as_deref(), Ok(&b"www.example.com"[..]));
    // padding of zeros, of eight bits, and the symbol that ends a string
    for bad in ["f1e3c2e5f23a6ba0ab90f400", "1fff", "ffffffff"] {
        assert_eq!(huffman::decode(&hex(bad)), Err(Malformed), "{bad}");
    }
}

/// A string in the Huffman code, by another implementation.
fn httlib_hpack_string(text: &[u8], to: &mut Vec<u8>) {
    let mut block = Vec::new();
    let mut encoder = httlib_hpack::Encoder::default();
    let flags = httlib_hpack::Encoder::HUFFMAN_VALUE;
    encoder.encode((b"a".to_vec(), text.to_vec(), flags), &mut block).unwrap();
    // literal, name of one octet, then the string
    let mut rest = &block[3..];
    let bytes = integer::read(&mut rest, 7).unwrap();
    to.extend_from_slice(&rest[..bytes]);
}

/// What a connection that was joined late, or lost blocks, may not do: say anything that was not sent.
fn assert_nothing_wrong(sent: &[Pair], block: &[u8], decoder: &mut Decoder) -> usize {
    let mut fields = sent.iter();
    let mut known = 0;
    decoder
        .decode(block, |field| {
            let (name, value) = fields.next().unwrap();
            assert!(field.name.is_none_or(|known| known == name), "{field:?} is not {name:?}");
            assert!(field.value.is_none_or(|known| known == value), "{field:?} is not {value:?}");
            known += usize::from(field.name.is_some() && field.value.is_some());
        })
        .unwrap();
    assert!(fields.next().is_none());
    known
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::sample::select(vec![
            &b":path"[..],
            b":authority",
            b"content-type",
            b"x-request-id",
            b"traceparent"
        ])
        .prop_map(<[u8]>::to_vec),
        "[a-z][a-z0-9-]{0,20}".prop_map(String::into_bytes),
    ]
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => prop::sample::select(vec![&b""[..], b"/", b"application/grpc", b"www.example.com", b"1"])
            .prop_map(<[u8]>::to_vec),
        4 => prop::collection::vec(any::<u8>(), 0..60),
        1 => prop::collection::vec(any::<u8>(), 0..5000),
    ]
}

/// Few by default: a case is a whole connection. `PROPTEST_CASES` asks for more.
fn cases() -> u32 {
    ProptestConfig::default().cases.min(if std::env::var_os("PROPTEST_CASES").is_some() {
        u32::MAX
    } else {
        64
    })
}

/// Header lists of a connection, each with a table size that is announced before it, perhaps, and whether it is lost.
fn lists() -> impl Strategy<Value = Vec<(Vec<Pair>, Option<u16>, bool)>> {
    let list = prop::collection::vec((name(), value()), 0..12);
    let size = prop::option::weighted(0.1, 0..5000_u16);
    prop::collection::vec((list, size, prop::bool::weighted(0.1)), 1..24)
}

#[test]
fn the_static_table_is_the_one_of_others() {
    let mut other = httlib_hpack::Decoder::default();
    let mut own = Decoder::new(true);
    for index in 1..=61 {
        let mut fields = Vec::new();
        other.decode(&mut vec![0x80 | index], &mut fields).unwrap();
        let (name, value, _) = fields.remove(0);
        assert_eq!(assert_nothing_wrong(&[(name, value)], &[0x80 | index], &mut own), 1);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn what_httlib_encodes_is_decoded(lists in lists(), choices in any::<u64>()) {
        let mut encoder = httlib_hpack::Encoder::default();
        let mut whole = Decoder::new(true);
        let mut lossy = Decoder::new(true);
        let mut late = Decoder::new(false);
        let mut choices = choices;
        for (at, (list, size, is_lost)) in lists.iter().enumerate() {
            let mut block = Vec::new();
            if let Some(size) = size {
                encoder.update_max_dynamic_size(u32::from(*size), &mut block).unwrap();
            }
            for (name, value) in list {
                choices = choices.rotate_left(3).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                let way = [
                    httlib_hpack::Encoder::WITH_INDEXING,
                    httlib_hpack::Encoder::NEVER_INDEXED,
                    httlib_hpack::Encoder::BEST_FORMAT,
                    0,
                ][(choices >> 40) as usize % 4];
                let coded = [0, httlib_hpack::Encoder::HUFFMAN_NAME, httlib_hpack::Encoder::HUFFMAN_VALUE][(choices >> 50) as usize % 3];
                encoder.encode((name.clone(), value.clone(), way | coded), &mut block).unwrap();
            }
            prop_assert_eq!(assert_nothing_wrong(list, &block, &mut whole), list.len());
            if at > lists.len() / 2 {
                assert_nothing_wrong(list, &block, &mut late);
            }
            if *is_lost {
                lossy.forget();
            } else {
                assert_nothing_wrong(list, &block, &mut lossy);
            }
        }
    }

    #[test]
    fn what_loona_encodes_is_decoded(lists in lists()) {
        let mut encoder = loona_hpack::Encoder::new();
        let mut whole = Decoder::new(true);
        let mut lossy = Decoder::new(true);
        for (list, _, is_lost) in &lists {
            let block = encoder.encode(list.iter().map(|(name, value)| (name.as_slice(), value.as_slice())));
            prop_assert_eq!(assert_nothing_wrong(list, &block, &mut whole), list.len());
            if *is_lost {
                lossy.forget();
            } else {
                assert_nothing_wrong(list, &block, &mut lossy);
            }
        }
    }

    #[test]
    fn any_bytes_are_decoded_or_refused(blocks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..8)) {
        let mut decoder = Decoder::new(true);
        for block in blocks {
            let _ = decode(&mut decoder, &block);
            prop_assert!(decoder.table.bytes() <= TABLE_MAX_BYTES);
        }
    }
}
