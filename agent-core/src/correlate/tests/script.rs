//! Reads a script, drives a [`Correlator`] and renders what comes out.
use crate::{
    correlate::{Correlator, Settings},
    event::{
        Actor, AsyncIds, Birth, Cause, ConnId, Endpoints, Handover, Nanos, ProcessId, Proxied, Slice, Spawn,
        Task, Wait,
    },
    exchange::{
        Answer, Answering, Call, End, Ended, ExchangeId, Fact, HttpRequest, HttpResponse, Incomplete, Opened,
        Role,
    },
    spans::{Kind, Span, SpanId, Value, keys},
};
use expect_test::Expect;
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt::Write,
    net::SocketAddr,
    num::NonZeroU64,
};

/// Runs a script to the agent's stop and compares the trees.
pub(super) fn check(script: &str, expect: Expect) {
    check_with(Settings::default(), script, expect);
}

pub(super) fn check_with(settings: Settings, script: &str, expect: Expect) {
    let (_, text) = run(settings, script);
    expect.assert_eq(&text);
}

/// What became of a script's spans, by evidence and by reason.
pub(super) fn check_links(script: &str, expect: Expect) {
    let (correlator, _) = run(Settings::default(), script);
    let rows = correlator.counts().rows().into_iter();
    let counted: Vec<String> = rows
        .filter(|(counter, count)| *count > 0 && ["link", "unparented"].contains(&counter.class))
        .map(|(counter, count)| format!("{} {count}", counter.name))
        .collect();
    expect.assert_eq(&counted.join(", "));
}

/// The correlator at the end, and the trees.
pub(super) fn run(settings: Settings, script: &str) -> (Correlator, String) {
    let mut stage = Stage::new(settings, script);
    for line in lines(script) {
        stage.play(line);
    }
    stage.correlator.flush(&mut stage.out);
    let text = render(&stage.out);
    (stage.correlator, text)
}

/// The correlator at the end, and the trees of what is exported.
pub(super) fn run_kept(settings: Settings, script: &str) -> (Correlator, String) {
    let mut stage = Stage::new(settings, script);
    for line in lines(script) {
        stage.play(line);
    }
    stage.correlator.flush(&mut stage.out);
    stage.out.retain(crate::sample::keep);
    let text = render(&stage.out);
    (stage.correlator, text)
}

/// What was handed on before the agent stopped.
pub(super) fn run_without_stop(settings: Settings, script: &str) -> String {
    let mut stage = Stage::new(settings, script);
    for line in lines(script) {
        stage.play(line);
    }
    render(&stage.out)
}

/// Names of the processes of a script: `A` is pid 1.
pub(super) fn process(letter: char) -> ProcessId {
    ProcessId { pid: u32::from(letter) - u32::from('A') + 1, start_ticks: 7 }
}

fn lines(script: &str) -> impl Iterator<Item = &str> {
    script.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

struct Stage {
    correlator: Correlator,
    out: Vec<Span>,
    ids: HashMap<(ProcessId, Role, String), ExchangeId>,
    senders: HashMap<String, ProcessId>,
    receivers: HashMap<String, ProcessId>,
}

impl Stage {
    fn new(settings: Settings, script: &str) -> Stage {
        let mut stage = Stage {
            correlator: Correlator::new(settings, [1; 32]),
            out: Vec::new(),
            ids: HashMap::new(),
            senders: HashMap::new(),
            receivers: HashMap::new(),
        };
        for line in lines(script) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let ends = match words[2..] {
                ["sends", ..] => &mut stage.senders,
                ["receives", ..] => &mut stage.receivers,
                _ => continue,
            };
            ends.insert(words[3].to_owned(), actor(words[1], &[]).process);
        }
        stage
    }

    fn play(&mut self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let at = time(words[0]);

        match words[1..] {
            ["tick"] => self.correlator.tick(at, &mut self.out),
            ["lost"] => self.correlator.lost(at),
            [who, "exits"] => self.correlator.exit(actor(who, &[]).process, at, &mut self.out),
            [who, verb, request, ..] => {
                let actor = actor(who, &words[2..]);
                match verb {
                    "claims" => {
                        let conn = option(&words[4..], "conn").unwrap_or(request);
                        let conn = ConnId(u64::from(hash(conn)) << 1 | 1);
                        self.correlator.claim(actor.process, conn, at, actor.goroutine().unwrap());
                    }
                    "bears" => {
                        let spawn = Spawn {
                            goroutine: request.parse().unwrap(),
                            parent: actor.goroutine().unwrap(),
                            site: option(&words[4..], "site").map_or(1, |site| site.parse().unwrap()),
                        };
                        self.correlator.spawn(actor.process, at, spawn);
                    }
                    "copies" => {
                        let birth = Birth { context: request.parse().unwrap(), creator: actor.context() };
                        self.correlator.birth(actor.process, at, birth);
                    }
                    "puts" | "takes" => {
                        let item = request.parse().unwrap();
                        let (tid, context) = (actor.tid, actor.context());
                        let handover = Handover { item, tid, context, is_taken: verb == "takes" };
                        self.correlator.handover(actor.process, at, handover);
                    }
                    "loops" => {
                        let slice = slice(actor.tid, request, &words[4..]);
                        self.correlator.slice(actor.process, at, slice, &mut self.out);
                    }
                    "receives" => self.open(Role::Server, at, actor, request, &words[4..]),
                    "sends" => self.open(Role::Client, at, actor, request, &words[4..]),
                    "begins" => self.begin(Role::Server, at, actor, request),
                    "answers" => {
                        self.begin(Role::Server, at, actor, request);
                        self.end(Role::Server, at, actor, request, &words[4..]);
                    }
                    "reads" => {
                        self.begin(Role::Client, at, actor, request);
                        self.end(Role::Client, at, actor, request, &words[4..]);
                    }
                    "hears" => self.begin(Role::Client, at, actor, request),
                    "finishes" => self.end(Role::Server, at, actor, request, &words[4..]),
                    "aborts" => self.end_as(Role::Server, at, actor, request, End::ClientGone),
                    "misses" => {
                        let id = self.id(actor.process, Role::Server, request);
                        let incomplete =
                            Incomplete { response_head: true, response_end: true, ..Incomplete::default() };
                        let ended = ended(id, at, End::Complete, None, incomplete);
                        self.correlator.push(Fact::Ended(ended), &mut self.out);
                    }
                    "abandons" => self.end_as(Role::Client, at, actor, request, End::ClientGone),
                    verb => panic!("no such verb: {verb}"),
                }
            }
            _ => panic!("no such line: {line}"),
        }
    }

    fn id(&mut self, process: ProcessId, role: Role, request: &str) -> ExchangeId {
        let next = ExchangeId(self.ids.len() as u64 + 1);
        *self.ids.entry((process, role, request.to_owned())).or_insert(next)
    }

    fn open(&mut self, role: Role, at: Nanos, actor: Actor, request: &str, options: &[&str]) {
        let id = self.id(actor.process, role, request);
        let path = options.first().filter(|word| word.starts_with('/')).copied().unwrap_or("/");
        let option = |name: &str| option(options, name);
        let conn = option("conn").unwrap_or(request);
        let number = hash(request);
        let host = option("host").map_or_else(|| format!("{conn}.example"), str::to_owned);
        let opened = Opened {
            id,
            role,
            protocol: "http",
            conn: conn_id(conn, role),
            stream: options.contains(&"shared").then_some(1),
            endpoints: self.endpoints(role, request, conn, options.contains(&"nat")),
            seq: number,
            fingerprint: u64::from(hash(path)),
            at,
            head_at: at,
            actor,
            call: Call::Http(HttpRequest {
                method: "GET".to_owned(),
                target: path.to_owned(),
                version: "1.1",
                scheme: None,
                host: Some(host),
                fields: option("ctx").map(|text| context(text, options)).into_iter().collect(),
                content_length: None,
            }),
        };
        self.correlator.push(Fact::Opened(Box::new(opened)), &mut self.out);
    }

    fn endpoints(&self, role: Role, request: &str, conn: &str, nat: bool) -> Endpoints {
        let far: std::net::IpAddr = "203.0.113.9".parse().unwrap();
        let address = |ends: &HashMap<String, ProcessId>| {
            ends.get(request).map_or(far, |process| format!("10.0.0.{}", process.pid).parse().unwrap())
        };
        let port = 20_000 + (hash(conn) % 20_000) as u16;
        let client = SocketAddr::new(address(&self.senders), port);
        let server = SocketAddr::new(address(&self.receivers), 80);
        match role {
            Role::Client if nat => Endpoints { local: client, remote: "198.51.100.1:8080".parse().unwrap() },
            Role::Client => Endpoints { local: client, remote: server },
            Role::Server => Endpoints { local: server, remote: client },
        }
    }

    fn begin(&mut self, role: Role, at: Nanos, actor: Actor, request: &str) {
        let id = self.id(actor.process, role, request);
        self.correlator.push(Fact::Answering(Answering { id, at, actor }), &mut self.out);
    }

    fn end(&mut self, role: Role, at: Nanos, actor: Actor, request: &str, options: &[&str]) {
        let id = self.id(actor.process, role, request);
        let response = HttpResponse { status: 200, ..HttpResponse::default() };
        let incomplete = Incomplete { response_end: options.contains(&"inferred"), ..Incomplete::default() };
        let ended = ended(id, at, End::Complete, Some(Answer::Http(response)), incomplete);
        self.correlator.push(Fact::Ended(ended), &mut self.out);
    }

    fn end_as(&mut self, role: Role, at: Nanos, actor: Actor, request: &str, end: End) {
        let id = self.id(actor.process, role, request);
        self.correlator.push(Fact::Ended(ended(id, at, end, None, Incomplete::default())), &mut self.out);
    }
}

pub(super) fn ended(
    id: ExchangeId,
    at: Nanos,
    end: End,
    answer: Option<Answer>,
    incomplete: Incomplete,
) -> Box<Ended> {
    Box::new(Ended {
        id,
        at,
        request_end: None,
        answer,
        request_body_bytes: None,
        response_body_bytes: None,
        end,
        incomplete,
    })
}

fn option<'a>(options: &[&'a str], name: &str) -> Option<&'a str> {
    options.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
}

fn time(word: &str) -> Nanos {
    let ms: f64 = word.parse().expect("a line begins with milliseconds");
    // Not from zero: zero means never.
    Nanos((ms * 1e6) as u64 + 1_000_000_000)
}

fn actor(word: &str, options: &[&str]) -> Actor {
    let (letter, thread) = word.split_once('/').unwrap_or((word, "1"));
    let number = |name: &str| option(options, name).and_then(|word| NonZeroU64::new(word.parse().unwrap()));
    Actor {
        process: process(letter.chars().next().unwrap()),
        tid: thread.parse().unwrap(),
        task: number("go")
            .map(Task::Goroutine)
            .or_else(|| queued(options))
            .or_else(|| option(options, "in")?.parse().ok().map(Task::Context))
            .or_else(|| nginx(options))
            .or_else(|| async_ids(options)),
        wait: match option(options, "wait") {
            Some("call") => Wait::Call,
            Some("poll") => Wait::Poll,
            _ => Wait::Epoll,
        },
    }
}

/// A context, and when it queued what is sent.
fn queued(options: &[&str]) -> Option<Task> {
    let at = time(option(options, "queued")?);
    Some(Task::Queued { context: option(options, "in")?.parse().ok()?, at })
}

/// What runs on an event loop.
fn async_ids(options: &[&str]) -> Option<Task> {
    let number = |name| option(options, name).map_or(0, |number| number.parse().unwrap());
    let youngest = option(options, "young")?.parse().unwrap();
    Some(Task::Async(AsyncIds { running: number("run"), trigger: number("trig"), youngest }))
}

/// nginx, and for which request it sends.
fn nginx(options: &[&str]) -> Option<Task> {
    let named = |name, begun| {
        let conn = ConnId(u64::from(hash(option(options, name)?)) << 1);
        Some(Proxied { conn, begun })
    };
    let proxied = named("for", false).or_else(|| named("after", true));
    (proxied.is_some() || options.contains(&"nginx")).then_some(Task::Nginx(proxied))
}

/// A part of an event loop's work.
fn slice(tid: u32, begun_by: &str, options: &[&str]) -> Slice {
    let number = |name| option(options, name).map_or(0, |number| number.parse().unwrap());
    let conn = |name, role| option(options, name).map(|conn| conn_id(conn, role));
    let conn = conn("in", Role::Server).or_else(|| conn("out", Role::Client));
    let (id, trigger) = (number("id"), number("trig"));
    let cause = match begun_by {
        "read" => Cause::Read { conn: conn.unwrap(), id },
        "callback" => Cause::Callback { id, trigger },
        "nobody" => Cause::Nobody,
        "resolved" => Cause::Resolved { id, trigger, first: number("first") },
        "named" => Cause::Named { id, trigger, first: id },
        "connects" => Cause::Connect { conn: conn.unwrap(), running: number("run"), trigger },
        begun_by => panic!("no such slice: {begun_by}"),
    };
    Slice { tid, cause, youngest: number("young"), is_bounded: options.contains(&"bounded") }
}

fn conn_id(name: &str, role: Role) -> ConnId {
    ConnId(u64::from(hash(name)) << 1 | u64::from(role == Role::Client))
}

fn context(text: &str, options: &[&str]) -> (String, bytes::Bytes) {
    let sampled = if options.contains(&"unsampled") { 0 } else { 1 };
    match text.split_once('.') {
        Some((trace, parent)) => {
            ("traceparent".to_owned(), format!("00-{trace:0>32}-{parent:0>16}-0{sampled}").into())
        }
        None => {
            ("x-amzn-trace-id".to_owned(), format!("Root=1-{text:0>8}-{text:0>24};Sampled={sampled}").into())
        }
    }
}

fn hash(text: &str) -> u32 {
    text.bytes().fold(2_166_136_261, |hash: u32, byte| (hash ^ u32::from(byte)).wrapping_mul(16_777_619))
}

/// Traces in order of their first span, spans by start under their parents. A parent that is not there is said.
pub(super) fn render(spans: &[Span]) -> String {
    let ids: HashSet<SpanId> = spans.iter().map(|span| span.span_id).collect();
    assert_eq!(ids.len(), spans.len(), "a span was handed on twice");
    let mut traces: BTreeMap<_, Vec<&Span>> = BTreeMap::new();
    for span in spans {
        traces.entry(span.trace_id).or_default().push(span);
    }
    let mut traces: Vec<Vec<&Span>> = traces.into_values().collect();
    for trace in &mut traces {
        trace.sort_by_key(|span| (span.start, span.span_id));
    }
    traces.sort_by_key(|trace| (trace[0].start, trace[0].span_id));
    let mut text = String::new();
    for (number, trace) in traces.iter().enumerate() {
        let state = trace[0].trace_state.as_str();
        let flags = trace[0].trace_flags;
        writeln!(text, "trace {}{}{state}", number + 1, if flags & 1 == 0 { " unsampled" } else { "" })
            .unwrap();
        for top in trace.iter().filter(|span| span.parent_id.is_none_or(|parent| !ids.contains(&parent))) {
            render_span(top, trace, 1, &mut text);
        }
    }
    text
}

fn render_span(span: &Span, trace: &[&Span], depth: usize, text: &mut String) {
    let letter = char::from(b'A' + span.process.pid as u8 - 1);
    let kind = match span.kind {
        Kind::Server => "server",
        Kind::Client => "client",
        Kind::Internal => "internal",
    };
    let why = match attribute(span, keys::EVIDENCE).or_else(|| attribute(span, keys::UNPARENTED)) {
        Some(why) if span.parent_id.is_some() => why,
        Some(why) => format!("none: {why}"),
        None => "none".to_owned(),
    };
    let far = span.parent_id.is_some() && !trace.iter().any(|other| Some(other.span_id) == span.parent_id);
    let far =
        if far { format!(" of {:x}", u64::from_be_bytes(span.parent_id.unwrap().0)) } else { String::new() };
    let path = attribute(span, "url.path").or_else(|| {
        let url = attribute(span, "url.full")?;
        url.split_once("example").map(|(_, path)| path.to_owned())
    });
    let error = attribute(span, "error.type").map(|error| format!(" !{error}")).unwrap_or_default();
    let incomplete = attribute(span, keys::INCOMPLETE).map(|parts| format!(" ~{parts}")).unwrap_or_default();
    let path = path.unwrap_or_default();
    writeln!(text, "{:1$}{letter} {kind} {path} ({why}{far}){error}{incomplete}", "", depth * 2).unwrap();
    for child in trace.iter().filter(|child| child.parent_id == Some(span.span_id)) {
        assert!(child.start >= span.start, "a child starts before its parent");
        assert_eq!(child.parent_is_remote, Some(child.process != span.process), "parent_is_remote is wrong");
        render_span(child, trace, depth + 1, text);
    }
}

fn attribute(span: &Span, key: &str) -> Option<String> {
    let (_, value) = span.attributes.iter().find(|(name, _)| name == key)?;
    match value {
        Value::Str(text) => Some(text.to_string()),
        Value::Strs(texts) => Some(texts.join("+")),
        value => Some(format!("{value:?}")),
    }
}
