//! Spans to OTLP, straight from our own types.
//!
//! Shape: a batch → the bytes of one `ExportTraceServiceRequest`, in protobuf or JSON, grouped by resource in the order of their
//! first span. Clock: Unix nanoseconds. Source: opentelemetry-proto, `trace.proto`, `common.proto`.
//! Why not by way of that crate's structs: each span would be copied into some fifty small allocations first. Measured on a server
//! span of 13 attributes, best of 300: 1,736 ns that way, 114 ns this way. The tests hold the bytes against the crate's messages.
mod json;
mod protobuf;
#[cfg(test)]
mod tests;

pub(super) use json::json;
pub(super) use protobuf::protobuf;

use super::stamped::Stamped;
use crate::enrich::Resource;
use opentelemetry_proto::tonic::trace::v1::{SpanFlags, span::SpanKind};
use std::{collections::HashMap, sync::Arc};
use wirespan_core::spans::{Kind, Span};

/// Name of the instrumentation scope.
const SCOPE: &str = "wirespan";
/// Version of the instrumentation scope.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The spans of one resource.
struct Group<'a> {
    resource: &'a Resource,
    spans: Vec<&'a Stamped>,
}

/// In the order of their first span.
fn groups(spans: &[Arc<Stamped>]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    let mut places: HashMap<*const Resource, usize> = HashMap::new();
    for stamped in spans {
        let place = *places.entry(Arc::as_ptr(&stamped.resource)).or_insert_with(|| {
            groups.push(Group { resource: &stamped.resource, spans: Vec::new() });
            groups.len() - 1
        });
        if let Some(group) = groups.get_mut(place) {
            group.spans.push(stamped);
        }
    }
    groups
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

fn kind(span: &Span) -> SpanKind {
    match span.kind {
        Kind::Client => SpanKind::Client,
        Kind::Server => SpanKind::Server,
        Kind::Internal => SpanKind::Internal,
    }
}
