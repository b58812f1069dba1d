//! Every exporter against the same receiver: success, failure, slowness, absence.
mod fake;
mod tls;

use super::*;
use crate::enrich::{self, Host, ProcessFacts};
use fake::{Collector, Nobody, Received, Reply, Stdout};
use std::net::SocketAddr;
use wirespan_core::{
    event::{Nanos, ProcessId},
    spans::{Evidence, Kind as SpanKind, SpanId, Status, TraceId},
};

const ANYWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);
const PROCESS: ProcessId = ProcessId { pid: 42, start_ticks: 1 };

/// The ways out that one suite is run over.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Grpc,
    GrpcGzip,
    Http,
    HttpGzip,
    Json,
    Console,
}

const COLLECTORS: [Way; 4] = [Way::Grpc, Way::GrpcGzip, Way::Http, Way::HttpGzip];
const ALL: [Way; 6] = [Way::Grpc, Way::GrpcGzip, Way::Http, Way::HttpGzip, Way::Json, Way::Console];

/// A span whose name is its number.
pub(super) fn span(number: usize) -> Span {
    Span {
        trace_id: TraceId([7; 16]),
        span_id: SpanId((number as u64 + 1).to_be_bytes()),
        parent_id: None,
        parent_is_remote: None,
        trace_flags: 1,
        trace_state: String::new(),
        evidence: Evidence::Root,
        kind: SpanKind::Server,
        name: number.to_string().into(),
        process: PROCESS,
        start: Nanos(1_000),
        end: Nanos(2_000),
        attributes: Vec::new(),
        status: Status::Unset,
    }
}

fn otlp(way: Way, scheme: &str, port: u16) -> Otlp {
    let (protocol, path) = match way {
        Way::Grpc | Way::GrpcGzip => (Protocol::Grpc, ""),
        _ => (Protocol::HttpProtobuf, "v1/traces"),
    };
    Otlp::new(protocol, format!("{scheme}://localhost:{port}/{path}").parse().unwrap())
}

fn resources() -> Resources {
    let mut resources = Resources::new(enrich::Settings::default(), Host::default());
    resources.learn(ProcessFacts::from_exec(PROCESS, "/srv/shop".into(), vec!["shop".into()], None));
    resources
}

/// An exporter with its receiver.
struct World {
    way: Way,
    received: Received,
    collector: Option<Collector>,
    address: SocketAddr,
    handle: Handle,
    resources: Resources,
}

impl World {
    async fn new(way: Way, change: impl FnOnce(&mut Settings)) -> World {
        let received = Received::default();
        let collector = Collector::start(ANYWHERE, received.clone()).await;
        let mut settings = Settings {
            exporters: vec![match way {
                Way::Json => Kind::Json,
                Way::Console => Kind::Console,
                _ => Kind::Otlp,
            }],
            otlp: Otlp {
                compression: if matches!(way, Way::GrpcGzip | Way::HttpGzip) {
                    Compression::Gzip
                } else {
                    Compression::None
                },
                timeout: Duration::from_millis(500),
                initial_backoff: Duration::from_millis(10),
                max_backoff: Duration::from_millis(20),
                ..otlp(way, "http", collector.address.port())
            },
            batch: Batch {
                schedule_delay: Duration::from_millis(5),
                max_queue_size: 100,
                max_export_batch_size: 10,
            },
            console: Console::default(),
        };
        change(&mut settings);
        let handle = start_with(&settings, Clock::new(), &|| Stdout::boxed(&received)).unwrap();
        let address = collector.address;
        World { way, received, collector: Some(collector), address, handle, resources: resources() }
    }

    fn script(&self, replies: &[Reply]) {
        self.received.with(|log| log.script.extend(replies.iter().cloned()));
    }

    fn send(&mut self, numbers: std::ops::Range<usize>) {
        self.handle.send(numbers.map(span).collect(), &mut self.resources);
    }

    fn counter(&self, name: &str) -> u64 {
        counter(&self.handle.rows(), name)
    }

    /// The receiver goes away: no listener, no connection; or a stdout that takes nothing.
    async fn go_away(&mut self) {
        self.received.with(|log| log.is_stuck = true);
        if let Some(mut collector) = self.collector.take() {
            collector.stop().await;
        }
    }

    async fn come_back(&mut self) {
        let waker = self.received.with(|log| {
            log.is_stuck = false;
            log.waker.take()
        });
        self.collector = Some(Collector::start(self.address, self.received.clone()).await);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Waits for a condition, not for a time.
    async fn eventually(&self, what: &str, holds: impl Fn(&World) -> bool) {
        let mut ticks = tokio::time::interval(Duration::from_millis(2));
        for _ in 0..5_000 {
            if holds(self) {
                return;
            }
            ticks.tick().await;
        }
        panic!("{:?}: never: {what}; {:?}", self.way, self.handle.rows());
    }
}

fn counter(rows: &[(Counter, u64)], name: &str) -> u64 {
    rows.iter().find(|(counter, _)| counter.name == name).unwrap().1
}

fn numbers(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

#[tokio::test]
async fn every_span_arrives_once_in_order_and_in_batches() {
    for way in ALL {
        let mut world = World::new(way, |_| {}).await;
        world.send(0..25);
        world.eventually("25 spans", |world| world.received.names().len() == 25).await;
        world.eventually("all counted", |world| world.counter("exported") == 25).await;
        assert_eq!(world.received.names(), numbers(0..25), "{way:?}");
        assert_eq!(world.counter("retries"), 0, "{way:?}");
        if COLLECTORS.contains(&way) {
            assert_eq!(world.counter("requests"), 3, "{way:?}");
        }
    }
}

#[tokio::test]
async fn a_receiver_that_cannot_now_is_asked_again() {
    for way in COLLECTORS {
        let mut world = World::new(way, |_| {}).await;
        world.script(&[Reply::Later(None), Reply::Later(None)]);
        world.send(0..3);
        world.eventually("3 spans", |world| world.counter("exported") == 3).await;
        assert_eq!(world.received.names(), numbers(0..3), "{way:?}");
        assert_eq!((world.received.with(|log| log.attempts), world.counter("retries")), (3, 2), "{way:?}");
    }
}

#[tokio::test]
async fn a_receiver_that_says_when_is_left_alone_until_then() {
    for way in COLLECTORS {
        let mut world = World::new(way, |_| {}).await;
        world.script(&[Reply::Later(Some(Duration::from_secs(1)))]);
        let asked = std::time::Instant::now();
        world.send(0..1);
        world.eventually("the span", |world| world.counter("exported") == 1).await;
        assert!(asked.elapsed() >= Duration::from_secs(1), "{way:?}");
    }
}

#[tokio::test]
async fn what_a_receiver_rejects_is_counted_and_not_sent_again() {
    for way in COLLECTORS {
        let mut world = World::new(way, |_| {}).await;
        world.script(&[Reply::TakeWithout(2, "too old"), Reply::TakeWithout(0, "deprecated")]);
        world.send(0..5);
        world.eventually("the first batch", |world| world.counter("requests") == 1).await;
        world.send(5..6);
        world.eventually("the second batch", |world| world.counter("requests") == 2).await;
        assert_eq!((world.counter("rejected"), world.counter("exported")), (2, 4), "{way:?}");
        assert_eq!(world.received.with(|log| log.attempts), 2, "{way:?}");
    }
}

#[tokio::test]
async fn what_a_receiver_will_never_take_is_counted_and_does_not_hold_up_the_rest() {
    for way in ALL {
        let mut world = World::new(way, |_| {}).await;
        if way == Way::Console {
            // It writes what it has, not what came last: see the test of a stdout that fails.
            continue;
        }
        world.script(&[Reply::Never]);
        world.send(0..10);
        world.eventually("the refusal", |world| world.counter("refused") == 10).await;
        world.send(10..12);
        world.eventually("the second batch", |world| world.counter("exported") == 2).await;
        assert_eq!(world.received.names(), numbers(10..12), "{way:?}");
        assert_eq!(world.counter("retries"), 0, "{way:?}");
    }
}

#[tokio::test]
async fn a_receiver_that_was_away_for_a_while_gets_all_that_fits_the_queue() {
    for way in ALL {
        let mut world = World::new(way, |_| {}).await;
        world.send(0..1);
        world.eventually("the first span", |world| world.counter("exported") == 1).await;
        world.go_away().await;
        world.send(1..101);
        if COLLECTORS.contains(&way) {
            world.eventually("several attempts", |world| world.counter("retries") > 3).await;
        }
        world.come_back().await;
        world.eventually("all spans", |world| world.received.names().len() == 101).await;
        assert_eq!(world.received.names(), numbers(0..101), "{way:?}");
        assert_eq!(world.counter("queue_full"), 0, "{way:?}");
    }
}

#[tokio::test]
async fn during_an_outage_the_oldest_give_way_and_each_is_counted() {
    for way in COLLECTORS {
        let mut world = World::new(way, |_| {}).await;
        world.go_away().await;
        for first in (0..250).step_by(50) {
            world.send(first..first + 50);
        }
        world.eventually("an attempt", |world| world.counter("retries") > 1).await;
        world.come_back().await;
        world.eventually("the rest", |world| world.handle.depth() == 0).await;
        let (exported, lost) = (world.counter("exported"), world.counter("queue_full"));
        assert_eq!((exported + lost, lost >= 140), (250, true), "{way:?}");
        assert_eq!(world.received.names().last().unwrap(), "249", "{way:?}");
    }
}

#[tokio::test]
async fn a_receiver_that_never_answers_is_given_up_in_time_and_asked_again() {
    for way in COLLECTORS {
        let mut world = World::new(way, |settings| settings.otlp.timeout = Duration::from_millis(50)).await;
        world.script(&[Reply::Silence]);
        world.send(0..1);
        world.eventually("the span", |world| world.counter("exported") == 1).await;
        assert_eq!(world.counter("retries"), 1, "{way:?}");
    }
}

#[tokio::test]
async fn handing_over_never_waits_for_a_receiver_that_does_not_read() {
    for way in ALL {
        let mut world = World::new(way, |settings| settings.otlp.timeout = Duration::from_secs(60)).await;
        world.script(&[Reply::Silence]);
        world.received.with(|log| log.is_stuck = true);
        for first in (0..10_000).step_by(100) {
            world.send(first..first + 100);
        }
        assert_eq!(world.handle.depth(), 100, "{way:?}");
        assert!(world.counter("queue_full") >= 9_900, "{way:?}");
    }
}

#[tokio::test]
async fn the_end_flushes_what_waits_without_waiting_for_more() {
    for way in ALL {
        let mut world =
            World::new(way, |settings| settings.batch.schedule_delay = Duration::from_secs(3600)).await;
        world.send(0..7);
        let rows = world.handle.shutdown(Duration::from_secs(5)).await;
        assert_eq!((counter(&rows, "exported"), counter(&rows, "at_shutdown")), (7, 0), "{way:?}");
        assert_eq!(world.received.names(), numbers(0..7), "{way:?}");
    }
}

#[tokio::test]
async fn the_end_comes_in_time_and_what_could_not_be_sent_is_counted() {
    for way in ALL {
        let mut world = World::new(way, |settings| settings.otlp.timeout = Duration::from_secs(60)).await;
        world.script(&[Reply::Silence]);
        world.received.with(|log| log.is_stuck = true);
        world.send(0..15);
        let rows = world.handle.shutdown(Duration::from_millis(100)).await;
        assert_eq!((counter(&rows, "exported"), counter(&rows, "at_shutdown")), (0, 15), "{way:?}");
    }
}

#[tokio::test]
async fn an_end_without_a_receiver_does_not_take_all_the_time_it_may() {
    for way in COLLECTORS {
        let mut world = World::new(way, |_| {}).await;
        world.go_away().await;
        world.send(0..15);
        let rows =
            tokio::time::timeout(Duration::from_secs(10), world.handle.shutdown(Duration::from_secs(3600)))
                .await;
        assert_eq!(counter(&rows.unwrap(), "at_shutdown"), 15, "{way:?}");
    }
}

#[tokio::test]
async fn headers_and_the_agents_name_travel_with_every_request() {
    for way in COLLECTORS {
        let header = ("X-Tenant".to_owned(), "seven".to_owned());
        let mut world = World::new(way, |settings| settings.otlp.headers = vec![header]).await;
        world.send(0..1);
        world.eventually("the span", |world| world.counter("exported") == 1).await;
        world.received.with(|log| {
            assert_eq!(log.headers["x-tenant"], "seven", "{way:?}");
            let agent = log.headers["user-agent"].to_str().unwrap();
            assert!(agent.starts_with(concat!("wirespan/", env!("CARGO_PKG_VERSION"))), "{way:?}: {agent}");
        });
    }
}

#[tokio::test]
async fn a_header_that_http_does_not_allow_is_named_and_its_value_is_not() {
    for way in COLLECTORS {
        let otlp = Otlp { headers: vec![("a b".into(), "secret".into())], ..otlp(way, "http", 1) };
        let settings = Settings {
            exporters: vec![Kind::Otlp],
            otlp,
            batch: Batch::default(),
            console: Console::default(),
        };
        let error = start(&settings).err().unwrap();
        assert_eq!(error.to_string(), "the header `a b` is not valid");
    }
}

#[tokio::test]
async fn a_reader_that_went_away_ends_the_agent_quietly() {
    let settings = Settings {
        exporters: vec![Kind::Json],
        otlp: otlp(Way::Grpc, "http", 1),
        batch: Batch::default(),
        console: Console::default(),
    };
    let handle = start_with(&settings, Clock::new(), &|| Box::new(Nobody)).unwrap();
    handle.send(vec![span(0), span(1)], &mut resources());
    handle.closed().await;
    assert_eq!(counter(&handle.rows(), "unread"), 2);
}

#[tokio::test]
async fn several_exporters_say_the_same_to_the_nanosecond() {
    let mut world = World::new(Way::Grpc, |settings| settings.exporters = vec![Kind::Otlp, Kind::Json]).await;
    world.send(0..3);
    world.eventually("both", |world| world.received.with(|log| log.taken.len()) == 2).await;
    world.received.with(|log| assert_eq!(log.taken[0], log.taken[1]));
}

#[tokio::test]
async fn no_exporter_is_no_work() {
    let mut world = World::new(Way::Json, |settings| settings.exporters.clear()).await;
    world.send(0..1_000);
    assert_eq!((world.handle.depth(), world.handle.rows().len()), (0, 0));
    assert!(world.handle.shutdown(Duration::from_secs(1)).await.is_empty());
}

#[test]
fn an_end_before_the_start_becomes_the_start() {
    let span = Span { start: Nanos(5), end: Nanos(4), ..span(0) };
    let resource = resources().of(PROCESS);
    let stamped = Stamped::new(span, resource, clock::Offset::fixed(10));
    assert_eq!((stamped.start_unix_ns, stamped.end_unix_ns), (15, 15));
}
