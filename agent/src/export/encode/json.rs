//! The JSON encoding of OTLP.
//!
//! Shape: groups → one JSON text without line breaks. Source: OTLP specification 1.x, "JSON Protobuf Encoding": ids in hex, enums as
//! integers, 64-bit integers as strings, lowerCamelCase keys; protobuf's JSON mapping for doubles that are no numbers.
//! Counts of things dropped and lists that are always empty are left out, as protobuf leaves out defaults.
use super::{Group, SCOPE, Stamped, VERSION, flags, groups, kind};
use crate::enrich::Resource;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_semantic_conventions::SCHEMA_URL;
use serde::{Serialize, Serializer, ser::SerializeMap};
use std::sync::Arc;
use wirespan_core::spans::{Attribute, Status, Value};

/// Adds an `ExportTraceServiceRequest` to `out`.
pub(in crate::export) fn json(spans: &[Arc<Stamped>], out: &mut Vec<u8>) -> serde_json::Result<()> {
    let resource_spans = groups(spans).into_iter().map(ResourceSpans::new).collect();
    serde_json::to_writer(out, &Request { resource_spans })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'a> {
    resource_spans: Vec<ResourceSpans<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResourceSpans<'a> {
    resource: ResourceView<'a>,
    scope_spans: [ScopeSpans<'a>; 1],
    schema_url: &'static str,
}

#[derive(Serialize)]
struct ResourceView<'a> {
    #[serde(serialize_with = "attributes")]
    attributes: &'a [Attribute],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ScopeSpans<'a> {
    scope: Scope,
    spans: Vec<SpanView<'a>>,
    schema_url: &'static str,
}

#[derive(Serialize)]
struct Scope {
    name: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SpanView<'a> {
    #[serde(serialize_with = "hex")]
    trace_id: &'a [u8],
    #[serde(serialize_with = "hex")]
    span_id: &'a [u8],
    trace_state: &'a str,
    #[serde(serialize_with = "hex")]
    parent_span_id: &'a [u8],
    flags: u32,
    name: &'a str,
    kind: i32,
    #[serde(serialize_with = "decimal")]
    start_time_unix_nano: u64,
    #[serde(serialize_with = "decimal")]
    end_time_unix_nano: u64,
    #[serde(serialize_with = "attributes")]
    attributes: &'a [Attribute],
    status: StatusView<'a>,
}

#[derive(Serialize, Default)]
struct StatusView<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<i32>,
}

#[derive(Serialize)]
struct KeyValue<'a> {
    key: &'a str,
    value: AnyValue<'a>,
}

impl<'a> ResourceSpans<'a> {
    fn new(Group { resource, spans }: Group<'a>) -> ResourceSpans<'a> {
        let Resource { attributes, .. } = resource;
        ResourceSpans {
            resource: ResourceView { attributes },
            scope_spans: [ScopeSpans {
                scope: Scope { name: SCOPE, version: VERSION },
                spans: spans.into_iter().map(SpanView::new).collect(),
                schema_url: SCHEMA_URL,
            }],
            schema_url: SCHEMA_URL,
        }
    }
}

impl<'a> SpanView<'a> {
    fn new(stamped: &'a Stamped) -> SpanView<'a> {
        let span = &stamped.span;
        SpanView {
            trace_id: &span.trace_id.0,
            span_id: &span.span_id.0,
            trace_state: &span.trace_state,
            parent_span_id: span.parent_id.as_ref().map_or(&[], |parent| &parent.0),
            flags: flags(span),
            name: &span.name,
            kind: kind(span) as i32,
            start_time_unix_nano: stamped.start_unix_ns,
            end_time_unix_nano: stamped.end_unix_ns,
            attributes: &span.attributes,
            status: match &span.status {
                Status::Unset => StatusView::default(),
                Status::Error(message) => StatusView { message, code: Some(StatusCode::Error as i32) },
            },
        }
    }
}

fn attributes<S: Serializer>(attributes: &[Attribute], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(attributes.iter().map(|(key, value)| KeyValue { key, value: AnyValue(value) }))
}

/// A value as an object whose key is its type.
struct AnyValue<'a>(&'a Value);

impl Serialize for AnyValue<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut object = to.serialize_map(Some(1))?;
        match self.0 {
            Value::Str(text) => object.serialize_entry("stringValue", text)?,
            Value::Int(number) => object.serialize_entry("intValue", &Decimal(*number))?,
            Value::Double(number) => object.serialize_entry("doubleValue", &Double(*number))?,
            Value::Bool(truth) => object.serialize_entry("boolValue", truth)?,
            Value::Strs(texts) => object.serialize_entry("arrayValue", &ArrayValue(texts))?,
        }
        object.end()
    }
}

/// A list of texts.
struct ArrayValue<'a>(&'a [String]);

impl Serialize for ArrayValue<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut object = to.serialize_map(Some(1))?;
        let values: Vec<StringValue<'_>> = self.0.iter().map(|text| StringValue { text }).collect();
        object.serialize_entry("values", &values)?;
        object.end()
    }
}

#[derive(Serialize)]
struct StringValue<'a> {
    #[serde(rename = "stringValue")]
    text: &'a str,
}

/// A 64-bit integer: JavaScript's numbers cannot hold one.
struct Decimal(i64);

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&self.0)
    }
}

struct Double(f64);

impl Serialize for Double {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            number if number.is_nan() => to.serialize_str("NaN"),
            f64::INFINITY => to.serialize_str("Infinity"),
            f64::NEG_INFINITY => to.serialize_str("-Infinity"),
            number => to.serialize_f64(number),
        }
    }
}

fn decimal<S: Serializer>(number: &u64, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(number)
}

/// Ids have 0, 8 or 16 bytes.
fn hex<S: Serializer>(id: &[u8], to: S) -> Result<S::Ok, S::Error> {
    let mut digits = [0; 32];
    for (byte, pair) in id.iter().zip(digits.chunks_exact_mut(2)) {
        pair.copy_from_slice(&[digit(byte >> 4), digit(byte & 0xf)]);
    }
    let digits = digits.get(..id.len() * 2).unwrap_or_default();
    to.serialize_str(std::str::from_utf8(digits).unwrap_or_default())
}

fn digit(nibble: u8) -> u8 {
    if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 }
}
