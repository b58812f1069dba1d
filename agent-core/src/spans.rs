//! Spans as OpenTelemetry means them, before they are OTLP.
//!
//! Shape: built by `correlate` from an exchange's facts, read by `agent/src/export`. Clock: monotonic; only `export` knows wall time.
//! What a span says of its exchange comes from [`describe`], one file per protocol family.
//! Source: OpenTelemetry specification 1.5x, trace API; semantic conventions by `opentelemetry-semantic-conventions`.
mod authority;
mod http;
pub mod ids;
pub mod keys;

use crate::{
    event::{Nanos, ProcessId},
    exchange::{Call, Ended, Opened},
    redact,
};
use std::borrow::Cow;

/// 16 bytes, not all zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TraceId(pub [u8; 16]);

/// 8 bytes, not all zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpanId(pub [u8; 8]);

/// What a span stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// An outgoing request.
    Client,
    /// An incoming request.
    Server,
    /// A time in which one of them was open.
    Internal,
}

/// An attribute's value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Text.
    Str(Cow<'static, str>),
    /// Signed integer.
    Int(i64),
    /// Floating point.
    Double(f64),
    /// Truth.
    Bool(bool),
    /// List of texts.
    Strs(Vec<String>),
}

/// Key and value; keys are constants of the semantic conventions crate, or `http.request.header.<name>`.
pub type Attribute = (Cow<'static, str>, Value);

/// Span status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// Nothing was said.
    Unset,
    /// Failed; description may be empty.
    Error(String),
}

/// Why a span has the parent it has (design §5.1), best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Evidence {
    /// Trace context in the request's own headers.
    Wire,
    /// The other end of the same connection on this node.
    Peer,
    /// Runtime identity: goroutine, task.
    Task,
    /// The thread that read the request made the call, in a process whose threads answer what they read.
    Thread,
    /// Exactly one request was open in the process.
    Only,
    /// The parent is the whole of which this is a part.
    Part,
    /// No parent.
    Root,
}

/// A finished span.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// Trace.
    pub trace_id: TraceId,
    /// This span.
    pub span_id: SpanId,
    /// Parent, if one is known.
    pub parent_id: Option<SpanId>,
    /// The parent is in another process (OTLP flags bit 9).
    pub parent_is_remote: Option<bool>,
    /// W3C trace flags: bit 0 sampled, bit 1 random.
    pub trace_flags: u8,
    /// W3C tracestate as it came, or empty.
    pub trace_state: String,
    /// Why it has that parent.
    pub evidence: Evidence,
    /// Client or server.
    pub kind: Kind,
    /// Low-cardinality name.
    pub name: Cow<'static, str>,
    /// Whose span: the resource is looked up by it.
    pub process: ProcessId,
    /// First byte of the request.
    pub start: Nanos,
    /// Last byte of the response.
    pub end: Nanos,
    /// In the order a person reads them.
    pub attributes: Vec<Attribute>,
    /// Status.
    pub status: Status,
}

/// What may leave the node, and what is wanted beyond the conventions' own attributes.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// How queries are redacted.
    pub redact: redact::Rules,
    /// Request fields to capture, lower case: `http.request.header.<name>`.
    pub request_fields: Vec<String>,
    /// Response fields to capture, lower case: `http.response.header.<name>`.
    pub response_fields: Vec<String>,
}

impl Rules {
    /// Request and response fields that spans are made of, lower case: what `assemble` has to keep besides trace context.
    pub fn kept_fields(&self) -> Vec<String> {
        let own = http::FIELDS.iter().map(|&name| name.to_owned());
        own.chain(self.request_fields.iter().cloned()).chain(self.response_fields.iter().cloned()).collect()
    }
}

/// What an exchange says of itself, whoever caused it.
#[derive(Clone, Debug, PartialEq)]
pub struct Description {
    /// Low-cardinality name.
    pub name: Cow<'static, str>,
    /// In the order a person reads them.
    pub attributes: Vec<Attribute>,
    /// Status.
    pub status: Status,
}

/// Puts an exchange into the words of the semantic conventions.
pub fn describe(opened: &Opened, ended: &Ended, rules: &Rules) -> Description {
    match &opened.call {
        Call::Http(request) => http::describe(opened, request, ended, rules),
    }
}
