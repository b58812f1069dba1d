//! Header lists that two encoders of others wrote, in frames that are split and interleaved at random: what comes out is what went in.
//!
//! Shape: a seed → a connection of lists, of both sides → every name and value compared. Frames that are lost make fields absent.
//! `cargo xtask fuzz hpack --runs 1000000` asks for more lists than a test has time for.
use super::*;
use httlib_hpack::Encoder as Httlib;
use loona_hpack::Encoder as Loona;

/// Numbers that are always the same.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn word(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn roll(&mut self, sides: usize) -> usize {
        usize::try_from((self.word() >> 33) % sides as u64).unwrap()
    }

    /// Bytes; mostly few.
    fn bytes(&mut self, any: bool) -> Vec<u8> {
        let length = if self.roll(60) == 0 { self.roll(6000) } else { self.roll(40) };
        (0..length).map(|_| if any { self.word() as u8 } else { b' ' + (self.word() % 95) as u8 }).collect()
    }
}

/// How many of something to try: `WIRESPAN_FUZZ_RUNS`, or as many as a test has time for.
pub(crate) fn runs(usual: u64) -> u64 {
    let asked = std::env::var_os("WIRESPAN_FUZZ_RUNS").and_then(|text| text.into_string().ok()?.parse().ok());
    asked.unwrap_or(usual)
}

type Pair = (Vec<u8>, Vec<u8>);

/// An encoder that others wrote.
enum Encoder {
    Httlib(Box<Httlib<'static>>),
    Loona(Loona<'static>),
}

impl Encoder {
    fn encode(&mut self, dice: &mut Dice, list: &[Pair]) -> Vec<u8> {
        match self {
            Encoder::Loona(encoder) => {
                encoder.encode(list.iter().map(|(name, value)| (name.as_slice(), value.as_slice())))
            }
            Encoder::Httlib(encoder) => {
                let mut block = Vec::new();
                if dice.roll(12) == 0 {
                    let bytes = u32::try_from(dice.roll(6000)).unwrap();
                    encoder.update_max_dynamic_size(bytes, &mut block).unwrap();
                }
                for (name, value) in list {
                    let way =
                        [Httlib::WITH_INDEXING, Httlib::NEVER_INDEXED, Httlib::BEST_FORMAT, 0][dice.roll(4)];
                    let coded = [0, Httlib::HUFFMAN_NAME, Httlib::HUFFMAN_VALUE][dice.roll(3)];
                    encoder.encode((name.clone(), value.clone(), way | coded), &mut block).unwrap();
                }
                block
            }
        }
    }
}

/// Names that are kept, those of the static table among them.
fn names() -> Vec<String> {
    let usual = ["content-type", "user-agent", "cookie", "set-cookie", "traceparent", "etag", "x-request-id"];
    let made = (0..60_u32).map(|n| format!("x{n}{}", "-name".repeat(n as usize % 5)));
    usual.into_iter().map(str::to_owned).chain(made).collect()
}

/// A list of one side: its pseudo-header fields, then others.
fn list(dice: &mut Dice, part: Part, names: &[String], values: &[Vec<u8>]) -> Vec<Pair> {
    let pair = |name: &str, value: &[u8]| (name.as_bytes().to_vec(), value.to_vec());
    let mut list = match part {
        Part::Request => vec![
            pair(":method", [&b"GET"[..], b"POST", b"PATCH"][dice.roll(3)]),
            pair(":scheme", b"http"),
            pair(":path", &[&b"/"[..], &dice.bytes(false)].concat()),
            pair(":authority", [&b"a.example"[..], b"b.example:81"][dice.roll(2)]),
        ],
        Part::Response => vec![pair(":status", [&b"200"[..], b"404", b"500", b"418"][dice.roll(4)])],
    };
    for _ in 0..dice.roll(10) {
        let value = match dice.roll(3) {
            0 => dice.bytes(true),
            _ => values[dice.roll(values.len())].clone(),
        };
        list.push((names[dice.roll(names.len())].clone().into_bytes(), value));
    }
    list
}

/// The frames of a block: padded, with priority, continued, with empty parts, however it comes.
fn frames(dice: &mut Dice, stream: u32, block: &[u8]) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    let mut rest = block;
    loop {
        let is_last = dice.roll(3) > 0 || frames.len() > 6;
        let (part, after) = if is_last { (rest, &[][..]) } else { rest.split_at(dice.roll(rest.len() + 1)) };
        rest = after;
        let mut flags = if is_last { flag::END_HEADERS } else { 0 };
        let mut payload = part.to_vec();
        if frames.is_empty() {
            if dice.roll(4) == 0 {
                flags |= flag::PRIORITY;
                payload.splice(0..0, [0, 0, 0, 0, 16]);
            }
            // A frame of headers is not empty.
            if dice.roll(4) == 0 || payload.is_empty() {
                let padding = dice.roll(200);
                flags |= flag::PADDED;
                payload.insert(0, u8::try_from(padding).unwrap());
                payload.resize(payload.len() + padding, 0);
            }
            frames.push(frame(kind::HEADERS, flags, stream, &payload));
        } else {
            frames.push(frame(kind::CONTINUATION, flags, stream, &payload));
        }
        if is_last {
            return frames;
        }
    }
}

/// What was compared.
#[derive(Default)]
struct Tally {
    lists: u64,
    fields: u64,
    /// Of lossy connections: names with values that were sent, and those that were told.
    sent: u64,
    told: u64,
}

/// Every field that a block tells was sent, in that order; all of them if none is missing.
fn compare(tally: &mut Tally, sent: &[Pair], block: &Block, is_whole: bool) {
    tally.lists += 1;
    let pseudo = |name: &str| {
        let of = |(key, value): &Pair| {
            (key == name.as_bytes()).then(|| String::from_utf8_lossy(value).into_owned())
        };
        sent.iter().find_map(of)
    };
    let mut told: Vec<(&str, Option<String>)> = vec![
        (":method", block.method.clone()),
        (":path", block.path.clone()),
        (":authority", block.authority.clone()),
        (":scheme", block.scheme.map(str::to_owned)),
    ];
    told.push((":status", block.status.filter(|status| *status > 0).map(|status| status.to_string())));
    for (name, told) in told {
        if is_whole || told.is_some() {
            assert_eq!(told, pseudo(name), "{name}");
        }
    }
    let mut others = sent.iter().filter(|(name, _)| !name.starts_with(b":"));
    for (name, value) in &block.fields {
        let is_sent = others.any(|(key, true_value)| key == name.as_bytes() && true_value == value);
        assert!(is_sent, "{name}: {value:?} was not sent");
        tally.fields += 1;
    }
    if is_whole {
        assert!(!block.is_cut && others.next().is_none());
    } else {
        tally.told += block.fields.len() as u64;
        tally.sent += sent.iter().filter(|(name, _)| !name.starts_with(b":")).count() as u64;
    }
}

/// A connection of a few dozen lists; `loses`: frames go missing.
fn connection(seed: u64, makes: fn() -> Encoder, loses: bool, tally: &mut Tally) {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let names = names();
    let keep = KeepList::new(&names);
    let values: Vec<Vec<u8>> = (0..6).map(|_| dice.bytes(true)).collect();
    let mut session = after_preface();
    assert!(all(&mut session, Part::Response, &frame(kind::SETTINGS, 0, 0, &[])).is_empty());
    let mut encoders = [makes(), makes()];
    for stream in (1..80_u32).step_by(2) {
        let part = [Part::Request, Part::Response][dice.roll(2)];
        let sent = list(&mut dice, part, &names, &values);
        let block = encoders[part as usize].encode(&mut dice, &sent);
        let mut bytes = Vec::new();
        for _ in 0..dice.roll(3) {
            bytes.extend(match dice.roll(3) {
                0 => frame(kind::DATA, 0, stream, &vec![b'x'; dice.roll(300)]),
                1 => frame(kind::PING, 0, 0, &[0; 8]),
                _ => frame(kind::WINDOW_UPDATE, 0, 0, &[0, 0, 1, 0]),
            });
        }
        let mut is_lost = false;
        for frame in frames(&mut dice, stream, &block) {
            if loses && dice.roll(8) == 0 {
                is_lost = true;
            } else if !is_lost {
                bytes.extend(frame);
            }
        }
        // In calls that end anywhere.
        let (mut seen, mut end, mut was_told) = (0, 0, false);
        while seen < bytes.len() {
            end = bytes.len().min(end + 1 + dice.roll(400));
            loop {
                match session.read(part, &bytes[seen..end], &keep, 1 << 20) {
                    Step::Need => break,
                    Step::Got { says, used, payload } => {
                        // Payload need not be there yet; here it is waited for.
                        if seen + used + payload as usize > end {
                            end = seen + used + payload as usize;
                        }
                        seen += used + payload as usize;
                        if let Says::Head { block, .. } = says {
                            compare(tally, &sent, &block, !loses);
                            was_told = true;
                        }
                    }
                    step => panic!("{step:?}"),
                }
            }
            assert!(end < bytes.len() || seen == end, "what was written is read");
        }
        assert_eq!(was_told, !is_lost);
        if is_lost {
            session.lose(part);
        }
    }
}

/// Lists of an encoder: half of the connections lose frames.
fn lists_of(name: &str, makes: fn() -> Encoder) {
    let wanted = runs(2_000);
    let mut tally = Tally::default();
    let mut seed = 0;
    while tally.lists < wanted {
        seed += 1;
        connection(seed, makes, seed % 2 == 0, &mut tally);
    }
    println!(
        "{name}: {} header lists of {seed} connections, {} fields, none wrong; {} of {} told where frames were lost",
        tally.lists, tally.fields, tally.told, tally.sent
    );
}

#[test]
fn hpack_volume_of_httlib() {
    lists_of("httlib-hpack", || Encoder::Httlib(Box::default()));
}

#[test]
fn hpack_volume_of_loona() {
    lists_of("loona-hpack", || Encoder::Loona(Loona::new()));
}
