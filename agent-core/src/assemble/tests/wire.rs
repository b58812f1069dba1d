//! Conversations as text, and what comes of them as text.
//!
//! A line each: `> text` is written by the client and `< text` by the server, each followed by CR LF; `\` at the end of the line
//! suppresses that. Escapes: `\r`, `\n`, `\t`, `\\`, `\xNN`, `\*N` (the byte before it, N times in all).
//! Lines of one side in a row are one call; `|` begins another. `~ 12ms` passes time (also `us`, `s`).
//! `! lost N bytes` loses the next N bytes of the side that wrote last, or of `>` or `<` if that follows; `! uncopied N bytes`
//! moves them without copying. `+ N bytes in calls of M over 5ms` is body, of the side that wrote last.
//! `= client fin`, `= server fin`, `= closed`, `= reset`, `= exit`, `= tick` are events of the connection; `# …` is a comment.
use crate::{
    assemble::{Command, Mark, Settings},
    event::{
        Actor, ConnId, Direction, Ending, Endpoints, Event, Nanos, ProcessId, Reached, Segment, Source,
        Uncopied, Walk,
    },
    exchange::{Answer, Call, Ended, ExchangeId, Fact, Opened},
};
use std::fmt::Write;

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Client,
    Server,
}

impl Side {
    /// Which way this side's bytes move, seen by `observer`.
    pub(super) fn direction(self, observer: Side) -> Direction {
        if self == observer { Direction::Egress } else { Direction::Ingress }
    }

    pub(super) fn other(self) -> Side {
        match self {
            Side::Client => Side::Server,
            Side::Server => Side::Client,
        }
    }
}

/// One step of a conversation.
#[derive(Clone)]
pub(super) enum Step {
    /// One call.
    Bytes {
        from: Side,
        data: Vec<u8>,
    },
    /// Bytes of which no record came.
    Lost {
        from: Side,
        bytes: u32,
    },
    /// Bytes that moved and were not copied.
    Uncopied {
        from: Side,
        bytes: u32,
    },
    /// So many bytes of body, in calls of so many, over so long.
    Bulk {
        from: Side,
        bytes: u64,
        call: u32,
        ns: u64,
    },
    Pause {
        ns: u64,
    },
    Fin {
        from: Side,
    },
    Over {
        ending: Ending,
    },
    Exit,
    Tick,
}

impl std::fmt::Debug for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Step::Bytes { from: Side::Client, data } => write!(f, "> {}", data.escape_ascii()),
            Step::Bytes { from: Side::Server, data } => write!(f, "< {}", data.escape_ascii()),
            Step::Lost { from, bytes } => write!(f, "! lost {bytes} of {from:?}"),
            Step::Uncopied { from, bytes } => write!(f, "! uncopied {bytes} of {from:?}"),
            Step::Bulk { from, bytes, call, ns } => write!(f, "+ {bytes} of {from:?} by {call} in {ns}"),
            Step::Pause { ns } => write!(f, "~ {ns}"),
            Step::Fin { from } => write!(f, "= fin of {from:?}"),
            Step::Over { ending } => write!(f, "= {ending:?}"),
            Step::Exit => write!(f, "= exit"),
            Step::Tick => write!(f, "= tick"),
        }
    }
}

/// What two sides said to each other.
#[derive(Clone, Debug, Default)]
pub(super) struct Conversation {
    pub(super) steps: Vec<Step>,
}

impl Conversation {
    pub(super) fn parse(text: &str) -> Conversation {
        let mut steps: Vec<Step> = Vec::new();
        let mut is_new_call = true;
        let mut last = Side::Client;
        for line in text.lines() {
            let (kind, rest) = line.split_at_checked(1).unwrap_or(("#", ""));
            let rest = rest.strip_prefix(' ').unwrap_or(rest);
            let was_new_call = std::mem::replace(&mut is_new_call, true);
            match kind {
                ">" | "<" => {
                    let from = if kind == ">" { Side::Client } else { Side::Server };
                    last = from;
                    is_new_call = false;
                    match steps.last_mut() {
                        Some(Step::Bytes { from: same, data }) if *same == from && !was_new_call => {
                            data.extend(unescape(rest));
                        }
                        _ => steps.push(Step::Bytes { from, data: unescape(rest) }),
                    }
                }
                "~" => steps.push(Step::Pause { ns: duration(rest) }),
                "!" => {
                    let words: Vec<&str> = rest.split(' ').collect();
                    let bytes = words[1].parse().unwrap();
                    let from = match words.get(3) {
                        Some(&">") => Side::Client,
                        Some(&"<") => Side::Server,
                        _ => last,
                    };
                    steps.push(match words[0] {
                        "lost" => Step::Lost { from, bytes },
                        "uncopied" => Step::Uncopied { from, bytes },
                        other => panic!("{other}?"),
                    });
                }
                "+" => {
                    let words: Vec<&str> = rest.split(' ').collect();
                    let (bytes, call) = (words[0].parse().unwrap(), words[5].parse().unwrap());
                    steps.push(Step::Bulk { from: last, bytes, call, ns: duration(words[7]) });
                }
                "=" => steps.push(match rest {
                    "client fin" => Step::Fin { from: Side::Client },
                    "server fin" => Step::Fin { from: Side::Server },
                    "closed" => Step::Over { ending: Ending::Closed },
                    "reset" => Step::Over { ending: Ending::Reset },
                    "exit" => Step::Exit,
                    "tick" => Step::Tick,
                    other => panic!("{other}?"),
                }),
                "|" => {}
                "#" => is_new_call = was_new_call,
                other => panic!("{other}?"),
            }
        }
        Conversation { steps }
    }

    /// The same conversation with every call split after `at` of its bytes.
    pub(super) fn split(&self, at: usize) -> Conversation {
        let mut steps = Vec::new();
        for step in &self.steps {
            match step {
                Step::Bytes { from, data } if at < data.len() => {
                    let (first, second) = data.split_at(at);
                    steps.push(Step::Bytes { from: *from, data: first.to_vec() });
                    steps.push(Step::Bytes { from: *from, data: second.to_vec() });
                }
                step => steps.push(step.clone()),
            }
        }
        steps.retain(|step| !matches!(step, Step::Bytes { data, .. } if data.is_empty()));
        Conversation { steps }
    }

    /// The conversation up to its byte number `bytes`; nothing comes after.
    pub(super) fn cut(&self, bytes: usize) -> Conversation {
        let mut left = bytes;
        let mut steps = Vec::new();
        for step in &self.steps {
            let mut step = step.clone();
            if let Step::Bytes { data, .. } = &mut step {
                data.truncate(left);
                left -= data.len();
                if left == 0 {
                    steps.push(step);
                    break;
                }
            }
            steps.push(step);
        }
        Conversation { steps }
    }

    pub(super) fn bytes(&self) -> usize {
        let len = |step: &Step| if let Step::Bytes { data, .. } = step { data.len() } else { 0 };
        self.steps.iter().map(len).sum()
    }

    /// Bytes of body that only have a length.
    pub(super) fn bulk(&self) -> u64 {
        let len = |step: &Step| if let Step::Bulk { bytes, .. } = step { *bytes } else { 0 };
        self.steps.iter().map(len).sum()
    }

    pub(super) fn has_loss(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::Lost { .. }))
    }

    pub(super) fn longest_call(&self) -> usize {
        let len = |step: &Step| if let Step::Bytes { data, .. } = step { data.len() } else { 0 };
        self.steps.iter().map(len).max().unwrap_or(0)
    }
}

fn duration(text: &str) -> u64 {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = match unit {
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        other => panic!("{other}?"),
    };
    number.parse::<u64>().unwrap() * unit
}

fn unescape(line: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = line.as_bytes();
    loop {
        match rest {
            [] => {
                bytes.extend(b"\r\n");
                return bytes;
            }
            [b'\\'] => return bytes,
            [b'\\', b'*', after @ ..] => {
                let digits = after.iter().take_while(|byte| byte.is_ascii_digit()).count();
                let times: usize = std::str::from_utf8(&after[..digits]).unwrap().parse().unwrap();
                let byte = *bytes.last().unwrap();
                bytes.resize(bytes.len() + times - 1, byte);
                rest = &after[digits..];
            }
            [b'\\', b'x', high, low, after @ ..] => {
                bytes.push(u8::from_str_radix(std::str::from_utf8(&[*high, *low]).unwrap(), 16).unwrap());
                rest = after;
            }
            [b'\\', escaped, after @ ..] => {
                bytes.push(match escaped {
                    b'r' => b'\r',
                    b'n' => b'\n',
                    b't' => b'\t',
                    b'\\' => b'\\',
                    other => panic!("\\{}?", char::from(*other)),
                });
                rest = after;
            }
            [byte, after @ ..] => {
                bytes.push(*byte);
                rest = after;
            }
        }
    }
}

/// An [`Event`] that owns its bytes.
#[derive(Clone, Debug)]
pub(super) enum Owned {
    Bytes {
        at: u64,
        tid: u32,
        direction: Direction,
        seq: u32,
        moved: u32,
        data: Vec<u8>,
        uncopied: Uncopied,
        begins_turn: bool,
        opposite: Option<Reached>,
        walk: Option<Walk>,
    },
    Other(Event<'static>),
}

pub(super) const PROCESS: ProcessId = ProcessId { pid: 7, start_ticks: 70 };
pub(super) const CONN: ConnId = ConnId(1);

impl Owned {
    pub(super) fn with<T>(&self, f: impl FnOnce(&Event<'_>) -> T) -> T {
        match self {
            Owned::Other(event) => f(event),
            Owned::Bytes { at, tid, direction, seq, moved, data, uncopied, begins_turn, opposite, walk } => {
                f(&Event::Bytes(Segment {
                    conn: CONN,
                    at: Nanos(*at),
                    actor: Actor::thread(PROCESS, *tid),
                    direction: *direction,
                    source: Source::Socket,
                    seq: *seq,
                    moved: *moved,
                    data,
                    uncopied: *uncopied,
                    endpoints: Endpoints {
                        local: "127.0.0.1:80".parse().unwrap(),
                        remote: "127.0.0.1:4000".parse().unwrap(),
                    },
                    begins_turn: *begins_turn,
                    opposite: *opposite,
                    walk: *walk,
                }))
            }
        }
    }
}

/// Settings of every test.
pub(super) fn settings() -> Settings {
    Settings { keep_fields: vec!["traceparent".into(), "x-id".into()], ..Settings::default() }
}

/// One exchange, as far as it came.
#[derive(Clone, Debug, Default)]
pub(super) struct Story {
    pub(super) opened: Option<Opened>,
    pub(super) answered_at: Option<Nanos>,
    pub(super) ended: Option<Ended>,
}

/// Facts by exchange, in the order in which they opened. Fails when their order is not causal.
pub(super) fn stories(facts: &[Fact]) -> Vec<Story> {
    let mut stories: Vec<(ExchangeId, Story)> = Vec::new();
    for fact in facts {
        match fact {
            Fact::Opened(opened) => {
                assert!(stories.iter().all(|(id, _)| *id != opened.id), "opened twice");
                stories.push((opened.id, Story { opened: Some((**opened).clone()), ..Story::default() }));
            }
            Fact::Answering(answering) => {
                let (_, story) = stories.iter_mut().find(|(id, _)| *id == answering.id).unwrap();
                assert!(story.answered_at.is_none() && story.ended.is_none());
                story.answered_at = Some(answering.at);
            }
            Fact::Ended(ended) => {
                let (_, story) = stories.iter_mut().find(|(id, _)| *id == ended.id).unwrap();
                assert!(story.ended.is_none(), "ended twice");
                story.ended = Some((**ended).clone());
            }
        }
    }
    stories.into_iter().map(|(_, story)| story).collect()
}

/// Exchanges as text, one line each.
pub(super) fn exchanges(facts: &[Fact]) -> String {
    let mut text = String::new();
    for story in stories(facts) {
        line(&mut text, &story);
    }
    text
}

/// Commands as text, one line each.
pub(super) fn commands(commands: &[Command]) -> String {
    let mut text = String::new();
    for command in commands {
        match command {
            Command::Stop { .. } => text.push_str("stop\n"),
            Command::Mark { direction, mark: Mark::Seq(seq), .. } => {
                writeln!(text, "mark {direction:?} at {seq}").unwrap();
            }
            Command::Mark { direction, mark: Mark::Tail { bytes, len }, .. } => {
                let tail = bytes[..usize::from(*len)].escape_ascii();
                writeln!(text, "mark {direction:?} at \"{tail}\"").unwrap();
            }
            Command::Frames { walks, .. } => {
                let _ = writeln!(text, "{}", if *walks { "frames" } else { "no frames" });
            }
            Command::Walk { .. } => {}
            Command::Head { direction, bytes, .. } => {
                writeln!(text, "head {direction:?} {bytes}").unwrap();
            }
            Command::Unmark { direction, .. } => writeln!(text, "unmark {direction:?}").unwrap(),
        }
    }
    text
}

fn line(text: &mut String, story: &Story) {
    let opened = story.opened.as_ref().unwrap();
    let Call::Http(request) = &opened.call;
    write!(text, "{:?} {} {}", opened.role, request.method, request.target).unwrap();
    write!(text, " host={}", request.host.as_deref().unwrap_or("-")).unwrap();
    for (name, value) in &request.fields {
        write!(text, " {name}={}", value.escape_ascii()).unwrap();
    }
    let Some(ended) = &story.ended else {
        text.push_str(" -> open\n");
        return;
    };
    match &ended.answer {
        Some(Answer::Http(response)) => {
            write!(text, " -> {}", response.status).unwrap();
            for (name, value) in &response.fields {
                write!(text, " {name}={}", value.escape_ascii()).unwrap();
            }
        }
        None => text.push_str(" -> ?"),
    }
    let ms = |at: Nanos| at.since(opened.at) as f64 / 1e6;
    write!(text, " {:?} in {}ms", ended.end, ms(ended.at)).unwrap();
    if let Some(at) = story.answered_at {
        write!(text, " first {}ms", ms(at)).unwrap();
    }
    let bytes = |bytes: Option<u64>| bytes.map_or("?".to_owned(), |bytes| bytes.to_string());
    write!(text, " {}/{} bytes", bytes(ended.request_body_bytes), bytes(ended.response_body_bytes)).unwrap();
    let incomplete = ended.incomplete;
    for (is_set, name) in [
        (incomplete.request_head, "request-head"),
        (incomplete.request_end, "request-end"),
        (incomplete.response_head, "response-head"),
        (incomplete.response_end, "response-end"),
    ] {
        if is_set {
            write!(text, " !{name}").unwrap();
        }
    }
    text.push('\n');
}
