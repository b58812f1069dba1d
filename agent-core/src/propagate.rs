//! Reads the trace context that a request carries in its own header fields.
//!
//! Shape: [`Field`]s in, [`Extraction`] out: at most one [`Context`], and why what looked like one was refused.
//! The formats of the order are tried one after the other and the first valid context is taken, so a broken `traceparent`
//! beside a sound `b3` costs nothing. A context is all or nothing: a wrong parent is worse than none.
//! Source: one file per format, each with its specification. Not here: writing context, and what a parent means (see
//! `correlate`). Invariant: whatever the bytes, no panic, and nothing larger than the limits of the formats is kept.
mod b3;
mod baggage;
mod hex;
mod jaeger;
#[cfg(test)]
mod tests;
mod tracestate;
mod w3c;
mod xray;

use crate::{
    exchange::Field,
    spans::{SpanId, TraceId},
};
use smallvec::SmallVec;

pub use baggage::{BAGGAGE_MAX_BYTES, BAGGAGE_MAX_MEMBERS, Baggage, Member, baggage};
pub use tracestate::{TRACESTATE_MAX_BYTES, TRACESTATE_MAX_MEMBERS};

/// W3C trace flag: the sender may have recorded the trace.
pub const FLAG_SAMPLED: u8 = 1;
/// W3C trace flag of level 2: the last 7 bytes of the trace id are random.
pub const FLAG_RANDOM: u8 = 2;

/// A way to write trace context into header fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// `traceparent` and `tracestate`: W3C Trace Context, levels 1 and 2.
    W3c,
    /// `b3`: Zipkin, one header.
    B3Single,
    /// `x-b3-*`: Zipkin, several headers.
    B3Multi,
    /// `uber-trace-id`: Jaeger.
    Jaeger,
    /// `x-amzn-trace-id`: AWS X-Ray and Elastic Load Balancing.
    XRay,
}

/// The order of formats when none is configured: the standard first; X-Ray last, because load balancers add it to every
/// request, whoever traces it.
pub const DEFAULT_ORDER: [Format; 5] =
    [Format::W3c, Format::B3Single, Format::B3Multi, Format::Jaeger, Format::XRay];

impl Format {
    /// As counters and `explain` name it.
    pub fn name(self) -> &'static str {
        match self {
            Format::W3c => "tracecontext",
            Format::B3Single => "b3",
            Format::B3Multi => "b3multi",
            Format::Jaeger => "jaeger",
            Format::XRay => "xray",
        }
    }
}

/// Where a request says it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// How it was written.
    pub format: Format,
    /// The trace; ids of 64 bits are padded with zeros on the left.
    pub trace_id: TraceId,
    /// The caller's span. `None`: the trace has an id but the request has no parent (X-Ray `Root` alone).
    pub parent: Option<SpanId>,
    /// W3C trace flags as they came; of a future version, and of other formats, [`FLAG_SAMPLED`] alone.
    pub flags: u8,
    /// The sender's decision. `None`: it left the decision to the receiver (B3, X-Ray).
    pub sampled: Option<bool>,
    /// The sender asks to keep this trace in any case (B3 `d`, Jaeger flag 2).
    pub debug: bool,
    /// `tracestate`, its headers combined, empty members and white space between members dropped; or empty.
    pub trace_state: String,
}

/// Why something that looked like context was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reject {
    /// Not the format's shape: length, separator, digit or value.
    Malformed,
    /// A trace or span id that is all zero.
    Zero,
    /// The header came more than once: which one holds is not knowable.
    Duplicate,
    /// A version that its format forbids or that is not known.
    Version,
    /// One of the ids is missing.
    Incomplete,
    /// The context was taken, but its tracestate broke the rules and was dropped as a whole.
    TraceState,
    /// The context was taken, but its tracestate was longer than [`TRACESTATE_MAX_BYTES`]: members were dropped.
    TraceStateCut,
}

impl Reject {
    /// As counters and `explain` name it.
    pub fn name(self) -> &'static str {
        match self {
            Reject::Malformed => "malformed",
            Reject::Zero => "zero_id",
            Reject::Duplicate => "duplicate",
            Reject::Version => "version",
            Reject::Incomplete => "incomplete",
            Reject::TraceState => "tracestate_invalid",
            Reject::TraceStateCut => "tracestate_cut",
        }
    }
}

/// What a request's fields say about its trace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extraction {
    /// The first valid context in the order.
    pub context: Option<Context>,
    /// A sampling decision that came without ids (`b3: 0`, `x-b3-sampled` or X-Ray `Sampled` alone). Only if there is no context.
    pub decision: Option<bool>,
    /// What was refused, at most once per format and reason.
    pub rejected: SmallVec<[(Format, Reject); 2]>,
}

/// What one format found.
enum Found {
    Context(Context),
    Decision(bool),
}

/// Reads the context of a request: the first valid one in `order`.
pub fn extract(fields: &[Field], order: &[Format]) -> Extraction {
    let mut extraction = Extraction::default();
    for &format in order {
        let found = match format {
            Format::W3c => w3c::read(fields),
            Format::B3Single => b3::read_single(fields),
            Format::B3Multi => b3::read_multi(fields),
            Format::Jaeger => jaeger::read(fields),
            Format::XRay => xray::read(fields),
        };
        match found {
            Ok(None) => {}
            Ok(Some(Found::Decision(sampled))) => extraction.decision = extraction.decision.or(Some(sampled)),
            Ok(Some(Found::Context(mut context))) => {
                if format == Format::W3c {
                    let (trace_state, reject) = tracestate::read(fields);
                    context.trace_state = trace_state;
                    extraction.rejected.extend(reject.map(|reject| (format, reject)));
                }
                extraction.decision = None;
                extraction.context = Some(context);
                return extraction;
            }
            Err(reject) => extraction.rejected.push((format, reject)),
        }
    }
    extraction
}

/// The fields that [`extract`] and [`baggage`] read, lower case, for a parser's keep-list. Jaeger's baggage is not among
/// them: its names begin with [`JAEGER_BAGGAGE_PREFIX`].
pub fn header_names() -> &'static [&'static str] {
    &[
        "traceparent",
        "tracestate",
        "baggage",
        "b3",
        "x-b3-traceid",
        "x-b3-spanid",
        "x-b3-parentspanid",
        "x-b3-sampled",
        "x-b3-flags",
        "uber-trace-id",
        "x-amzn-trace-id",
    ]
}

/// Begins the name of every Jaeger baggage field.
pub const JAEGER_BAGGAGE_PREFIX: &str = "uberctx-";

/// The value of a field that may come once: `None` if it is absent or empty.
fn only<'a>(fields: &'a [Field], name: &str) -> Result<Option<&'a [u8]>, Reject> {
    let mut values = values(fields, name);
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Reject::Duplicate);
    }
    let value = trim(value);
    Ok((!value.is_empty()).then_some(value))
}

/// The values of a field in wire order.
fn values<'a>(fields: &'a [Field], name: &str) -> impl Iterator<Item = &'a [u8]> {
    fields.iter().filter(move |field| field.0 == name).map(|field| field.1.as_ref())
}

/// Without optional white space (RFC 9110 §5.6.3) at both ends.
fn trim(text: &[u8]) -> &[u8] {
    let mut text = text;
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

/// A trace id, unless it is all zero.
fn trace_id(bytes: [u8; 16]) -> Result<TraceId, Reject> {
    if bytes == [0; 16] { Err(Reject::Zero) } else { Ok(TraceId(bytes)) }
}

/// A span id, unless it is all zero.
fn span_id(bytes: [u8; 8]) -> Result<SpanId, Reject> {
    if bytes == [0; 8] { Err(Reject::Zero) } else { Ok(SpanId(bytes)) }
}

/// W3C flags that say the same as a decision.
fn flags(sampled: Option<bool>) -> u8 {
    if sampled == Some(true) { FLAG_SAMPLED } else { 0 }
}
