//! Spans to OTLP messages.
//!
//! Shape: a batch → one `ExportTraceServiceRequest`, grouped by resource in the order of their first span.
//! Source: opentelemetry-proto, `trace.proto`. Clock: Unix nanoseconds.
use super::stamped::Stamped;
use crate::enrich::Resource;
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, any_value},
    resource::v1 as otlp_resource,
    trace::v1::{self as otlp, ResourceSpans, ScopeSpans, SpanFlags, span::SpanKind, status::StatusCode},
};
use opentelemetry_semantic_conventions::SCHEMA_URL;
use std::{collections::HashMap, sync::Arc};
use wirespan_core::spans::{Attribute, Kind, Span, Status, Value};

/// One request for all of these spans.
pub(super) fn request(spans: &[Arc<Stamped>]) -> ExportTraceServiceRequest {
    let mut resource_spans: Vec<ResourceSpans> = Vec::new();
    let mut places: HashMap<*const Resource, usize> = HashMap::new();
    for stamped in spans {
        let place = *places.entry(Arc::as_ptr(&stamped.resource)).or_insert_with(|| {
            resource_spans.push(empty(&stamped.resource));
            resource_spans.len() - 1
        });
        let scope = resource_spans.get_mut(place).and_then(|resource| resource.scope_spans.first_mut());
        if let Some(scope) = scope {
            scope.spans.push(span(stamped));
        }
    }
    ExportTraceServiceRequest { resource_spans }
}

fn empty(resource: &Resource) -> ResourceSpans {
    ResourceSpans {
        resource: Some(otlp_resource::Resource {
            attributes: resource.attributes.iter().map(key_value).collect(),
            ..Default::default()
        }),
        scope_spans: vec![ScopeSpans {
            scope: Some(InstrumentationScope {
                name: "wirespan".into(),
                version: env!("CARGO_PKG_VERSION").into(),
                ..Default::default()
            }),
            spans: Vec::new(),
            schema_url: SCHEMA_URL.into(),
        }],
        schema_url: SCHEMA_URL.into(),
    }
}

fn span(stamped: &Stamped) -> otlp::Span {
    let span = &stamped.span;
    otlp::Span {
        trace_id: span.trace_id.0.to_vec(),
        span_id: span.span_id.0.to_vec(),
        trace_state: span.trace_state.clone(),
        parent_span_id: span.parent_id.map(|id| id.0.to_vec()).unwrap_or_default(),
        flags: flags(span),
        name: span.name.clone(),
        kind: match span.kind {
            Kind::Client => SpanKind::Client,
            Kind::Server => SpanKind::Server,
        }
        .into(),
        start_time_unix_nano: stamped.start_unix_ns,
        end_time_unix_nano: stamped.end_unix_ns,
        attributes: span.attributes.iter().map(key_value).collect(),
        // Present even when unset: `null` in JSON is legal and breaks careless readers.
        status: Some(match &span.status {
            Status::Unset => otlp::Status::default(),
            Status::Error(message) => {
                otlp::Status { message: message.clone(), code: StatusCode::Error.into() }
            }
        }),
        ..Default::default()
    }
}

/// Bits 0–7 are W3C's; bits 8 and 9 say whether the parent is remote, if that is known.
fn flags(span: &Span) -> u32 {
    let remote = match span.parent_is_remote {
        None => 0,
        Some(false) => SpanFlags::ContextHasIsRemoteMask as u32,
        Some(true) => SpanFlags::ContextHasIsRemoteMask as u32 | SpanFlags::ContextIsRemoteMask as u32,
    };
    u32::from(span.trace_flags) | remote
}

fn string(value: &str) -> AnyValue {
    AnyValue { value: Some(any_value::Value::StringValue(value.into())) }
}

fn key_value((key, value): &Attribute) -> KeyValue {
    let value = match value {
        Value::Str(text) => any_value::Value::StringValue(text.to_string()),
        Value::Int(number) => any_value::Value::IntValue(*number),
        Value::Double(number) => any_value::Value::DoubleValue(*number),
        Value::Bool(truth) => any_value::Value::BoolValue(*truth),
        Value::Strs(texts) => any_value::Value::ArrayValue(ArrayValue {
            values: texts.iter().map(|text| string(text)).collect(),
        }),
    };
    KeyValue { key: key.to_string(), value: Some(AnyValue { value: Some(value) }), ..Default::default() }
}
