//! A span on its way out: with its resource and wall time, fixed once for all exporters.
use super::clock::Offset;
use crate::enrich::Resource;
use std::{borrow::Cow, sync::Arc};
use wirespan_core::spans::{Span, Value};

/// What is spent on a span besides its texts: ids, times, tags and lengths.
const FIXED_BYTES: usize = 128;

/// A span that can be exported.
#[derive(Debug)]
pub(super) struct Stamped {
    pub(super) span: Span,
    pub(super) resource: Arc<Resource>,
    pub(super) start_unix_ns: u64,
    pub(super) end_unix_ns: u64,
}

impl Stamped {
    /// An end before the start would be refused by back ends: it becomes the start.
    pub(super) fn new(span: Span, resource: Arc<Resource>, offset: Offset) -> Stamped {
        let start_unix_ns = offset.unix_ns(span.start);
        let end_unix_ns = offset.unix_ns(span.end).max(start_unix_ns);
        Stamped { span, resource, start_unix_ns, end_unix_ns }
    }

    /// About as many bytes as it will have on the wire, without its resource.
    pub(super) fn approximate_bytes(&self) -> usize {
        let attributes = self.span.attributes.iter().map(|(key, value)| key.len() + 12 + text_bytes(value));
        FIXED_BYTES + self.span.name.len() + self.span.trace_state.len() + attributes.sum::<usize>()
    }

    /// The text of an attribute.
    pub(super) fn text(&self, wanted: &str) -> Option<&str> {
        match self.value(wanted)? {
            Value::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The number in an attribute.
    pub(super) fn int(&self, wanted: &str) -> Option<i64> {
        match self.value(wanted)? {
            Value::Int(number) => Some(*number),
            _ => None,
        }
    }

    fn value(&self, wanted: &str) -> Option<&Value> {
        self.span
            .attributes
            .iter()
            .find(|(key, _): &&(Cow<'static, str>, Value)| key == wanted)
            .map(|(_, value)| value)
    }
}

fn text_bytes(value: &Value) -> usize {
    match value {
        Value::Str(text) => text.len(),
        Value::Strs(texts) => texts.iter().map(|text| text.len() + 4).sum(),
        Value::Int(_) | Value::Double(_) | Value::Bool(_) => 8,
    }
}
