//! Our encoding against the messages of `opentelemetry-proto`, field by field.
use super::{
    super::{clock::Offset, tests::span},
    *,
};
use expect_test::expect;
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, any_value},
    resource::v1::Resource as OtlpResource,
    trace::v1::{self as otlp, ResourceSpans, ScopeSpans, status::StatusCode},
};
use opentelemetry_semantic_conventions::SCHEMA_URL;
use prost::Message;
use std::borrow::Cow;
use wirespan_core::spans::{Attribute, SpanId, Status, TraceId, Value};

/// A span with everything in it.
fn full() -> Span {
    Span {
        trace_id: TraceId(*b"0123456789abcdef"),
        span_id: SpanId(*b"01234567"),
        parent_id: Some(SpanId(*b"89abcdef")),
        parent_is_remote: Some(true),
        trace_flags: 3,
        trace_state: "a=1,b=2".into(),
        kind: Kind::Client,
        name: "GET".into(),
        attributes: vec![
            (Cow::Borrowed("url.path"), Value::Str("/é\"\n".into())),
            (Cow::Borrowed("empty"), Value::Str("".into())),
            (Cow::Borrowed("http.response.status_code"), Value::Int(200)),
            (Cow::Borrowed("zero"), Value::Int(0)),
            (Cow::Borrowed("least"), Value::Int(i64::MIN)),
            (Cow::Borrowed("d"), Value::Double(0.5)),
            (Cow::Borrowed("b"), Value::Bool(false)),
            (Cow::Borrowed("http.request.header.x"), Value::Strs(vec!["1".into(), String::new()])),
        ],
        status: Status::Error("reset".into()),
        ..span(0)
    }
}

fn stamped(spans: Vec<Span>, resource: &Arc<Resource>) -> Vec<Arc<Stamped>> {
    let offset = Offset::fixed(1_700_000_000_000_000_000);
    spans.into_iter().map(|span| Arc::new(Stamped::new(span, Arc::clone(resource), offset))).collect()
}

fn shop() -> Arc<Resource> {
    Arc::new(Resource {
        service_name: "shop".into(),
        attributes: vec![
            ("service.name".into(), Value::Str("shop".into())),
            ("process.pid".into(), Value::Int(42)),
        ],
    })
}

/// The same by way of the crate's messages.
fn by_the_crate(spans: &[Arc<Stamped>]) -> ExportTraceServiceRequest {
    let resource_spans = groups(spans).into_iter().map(|group| ResourceSpans {
        resource: Some(OtlpResource {
            attributes: group.resource.attributes.iter().map(key_value).collect(),
            ..Default::default()
        }),
        scope_spans: vec![ScopeSpans {
            scope: Some(InstrumentationScope {
                name: "wirespan".into(),
                version: VERSION.into(),
                ..Default::default()
            }),
            spans: group.spans.into_iter().map(message).collect(),
            schema_url: SCHEMA_URL.into(),
        }],
        schema_url: SCHEMA_URL.into(),
    });
    ExportTraceServiceRequest { resource_spans: resource_spans.collect() }
}

fn message(stamped: &Stamped) -> otlp::Span {
    let span = &stamped.span;
    otlp::Span {
        trace_id: span.trace_id.0.to_vec(),
        span_id: span.span_id.0.to_vec(),
        trace_state: span.trace_state.clone(),
        parent_span_id: span.parent_id.map(|id| id.0.to_vec()).unwrap_or_default(),
        flags: flags(span),
        name: span.name.clone().into_owned(),
        kind: kind(span).into(),
        start_time_unix_nano: stamped.start_unix_ns,
        end_time_unix_nano: stamped.end_unix_ns,
        attributes: span.attributes.iter().map(key_value).collect(),
        status: Some(match &span.status {
            Status::Unset => otlp::Status::default(),
            Status::Error(why) => otlp::Status { message: why.clone(), code: StatusCode::Error.into() },
        }),
        ..Default::default()
    }
}

fn key_value((key, value): &Attribute) -> KeyValue {
    let string = |text: &str| any_value::Value::StringValue(text.to_owned());
    let value = match value {
        Value::Str(text) => string(text),
        Value::Int(number) => any_value::Value::IntValue(*number),
        Value::Double(number) => any_value::Value::DoubleValue(*number),
        Value::Bool(truth) => any_value::Value::BoolValue(*truth),
        Value::Strs(texts) => any_value::Value::ArrayValue(ArrayValue {
            values: texts.iter().map(|text| AnyValue { value: Some(string(text)) }).collect(),
        }),
    };
    KeyValue { key: key.to_string(), value: Some(AnyValue { value: Some(value) }), ..Default::default() }
}

/// Attributes of many lengths: length prefixes of one, two and three bytes at every level.
fn long() -> Vec<Span> {
    let attribute =
        |length: usize| (Cow::Owned("k".repeat(length % 300)), Value::Str("v".repeat(length).into()));
    let number = |length: usize| (Cow::Borrowed("n"), Value::Int(length as i64));
    let lengths = [
        0, 1, 57, 58, 59, 60, 61, 62, 63, 64, 100, 120, 121, 122, 123, 124, 125, 126, 127, 128, 129, 16_383,
        16_384, 20_000,
    ];
    let attributes = |length: usize| {
        let mixed = (Cow::Owned("k".repeat(61)), Value::Str("v".repeat(length).into()));
        vec![attribute(length), attribute(1), number(length), mixed]
    };
    lengths.map(|length| Span { attributes: attributes(length), ..span(length) }).to_vec()
}

#[test]
fn protobuf_is_what_the_crate_would_write() {
    let (shop, other) = (shop(), Arc::new(Resource { service_name: String::new(), attributes: Vec::new() }));
    for spans in [vec![], vec![full(), span(1)], long()] {
        let mut spans = stamped(spans, &shop);
        spans.extend(stamped(vec![full(), full()], &other));
        spans.extend(stamped(vec![span(3)], &shop));
        assert_eq!(protobuf(&spans), by_the_crate(&spans).encode_to_vec());
    }
}

#[test]
fn json_is_what_the_crate_would_read() {
    for spans in [vec![], vec![full(), span(1)], long()] {
        let spans = stamped(spans, &shop());
        let mut text = Vec::new();
        json(&spans, &mut text).unwrap();
        let read: ExportTraceServiceRequest = serde_json::from_slice(&text).unwrap();
        assert_eq!(read, by_the_crate(&spans));
    }
}

#[test]
fn json_is_as_the_specification_wants_it() {
    let mut text = Vec::new();
    json(&stamped(vec![full(), span(1)], &shop()), &mut text).unwrap();
    assert!(!text.contains(&b'\n'));
    let value: serde_json::Value = serde_json::from_slice(&text).unwrap();
    expect![[r#"
        {
          "resourceSpans": [
            {
              "resource": {
                "attributes": [
                  {
                    "key": "service.name",
                    "value": {
                      "stringValue": "shop"
                    }
                  },
                  {
                    "key": "process.pid",
                    "value": {
                      "intValue": "42"
                    }
                  }
                ]
              },
              "schemaUrl": "https://opentelemetry.io/schemas/1.42.0",
              "scopeSpans": [
                {
                  "schemaUrl": "https://opentelemetry.io/schemas/1.42.0",
                  "scope": {
                    "name": "wirespan",
                    "version": "0.1.0"
                  },
                  "spans": [
                    {
                      "attributes": [
                        {
                          "key": "url.path",
                          "value": {
                            "stringValue": "/é\"\n"
                          }
                        },
                        {
                          "key": "empty",
                          "value": {
                            "stringValue": ""
                          }
                        },
                        {
                          "key": "http.response.status_code",
                          "value": {
                            "intValue": "200"
                          }
                        },
                        {
                          "key": "zero",
                          "value": {
                            "intValue": "0"
                          }
                        },
                        {
                          "key": "least",
                          "value": {
                            "intValue": "-9223372036854775808"
                          }
                        },
                        {
                          "key": "d",
                          "value": {
                            "doubleValue": 0.5
                          }
                        },
                        {
                          "key": "b",
                          "value": {
                            "boolValue": false
                          }
                        },
                        {
                          "key": "http.request.header.x",
                          "value": {
                            "arrayValue": {
                              "values": [
                                {
                                  "stringValue": "1"
                                },
                                {
                                  "stringValue": ""
                                }
                              ]
                            }
                          }
                        }
                      ],
                      "endTimeUnixNano": "1700000000000002000",
                      "flags": 771,
                      "kind": 3,
                      "name": "GET",
                      "parentSpanId": "3839616263646566",
                      "spanId": "3031323334353637",
                      "startTimeUnixNano": "1700000000000001000",
                      "status": {
                        "code": 2,
                        "message": "reset"
                      },
                      "traceId": "30313233343536373839616263646566",
                      "traceState": "a=1,b=2"
                    },
                    {
                      "attributes": [],
                      "endTimeUnixNano": "1700000000000002000",
                      "flags": 1,
                      "kind": 2,
                      "name": "1",
                      "parentSpanId": "",
                      "spanId": "0000000000000002",
                      "startTimeUnixNano": "1700000000000001000",
                      "status": {},
                      "traceId": "07070707070707070707070707070707",
                      "traceState": ""
                    }
                  ]
                }
              ]
            }
          ]
        }"#]]
    .assert_eq(&serde_json::to_string_pretty(&value).unwrap());
}

#[test]
fn doubles_that_are_no_numbers_are_named() {
    let attributes =
        [f64::NAN, f64::INFINITY, f64::NEG_INFINITY].map(|d| (Cow::Borrowed("d"), Value::Double(d)));
    let mut text = Vec::new();
    json(&stamped(vec![Span { attributes: attributes.to_vec(), ..span(0) }], &shop()), &mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    for name in ["\"NaN\"", "\"Infinity\"", "\"-Infinity\""] {
        assert!(text.contains(&format!("{{\"doubleValue\":{name}}}")), "{name}");
    }
}
