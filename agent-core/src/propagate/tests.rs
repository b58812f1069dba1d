//! One table per format: header lines in, a line of text out. Cases come from the specifications and the W3C test suite.
use super::{Context, DEFAULT_ORDER, Extraction, Format, baggage, extract, header_names};
use crate::exchange::Field;
use bytes::Bytes;
use expect_test::{Expect, expect};
use proptest::prelude::*;

/// Header lines as the assembler hands them over: names lower case.
fn fields(lines: &str) -> Vec<Field> {
    lines
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.trim().to_ascii_lowercase(), Bytes::copy_from_slice(value.as_bytes())))
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `w3c trace/parent flags sampled state`, or `-`; then what was refused.
fn render(extraction: &Extraction) -> String {
    let mut text = match &extraction.context {
        Some(context) => render_context(context),
        None => extraction.decision.map_or("-".to_owned(), |sampled| format!("decision {sampled}")),
    };
    for (format, reject) in &extraction.rejected {
        text.push_str(&format!(" !{} {}", format.name(), reject.name()));
    }
    text
}

fn render_context(context: &Context) -> String {
    let parent = context.parent.map_or("none".to_owned(), |parent| hex(&parent.0));
    let sampled = match context.sampled {
        Some(true) => "sampled",
        Some(false) => "unsampled",
        None => "undecided",
    };
    let mut text = format!(
        "{} {}/{parent} {:02x} {sampled}",
        context.format.name(),
        hex(&context.trace_id.0),
        context.flags
    );
    if context.debug {
        text.push_str(" debug");
    }
    if !context.trace_state.is_empty() {
        text.push_str(&format!(" [{}]", context.trace_state));
    }
    text
}

fn read(lines: &str) -> String {
    render(&extract(&fields(lines), &DEFAULT_ORDER))
}

/// Each case is header lines joined by ` | `; the answers are compared line by line.
fn check(cases: &[&str], expected: Expect) {
    let answers: Vec<String> =
        cases.iter().map(|case| format!("{}\n", read(&case.replace(" | ", "\n")))).collect();
    expected.assert_eq(&answers.concat());
}

const T: &str = "12345678901234567890123456789012";
const P: &str = "1234567890123456";

fn with_state(states: &[&str]) -> String {
    let mut lines = format!("traceparent: 00-{T}-{P}-00\n");
    for state in states {
        lines.push_str(&format!("tracestate: {state}\n"));
    }
    read(&lines).trim_start_matches(&format!("tracecontext {T}/{P} 00 unsampled")).trim().to_owned()
}

#[test]
fn a_traceparent_of_version_00_is_exactly_its_four_fields() {
    check(
        &[
            "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "TraceParent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00",
            "TRACEPARENT: 00-12345678901234567890123456789012-1234567890123456-03",
            "traceparent: 00-12345678901234567890123456789012-1234567890123456-ff",
            "traceparent:\t 00-12345678901234567890123456789012-1234567890123456-01 \t",
            "trace-parent: 00-12345678901234567890123456789012-1234567890123456-01",
            "traceparent: 00-12345678901234567890123456789012-1234567890123456-01.",
            "traceparent: 00-12345678901234567890123456789012-1234567890123456-01-",
            "traceparent: 00-12345678901234567890123456789012-1234567890123456-01-what-the-future-will-be-like",
        ],
        expect![[r#"
            tracecontext 0af7651916cd43dd8448eb211c80319c/b7ad6b7169203331 01 sampled
            tracecontext 4bf92f3577b34da6a3ce929d0e0e4736/00f067aa0ba902b7 00 unsampled
            tracecontext 12345678901234567890123456789012/1234567890123456 03 sampled
            tracecontext 12345678901234567890123456789012/1234567890123456 ff sampled
            tracecontext 12345678901234567890123456789012/1234567890123456 01 sampled
            -
            - !tracecontext malformed
            - !tracecontext malformed
            - !tracecontext malformed
        "#]],
    );
}

#[test]
fn a_traceparent_of_a_future_version_gives_its_first_four_fields_and_only_the_sampled_flag() {
    check(
        &[
            "traceparent: cc-12345678901234567890123456789012-1234567890123456-01",
            "traceparent: cc-12345678901234567890123456789012-1234567890123456-01-what-the-future-will-be-like",
            "traceparent: 01-12345678901234567890123456789012-1234567890123456-07",
            "traceparent: fe-12345678901234567890123456789012-1234567890123456-00-",
            "traceparent: cc-12345678901234567890123456789012-1234567890123456-01.what-the-future-will-be-like",
            "traceparent: cc-12345678901234567890123456789012-1234567890123456-0",
            "traceparent: ff-12345678901234567890123456789012-1234567890123456-01",
        ],
        expect![[r#"
            tracecontext 12345678901234567890123456789012/1234567890123456 01 sampled
            tracecontext 12345678901234567890123456789012/1234567890123456 01 sampled
            tracecontext 12345678901234567890123456789012/1234567890123456 01 sampled
            tracecontext 12345678901234567890123456789012/1234567890123456 00 unsampled
            - !tracecontext malformed
            - !tracecontext malformed
            - !tracecontext version
        "#]],
    );
}

#[test]
fn a_malformed_or_repeated_traceparent_gives_no_context_at_all() {
    for value in [
        ".0-12345678901234567890123456789012-1234567890123456-01",
        "0.-12345678901234567890123456789012-1234567890123456-01",
        "000-12345678901234567890123456789012-1234567890123456-01",
        "0000-12345678901234567890123456789012-1234567890123456-01",
        "0-12345678901234567890123456789012-1234567890123456-01",
        "00-.2345678901234567890123456789012-1234567890123456-01",
        "00-1234567890123456789012345678901.-1234567890123456-01",
        "00-123456789012345678901234567890123-1234567890123456-01",
        "00-1234567890123456789012345678901-1234567890123456-01",
        "00-12345678901234567890123456789012-.234567890123456-01",
        "00-12345678901234567890123456789012-12345678901234567-01",
        "00-12345678901234567890123456789012-123456789012345-01",
        "00-12345678901234567890123456789012-1234567890123456-.0",
        "00-12345678901234567890123456789012-1234567890123456-001",
        "00-12345678901234567890123456789012-1234567890123456-1",
        "00-1234567890123456789012345678901A-1234567890123456-01",
        "00-12345678901234567890123456789012-123456789012345B-01",
        "00-12345678901234567890123456789012-1234567890123456-0F",
        "00_12345678901234567890123456789012_1234567890123456_01",
        "00-12345678901234567890123456789012-1234567890123456",
        "é0-12345678901234567890123456789012-1234567890123456-01",
    ] {
        assert_eq!(read(&format!("traceparent: {value}")), "- !tracecontext malformed", "{value}");
    }
    check(
        &[
            "traceparent: 00-00000000000000000000000000000000-1234567890123456-01",
            "traceparent: 00-12345678901234567890123456789012-0000000000000000-01",
            "traceparent: 00-12345678901234567890123456789011-1234567890123456-01 | traceparent: 00-12345678901234567890123456789012-1234567890123456-01",
            "traceparent: 00-12345678901234567890123456789012-1234567890123456-01 | traceparent: 00-12345678901234567890123456789012-1234567890123456-01",
            "traceparent: 00-12345678901234567890123456789012-1234567890123456-01,00-12345678901234567890123456789012-1234567890123456-01",
            "traceparent: | tracestate: foo=1",
            "tracestate: foo=1,bar=2",
        ],
        expect![[r#"
            - !tracecontext zero_id
            - !tracecontext zero_id
            - !tracecontext duplicate
            - !tracecontext duplicate
            - !tracecontext malformed
            -
            -
        "#]],
    );
}

#[test]
fn tracestate_headers_are_combined_in_order_without_empty_members() {
    assert_eq!(with_state(&["foo=1,bar=2", "rojo=1,congo=2", "baz=3"]), "[foo=1,bar=2,rojo=1,congo=2,baz=3]");
    assert_eq!(with_state(&["foo=1 \t , \t bar=2, \t baz=3"]), "[foo=1,bar=2,baz=3]");
    assert_eq!(with_state(&["foo=1", ""]), "[foo=1]");
    assert_eq!(with_state(&["", "foo=1"]), "[foo=1]");
    assert_eq!(with_state(&[" , ,foo=1,\t,"]), "[foo=1]");
    assert_eq!(with_state(&[""]), "");
    assert_eq!(with_state(&["foo= 1 2"]), "[foo= 1 2]");
}

#[test]
fn tracestate_keeps_every_character_that_the_grammar_allows() {
    let key = "abcdefghijklmnopqrstuvwxyz0123456789_-*/@a-z0-9_-*/";
    let value: String = (0x20..=0x7e_u8).map(char::from).filter(|&byte| byte != ',' && byte != '=').collect();
    let member = format!("{key}={value}");
    assert_eq!(with_state(&[&member]), format!("[{member}]"));
    assert_eq!(with_state(&["1a-2f@foo=bar1,0=x"]), "[1a-2f@foo=bar1,0=x]");
}

#[test]
fn one_invalid_tracestate_member_drops_the_list_and_keeps_the_parent() {
    let long_key = format!("foo=1,{}=1", "z".repeat(257));
    let long_value = format!("foo=1,bar={}", "v".repeat(257));
    let many: Vec<String> = (1..=33).map(|n| format!("bar{n:02}={n:02}")).collect();
    let many = many.join(",");
    for state in [
        "foo =1",
        "FOO=1",
        "foo.bar=1",
        "@foo=1,bar=2",
        "_foo=1",
        "foo=bar=baz",
        "foo=,bar=3",
        "foo,bar=3",
        "=1",
        "foo=1,bar=é",
        "foo=a\u{7f}",
        "foo=a\tb",
        &long_key,
        &long_value,
        &many,
    ] {
        assert_eq!(with_state(&[state]), "!tracecontext tracestate_invalid", "{state}");
    }
}

#[test]
fn tracestate_may_have_32_members_and_keys_and_values_of_256_characters() {
    let many: Vec<String> = (1..=32).map(|n| format!("bar{n:02}={n:02}")).collect();
    assert_eq!(with_state(&[&many.join(","), "", ", ,"]), format!("[{}]", many.join(",")));
    let long = format!("foo=1,{}={}", "z".repeat(256), "v".repeat(256));
    assert_eq!(with_state(&[&long]), format!("[{long}]"));
}

#[test]
fn of_a_repeated_tracestate_key_the_first_is_kept() {
    assert_eq!(with_state(&["foo=1,foo=1"]), "[foo=1]");
    assert_eq!(with_state(&["foo=2,bar=3", "foo=1"]), "[foo=2,bar=3]");
}

#[test]
fn an_oversized_tracestate_loses_whole_members_the_long_ones_first_and_says_so() {
    let long = |n: usize| format!("long{n}={}", "v".repeat(250));
    let mut members: Vec<String> = (0..9).map(long).collect();
    members.insert(1, "short=1".to_owned());
    members.push("last=1".to_owned());
    let kept: Vec<String> =
        members.iter().filter(|member| *member != &long(7) && *member != &long(8)).cloned().collect();
    assert_eq!(
        with_state(&[&members.join(",")]),
        format!("[{}] !tracecontext tracestate_cut", kept.join(","))
    );
}

#[test]
fn b3_in_one_header_carries_ids_decision_and_grandparent_or_a_decision_alone() {
    check(
        &[
            "b3: 80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1-05e3ac9a4f6e3b90",
            "B3: 80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-0",
            "b3: 80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-d",
            "b3: 80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1",
            "b3: 80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-05e3ac9a4f6e3b90",
            "b3: 64fe8b2a57d3eff7-e457b5a2e4d86bd1-1",
            "b3: 0",
            "b3: 1",
            "b3: d",
        ],
        expect![[r#"
            b3 80f198ee56343ba864fe8b2a57d3eff7/e457b5a2e4d86bd1 01 sampled
            b3 80f198ee56343ba864fe8b2a57d3eff7/e457b5a2e4d86bd1 00 unsampled
            b3 80f198ee56343ba864fe8b2a57d3eff7/e457b5a2e4d86bd1 01 sampled debug
            b3 80f198ee56343ba864fe8b2a57d3eff7/e457b5a2e4d86bd1 00 undecided
            b3 80f198ee56343ba864fe8b2a57d3eff7/e457b5a2e4d86bd1 00 undecided
            b3 000000000000000064fe8b2a57d3eff7/e457b5a2e4d86bd1 01 sampled
            decision false
            decision true
            decision true
        "#]],
    );
}

#[test]
fn malformed_b3_in_one_header_gives_nothing() {
    check(
        &[
            "b3: 2",
            "b3: 80f198ee56343ba864fe8b2a57d3eff7",
            "b3: 80f198ee56343ba864fe8b2a57d3eff7-",
            "b3: 80F198EE56343BA864FE8B2A57D3EFF7-e457b5a2e4d86bd1-1",
            "b3: 80f198ee56343ba864fe8b2a57d3eff-e457b5a2e4d86bd1-1",
            "b3: 80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-",
            "b3: 80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-x",
            "b3: 80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1-",
            "b3: 80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1-05e3ac9a4f6e3b90-1",
            "b3: 00000000000000000000000000000000-e457b5a2e4d86bd1-1",
            "b3: 0000000000000000-e457b5a2e4d86bd1-1",
            "b3: 80f198ee56343ba864fe8b2a57d3eff7-0000000000000000-1",
            "b3: 80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1 | b3: 0",
        ],
        expect![[r#"
            - !b3 incomplete
            - !b3 incomplete
            - !b3 malformed
            - !b3 malformed
            - !b3 malformed
            - !b3 malformed
            - !b3 malformed
            - !b3 malformed
            - !b3 malformed
            - !b3 zero_id
            - !b3 zero_id
            - !b3 zero_id
            - !b3 duplicate
        "#]],
    );
}

#[test]
fn b3_in_several_headers_carries_the_same() {
    let ids = "X-B3-TraceId: 80f198ee56343ba864fe8b2a57d3eff7 | X-B3-SpanId: e457b5a2e4d86bd1";
    check(
        &[
            &format!("{ids} | X-B3-ParentSpanId: 05e3ac9a4f6e3b90 | X-B3-Sampled: 1"),
            &format!("{ids} | X-B3-Sampled: 0"),
            &format!("{ids} | X-B3-Sampled: true"),
            &format!("{ids} | X-B3-Sampled: False"),
            &format!("{ids} | X-B3-Sampled: d"),
            &format!("{ids} | X-B3-Flags: 1"),
            &format!("{ids} | X-B3-Flags: 1 | X-B3-Sampled: 0"),
            &format!("{ids} | X-B3-Flags: 0 | X-B3-ParentSpanId:"),
            "X-B3-TraceId: 64fe8b2a57d3eff7 | X-B3-SpanId: e457b5a2e4d86bd1",
            "X-B3-Sampled: 0",
            "X-B3-Sampled: 1",
            "X-B3-ParentSpanId: 05e3ac9a4f6e3b90",
        ],
        expect![[r#"
            b3multi 80f198ee56343ba864fe8b2a57d3eff7/e457b5a2e4d86bd1 01 sampled
            b3multi 80f198ee56343ba864fe8b2a57d3eff7/e457b5a2e4d86bd1 00 unsampled
            b3multi 80f198ee56343ba864fe8b2a57d3eff7/e457b5a2e4d86bd1 01 sampled
            b3multi 80f198ee56343ba864fe8b2a57d3eff7/e457b5a2e4d86bd1 00 unsampled
            b3multi 80f198ee56343ba864fe8b2a57d3eff7/e457b5a2e4d86bd1 01 sampled debug
            b3multi 80f198ee56343ba864fe8b2a57d3eff7/e457b5a2e4d86bd1 01 sampled debug
            b3multi 80f198ee56343ba864fe8b2a57d3eff7/e457b5a2e4d86bd1 01 sampled debug
            b3multi 80f198ee56343ba864fe8b2a57d3eff7/e457b5a2e4d86bd1 00 undecided
            b3multi 000000000000000064fe8b2a57d3eff7/e457b5a2e4d86bd1 00 undecided
            decision false
            decision true
            -
        "#]],
    );
}

#[test]
fn malformed_b3_in_several_headers_gives_nothing() {
    let ids = "X-B3-TraceId: 80f198ee56343ba864fe8b2a57d3eff7 | X-B3-SpanId: e457b5a2e4d86bd1";
    check(
        &[
            "X-B3-TraceId: 80f198ee56343ba864fe8b2a57d3eff7 | X-B3-Sampled: 1",
            "X-B3-SpanId: e457b5a2e4d86bd1",
            "X-B3-TraceId: 80f198ee56343ba8 64fe8b2a57d3eff7 | X-B3-SpanId: e457b5a2e4d86bd1",
            "X-B3-TraceId: 80f198ee56343ba864fe8b2a57d3eff7 | X-B3-SpanId: e457b5a2e4d86bd",
            "X-B3-TraceId: 00000000000000000000000000000000 | X-B3-SpanId: e457b5a2e4d86bd1",
            &format!("{ids} | X-B3-Sampled: yes"),
            &format!("{ids} | X-B3-ParentSpanId: xyz"),
            &format!("{ids} | X-B3-SpanId: 05e3ac9a4f6e3b90"),
        ],
        expect![[r#"
            - !b3multi incomplete
            - !b3multi incomplete
            - !b3multi malformed
            - !b3multi malformed
            - !b3multi zero_id
            - !b3multi malformed
            - !b3multi malformed
            - !b3multi duplicate
        "#]],
    );
}

#[test]
fn jaeger_ids_are_padded_and_its_colons_may_be_percent_encoded() {
    check(
        &[
            "uber-trace-id: 3d23e071b3d7ab3a:51729f13a64c2ef3:0:1",
            "Uber-Trace-Id: 80f198ee56343ba864fe8b2a57d3eff7:e457b5a2e4d86bd1:05e3ac9a4f6e3b90:01",
            "uber-trace-id: 80f198ee56343ba864fe8b2a57d3eff7%3Ae457b5a2e4d86bd1%3a0%3A0",
            "uber-trace-id: abc:1::3",
            "uber-trace-id: ABC:DEF:0:2",
            "uber-trace-id: 000000000000000000000000deadbeef:00000000deadbef0:00000000:09",
            "uber-trace-id: 80f198ee56343ba864fe8b2a57d3eff7:e457b5a2e4d86bd1:0:ff",
        ],
        expect![[r#"
            jaeger 00000000000000003d23e071b3d7ab3a/51729f13a64c2ef3 01 sampled
            jaeger 80f198ee56343ba864fe8b2a57d3eff7/e457b5a2e4d86bd1 01 sampled
            jaeger 80f198ee56343ba864fe8b2a57d3eff7/e457b5a2e4d86bd1 00 unsampled
            jaeger 00000000000000000000000000000abc/0000000000000001 01 sampled debug
            jaeger 00000000000000000000000000000abc/0000000000000def 01 sampled debug
            jaeger 000000000000000000000000deadbeef/00000000deadbef0 01 sampled
            jaeger 80f198ee56343ba864fe8b2a57d3eff7/e457b5a2e4d86bd1 01 sampled debug
        "#]],
    );
}

#[test]
fn malformed_jaeger_gives_nothing() {
    check(
        &[
            "uber-trace-id: 3d23e071b3d7ab3a:51729f13a64c2ef3:0",
            "uber-trace-id: 3d23e071b3d7ab3a:51729f13a64c2ef3:0:1:1",
            "uber-trace-id: 180f198ee56343ba864fe8b2a57d3eff7:51729f13a64c2ef3:0:1",
            "uber-trace-id: 3d23e071b3d7ab3a:151729f13a64c2ef3:0:1",
            "uber-trace-id: 3d23e071b3d7ab3a:51729f13a64c2ef3:0:001",
            "uber-trace-id: 3d23e071b3d7ab3a:51729f13a64c2ef3:0:",
            "uber-trace-id: 3d23e071b3d7ab3g:51729f13a64c2ef3:0:1",
            "uber-trace-id: 3d23e071b3d7ab3a:51729f13a64c2ef3:x:1",
            "uber-trace-id: :51729f13a64c2ef3:0:1",
            "uber-trace-id: 0:51729f13a64c2ef3:0:1",
            "uber-trace-id: 3d23e071b3d7ab3a:0:0:1",
            "uber-trace-id: 1:1:0:1 | uber-trace-id: 2:2:0:1",
        ],
        expect![[r#"
            - !jaeger malformed
            - !jaeger malformed
            - !jaeger malformed
            - !jaeger malformed
            - !jaeger malformed
            - !jaeger malformed
            - !jaeger malformed
            - !jaeger malformed
            - !jaeger malformed
            - !jaeger zero_id
            - !jaeger zero_id
            - !jaeger duplicate
        "#]],
    );
}

#[test]
fn xray_pairs_come_in_any_order_and_root_alone_is_a_trace_without_parent() {
    check(
        &[
            "X-Amzn-Trace-Id: Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1",
            "x-amzn-trace-id: Sampled=0; Parent=53995c3f42cd8ad8 ;Root=1-5759e988-bd862e3fe1be46a994272793",
            "X-AMZN-TRACE-ID: root=1-5759E988-BD862E3FE1BE46A994272793;PARENT=53995C3F42CD8AD8;sampled=?",
            "X-Amzn-Trace-Id: Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Lineage=a87bd80c:0|68fd508a:5;Sampled=1;",
            "X-Amzn-Trace-Id: Self=1-67891234-12456789abcdef012345678;Root=1-67891233-abcdef012345678912345678;CalledFrom=app",
            "X-Amzn-Trace-Id: Root=1-67891233-abcdef012345678912345678",
            "X-Amzn-Trace-Id: Root=1-67891233-abcdef012345678912345678;Sampled=0",
            "X-Amzn-Trace-Id: Sampled=0",
            "X-Amzn-Trace-Id: Self=1-67891234-12456789abcdef012345678",
            "X-Amzn-Trace-Id: nonsense",
        ],
        expect![[r#"
            xray 5759e988bd862e3fe1be46a994272793/53995c3f42cd8ad8 01 sampled
            xray 5759e988bd862e3fe1be46a994272793/53995c3f42cd8ad8 00 unsampled
            xray 5759e988bd862e3fe1be46a994272793/53995c3f42cd8ad8 00 undecided
            xray 5759e988bd862e3fe1be46a994272793/53995c3f42cd8ad8 01 sampled
            xray 67891233abcdef012345678912345678/none 00 undecided
            xray 67891233abcdef012345678912345678/none 00 undecided
            xray 67891233abcdef012345678912345678/none 00 unsampled
            decision false
            -
            -
        "#]],
    );
}

#[test]
fn malformed_xray_gives_nothing() {
    check(
        &[
            "X-Amzn-Trace-Id: Root=2-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8",
            "X-Amzn-Trace-Id: Root=1-5759e98-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8",
            "X-Amzn-Trace-Id: Root=1-5759e988-bd862e3fe1be46a99427279;Parent=53995c3f42cd8ad8",
            "X-Amzn-Trace-Id: Root=1-5759e988-bd862e3fe1be46a994272793-1",
            "X-Amzn-Trace-Id: Root=1-5759e988bd862e3fe1be46a994272793",
            "X-Amzn-Trace-Id: Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad",
            "X-Amzn-Trace-Id: Root=1-5759e988-bd862e3fe1be46a994272793;Parent=0000000000000000",
            "X-Amzn-Trace-Id: Root=1-00000000-000000000000000000000000;Parent=53995c3f42cd8ad8",
            "X-Amzn-Trace-Id: Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=maybe",
            "X-Amzn-Trace-Id: Parent=53995c3f42cd8ad8;Sampled=1",
            "X-Amzn-Trace-Id: Root=1-5759e988-bd862e3fe1be46a994272793;Root=1-5759e988-bd862e3fe1be46a994272794",
            "X-Amzn-Trace-Id: Root= | X-Amzn-Trace-Id: Root=",
        ],
        expect![[r#"
            - !xray version
            - !xray malformed
            - !xray malformed
            - !xray malformed
            - !xray malformed
            - !xray malformed
            - !xray zero_id
            - !xray zero_id
            - !xray malformed
            - !xray incomplete
            - !xray duplicate
            - !xray duplicate
        "#]],
    );
}

#[test]
fn the_first_valid_format_of_the_order_wins_and_a_broken_one_before_it_is_told() {
    let both = fields(&format!("traceparent: 00-{T}-{P}-01\nb3: 64fe8b2a57d3eff7-e457b5a2e4d86bd1-0"));
    let b3 = "b3 000000000000000064fe8b2a57d3eff7/e457b5a2e4d86bd1 00 unsampled";
    assert_eq!(render(&extract(&both, &DEFAULT_ORDER)), format!("tracecontext {T}/{P} 01 sampled"));
    assert_eq!(render(&extract(&both, &[Format::B3Single, Format::W3c])), b3);
    assert_eq!(render(&extract(&both, &[Format::Jaeger])), "-");
    assert_eq!(render(&extract(&both, &[])), "-");
    assert_eq!(
        read("traceparent: 00-bad\nb3: 64fe8b2a57d3eff7-e457b5a2e4d86bd1-0"),
        format!("{b3} !tracecontext malformed")
    );
    assert_eq!(read("b3: 0\nuber-trace-id: abc:def:0:1\ntracestate: foo=1"), {
        "jaeger 00000000000000000000000000000abc/0000000000000def 01 sampled"
    });
}

#[test]
fn baggage_keeps_pairs_in_order_decoded_with_their_properties() {
    let text = |lines: &str| {
        let baggage = baggage(&fields(lines));
        let members: Vec<String> = baggage
            .members
            .iter()
            .map(|member| format!("{}={:?};{}", member.key, member.value, member.properties))
            .collect();
        format!("{} bad {} over {}", members.join(" "), baggage.malformed, baggage.oversized)
    };
    assert_eq!(
        text(
            "baggage: key1=value1;property1;property2, key2 = value2, key3=value3; propertyKey=propertyValue"
        ),
        r#"key1="value1";property1;property2 key2="value2"; key3="value3";propertyKey=propertyValue bad 0 over 0"#
    );
    assert_eq!(
        text("baggage: userId =   alice\nbaggage: serverNode = DF%2028, isProduction = false"),
        r#"userId="alice"; serverNode="DF 28"; isProduction="false"; bad 0 over 0"#
    );
    assert_eq!(
        text("baggage: a=1=2==,a=,b=%C3%A9%ff%zz,,\tc=x"),
        r#"a="1=2=="; a=""; b="é�%zz"; c="x"; bad 0 over 0"#
    );
    assert_eq!(text("baggage: novalue,=1,a b=2,q=\"x\",s=a\\b,ok=1"), r#"ok="1"; bad 5 over 0"#);
    assert_eq!(text("uberctx-User-Id: a%20b\nuberctx-: x"), r#"user-id="a b"; bad 1 over 0"#);
}

#[test]
fn baggage_beyond_its_limits_is_dropped_member_by_member_and_counted() {
    let many: Vec<String> = (0..70).map(|n| format!("k{n}=v")).collect();
    let read = baggage(&fields(&format!("baggage: {}", many.join(","))));
    assert_eq!((read.members.len(), read.oversized), (64, 6));
    let exact = format!("baggage: a={}", "v".repeat(8190));
    assert_eq!(baggage(&fields(&exact)).members.len(), 1);
    let over = baggage(&fields(&format!("{exact}v,b=1")));
    assert_eq!((over.members.len(), over.oversized), (1, 1));
    assert_eq!(over.members.first().map(|member| member.key.as_str()), Some("b"));
}

#[test]
fn every_field_that_a_format_reads_is_on_the_keep_list() {
    let lines = "traceparent: x\ntracestate: x\nbaggage: x\nb3: x\nX-B3-TraceId: x\nX-B3-SpanId: x\nX-B3-ParentSpanId: x\n\
                 X-B3-Sampled: x\nX-B3-Flags: x\nuber-trace-id: x\nX-Amzn-Trace-Id: x";
    let names: Vec<String> = fields(lines).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, header_names());
}

/// A valid example of each format, and how many of its first bytes are a valid context too.
const EXAMPLES: [&str; 6] = [
    "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "traceparent: 7f-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-future",
    "b3: 80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1-05e3ac9a4f6e3b90",
    "uber-trace-id: 80f198ee56343ba864fe8b2a57d3eff7:e457b5a2e4d86bd1:5e3ac9a4f6e3b90:1",
    "x-amzn-trace-id: Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1",
    "baggage: key1=value1;p=%20,key2=%ff",
];

#[test]
fn a_context_cut_at_any_byte_never_names_another_trace_or_parent() {
    for example in EXAMPLES {
        let whole = extract(&fields(example), &DEFAULT_ORDER).context;
        for end in 0..example.len() {
            let cut = example.get(..end).expect("examples are ASCII");
            let Some(context) = extract(&fields(cut), &DEFAULT_ORDER).context else { continue };
            let whole = whole.as_ref().expect("the whole has a context");
            assert_eq!(context.trace_id, whole.trace_id, "{cut}");
            assert!(context.parent.is_none() || context.parent == whole.parent, "{cut}");
        }
    }
}

/// Writes a context the way a sender of its format would.
fn write(format: Format, trace: u128, span: u64, sampled: Option<bool>) -> String {
    let state =
        |sampled: Option<bool>| sampled.map_or(String::new(), |sampled| format!("-{}", u8::from(sampled)));
    let (flag, id) = (u8::from(sampled == Some(true)), format!("{trace:032x}"));
    match format {
        Format::W3c => format!("traceparent: 00-{trace:032x}-{span:016x}-{flag:02x}"),
        Format::B3Single => format!("b3: {trace:032x}-{span:016x}{}", state(sampled)),
        Format::B3Multi => {
            let line = sampled.map_or(String::new(), |on| format!("x-b3-sampled: {}\n", u8::from(on)));
            format!("x-b3-traceid: {trace:032x}\nx-b3-spanid: {span:016x}\n{line}")
        }
        Format::Jaeger => format!("uber-trace-id: {trace:x}:{span:x}:0:{flag:x}"),
        Format::XRay => {
            let sampled = sampled.map_or("?".to_owned(), |sampled| u8::from(sampled).to_string());
            let (time, id) = id.split_at(8);
            format!("x-amzn-trace-id: Root=1-{time}-{id};Parent={span:016x};Sampled={sampled}")
        }
    }
}

proptest! {
    #[test]
    fn what_a_sender_writes_is_what_is_read(
        format in 0..DEFAULT_ORDER.len(),
        trace in 1..=u128::MAX,
        span in 1..=u64::MAX,
        sampled in proptest::option::of(any::<bool>()),
    ) {
        let format = DEFAULT_ORDER[format];
        let context = extract(&fields(&write(format, trace, span, sampled)), &DEFAULT_ORDER).context;
        let context = context.expect("a context");
        prop_assert_eq!(context.format, format);
        prop_assert_eq!(u128::from_be_bytes(context.trace_id.0), trace);
        prop_assert_eq!(context.parent.map(|parent| u64::from_be_bytes(parent.0)), Some(span));
        match format {
            Format::W3c | Format::Jaeger => prop_assert_eq!(context.sampled, Some(sampled == Some(true))),
            _ => prop_assert_eq!(context.sampled, sampled),
        }
    }

    #[test]
    fn no_bytes_make_it_panic_or_keep_more_than_its_limits(
        lines in proptest::collection::vec((0..header_names().len(), proptest::collection::vec(any::<u8>(), 0..80)), 0..6),
    ) {
        let fields: Vec<Field> =
            lines.into_iter().map(|(name, value)| (header_names()[name].to_owned(), Bytes::from(value))).collect();
        if let Some(context) = extract(&fields, &DEFAULT_ORDER).context {
            prop_assert!(context.trace_id.0 != [0; 16]);
        }
        let _ = baggage(&fields);
    }

    #[test]
    fn a_valid_header_with_one_byte_changed_never_yields_a_zero_id(
        example in 0..EXAMPLES.len(), at in 0usize..120, byte in any::<u8>(),
    ) {
        let mut fields = fields(EXAMPLES[example]);
        let mut value = fields[0].1.to_vec();
        let at = at % value.len();
        value[at] = byte;
        fields[0].1 = Bytes::from(value);
        if let Some(context) = extract(&fields, &DEFAULT_ORDER).context {
            prop_assert!(context.trace_id.0 != [0; 16] && context.parent.is_none_or(|parent| parent.0 != [0; 8]));
        }
    }

    #[test]
    fn a_kept_tracestate_is_bounded_and_reads_back_the_same(
        state in "([a-z0-9@_]{1,20}=[ -~&&[^,=]]{0,260}[!-~&&[^,=]],?){0,40}",
    ) {
        let lines = format!("traceparent: 00-{T}-{P}-00\ntracestate:{state}");
        let once = extract(&fields(&lines), &DEFAULT_ORDER).context.expect("a context").trace_state;
        prop_assert!(once.len() <= super::TRACESTATE_MAX_BYTES);
        let again = format!("traceparent: 00-{T}-{P}-00\ntracestate:{once}");
        prop_assert_eq!(extract(&fields(&again), &DEFAULT_ORDER).context.expect("a context").trace_state, once);
    }
}
