//! B3: `b3: <trace>-<span>[-<decision>[-<parent>]]`, or one `x-b3-*` header for each of these.
//!
//! Trace ids are 32 or 16 lower-case digits, the short ones padded on the left; span ids are 16. The decision is `1`, `0` or `d`
//! (debug, in several headers `x-b3-flags: 1`); absent means that the receiver decides. `b3: 0` is a decision without ids. Old
//! tracers wrote `x-b3-sampled: true`. The grandparent is checked and forgotten.
//! Source: <https://github.com/openzipkin/b3-propagation>. Not here: which of the two wins (the order of formats).
use super::{Context, Format, Found, Reject, flags, hex, only, span_id, trace_id};
use crate::{
    exchange::Field,
    spans::{SpanId, TraceId},
};

/// A sampling decision; the default leaves it to the receiver.
#[derive(Clone, Copy, Default)]
struct Decision {
    sampled: Option<bool>,
    debug: bool,
}

const DEBUG: Decision = Decision { sampled: Some(true), debug: true };

pub(super) fn read_single(fields: &[Field]) -> Result<Option<Found>, Reject> {
    let Some(value) = only(fields, "b3")? else { return Ok(None) };
    if let Some(decision) = decision(value) {
        return Ok(decision.sampled.map(Found::Decision));
    }
    let mut parts = value.split(|&byte| byte == b'-');
    let (Some(trace), Some(span)) = (parts.next(), parts.next()) else { return Err(Reject::Incomplete) };
    let (third, fourth) = (parts.next(), parts.next());
    if parts.next().is_some() {
        return Err(Reject::Malformed);
    }
    let (state, grandparent) = match third {
        // Without a decision the grandparent may come third; only its length tells.
        Some(third) if fourth.is_none() && third.len() == 16 => (None, Some(third)),
        _ => (third, fourth),
    };
    if let Some(grandparent) = grandparent {
        b3_span(grandparent)?;
    }
    let decision = match state {
        Some(state) => decision(state).ok_or(Reject::Malformed)?,
        None => Decision::default(),
    };
    Ok(Some(context(Format::B3Single, b3_trace(trace)?, b3_span(span)?, decision)))
}

pub(super) fn read_multi(fields: &[Field]) -> Result<Option<Found>, Reject> {
    let trace = only(fields, "x-b3-traceid")?;
    let span = only(fields, "x-b3-spanid")?;
    let decision = match (only(fields, "x-b3-flags")?, only(fields, "x-b3-sampled")?) {
        (Some(b"1"), _) => DEBUG,
        (_, Some(text)) if text.eq_ignore_ascii_case(b"true") => decided(true),
        (_, Some(text)) if text.eq_ignore_ascii_case(b"false") => decided(false),
        (_, Some(text)) => decision(text).ok_or(Reject::Malformed)?,
        (_, None) => Decision::default(),
    };
    let (trace, span) = match (trace, span) {
        (Some(trace), Some(span)) => (trace, span),
        (None, None) => return Ok(decision.sampled.map(Found::Decision)),
        _ => return Err(Reject::Incomplete),
    };
    if let Some(grandparent) = only(fields, "x-b3-parentspanid")? {
        b3_span(grandparent)?;
    }
    Ok(Some(context(Format::B3Multi, b3_trace(trace)?, b3_span(span)?, decision)))
}

fn context(format: Format, trace_id: TraceId, parent: SpanId, decision: Decision) -> Found {
    Found::Context(Context {
        format,
        trace_id,
        parent: Some(parent),
        flags: flags(decision.sampled),
        sampled: decision.sampled,
        debug: decision.debug,
        trace_state: String::new(),
    })
}

fn decision(text: &[u8]) -> Option<Decision> {
    match text {
        b"0" => Some(decided(false)),
        b"1" => Some(decided(true)),
        b"d" => Some(DEBUG),
        _ => None,
    }
}

fn decided(sampled: bool) -> Decision {
    Decision { sampled: Some(sampled), debug: false }
}

fn b3_trace(text: &[u8]) -> Result<TraceId, Reject> {
    let bytes = match text.len() {
        16 => hex::lower::<8>(text).map(|low| (u64::from_be_bytes(low) as u128).to_be_bytes()),
        _ => hex::lower::<16>(text),
    };
    trace_id(bytes.ok_or(Reject::Malformed)?)
}

fn b3_span(text: &[u8]) -> Result<SpanId, Reject> {
    span_id(hex::lower(text).ok_or(Reject::Malformed)?)
}
