//! The waterfall as a person sees it.
use super::*;
use crate::{enrich::Resource, export::clock::Offset};
use expect_test::{Expect, expect};
use wirespan_core::{
    event::{Nanos, ProcessId},
    spans::{Evidence, Kind, Span, Status, Value},
};

/// 2023-11-14, 22:13:20 UTC.
const START: i64 = 1_700_000_000_000_000_000;
const PLAIN: settings::Console = settings::Console { is_coloured: false, is_unicode: true, width: 100 };

fn id(id: u8) -> SpanId {
    SpanId([id; 8])
}

/// A span of `service` from one microsecond to another.
fn span(service: &str, kind: Kind, own: u8, parent: u8, us: std::ops::Range<u64>) -> Stamped {
    let span = Span {
        trace_id: TraceId(*b"\x0a\xf7\x65\x19\x16\xcd\x43\xdd\x84\x48\xeb\x21\x1c\x80\x31\x9c"),
        span_id: id(own),
        parent_id: (parent > 0).then(|| id(parent)),
        parent_is_remote: None,
        trace_flags: 1,
        trace_state: String::new(),
        evidence: if parent > 0 { Evidence::Peer } else { Evidence::Root },
        kind,
        name: "GET".into(),
        process: ProcessId { pid: 1, start_ticks: 1 },
        start: Nanos(us.start * 1_000),
        end: Nanos(us.end * 1_000),
        attributes: Vec::new(),
        status: Status::Unset,
    };
    let resource = Arc::new(Resource { service_name: service.into(), attributes: Vec::new() });
    Stamped::new(span, resource, Offset::fixed(START))
}

fn http(mut stamped: Stamped, method: &str, target: &str, status: i64) -> Stamped {
    let key = if target.starts_with('/') { "url.path" } else { "url.full" };
    let attributes = &mut stamped.span.attributes;
    attributes.push(("http.request.method".into(), Value::Str(method.to_owned().into())));
    attributes.push((key.into(), Value::Str(target.to_owned().into())));
    if status > 0 {
        attributes.push(("http.response.status_code".into(), Value::Int(status)));
    }
    stamped
}

fn failed(mut stamped: Stamped, error_type: &str) -> Stamped {
    stamped.span.attributes.push(("error.type".into(), Value::Str(error_type.to_owned().into())));
    stamped.span.status = Status::Error(String::new());
    stamped
}

fn server(
    service: &str,
    own: u8,
    parent: u8,
    us: std::ops::Range<u64>,
    method: &str,
    path: &str,
    status: i64,
) -> Stamped {
    http(span(service, Kind::Server, own, parent, us), method, path, status)
}

fn client(
    service: &str,
    own: u8,
    parent: u8,
    us: std::ops::Range<u64>,
    method: &str,
    url: &str,
    status: i64,
) -> Stamped {
    http(span(service, Kind::Client, own, parent, us), method, url, status)
}

fn checkout() -> Vec<Stamped> {
    vec![
        server("inventory", 7, 6, 14_100..16_900, "PUT", "/stock/7", 204),
        server("frontend", 1, 0, 0..38_230, "POST", "/checkout", 200),
        client("frontend", 2, 1, 1_100..5_200, "GET", "http://product:5000/products/7?id=REDACTED", 200),
        server("product", 3, 2, 1_500..4_700, "GET", "/products/7", 200),
        client("frontend", 4, 1, 6_000..36_900, "POST", "http://order:8080/orders", 201),
        server("order", 5, 4, 6_800..36_000, "POST", "/orders", 201),
        client("order", 6, 5, 13_500..17_300, "PUT", "http://inventory:9000/stock/7", 204),
    ]
}

fn shared(spans: Vec<Stamped>) -> Vec<Arc<Stamped>> {
    spans.into_iter().map(Arc::new).collect()
}

fn check(settings: settings::Console, spans: Vec<Stamped>, expected: Expect) {
    let mut text = String::new();
    Painter::new(settings).trace(&shared(spans), None, &mut text);
    expected.assert_eq(&text);
}

#[test]
fn a_checkout_through_four_services_is_one_tree() {
    check(
        PLAIN,
        checkout(),
        expect![[r#"
            trace 0af7651916cd43dd8448eb211c80319c · 7 spans · 4 services · 38.2 ms · 22:13:20.000Z
              frontend POST /checkout            200  38.2 ms ▕████████████████████████████████████████████████▏
              ├ → GET product:5000/products/7    200  4.10 ms ▕ ━━━━━━                                         ▏
              │ └ product GET /products/7        200  3.20 ms ▕ ████▉                                          ▏
              └ → POST order:8080/orders         201  30.9 ms ▕       ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━ ▏
                └ order POST /orders             201  29.2 ms ▕        █████████████████████████████████████▎  ▏
                  └ → PUT inventory:9000/stock/7 204  3.80 ms ▕                ━━━━━━                          ▏
                    └ inventory PUT /stock/7     204  2.80 ms ▕                 ████▎                          ▏

        "#]],
    );
}

#[test]
fn a_terminal_without_utf8_gets_ascii() {
    check(
        settings::Console { is_unicode: false, width: 80, ..PLAIN },
        checkout(),
        expect![[r#"
            trace 0af7651916cd43dd8448eb211c80319c, 7 spans, 4 services, 38.2 ms, 22:13:20.000Z
              frontend POST /checkout            200  38.2 ms |############################|
              + > GET product:5000/products/7    200  4.10 ms |----                        |
              | ` product GET /products/7        200  3.20 ms | ##                         |
              ` > POST order:8080/orders         201  30.9 ms |    ------------------------|
                ` order POST /orders             201  29.2 ms |    ######################  |
                  ` > PUT inventory:9000/stock/7 204  3.80 ms |         ----               |
                    ` inventory PUT /stock/7     204  2.80 ms |          ##                |

        "#]],
    );
}

#[test]
fn a_narrow_terminal_has_no_bars_and_cut_labels() {
    check(
        settings::Console { width: 44, ..PLAIN },
        checkout(),
        expect![[r#"
        trace 0af7651916cd43dd8448eb211c80319c · 7 spans · 4 services · 38.2 ms · 22:13:20.000Z
          frontend POST /checkout       200  38.2 ms
          ├ → GET product:5000/product… 200  4.10 ms
          │ └ product GET /products/7   200  3.20 ms
          └ → POST order:8080/orders    201  30.9 ms
            └ order POST /orders        201  29.2 ms
              └ → PUT inventory:9000/s… 204  3.80 ms
                └ inventory PUT /stock… 204  2.80 ms

    "#]],
    );
}

#[test]
fn a_terminal_gets_colours() {
    let error = failed(client("shop", 2, 1, 100..900, "GET", "http://a/b", 500), "500");
    let root = server("shop", 1, 0, 0..1_000, "GET", "/", 200);
    check(
        settings::Console { is_coloured: true, width: 60, ..PLAIN },
        vec![root, error],
        expect![[r#"
        [1mtrace 0af7651916cd43dd8448eb211c80319c[0m[2m · 2 spans · 1 service · 1.00 ms · 22:13:20.000Z[0m[1m[31m · 1 error[0m
        [2m  [0m[1m[36mshop [0mGET /          200  [2m1.00 ms[0m[2m ▕[0m[36m███████████████████████[0m[2m▏[0m
        [2m  └ [0m[2m→ [0m[1m[31mGET a/b[0m        [1m[31m✗500[0m   [2m800 µs[0m[2m ▕[0m  [1m[31m━━━━━━━━━━━━━━━━━━━[0m  [2m▏[0m

    "#]],
    );
}

#[test]
fn errors_are_marked_with_their_reason() {
    let spans = vec![
        failed(server("frontend", 1, 0, 0..2_030_000, "GET", "/cart", 502), "502"),
        failed(client("frontend", 2, 1, 900..2_000_000, "GET", "http://cart:7000/", 0), "timeout"),
        failed(
            client("frontend", 3, 1, 2_000_500..2_000_900, "GET", "http://cart:7000/", 0),
            "connection_reset_by_peer",
        ),
    ];
    check(
        PLAIN,
        spans,
        expect![[r#"
            trace 0af7651916cd43dd8448eb211c80319c · 3 spans · 1 service · 2.03 s · 22:13:20.000Z · 3 errors
              frontend GET /cart                      ✗502   2.03 s ▕██████████████████████████████████████████▏
              ├ → GET cart:7000/                  ✗timeout   2.00 s ▕━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━▏
              └ → GET cart:7000/ ✗connection_reset_by_peer   400 µs ▕                                         ━▏

        "#]],
    );
}

#[test]
fn parents_that_are_not_there_are_said_to_be_missing() {
    let mut caller = server("cart", 5, 9, 0..1_000, "GET", "/a", 200);
    caller.span.evidence = Evidence::Wire;
    let spans = vec![
        caller,
        client("cart", 6, 8, 300..700, "GET", "http://x/", 200),
        client("cart", 7, 8, 400..800, "GET", "http://y/", 200),
    ];
    check(
        PLAIN,
        spans,
        expect![[r#"
            trace 0af7651916cd43dd8448eb211c80319c · 3 spans · 1 service · 1.00 ms · 22:13:20.000Z
              ┄ parent 0909090909090909 is the caller's
              └ cart GET /a      200  1.00 ms ▕████████████████████████████████████████████████████████████████▏
              ┄ parent 0808080808080808 was not seen
              ├ cart → GET x/    200   400 µs ▕                   ━━━━━━━━━━━━━━━━━━━━━━━━━━                   ▏
              └ cart → GET y/    200   400 µs ▕                         ━━━━━━━━━━━━━━━━━━━━━━━━━━━            ▏

        "#]],
    );
}

#[test]
fn what_a_program_wrote_cannot_steer_the_terminal() {
    let hostile =
        server("a\u{1b}[2J\u{202e}b", 1, 0, 0..100, "GET", "/\u{1b}]0;x\u{7}\u{9b}31m\r\n日本", 200);
    check(
        PLAIN,
        vec![hostile],
        expect![[r#"
        trace 0af7651916cd43dd8448eb211c80319c · 1 span · 1 service · 100 µs · 22:13:20.000Z
          a?[2J?b GET /?]0;x??31m??日本 200   100 µs ▕█████████████████████████████████████████████████████▏

    "#]],
    );
}

#[test]
fn spans_that_are_their_own_ancestors_are_shown_once() {
    let spans = vec![
        span("a", Kind::Server, 1, 2, 0..5),
        span("b", Kind::Server, 2, 1, 1..4),
        span("c", Kind::Server, 3, 3, 2..3),
    ];
    check(
        settings::Console { width: 60, ..PLAIN },
        spans,
        expect![[r#"
        trace 0af7651916cd43dd8448eb211c80319c · 3 spans · 3 services · 5 µs · 22:13:20.000Z
          a GET                   5 µs ▕███████████████████████████▏
          └ b GET                 3 µs ▕     ████████████████▋     ▏
          c GET                   1 µs ▕          ██████▎          ▏

    "#]],
    );
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    let mut spans: Vec<Stamped> = (0..100u8)
        .map(|n| {
            client(
                "日本語サービス",
                n + 1,
                n,
                u64::from(n) * 7..10_000,
                "GET",
                &format!("http://h/{}", "é".repeat(n.into())),
                200,
            )
        })
        .collect();
    spans.push(failed(server("x", 200, 150, 0..1, "GET", "/", 0), "a_reason_that_is_longer_than_its_column"));
    for width in [0, 40, 41, 60, 79, 100, 133, 5_000] {
        for is_unicode in [true, false] {
            let mut text = String::new();
            let settings = settings::Console { width, is_unicode, is_coloured: false };
            Painter::new(settings).trace(
                &shared(checkout().into_iter().chain(spans.iter().map(copy)).collect()),
                None,
                &mut text,
            );
            let widest = text.lines().skip(1).map(unicode_width::UnicodeWidthStr::width).max().unwrap();
            assert!(widest <= width.clamp(40, 200), "{widest} of {width}\n{text}");
        }
    }
}

fn copy(stamped: &Stamped) -> Stamped {
    Stamped::new(stamped.span.clone(), Arc::clone(&stamped.resource), Offset::fixed(START))
}

#[test]
fn a_trace_of_many_spans_is_shown_in_part() {
    let spans = (0..=250u8).map(|n| span("a", Kind::Server, n.max(1), 0, 0..9)).collect();
    let mut text = String::new();
    Painter::new(PLAIN).trace(&shared(spans), None, &mut text);
    assert_eq!((text.lines().count(), text.contains("… 51 more")), (203, true), "{text}");
}

/// A console and what it has printed.
struct World {
    console: Console,
    start: Instant,
}

impl World {
    fn new() -> World {
        World { console: Console::new(Box::new(tokio::io::sink()), PLAIN), start: Instant::now() }
    }

    fn at(&self, ms: u64) -> Instant {
        self.start + Duration::from_millis(ms)
    }

    /// How many traces are printed at `ms` after `spans` came.
    fn printed(&mut self, ms: u64, spans: Vec<Stamped>) -> (usize, String) {
        let now = self.at(ms);
        self.console.add(&shared(spans), now);
        let text = self.console.ripe(now);
        (text.matches("trace ").count(), text)
    }
}

#[test]
fn a_whole_trace_is_printed_after_a_moment_and_a_broken_one_after_a_second() {
    let mut world = World::new();
    assert_eq!(world.printed(0, checkout()).0, 0);
    assert_eq!(world.console.due(), Some(world.at(150)));
    assert_eq!(world.printed(150, vec![]).0, 1);

    let mut world = World::new();
    assert_eq!(world.printed(0, checkout().split_off(2)).0, 0);
    assert_eq!(world.printed(999, vec![]).0, 0);
    assert_eq!(world.printed(1_000, vec![]).0, 1);
    assert_eq!(world.console.due(), None);
}

#[test]
fn a_trace_that_never_is_quiet_is_printed_in_parts() {
    let mut world = World::new();
    let part = || vec![client("a", 2, 1, 0..1, "GET", "http://x/", 200)];
    let printed: usize = (0..=20).map(|n| world.printed(n * 500, part()).0).sum();
    assert_eq!(printed, 1);
}

#[test]
fn spans_that_come_late_continue_their_trace() {
    let mut world = World::new();
    let mut spans = checkout();
    let late = spans.remove(0);
    world.printed(0, spans);
    world.printed(150, vec![]);
    world.printed(200, vec![late]);
    let (_, text) = world.printed(1_200, vec![]);
    expect![[r#"
        trace 0af7651916cd43dd8448eb211c80319c · continued · 1 span · 1 service · 2.80 ms · 22:13:20.014Z
          ┄ parent 0606060606060606 is printed above
          └ inventory PUT /stock/7 204  2.80 ms ▕██████████████████████████████████████████████████████████▏

    "#]]
    .assert_eq(&text);
}

#[test]
fn beyond_the_bound_the_oldest_trace_is_printed_as_it_is() {
    let mut world = World::new();
    let trace = |n: u8, count: usize| {
        let spans = (0..count).map(move |_| {
            let mut stamped = client("a", 2, 1, 0..1, "GET", "http://x/", 200);
            stamped.span.trace_id = TraceId([n; 16]);
            stamped
        });
        spans.collect::<Vec<_>>()
    };
    assert_eq!(world.printed(0, trace(1, 10)).0, 0);
    assert_eq!(world.printed(1, trace(2, SPANS - 10)).0, 0);
    let (count, text) = world.printed(2, trace(3, 1));
    assert_eq!((count, text.contains("trace 0101")), (1, true));
    assert_eq!(world.console.spans, SPANS - 9);
}
