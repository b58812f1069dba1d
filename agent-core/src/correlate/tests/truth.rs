//! Nothing false: whatever the runtime, a claimed parent is the true one, and a trace holds one request's work alone.
use super::simulation::{Poller, Runtime, World, simulate};
use crate::{
    correlate::{Correlator, Settings},
    event::{Nanos, Wait},
    exchange::Role,
    spans::{Evidence, Kind, Span, SpanId, TraceId, Value},
};
use proptest::prelude::*;
use std::collections::{HashMap, HashSet};

/// How claims compare with the truth.
#[derive(Debug, Default)]
struct Score {
    exchanges: usize,
    spans: usize,
    /// Client spans with a true parent, and those that claim it.
    calls: usize,
    linked_calls: usize,
    /// Server spans whose sender is observed, and those that claim it.
    hops: usize,
    linked_hops: usize,
    wrong: Vec<String>,
}

type Name = (String, Role);

/// Plays a history, with ticks every 100 ms as the pipeline sends them and losses told when they are noticed.
fn play(world: &World, seed: u64) -> Score {
    play_telling(world, seed, true)
}

/// As [`play`]; `tell`: losses are told.
fn play_telling(world: &World, seed: u64, tell: bool) -> Score {
    let history = simulate(world, seed);
    let mut correlator = Correlator::new(Settings::default(), [3; 32]);
    let mut out = Vec::new();
    let mut next_tick = 0;
    for (at, fact) in history.facts {
        while next_tick <= at.0 {
            correlator.tick(Nanos(next_tick), &mut out);
            next_tick += 100_000_000;
        }
        match fact {
            Some(fact) => correlator.push(fact, &mut out),
            None if !tell => {}
            None => {
                correlator.lost(at);
                correlator.tick(at, &mut out);
            }
        }
    }
    correlator.flush(&mut out);
    score(&history.causes, &out)
}

fn score(causes: &HashMap<Name, Option<Name>>, spans: &[Span]) -> Score {
    let mut score = Score { exchanges: causes.len(), spans: spans.len(), ..Score::default() };
    let names: HashMap<SpanId, Name> = spans.iter().map(|span| (span.span_id, name(span))).collect();
    assert_eq!(names.len(), spans.len(), "a span id twice");
    let distinct: HashSet<&Name> = names.values().collect();
    assert_eq!(distinct.len(), spans.len(), "an exchange became two spans");
    let mut traces: HashMap<TraceId, HashSet<Name>> = HashMap::new();
    for span in spans {
        let name = name(span);
        let truth = causes[&name].as_ref();
        traces.entry(span.trace_id).or_default().insert(origin(causes, &name));
        let linked = span.evidence != Evidence::Root && span.evidence != Evidence::Wire;
        match (span.kind, truth.is_some()) {
            (Kind::Client, true) => {
                score.calls += 1;
                score.linked_calls += usize::from(span.parent_id.is_some());
            }
            (Kind::Server, true) => {
                score.hops += 1;
                score.linked_hops += usize::from(span.parent_id.is_some());
            }
            _ => {}
        }
        let claimed = span.parent_id.and_then(|parent| names.get(&parent));
        if linked && claimed.is_none() {
            score.wrong.push(format!("{name:?} names a parent that was not handed on"));
        }
        if claimed.is_some() && claimed != truth {
            score
                .wrong
                .push(format!("{name:?} claims {claimed:?} by {:?}, in truth {truth:?}", span.evidence));
        }
    }
    for (trace, origins) in traces {
        if origins.len() > 1 {
            score.wrong.push(format!("{trace:?} mixes {origins:?}"));
        }
    }
    score
}

/// The request from elsewhere, or the background call, that all began with.
fn origin(causes: &HashMap<Name, Option<Name>>, name: &Name) -> Name {
    let mut at = name;
    while let Some(cause) = &causes[at] {
        at = cause;
    }
    at.clone()
}

fn name(span: &Span) -> Name {
    let text = span.attributes.iter().find_map(|(key, value)| match value {
        Value::Str(text) if key == "url.path" || key == "url.full" => Some(text.to_string()),
        _ => None,
    });
    let text = text.unwrap();
    let (_, number) = text.rsplit_once("/x").unwrap();
    let path = format!("/x{number}");
    (path, if span.kind == Kind::Client { Role::Client } else { Role::Server })
}

fn world(runtime: Runtime, concurrency: usize) -> World {
    World {
        runtimes: vec![runtime; 3],
        requests: 150,
        concurrency,
        poller: Poller::None,
        detached: 0,
        context: 0,
        forwards: false,
        losses: 0,
        pause: 300,
        wait: Wait::Poll,
    }
}

fn wait() -> impl Strategy<Value = Wait> {
    prop_oneof![Just(Wait::Epoll), Just(Wait::Poll), Just(Wait::Call)]
}

/// Of a closed loop, and of a client that thinks.
fn pause() -> impl Strategy<Value = u64> {
    prop_oneof![Just(300), Just(50_000), Just(400_000)]
}

fn concurrency() -> impl Strategy<Value = usize> {
    prop_oneof![Just(1), Just(2), Just(3), Just(8), Just(64)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn thread_per_request_services_are_linked_completely_and_truly(
        seed: u64, concurrency in concurrency(), wait in prop_oneof![Just(Wait::Poll), Just(Wait::Call)],
    ) {
        let score = play(&World { wait, ..world(Runtime::ThreadPerRequest, concurrency) }, seed);
        prop_assert_eq!(&score.wrong, &Vec::<String>::new());
        prop_assert_eq!(score.spans, score.exchanges);
        prop_assert_eq!(score.linked_hops, score.hops);
        prop_assert!(score.linked_calls * 100 >= score.calls * 98, "{} of {}", score.linked_calls, score.calls);
    }

    #[test]
    fn event_loops_make_no_false_link(
        seed: u64, concurrency in concurrency(), loops in 1u32..5, pause in pause(),
    ) {
        let score = play(&World { pause, ..world(Runtime::EventLoops(loops), concurrency) }, seed);
        prop_assert_eq!(&score.wrong, &Vec::<String>::new());
        prop_assert_eq!(score.linked_hops, score.hops);
        if concurrency == 1 && pause == 400_000 {
            prop_assert!(score.linked_calls * 10 > score.calls, "{} of {}", score.linked_calls, score.calls);
        }
    }

    #[test]
    fn work_stealing_executors_make_no_false_link(
        seed: u64, concurrency in concurrency(), workers in 2u32..9, moves in 1u64..100,
    ) {
        let score = play(&world(Runtime::Stealing { workers, moves }, concurrency), seed);
        prop_assert_eq!(&score.wrong, &Vec::<String>::new());
    }

    #[test]
    fn hand_over_to_workers_makes_no_false_link(seed: u64, concurrency in concurrency(), readers in 1u32..4) {
        let score = play(&world(Runtime::HandOver { readers }, concurrency), seed);
        prop_assert_eq!(&score.wrong, &Vec::<String>::new());
    }

    #[test]
    fn calls_from_a_pool_make_no_false_link(
        seed: u64, concurrency in concurrency(), callers in 1u32..9, wait in wait(), pause in pause(),
    ) {
        let world = World { wait, pause, ..world(Runtime::CallerPool { callers }, concurrency) };
        let score = play(&world, seed);
        prop_assert_eq!(&score.wrong, &Vec::<String>::new());
    }

    #[test]
    fn background_work_belongs_to_no_request(
        seed: u64, concurrency in concurrency(), kind in 0usize..3, detached in 0u64..50, wait in wait(), pause in pause(),
    ) {
        let (runtime, poller) = [
            (Runtime::ThreadPerRequest, Poller::OwnThread),
            (Runtime::EventLoops(1), Poller::Served),
            (Runtime::EventLoops(1), Poller::Armed),
        ][kind];
        let score = play(&World { poller, detached, wait, pause, ..world(runtime, concurrency) }, seed);
        prop_assert_eq!(&score.wrong, &Vec::<String>::new());
    }

    #[test]
    fn context_handed_on_links_every_runtime_completely(seed: u64, concurrency in concurrency(), workers in 2u32..9) {
        let stealing = Runtime::Stealing { workers, moves: 50 };
        let score = play(&World { context: 100, forwards: true, ..world(stealing, concurrency) }, seed);
        prop_assert_eq!(&score.wrong, &Vec::<String>::new());
        prop_assert_eq!(score.linked_calls, score.calls);
        prop_assert_eq!(score.linked_hops, score.hops);
    }

    #[test]
    fn lost_records_never_make_a_false_link(
        seed: u64, concurrency in concurrency(), losses in 1usize..8, runtime in 0usize..4, detached in 0u64..20,
    ) {
        let runtime = [
            Runtime::ThreadPerRequest,
            Runtime::EventLoops(2),
            Runtime::Stealing { workers: 4, moves: 30 },
            Runtime::CallerPool { callers: 3 },
        ][runtime];
        let score = play(&World { losses, detached, ..world(runtime, concurrency) }, seed);
        prop_assert_eq!(&score.wrong, &Vec::<String>::new());
    }

    #[test]
    fn losses_that_nobody_tells_do_not_mislead_threads(
        seed: u64, concurrency in concurrency(), losses in 1usize..8, detached in 0u64..20, poller: bool,
    ) {
        let poller = if poller { Poller::OwnThread } else { Poller::None };
        let world = World { losses, detached, poller, ..world(Runtime::ThreadPerRequest, concurrency) };
        let score = play_telling(&world, seed, false);
        let by_thread: Vec<&String> = score.wrong.iter().filter(|wrong| wrong.contains("by Thread")).collect();
        prop_assert_eq!(by_thread, Vec::<&String>::new());
    }
}
